"""Reads what `trainer hand-off` has written beside it: the plan of a run, and its sequences in the order of its steps.

Every sequence is three lists of T numbers: its tokens; what should follow each, negative where nothing is asked;
and the first position that each may see, from which the borders of documents follow. T: tokens of a sequence.
"""

import functools
import json
import pathlib
import re
from collections.abc import Iterable
from typing import Any

import numpy
import torch
from torch.utils.data import Dataset

FOLDER = pathlib.Path(__file__).resolve().parent
# What loss functions leave out.
IGNORED = -100
# What frameworks put into the names of parameters.
WRAPPERS = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "module")


@functools.cache
def read_plan() -> dict[str, Any]:
    """What plan.json says."""
    return json.loads((FOLDER / "plan.json").read_text())


def unpack(row: torch.Tensor) -> dict[str, torch.Tensor]:
    """A sequence (3, T) as models take it: `labels` are not to be shifted, `attention_mask` counts documents from 1."""
    tokens, targets, starts = row.long()
    places = torch.arange(len(tokens))
    return {
        "input_ids": tokens,
        "labels": targets.where(targets >= 0, IGNORED),
        "position_ids": places if read_plan()["counts_from_row"] else places - starts,
        "attention_mask": (starts == places).cumsum(0),
    }


class PlannedSequences(Dataset):
    """The sequences of a run: entry i is the i-th that the steps take; lists of T numbers, as `unpack` names them."""

    def __init__(self, file: str = "sequences.bin") -> None:
        length = read_plan()["length"]
        self.rows = numpy.memmap(FOLDER / file, dtype="<i4", mode="r").reshape(-1, 3, length)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return unpack(torch.from_numpy(self.rows[index].astype(numpy.int64)))


def plain_name(name: str) -> str:
    """The name of a parameter without what frameworks add to it."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def is_frozen(name: str) -> bool:
    """Whether the run leaves a parameter as it is."""
    return any(re.search(pattern, plain_name(name)) for pattern in read_plan()["frozen"])


def freeze(model: torch.nn.Module) -> None:
    """Takes what the run leaves as it is out of training."""
    for name, parameter in model.named_parameters():
        if is_frozen(name):
            parameter.requires_grad_(False)


def group_of(name: str) -> dict[str, Any]:
    """What moves a parameter: `rate`, as a share of the step's, and `decay`."""
    for group in read_plan()["groups"]:
        if re.search(group["pattern"], plain_name(name)):
            return group
    raise ValueError(f"the plan does not say what moves the parameter {name!r}; hand the run off again for this model")


def grouped(parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> list[dict[str, Any]]:
    """AdamW's groups for the parameters that are trained, with the peak rates."""
    numbers = read_plan()["optimizer"]
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in parameters:
        if parameter.requires_grad:
            group = group_of(name)
            groups.setdefault((group["rate"], group["decay"]), []).append(parameter)
    return [
        {"params": members, "lr": numbers["rate"] * rate, "weight_decay": decay}
        for (rate, decay), members in groups.items()
    ]


def factor(step: int) -> float:
    """The share of the peak rate at a step, which counts from 0."""
    factors = read_plan()["factors"]
    return factors[min(step, len(factors) - 1)]
