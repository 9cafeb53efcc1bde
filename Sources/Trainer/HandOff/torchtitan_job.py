"""The run as torchtitan's configuration: `--module torchtitan_job --config planned`."""

import json
import os
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from planned import PlannedSequences, factor, freeze, read_plan
from torch import nn
from torch.utils.data import IterableDataset
from torchtitan.components.checkpointer import CheckpointManager
from torchtitan.components.dataloader import ParallelAwareDataloader
from torchtitan.components.loss import ChunkedLossWrapper, CrossEntropyLoss
from torchtitan.components.metrics import MetricsProcessor
from torchtitan.components.optimizer import LRSchedulersContainer, OptimizersContainer, ParamGroupConfig
from torchtitan.config import TrainingConfig
from torchtitan.distributed.activation_checkpoint import FullAC, SelectiveAC
from torchtitan.distributed.pipeline_parallel import pipeline_llm
from torchtitan.models.common import ComplexRoPE, Embedding, Linear, RMSNorm
from torchtitan.models.common.attention import GQAttention
from torchtitan.models.common.config_utils import get_attention_config, make_ffn_config, make_gqa_config
from torchtitan.models.common.param_init import skip_param_init
from torchtitan.models.common.rope import CosSinRoPE
from torchtitan.models.llama3 import parallelize_llama
from torchtitan.models.llama3.model import Llama3Model, Llama3TransformerBlock
from torchtitan.models.llama3.state_dict_adapter import Llama3StateDictAdapter
from torchtitan.models.qwen3.model import Qwen3Model, Qwen3TransformerBlock
from torchtitan.models.qwen3.parallelize import parallelize_qwen3
from torchtitan.models.qwen3.state_dict_adapter import Qwen3StateDictAdapter
from torchtitan.protocols.model_spec import ModelSpec
from torchtitan.trainer import Trainer

# Every weight is read from the model's files, so what it begins with does not matter.
LINEAR = {"weight": partial(nn.init.normal_, std=0.02), "bias": nn.init.zeros_}
NORM = {"weight": nn.init.ones_}


class PlannedRows(IterableDataset):
    """The sequences of one of several processes: each takes every so many-th, so a step has those that are next."""

    def __init__(self, rank: int, ranks: int) -> None:
        self.sequences, self.next, self.ranks = PlannedSequences(), rank, ranks

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        while self.next < len(self.sequences):
            row = self.sequences[self.next]
            self.next += self.ranks
            yield {"input": row["input_ids"], "positions": row["position_ids"]}, row["labels"]

    def state_dict(self) -> dict[str, int]:
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.next = state["next"]


class PlannedDataLoader(ParallelAwareDataloader):
    """Hands the sequences out in the order of the plan."""

    @dataclass(kw_only=True, slots=True)
    class Config(ParallelAwareDataloader.Config):
        pass

    def __init__(
        self,
        config: Config,
        *,
        dp_world_size: int,
        dp_rank: int,
        local_batch_size: int,
        snapshot_every_n_steps: int | None = 1,
        **_: Any,
    ) -> None:
        rows = PlannedRows(dp_rank, dp_world_size)
        super().__init__(
            rows, dp_rank, dp_world_size, batch_size=local_batch_size, snapshot_every_n_steps=snapshot_every_n_steps
        )


class PlannedSchedule(LRSchedulersContainer):
    """The plan's share of the peak rate at each step."""

    @dataclass(kw_only=True, slots=True)
    class Config(LRSchedulersContainer.Config):
        def build(self, *, optimizers: OptimizersContainer, training_steps: int) -> LRSchedulersContainer:
            return LRSchedulersContainer(optimizers, factor)


