"""Gives axolotl what its own settings can't say: what is trained at which rate and decay, and the rate of each step."""

import torch
from axolotl.integrations.base import BasePlugin
from planned import factor, freeze, grouped, read_plan
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel, Trainer
from transformers.training_args import TrainingArguments


def planned_adamw(model: torch.nn.Module, _: TrainingArguments) -> torch.optim.AdamW:
    """AdamW with the plan's groups."""
    numbers = read_plan()["optimizer"]
    betas = (numbers["beta1"], numbers["beta2"])
    return torch.optim.AdamW(grouped(model.named_parameters()), betas=betas, eps=numbers["epsilon"])


class PlannedRun(BasePlugin):
    """Trains as the plan says."""

    def pre_model_load(self, cfg: dict) -> None:
        # Weights are float32, whatever is computed in; axolotl would read them as bfloat16.
        cfg.torch_dtype = torch.float32

    def post_model_load(self, cfg: dict, model: PreTrainedModel) -> None:
        freeze(model)

    def post_trainer_create(self, cfg: dict, trainer: Trainer) -> None:
        trainer.optimizer_cls_and_kwargs = (lambda: planned_adamw, {})
        # A step's loss is the mean of its tokens; axolotl would take that of its sequences' means.
        trainer.model_accepts_loss_kwargs = True

    def create_lr_scheduler(
        self, cfg: dict, trainer: Trainer, optimizer: torch.optim.Optimizer, num_training_steps: int
    ) -> LambdaLR:
        steps = read_plan()["steps"]
        if num_training_steps != steps:
            raise ValueError(
                f"the plan has {steps} steps, and axolotl takes {num_training_steps}; start a number of processes that"
                f" divides the {read_plan()['sequences']} sequences of a step, with gradient_accumulation_steps set to"
                " sequences / (micro_batch_size × processes)"
            )
        return LambdaLR(optimizer, factor)
