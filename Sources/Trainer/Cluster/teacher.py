"""A model from whose predictions another learns: none of it is trained, and its numbers keep their stored type.

B, T: sequences and tokens of a pass. R: targets of a pass, of which N are taught. C: the teacher's hidden size.
V, U: tokens of the model's vocabulary, and of the teacher's.
"""

import dataclasses
import functools
from typing import Any

import torch
import torch.nn.functional as F
from job import Job
from losses import computed, head_logits, layer_output, streams
from opening import Tensors, check_borders, open_model
from torch.distributed.device_mesh import DeviceMesh


class Teacher:
    """The teacher of a job, in shards as its model is."""

    def __init__(self, job: Job, mesh: DeviceMesh, device: torch.device) -> None:
        assert job.teacher
        tensors = Tensors(job.teacher.paths)
        self.model = open_model(job.teacher, tensors, mesh, device, job.values["dtype"], keeps_types=True).model
        self.forward, self.form = self.model.forward, type(None)
        self.model.forward = functools.partial(computed, self.model, self.forward)
        check_borders(self.model, device)
        self.model.forward = functools.partial(layer_output, self.model)
        # Its token for each of the model's, negative where it has none (V); the tokens that both have, and what it
        # calls them.
        self.tokens = job.numbers(job.values["teacher"]["tokens"]).to(device, torch.int64)
        self.shared = (self.tokens >= 0).nonzero().squeeze(1)
        self.theirs = self.tokens[self.shared]

    @torch.no_grad()
    def lesson(self, rows: torch.Tensor, positions: torch.Tensor, teaching: dict[str, Any]) -> "Lesson":
        """What it makes of a pass, rows (B, 4, T): tokens, targets, first visible positions, 1 where it teaches.

        It reads the sequences in which it teaches; one at least, for all processes must do the same. Where hidden
        states are compared, what leaves its layers comes with it.
        """
        hidden = teaching.get("hidden") or {"own": [], "parents": [], "weight": 0.0}
        taught = rows[:, 3] > 0
        some = taught.any(1)
        some[0] |= ~some.any()
        # What it has no token for is seen by nothing that it teaches.
        with streams(self.model, hidden["parents"]) as found:
            output = self.model(self.tokens[rows[some, 0]].clamp(min=0), positions[some])
        self.form, places = type(output), taught[some].flatten()
        return Lesson(
            self,
            output.last_hidden_state.flatten(0, 1)[places],
            taught[rows[:, 1] >= 0],
            teaching["weight"],
            teaching["temperature"],
            hidden["own"],
            [found[layer][places] for layer in hidden["parents"]],
            hidden["weight"],
        )


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What a teacher makes of the targets of a pass: which it teaches (R), what its last norm leaves there (N, C).

    Of the layers of the model whose hidden states are compared, the teacher's that each should be like: (N, C) each.
    """

    teacher: Teacher
    states: torch.Tensor
    taught: torch.Tensor
    weight: float
    temperature: float
    layers: list[int]
    hidden: list[torch.Tensor]
    hidden_weight: float

    def part(self, start: int, end: int) -> "Lesson":
        """What it makes of some of them."""
        first, last = (int(self.taught[:place].sum()) for place in (start, end))
        return dataclasses.replace(self, states=self.states[first:last], taught=self.taught[start:end])

    def losses(self, logits: torch.Tensor, entropies: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(1 - weight) · cross entropy + weight · T² · KL(teacher ‖ model) where it teaches (arXiv:1503.02531).

        logits (R, V), cross entropies (R) -> losses, divergences (R); KL is of the tokens that both have.
        """
        if not len(self.states):
            return entropies, torch.zeros_like(entropies)
        own = F.log_softmax(logits[self.taught][:, self.teacher.shared] / self.temperature, -1)
        divergences = F.kl_div(own, self.predictions(), reduction="none", log_target=True).sum(-1)
        divergences = torch.zeros_like(entropies).masked_scatter(self.taught, divergences)
        mixed = (1 - self.weight) * entropies + self.weight * self.temperature**2 * divergences
        return torch.where(self.taught, mixed, entropies), divergences

    def squares(self, own: list[torch.Tensor]) -> torch.Tensor:
        """The mean square of the difference of hidden states at each target, over channels and layers; 0 where nothing
        is taught.

        What leaves each of the model's layers where it teaches, (N, C) each -> (R).
        """
        pairs = zip(own, self.hidden, strict=True)
        squares = [(one.float() - other.float()).square().mean(-1) for one, other in pairs]
        found = torch.stack(squares).mean(0)
        return found.new_zeros(len(self.taught)).masked_scatter(self.taught, found)

    @torch.no_grad()
    def predictions(self) -> torch.Tensor:
        """The teacher's logarithms of probabilities of the tokens that both have, at the temperature."""
        teacher = self.teacher
        logits = head_logits(teacher.model, teacher.forward, teacher.form, self.states)
        return F.log_softmax(logits[:, teacher.theirs] / self.temperature, -1)
