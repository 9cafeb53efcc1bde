"""Compares a model and its data with what the trainer found when it handed the run off, before a GPU hour is spent.

usage: check.py [--model FOLDER] [--sequences N] [--device DEVICE]

It ends with 0 where all is as it was: the files' SHA-256, the logits and the loss of each token of the first step's
sequences as transformers computes them in float32, and the sequences as the framework's own classes read them. Else it
says in one sentence what differs, and ends with 1. R: sequences. P: positions. T: tokens. V: vocabulary.
"""

import argparse
import hashlib
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from planned import FOLDER, read_plan, unpack
from safetensors.torch import load_file

# How far two engines may be apart: a token's loss in nats, the mean loss, a logit as a share of their spread.
TOKEN, MEAN, LOGIT = 0.02, 1e-3, 2e-3


class Difference(Exception):
    """What differs, in a sentence."""


def check_files(folder: pathlib.Path, files: list[dict[str, Any]], hint: str) -> None:
    """Compares files with their SHA-256."""
    for file in files:
        path = folder / file["name"]
        try:
            with path.open("rb") as opened:
                digest = hashlib.sha256()
                while block := opened.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise Difference(f"{path}: {error.strerror}; {hint}") from error
        if digest.hexdigest() != file["sha256"]:
            raise Difference(f"{path} has another SHA-256 than when the run was handed off; {hint}")


def check_model(folder: pathlib.Path, golden: dict[str, torch.Tensor], count: int, device: str) -> float:
    """Compares logits and losses of the first sequences; returns the greatest distance of a token's loss."""
    config = transformers.AutoConfig.from_pretrained(folder)
    # PyTorch's own attention knows no cap of scores.
    attention = "eager" if getattr(config, "attn_logit_softcapping", None) else "sdpa"
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    )
    model = model.eval().to(device)
    farthest = total = expected = 0.0
    for index, row in enumerate(golden["rows"][:count]):
        inputs = unpack(row)
        labels = inputs["labels"]
        with torch.no_grad():
            logits = model(
                input_ids=inputs["input_ids"][None].to(device),
                position_ids=inputs["position_ids"][None].to(device),
                use_cache=False,
            ).logits[0]
        logits = logits.float().cpu()
        if index == 0:
            check_logits(logits[golden["positions"].long()], golden["logits"], golden["positions"].tolist())
        losses = F.cross_entropy(logits, labels, ignore_index=-100, reduction="none")
        distance = (losses - golden["losses"][index]).abs()
        farthest = max(farthest, float(distance.max()))
        place = int(distance.argmax())
        if not float(distance.max()) <= TOKEN:
            raise Difference(
                f"sequence {index}, token {place}: the loss is {losses[place]:.4f}, and the trainer found"
                f" {golden['losses'][index][place]:.4f}; this is another model, or {transformers.__version__} of"
                " transformers computes it in another way"
            )
        total += float(losses.double().sum())
        expected += float(golden["losses"][index].double().sum())
    targets = int((golden["rows"][:count, 1] >= 0).sum())
    if not abs(total - expected) <= MEAN * max(1, targets):
        raise Difference(f"the loss is {total / targets:.5f}, and the trainer found {expected / targets:.5f}")
    return farthest


def check_logits(found: torch.Tensor, expected: torch.Tensor, positions: list[int]) -> None:
    """found, expected: (P, V)."""
    if found.shape != expected.shape:
        raise Difference(f"logits are {list(found.shape)}, and {list(expected.shape)} were handed off")
    distance = (found - expected).abs().max(dim=1).values
    share = distance / expected.std(dim=1).clamp(min=1e-6)
    place = int(share.argmax())
    if not float(share[place]) <= LOGIT:
        raise Difference(
            f"the logits at position {positions[place]} of the first sequence are up to {distance[place]:.4f} away from"
            " the trainer's; this is another model, or it is computed in another way"
        )


# What the frameworks' own classes read: tokens, labels that are not to be shifted, positions.
Row = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def automodel_rows() -> Iterable[Row]:
    from nemo_automodel.components.config.loader import load_yaml_config
    from nemo_automodel.recipes._typed_config import RecipeConfig

    config = RecipeConfig(load_yaml_config(str(FOLDER / "automodel.yaml")))
    for batch in config.dataloader.build(dp_rank=0, dp_world_size=1):
        yield batch["input_ids"][0], batch["labels"][0], batch["position_ids"][0]


