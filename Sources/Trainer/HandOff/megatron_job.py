"""The run by Megatron-Bridge: `torchrun --nproc-per-node N megatron_job.py`; afterwards `--export CHECKPOINT FOLDER`.

The data are two of Megatron's indexed datasets, `tokens` and `targets`: a document of theirs is a sequence of the run,
in order, and a sequence of theirs is what of one text it holds.
"""

import argparse
import os
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from megatron.bridge import AutoBridge
from megatron.bridge.training.config import (
    CheckpointConfig,
    ConfigContainer,
    DatasetBuildContext,
    DatasetProvider,
    DistributedDataParallelConfig,
    LoggerConfig,
    OptimizerConfig,
    OptimizerConfigOverrideProvider,
    OptimizerConfigOverrideProviderContext,
    SchedulerConfig,
    TokenizerConfig,
    TrainingConfig,
)
from megatron.bridge.training.gpt_step import forward_step
from megatron.bridge.training.pretrain import pretrain
from megatron.core.datasets.indexed_dataset import IndexedDataset
from megatron.core.optimizer import ParamGroupOverride, ParamKey
from planned import FOLDER, freeze, group_of, read_plan
from torch.utils.data import Dataset


class PlannedDataset(Dataset):
    """The sequences of a run in the order of its steps; texts do not see each other, positions begin anew in each."""

    def __init__(self) -> None:
        self.tokens, self.targets = (IndexedDataset(str(FOLDER / name)) for name in ("tokens", "targets"))
        self.rows = self.tokens.document_indices

    def __len__(self) -> int:
        return len(self.rows) - 1

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        pieces = range(self.rows[index], self.rows[index + 1])
        tokens = [self.tokens[piece].astype(numpy.int64) for piece in pieces]
        labels = torch.from_numpy(numpy.concatenate([self.targets[piece] for piece in pieces]).astype(numpy.int64))
        lengths = [len(piece) for piece in tokens]
        positions = [torch.arange(length) for length in lengths]
        if read_plan()["counts_from_row"]:
            positions = [torch.arange(sum(lengths))]
        return {
            "tokens": torch.from_numpy(numpy.concatenate(tokens)),
            "labels": labels.clamp(min=0),
            "loss_mask": (labels >= 0).float(),
            "position_ids": torch.cat(positions),
            "cu_seqlens": torch.tensor([0, *numpy.cumsum(lengths)], dtype=torch.int32),
        }

    @staticmethod
    def collate_fn(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """A batch of one sequence, whose borders Megatron takes as cumulative lengths."""
        if len(rows) != 1:
            raise ValueError("micro_batch_size is 1: the borders of documents are those of one sequence")
        batch = {name: value[None] for name, value in rows[0].items()}
        borders = rows[0]["cu_seqlens"]
        batch["cu_seqlens"] = torch.cat([borders, torch.tensor([-1], dtype=torch.int32)])[None]
        batch["cu_seqlens_argmin"] = torch.tensor([[len(borders)]])
        batch["max_seqlen"] = borders.diff().max()[None]
        return batch


@dataclass
class PlannedDatasets(DatasetProvider):
    """Megatron-Bridge's way to a dataset of one's own."""

    seq_length: int = 0

    def build_datasets(self, context: DatasetBuildContext) -> tuple[PlannedDataset, None, None]:
        return PlannedDataset(), None, None


class PlannedGroups(OptimizerConfigOverrideProvider):
    """The rate and decay of each parameter."""

    def build_config_overrides(
        self, context: OptimizerConfigOverrideProviderContext
    ) -> dict[ParamKey, ParamGroupOverride]:
        numbers, least = context.optimizer_config, read_plan()["schedule"]["least"]
        names: dict[tuple[float, float], list[str]] = {}
        for part in context.model if isinstance(context.model, list) else [context.model]:
            for name, parameter in part.named_parameters():
                if parameter.requires_grad:
                    group = group_of(name)
                    names.setdefault((group["rate"], group["decay"]), []).append(name)
        return {
            ParamKey(name=tuple(members)): ParamGroupOverride(
                max_lr=numbers.lr * rate,
                min_lr=numbers.lr * rate * least,
                wd_mult=decay / numbers.weight_decay if numbers.weight_decay else 0.0,
            )
            for (rate, decay), members in names.items()
        }


def freeze_parts(parts: list[Any]) -> list[Any]:
    plan = read_plan()
    if parts[0].config.pipeline_model_parallel_size > 1 and len(plan["groups"]) + len(plan["frozen"]) > 1:
        raise ValueError(
            "the plan names parameters by their layer's number, and a part of a pipeline counts its layers anew; leave"
            " pipeline_model_parallel_size at 1"
        )
    for part in parts:
        freeze(part)
    return parts


def planned(load_weights: bool = True) -> ConfigContainer:
    """The run. MODEL in the environment names another folder, TENSOR_PARALLEL how many GPUs share a layer."""
    plan = read_plan()
    numbers, schedule, steps = plan["optimizer"], plan["schedule"], plan["steps"]
    folder = os.environ.get("MODEL", plan["model"])
    is_bf16 = plan["dtype"] == "bf16"
    model = AutoBridge.from_hf_pretrained(folder).to_megatron_provider(load_weights=load_weights)
    model.seq_length = plan["length"]
    model.hidden_dropout = model.attention_dropout = 0.0
    model.tensor_model_parallel_size = int(os.environ.get("TENSOR_PARALLEL", "1"))
    # The gradient is the sum of all token losses over the global count of targets.
    model.calculate_per_token_loss = True
    if plan["recompute"] == "layer":
        model.recompute_granularity, model.recompute_method, model.recompute_num_layers = "full", "uniform", 1
    model.register_pre_wrap_hook(freeze_parts)
    decay = max(group["decay"] for group in plan["groups"])
    return ConfigContainer(
        model=model,
        train=TrainingConfig(train_iters=steps, global_batch_size=plan["sequences"], micro_batch_size=1, eval_iters=0),
        optimizer=OptimizerConfig(
            optimizer="adam",
            lr=numbers["rate"],
            min_lr=numbers["rate"] * schedule["least"],
            weight_decay=decay,
            adam_beta1=numbers["beta1"],
            adam_beta2=numbers["beta2"],
            adam_eps=numbers["epsilon"],
            clip_grad=numbers["clip"] or 0.0,
            bf16=is_bf16,
            use_distributed_optimizer=True,
        ),
        scheduler=SchedulerConfig(
            lr_decay_style=schedule["style"],
            lr_decay_iters=schedule["steps"],
            lr_warmup_iters=schedule["warmup"],
            lr_warmup_init=numbers["rate"] * schedule["first"],
            lr_wsd_decay_style=schedule["end"],
            lr_wsd_decay_iters=schedule["end_steps"],
            start_weight_decay=decay,
            end_weight_decay=decay,
        ),
        ddp=DistributedDataParallelConfig(
            grad_reduce_in_fp32=True, average_in_collective=False, use_distributed_optimizer=True
        ),
        dataset=PlannedDatasets(dataloader_type="single", seq_length=plan["length"], num_workers=2),
        logger=LoggerConfig(log_interval=1),
        tokenizer=TokenizerConfig(tokenizer_type="HuggingFaceTokenizer", tokenizer_model=folder),
        checkpoint=CheckpointConfig(
            save="checkpoints", load="checkpoints", save_interval=plan["checkpoint_every"] or steps
        ),
        mixed_precision="bf16_mixed" if is_bf16 else None,
        optimizer_config_override_provider=PlannedGroups(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains by Megatron-Bridge what trainer hand-off has planned.")
    parser.add_argument(
        "--export", nargs=2, metavar=("CHECKPOINT", "FOLDER"), help="write a checkpoint as Hugging Face"
    )
    arguments = parser.parse_args()
    if arguments.export:
        bridge = AutoBridge.from_hf_pretrained(os.environ.get("MODEL", read_plan()["model"]))
        bridge.export_ckpt(megatron_path=arguments.export[0], hf_path=arguments.export[1])
        return
    pretrain(config=planned(), forward_step_func=forward_step)


if __name__ == "__main__":
    main()
