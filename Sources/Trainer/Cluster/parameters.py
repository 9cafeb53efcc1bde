"""The parameters of a model, which FSDP2 has sharded, and where the tensors of the files lie in them."""

import math
from typing import Any

import torch
from rules import Refusal
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset
from torch.overrides import TorchFunctionMode
from transformers.core_model_loading import revert_weight_conversion


class Views(TorchFunctionMode):
    """Leaves copies out, so that what is made of a tensor is a view that tells where its numbers lie in it."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (torch.Tensor.contiguous, torch.Tensor.clone):
            return args[0]
        return function(*args, **(kwargs or {}))


def views(model: Any) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of the files as views of each parameter of a model without data, by both's names.

    transformers converts names and shapes when it loads a model, as where the experts of a mixture become one
    parameter, and back when it saves one. The way back, gone without a copy, says where each tensor lies.
    """
    parameters = {**dict(model.named_parameters()), **kept_buffers(model)}
    owners = {values.untyped_storage()._cdata: name for name, values in parameters.items()}
    with torch.no_grad(), Views():
        saved = revert_weight_conversion(model, dict(parameters))
    found: dict[str, dict[str, torch.Tensor]] = {name: {} for name in parameters}
    for name, view in saved.items():
        owner = owners.get(view.untyped_storage()._cdata)
        if owner is None or not view.is_contiguous():
            raise Refusal(
                f"transformers computes the tensor '{name}' of a {type(model).__name__} when it saves one; this worker"
                " trains what lies in a parameter as it is in the files"
            )
        found[owner][name] = view
    for name, values in parameters.items():
        if values.numel() != sum(view.numel() for view in found[name].values()):
            raise Refusal(f"transformers does not save all of the parameter '{name}' of a {type(model).__name__}")
    return found


def kept_buffers(model: Any) -> dict[str, torch.Tensor]:
    """What a model has in its files beside its parameters, such as the corrections of a router."""
    kept = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in kept}


def local(values: torch.Tensor) -> torch.Tensor:
    """What this process has of a tensor, in a row."""
    return (values.to_local() if isinstance(values, DTensor) else values).view(-1)


class Part:
    """A tensor of the files, and what this process has of it: some of its rows, in its shard of a parameter."""

    def __init__(self, name: str, view: torch.Tensor, shard: range) -> None:
        """`shard` are the places of the process's numbers in the parameter."""
        self.name, self.shape, self.start = name, list(view.shape), view.storage_offset()
        self.end = self.start + view.numel()
        # Updates since it is trained without a stage that leaves it out.
        self.count = 0
        # How the trainer's own engine keeps it in this stage, where not in float32.
        self.storage: dict[str, Any] | None = None
        width = math.prod(self.shape[1:])
        start = min(max(self.start, shard.start), shard.stop)
        end = max(min(self.end, shard.stop), start)
        self.places = slice(start - shard.start, end - shard.start)
        self.rows = ((start - self.start) // width, (end - self.start) // width)

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """The process's rows in its shard of a parameter, a gradient or a moment."""
        return values[self.places].view(-1, *self.shape[1:])

    def whole(self, values: torch.Tensor) -> torch.Tensor:
        """The tensor in a whole parameter."""
        return values.view(-1)[self.start : self.end].view(self.shape)

    def runs(self, stage: dict[str, Any]) -> list[tuple[dict[str, Any], slice]]:
        """The rows of each run of a stage that this process has, counted among its own."""
        runs, (first, last) = [], self.rows
        for run in stage["tensors"].get(self.name, []):
            start, end = (min(max(row, first), last) - first for row in run["rows"])
            if start < end:
                runs.append((run, slice(start, end)))
        return runs

    def places_in_memory(self, rows: slice, device: torch.device) -> torch.Tensor:
        """Where the numbers of some of the process's rows lie among all that the trainer's own engine would train."""
        assert self.storage
        width = math.prod(self.shape[1:])
        index = torch.arange(
            (self.rows[0] + rows.start) * width, (self.rows[0] + rows.stop) * width, device=device, dtype=torch.int64
        )
        if self.storage["transposed"]:
            height, width = self.shape[-2:]
            rest = index % (height * width)
            index = index - rest + rest % width * height + rest // width
        return index + self.storage["place"]


class Parameter:
    """A parameter, sharded: its weights, its moments, and the tensors of the files that lie in it."""

    def __init__(self, weights: torch.Tensor, mesh: DeviceMesh, views: dict[str, torch.Tensor]) -> None:
        self.weights = weights
        self.mean: Any = None
        self.square: Any = None
        # Its gradient in bfloat16, and whether that is how this stage keeps it.
        self.gradient: torch.Tensor | None = None
        self.is_rounded = False
        # The running average of the weights in this stage, where the job asks for one.
        self.average: Any = None
        shape, offset = weights.shape, (0,)
        if isinstance(weights, DTensor):
            shape, offset = compute_local_shape_and_global_offset(weights.shape, mesh, weights.placements)
        first = offset[0] * math.prod(weights.shape[1:]) if shape else 0
        shard = range(first, first + local(weights).numel())
        self.parts = [Part(name, view, shard) for name, view in views.items()]

    @property
    def buffers(self) -> dict[str, torch.Tensor]:
        """What there is beside the weights, by its kind."""
        kinds = {"mean": self.mean, "square": self.square, "average": self.average}
        return {kind: values for kind, values in kinds.items() if values is not None}

    def enter(self, stage: dict[str, Any], averages: bool) -> None:
        """Begins a stage: what it does not train loses its moments, and an average begins as the weights are."""
        storage = stage.get("storage") or {}
        for part in self.parts:
            part.storage = storage.get(part.name)
        self.is_rounded = any(part.storage and part.storage["gradient"] == "bf16" for part in self.parts)
        kind = torch.bfloat16 if stage["moments"] == "bf16" else torch.float32
        others = [part for part in self.parts if part.name not in stage["tensors"]]
        if len(others) == len(self.parts):
            self.mean, self.square = None, None
        elif self.mean is None:
            self.mean, self.square = (torch.zeros_like(self.weights, dtype=kind) for _ in range(2))
        for part in others:
            part.count = 0
            for moments in (self.mean, self.square):
                if moments is not None:
                    part.of(local(moments)).zero_()
        self.average = self.weights.detach().clone() if averages and self.mean is not None else None

    def take_gradient(self, weights: torch.Tensor) -> None:
        """Keeps a gradient in bfloat16 as soon as it is there, added to that of the pass before, if it should be."""
        if self.is_rounded:
            gradient = local(weights.grad)
            self.gradient = (gradient if self.gradient is None else gradient + self.gradient).to(torch.bfloat16)
            weights.grad = None


def rounded(values: torch.Tensor, places: torch.Tensor, key: int) -> torch.Tensor:
    """Float32 in bfloat16, up or down by chance, which is a hash of a number's place and the key: ck_pack_bf16."""
    word = 0xFFFFFFFF
    hashed = (places * 0x9E3779B9 + key) & word
    hashed ^= hashed >> 16
    hashed = (hashed * 0x85EBCA6B) & word
    hashed ^= hashed >> 13
    bits = (values.contiguous().view(torch.int32).to(torch.int64) & word) + (hashed >> 16)
    return (bits >> 16).to(torch.int16).view(torch.bfloat16)