def rotary(config: dict[str, Any], size: int, length: int) -> ComplexRoPE.Config:
    """Rotary positions as config.json has them."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", "default")
    theta = rope.get("rope_theta", config.get("rope_theta", 10_000.0))
    longest = max(length, config.get("max_position_embeddings", length))
    if kind not in ("default", "llama3"):
        raise ValueError(f"torchtitan does not know rotary positions of the kind {kind!r}")
    scaling: dict[str, Any] = {}
    if kind == "llama3":
        names = ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
        scaling = {"scaling": "llama", "scaling_factor": rope["factor"], **{name: rope[name] for name in names}}
    cls = CosSinRoPE if config["model_type"] == "qwen3" else ComplexRoPE
    return cls.Config(dim=size, max_seq_len=longest, theta=theta, **scaling)


def model_spec(folder: pathlib.Path, length: int) -> ModelSpec:
    """The model that config.json describes, in torchtitan's terms."""
    config = json.loads((folder / "config.json").read_text())
    is_qwen = config["model_type"] == "qwen3"
    width, heads = config["hidden_size"], config["num_attention_heads"]
    size = config.get("head_dim") or width // heads
    norm = partial(RMSNorm.Config, eps=config["rms_norm_eps"], param_init=NORM)
    block = Qwen3TransformerBlock if is_qwen else Llama3TransformerBlock

    def attention() -> GQAttention.Config:
        return make_gqa_config(
            dim=width,
            n_heads=heads,
            n_kv_heads=config.get("num_key_value_heads", heads),
            head_dim=size,
            wqkv_param_init=LINEAR,
            wo_param_init=LINEAR,
            inner_attention=get_attention_config("flex"),
            rope=rotary(config, size, length),
            # Queries, keys and values stay apart, so that each has a rate of its own.
            fuse_qkv=False,
            qk_norm=norm(normalized_shape=size) if is_qwen else None,
        )

    layers = [
        block.Config(
            attention_norm=norm(normalized_shape=width),
            ffn_norm=norm(normalized_shape=width),
            attention=attention(),
            feed_forward=make_ffn_config(
                dim=width, hidden_dim=config["intermediate_size"], w1_param_init=LINEAR, w2w3_param_init=LINEAR
            ),
        )
        for _ in range(config["num_hidden_layers"])
    ]
    tied = config.get("tie_word_embeddings", False)
    vocabulary = config["vocab_size"]
    model = (Qwen3Model if is_qwen else Llama3Model).Config(
        dim=width,
        vocab_size=vocabulary,
        enable_weight_tying=tied,
        tok_embeddings=Embedding.Config(
            num_embeddings=vocabulary, embedding_dim=width, param_init={"weight": skip_param_init} if tied else LINEAR
        ),
        norm=norm(normalized_shape=width),
        lm_head=Linear.Config(in_features=width, out_features=vocabulary, param_init=LINEAR),
        layers=layers,
    )
    parallelize = parallelize_qwen3 if is_qwen else parallelize_llama

    def frozen_then_parallel(model: nn.Module, **arguments: Any) -> nn.Module:
        freeze(model)
        return parallelize(model, **arguments)

    return ModelSpec(
        name="qwen3" if is_qwen else "llama3",
        flavor="planned",
        model=model,
        parallelize_fn=frozen_then_parallel,
        pipelining_fn=pipeline_llm,
        post_optimizer_build_fn=None,
        state_dict_adapter=Qwen3StateDictAdapter if is_qwen else Llama3StateDictAdapter,
    )


def planned() -> Trainer.Config:
    """The run. MODEL in the environment names another folder of the model."""
    plan = read_plan()
    folder = pathlib.Path(os.environ.get("MODEL", plan["model"])).resolve()
    numbers, length = plan["optimizer"], plan["length"]
    spec = model_spec(folder, length)
    groups = [
        ParamGroupConfig(
            pattern=group["pattern"],
            optimizer_name="AdamW",
            optimizer_kwargs={
                "lr": numbers["rate"] * group["rate"],
                "betas": (numbers["beta1"], numbers["beta2"]),
                "eps": numbers["epsilon"],
                "weight_decay": group["decay"],
            },
        )
        for group in plan["groups"]
    ]
    return Trainer.Config(
        model_spec=spec,
        hf_assets_path=str(folder),
        dump_folder="output",
        loss=ChunkedLossWrapper.Config(loss_fn=CrossEntropyLoss.Config(global_vocab_size=spec.model.vocab_size)),
        optimizer=OptimizersContainer.Config(param_groups=groups),
        lr_scheduler=PlannedSchedule.Config(warmup_steps=0),
        training=TrainingConfig(
            local_batch_size=1,
            global_batch_size=plan["sequences"],
            seq_len=length,
            max_norm=numbers["clip"] or float("inf"),
            steps=plan["steps"],
            mixed_precision_param="bfloat16" if plan["dtype"] == "bf16" else "float32",
            disable_cuda_graphs=True,
        ),
        dataloader=PlannedDataLoader.Config(),
        metrics=MetricsProcessor.Config(log_freq=1),
        checkpoint=CheckpointManager.Config(
            enable=True,
            interval=plan["checkpoint_every"] or plan["steps"],
            initial_load_path=str(folder),
            initial_load_in_hf=True,
            last_save_in_hf=True,
        ),
        activation_checkpoint=FullAC.Config() if plan["recompute"] == "layer" else SelectiveAC.Config(),
    )
