"""Opens a model: what transformers makes of its configuration, sharded by FSDP2, with the numbers of its files."""

import pathlib
from collections.abc import Set
from typing import Any, NamedTuple

import torch
import transformers
from job import ModelFiles
from losses import layer_list, layers_of, token_losses
from parameters import Parameter, kept_buffers, local, views
from rules import Refusal
from safetensors import safe_open
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

# What safetensors calls the types that a model that is not trained may keep; the others become float32.
TYPES = {"BF16": torch.bfloat16, "F16": torch.float16}


class Tensors:
    """The tensors of some safetensors files, of which nothing is read before it is asked for."""

    def __init__(self, paths: list[pathlib.Path]) -> None:
        # The file of each, and what it is called there.
        self.places: dict[str, tuple[Any, str]] = {}
        for path in paths:
            file = safe_open(path, "pt")
            self.places.update({name: (file, name) for name in file.keys()})

    def replace(self, others: "Tensors", prefix: str) -> None:
        """Takes tensors that others have, under their names behind a prefix, in place of its own."""
        for name in self.places:
            self.places[name] = others.places.get(prefix + name, self.places[name])

    def __contains__(self, name: str) -> bool:
        return name in self.places

    def __getitem__(self, name: str) -> Any:
        file, own = self.places[name]
        return file.get_slice(own)


class OpenedModel(NamedTuple):
    """A model, its layers, and its parameters by transformers' names."""

    model: Any
    blocks: torch.nn.ModuleList
    parameters: dict[str, Parameter]


def open_model(
    source: ModelFiles,
    tensors: Tensors,
    mesh: DeviceMesh,
    device: torch.device,
    dtype: str,
    trained: Set[str] = frozenset(),
    keeps_types: bool = False,
) -> OpenedModel:
    """Builds a model by its configuration, shards it, and reads of the files what this process has of each tensor.

    `trained` are tensors of the files. With `keeps_types` numbers are kept as they are stored, else in float32.
    """
    config = transformers.AutoConfig.from_pretrained(source.configuration)
    # It is for this worker to add what balances experts.
    config.output_router_logits = False
    with torch.device("meta"):
        model = make_model(config, dtype)
    # Nothing is dropped out: the trainer knows no such thing.
    model.eval()
    if layer_list(model) is None:
        raise Refusal(
            f"{type(model).__name__} has no list of layers that this worker finds; it can't be sharded by layer"
        )
    blocks = layers_of(model)
    found = {
        name: {file_name(source, model, other, tensors): view for other, view in parts.items()}
        for name, parts in views(model).items()
    }
    if missing := trained - {name for parts in found.values() for name in parts}:
        raise Refusal(f"{type(model).__name__} has no parameter for the tensor '{min(missing)}', which the job trains")
    for name in (name for parts in found.values() for name in parts if name not in tensors):
        raise Refusal(f"{source.folder}: there is no tensor '{name}', which transformers' model has")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not trained.isdisjoint(found[name]))
        kinds = {TYPES.get(tensors[part].get_dtype(), torch.float32) for part in found[name]}
        if keeps_types and len(kinds) == 1:
            parameter.data = parameter.data.to(kinds.pop())
    computed = torch.bfloat16 if dtype == "bf16" else torch.float32
    policy = MixedPrecisionPolicy(param_dtype=computed, reduce_dtype=torch.float32)
    for block in blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    model.to_empty(device=device)
    model.tie_weights()
    with torch.no_grad():
        for module in model.modules():
            if module._non_persistent_buffers_set:
                model._init_weights(module)
    parameters = {
        name: Parameter(values, mesh, found[name])
        for name, values in [*model.named_parameters(), *kept_buffers(model).items()]
    }
    read(source, parameters, tensors)
    return OpenedModel(model, blocks, parameters)


def make_model(config: Any, dtype: str) -> Any:
    """transformers' model with the fastest attention that it has here; plain where PyTorch's own can't do it."""
    kinds = ["sdpa", "eager"]
    # PyTorch's own attention knows no cap of scores.
    if getattr(config, "attn_logit_softcapping", None):
        kinds = ["eager"]
    if dtype == "bf16" and transformers.utils.is_flash_attn_2_available():
        kinds.insert(0, "flash_attention_2")
    for kind in kinds:
        try:
            return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=kind)
        except ValueError as error:
            refusal = error
    raise Refusal(f"transformers makes no causal language model of config.json: {refusal}")


def file_name(source: ModelFiles, model: Any, name: str, tensors: Tensors) -> str:
    """What a parameter is called in the files: the head as its family calls it, base models without a prefix."""
    if source.head and name == "lm_head.weight" and name not in tensors:
        return source.head
    short = name.removeprefix(model.base_model_prefix + ".")
    return name if name in tensors or short not in tensors else short


@torch.no_grad()
def read(source: ModelFiles, parameters: dict[str, Parameter], tensors: Tensors) -> None:
    """Fills in this process's shard of each parameter."""
    for parameter in parameters.values():
        for part in parameter.parts:
            tensor = tensors[part.name]
            if list(tensor.get_shape()) != part.shape:
                raise Refusal(
                    f"{source.folder}: '{part.name}' is {tensor.get_shape()}, and transformers' model has {part.shape}"
                )
            first, last = part.rows
            if first < last:
                part.of(local(parameter.weights)).copy_(tensor[first:last])


@torch.no_grad()
def check_borders(model: Any, device: torch.device) -> None:
    """Refuses a model, whose forward pass is `computed`, where tokens see what stands before their document."""
    length = 8
    tokens = torch.arange(4 * length, device=device).view(2, -1) % model.config.vocab_size
    positions = torch.arange(length, device=device).repeat(2, 2)
    targets = torch.full_like(tokens, -1)
    targets[:, length:] = 1
    first, *_ = model(token_losses, tokens, positions, targets)
    tokens[:, :length] = tokens[:, :length].flip(1)
    second, *_ = model(token_losses, tokens, positions, targets)
    # What of the weights was gathered is let go, for a checkpoint may have others.
    model.reshard()
    if not torch.allclose(first, second, rtol=1e-5, atol=1e-5):
        raise Refusal(
            f"{type(model).__name__} lets the tokens of a document see the one before it; this family can't be"
            " computed by this worker, whose sequences hold several documents"
        )