def axolotl_rows() -> Iterable[Row]:
    import yaml
    from axolotl.utils.collators import BatchSamplerDataCollatorForSeq2Seq
    from axolotl.utils.data.shared import load_dataset_with_config
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.samplers import MultipackBatchSampler, get_dataset_lengths
    from torch.utils.data import SequentialSampler

    config = DictDefault(yaml.safe_load((FOLDER / "axolotl.yaml").read_text()))
    entry = DictDefault({**config.datasets[0], "path": str(FOLDER / config.datasets[0]["path"])})
    data = load_dataset_with_config(entry, False)
    sampler = MultipackBatchSampler(
        SequentialSampler(data),
        batch_size=1,
        batch_max_len=config.sequence_len * config.micro_batch_size,
        lengths=get_dataset_lengths(data),
        bin_size=config.sample_packing_bin_size,
        sequential=config.sample_packing_sequentially,
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(config.base_model)
    tokenizer.pad_token_id = tokenizer.pad_token_id or 0
    collate = BatchSamplerDataCollatorForSeq2Seq(tokenizer)
    kept = data.remove_columns(["length", "attention_mask"])
    for batch in sampler:
        row = collate([[kept[place] for place in bin_] for bin_ in batch])
        # The last token is there for its label alone: models shift labels by one.
        yield row["input_ids"][0][:-1], row["labels"][0][1:], row["position_ids"][0][:-1]


def megatron_rows() -> Iterable[Row]:
    from megatron_job import PlannedDataset

    for row in PlannedDataset():
        yield row["tokens"], row["labels"].where(row["loss_mask"] > 0, -100), row["position_ids"]


def torchtitan_rows() -> Iterable[Row]:
    from torchtitan_job import PlannedDataLoader

    for inputs, labels in PlannedDataLoader.Config().build(dp_world_size=1, dp_rank=0, local_batch_size=1):
        yield inputs["input"][0], labels[0], inputs["positions"][0]


READERS = {
    "automodel": automodel_rows,
    "axolotl": axolotl_rows,
    "megatron-bridge": megatron_rows,
    "torchtitan": torchtitan_rows,
}


def check_data(rows: torch.Tensor) -> int:
    """Compares what the framework reads with the first step's sequences; returns how many were compared."""
    read = iter(READERS[read_plan()["to"]]())
    for index, row in enumerate(rows):
        expected = unpack(row)
        found = next(read, None)
        if found is None:
            raise Difference(f"the framework reads {index} sequences, and the first step alone has {len(rows)}")
        names = ("input_ids", "labels", "position_ids")
        for name, one in zip(names, found):
            if one.tolist() != expected[name].tolist():
                raise Difference(f"sequence {index}: the framework reads other {name} than the trainer would train on")
    return len(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compares a model and its data with what was handed off.")
    parser.add_argument("--model", help="the model's folder, where it is not the one that the plan names")
    parser.add_argument("--sequences", type=int, help="how many sequences are computed (default: all that are golden)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    plan = read_plan()
    model = pathlib.Path(arguments.model or plan["model"])
    golden = load_file(FOLDER / "golden.safetensors")
    count = min(arguments.sequences or len(golden["rows"]), len(golden["rows"]))
    try:
        check_files(FOLDER, plan["data"], "hand the run off again")
        check_files(model, plan["files"], "name the model that was handed off with --model")
        try:
            read = f"{check_data(golden['rows'])} sequences are read as planned"
        except ImportError as error:
            read = f"the sequences were not read by {plan['to']}, which is not here ({error})"
        farthest = check_model(model, golden, count, arguments.device)
    except Difference as difference:
        print(f"check: {difference}", file=sys.stderr)
        return 1
    loss = plan["first_loss"]
    first = f"; the loss of the first step is {loss:.4f}" if loss is not None else ""
    print(f"check: {read}; {count} sequences have the trainer's losses within {farthest:.1e}{first}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
