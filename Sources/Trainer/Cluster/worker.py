"""Carries out a training job that `trainer heal --on torchrun` has planned: one process of several.

usage: torchrun --standalone --nproc-per-node N worker.py job.json [--model FOLDER] [--teacher FOLDER]
                [--max-time SECONDS]
       torchrun --nnodes M --node-rank 0 --master-addr HOST --master-port 29500 --nproc-per-node N worker.py job.json
       (the same on each of the M hosts, HOST being the first; --node-rank counts them)

The job says everything: which sequences a step sees, what moves each row of each tensor, the learning rate of each
step. So the result does not depend on how many processes there are. PyTorch executes: FSDP2 shards the model by layer
and dimension 0, weights, moments and gradients are float32, checkpoints are torch.distributed.checkpoint's.
What happens goes to events.jsonl beside the job, a line of JSON each. Needs torch 2.6 and transformers 5 or newer.
Hosts may share the folder of the job or have copies of it: what is written ends up in that of the first process.
"""

import argparse
import contextlib
import ctypes
import datetime
import functools
import hashlib
import json
import math
import os
import pathlib
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

# The folder is to hold what was planned and what a run writes.
sys.dont_write_bytecode = True

try:
    import torch
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
    import transformers
    from hosts import Folders, agree, interface_to
    from job import Job, write_event
    from losses import computed, token_losses
    from opening import OpenedModel, Tensors, check_borders, open_model
    from parameters import Parameter, Part, local, rounded
    from rows import reading_losses
    from rules import Evaluations, Refusal, StepGuard
    from safetensors.torch import save_file
    from teacher import Teacher
    from torch.distributed.device_mesh import init_device_mesh
    from torch.optim.adamw import adamw
    from torch.utils.checkpoint import checkpoint
except ImportError as error:
    sys.exit(
        f"{sys.executable}: {error}; worker.py needs torch 2.6 and transformers 5 or newer; install them with"
        " pip install -r requirements.txt"
    )

# About how many tokens of an evaluation set are computed at once.
EVALUATED_AT_ONCE = 2048
# How many numbers that are kept in bfloat16 are moved at once.
AT_ONCE = 4_000_000
# The most that a file of the result holds.
SHARD_BYTES = 5_000_000_000
# How long processes wait for those that compare files: the model's are read through once.
CHECKING = datetime.timedelta(hours=1)


def resident(what: str) -> int:
    """Bytes of memory that this process has (VmRSS) or has had at most (VmHWM)."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return 1024 * int(line.split()[1])
    return 0


class Worker:
    """One of the processes."""

    def __init__(self, job: Job, max_time: float | None = None) -> None:
        self.job = job
        # When the run should be stopped and kept, on the monotonic clock.
        self.end_of_time = math.inf if max_time is None else time.monotonic() + max_time
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self.base = resident("VmRSS")
        self.device = (
            torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            if job.values["device"] == "cuda"
            else torch.device("cpu")
        )
        self.is_stopped = False
        self.step = 0
        # The steps of the last checkpoint, and of the last that the job's own rules have asked for.
        self.kept = self.goes_back_to = 0
        # How often the run has gone back, and how often it had when it was kept last.
        self.rollbacks = self.kept_rollbacks = 0
        self.stage = -1
        # Steps whose sequences were passed over by going back, and what was shown by now, tokens by source.
        self.shift = 0
        self.shown: dict[str, int] = {}
        # How many of these tokens are of documents marked as synthetic.
        self.synthetic: dict[str, int] = {}
        # Copied layers that come in bit by bit.
        self.fading: list[Any] = []
        self.evaluations = Evaluations(job.rules, job.values.get("parent"), len(job.steps))
        for stage in job.stages:
            sequences = stage["batch"] * stage["accumulate"]
            if self.ranks > sequences:
                more = "batch= in distil-rows" if stage.get("distils_rows") else "--batch or --accumulate"
                raise Refusal(
                    f"{self.ranks} processes for {sequences} sequences a step; start 1 to {sequences} processes,"
                    f" or plan the job with a larger {more}"
                )
        # The configuration by which its rotary embedding turns.
        self.turned_by = "config.json"
        self.folders = Folders(job.folder, self.device)
        self.mesh = init_device_mesh(self.device.type, (self.ranks,))
        self.model, self.trained = self.open_model()
        self.teacher = Teacher(job, self.mesh, self.device) if job.teacher else None

    # Events

    def tell(self, event: str, **values: Any) -> None:
        """Writes down what happened; the first process alone."""
        if self.rank == 0:
            write_event(self.job, event, **values)

    def total(self, *values: float) -> list[float]:
        """The sums of numbers over all processes."""
        # A machine without float64, as none of those that are supported is, would lose digits here.
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return sums.tolist()

    # The model

    def open_model(self) -> tuple[Any, dict[str, Parameter]]:
        """Opens the model that is trained, with what another run has trained in place of its own."""
        job, names = self.job, {name for stage in self.job.stages for name in stage["tensors"]}
        tensors = Tensors(job.model.paths)
        self.beginning = Tensors([job.folder / name for name in job.values.get("beginning") or []])
        tensors.replace(self.beginning, "weights/")
        opened = open_model(job.model, tensors, self.mesh, self.device, job.values["dtype"], names)
        model = opened.model
        for block in opened.blocks:
            block.forward = functools.partial(self.compute_layer, block.forward)
        model.forward = functools.partial(computed, model, model.forward)
        self.fade_in(opened)
        moved: list[str] = []
        hooks = [block.register_forward_hook(functools.partial(find_moved, moved)) for block in self.fading]
        check_borders(model, self.device)
        for hook in hooks:
            hook.remove()
        if moved:
            raise Refusal(
                f"a {moved[0]} adds more to its input than attention and feed-forward part do; leave out --seam ramp"
            )
        trained = {name: one for name, one in opened.parameters.items() if one.weights.requires_grad}
        if any(stage.get("storage") for stage in job.stages):
            for parameter in trained.values():
                parameter.weights.register_post_accumulate_grad_hook(parameter.take_gradient)
        return model, trained

    def compute_layer(self, forward: Any, *values: Any, **more: Any) -> Any:
        """A layer, which the backward pass computes again in a stage that says so."""
        if self.stage >= 0 and self.job.stages[self.stage]["recompute"] == "layer":
            return checkpoint(forward, *values, use_reentrant=False, **more)
        return forward(*values, **more)

    def fade_in(self, opened: OpenedModel) -> None:
        """Has the parts of copied layers that write into the residual stream add only a share of what they compute."""
        owners = {part.name: name for name, one in opened.parameters.items() for part in one.parts}
        prefixes = {module: f"{name}." for name, module in opened.model.named_modules()}
        ramp = self.job.stages[0].get("ramp")
        for writers in ramp["writers"] if ramp else []:
            names = [owners[name] for name in writers]
            block = next(one for one in opened.blocks if names[0].startswith(prefixes[one]))
            parts = [one for one in block.children() if any(name.startswith(prefixes[one]) for name in names)]
            for part in parts:
                part.register_forward_hook(self.faded)
            # Before the first step it adds nothing, so that what leaves the layer is what enters it.
            self.fading.append(block)

    @property
    def share(self) -> float:
        """What copied layers add of what they compute, from 0 to 1."""
        ramp = self.job.stages[0].get("ramp") if self.stage <= 0 else None
        return min(1.0, self.step / ramp["steps"]) if ramp else 1.0

    def faded(self, _: Any, __: Any, result: Any) -> Any:
        if self.share == 1:
            return result
        return (result[0] * self.share, *result[1:]) if isinstance(result, tuple) else result * self.share

    # Steps

    def passes(self, rows: torch.Tensor, at_once: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Some rows, about so many at once, and those of them that this process computes; as often on every process."""
        for some in rows.split(max(1, math.ceil(at_once / self.ranks)) * self.ranks):
            own = some[self.rank :: self.ranks]
            if len(own) == 0:
                own = some[:1].clone()
                # Nothing is asked for: no target, none that is taught, no place that is compared.
                own[:, 1], own[:, 3:4], own[:, 5:] = -1, 0, -1
            yield some, own

    def losses(self, rows: torch.Tensor, counts_from_row: bool, routed: bool = False, teaching: Any = None) -> Any:
        """rows (B, 3 or 4, T): tokens, targets, first visible positions, what is taught; see `token_losses`."""
        rows = rows.to(self.device, torch.int64)
        places = torch.arange(rows.shape[2], device=self.device).expand(len(rows), -1)
        positions = places if counts_from_row else places - rows[:, 2]
        lesson = self.teacher.lesson(rows, positions, teaching) if self.teacher and teaching else None
        return self.model(token_losses, rows[:, 0], positions, rows[:, 1], routed, lesson)

    def balance(self, routers: tuple[torch.Tensor, ...], targets: torch.Tensor) -> torch.Tensor:
        """This process's share of the loss that balances experts (arXiv:2101.03961, equation 4), a sum over batches.

        routers: (own sequences · T, E) a layer. targets: those of each sequence of some whole batches, as shares of
        all of the step's, (batches, sequences of one). How often an expert is chosen is counted over all processes.
        """
        layers, experts = len(routers), routers[0].shape[1]
        scores = torch.stack(routers).float().softmax(-1)
        chosen = torch.zeros_like(scores).scatter_(2, scores.topk(self.model.config.num_experts_per_tok).indices, 1)
        own = torch.arange(targets.numel(), device=self.device)[self.rank :: self.ranks] // targets.shape[1]
        # What a process computes without a sequence of its own is of no batch.
        sequences = max(1, len(own))
        member = torch.zeros(len(targets), sequences, device=self.device)
        member[own, torch.arange(len(own), device=self.device)] = 1
        scores, chosen = (member @ one.view(layers, sequences, -1, experts).sum((0, 2)) for one in (scores, chosen))
        dist.all_reduce(chosen)
        tokens = chosen.sum(1, keepdim=True) / self.model.config.num_experts_per_tok
        shares = targets.sum(1).to(self.device)
        return self.job.values["model"]["balance"] * (shares @ (experts * scores * chosen / tokens**2).sum(1))

    def enter(self, index: int) -> None:
        """Begins a stage: what it does not train loses its moments."""
        stage = self.job.stages[index]
        self.stage, self.guard = index, StepGuard(stage["guard"])
        self.rows = self.job.sequences(
            stage["sequences"],
            stage["length"],
            6 if stage.get("distils_rows") else 4 if stage.get("teaching") else 3,
        )
        self.draws = self.job.draws(index)
        self.first_step = sum(other["steps"] for other in self.job.stages[:index])
        self.turn(stage["configuration"])
        # Data that goes on does so behind what was passed over.
        self.shift = self.shift if stage["goes_on"] else 0
        for parameter in self.trained.values():
            parameter.enter(stage, averages=self.job.rules["result"] == "average")

    @torch.no_grad()
    def begin(self) -> None:
        """Begins the run, with the moments of the checkpoint that it begins with, of what is trained in both."""
        self.enter(0)
        counts = self.job.values.get("counts") or {}
        for parameter in self.trained.values():
            for part in parameter.parts:
                if part.name not in counts or part.name not in self.job.stages[0]["tensors"]:
                    continue
                part.count = counts[part.name]
                for kind in ("mean", "square"):
                    first, last = part.rows
                    if first < last:
                        values = self.beginning[f"{kind}/{part.name}"][first:last]
                        part.of(local(parameter.buffers[kind])).copy_(values)

    def turn(self, file: str) -> None:
        """Gives the rotary position embedding the base that a stage's configuration has."""
        if file == self.turned_by:
            return
        config = transformers.AutoConfig.from_pretrained(self.job.folder / file)
        modules = [module for module in self.model.modules() if hasattr(module, "original_inv_freq")]
        if not modules:
            raise Refusal(
                f"{type(self.model).__name__} has no rotary embedding that this worker finds for --rope-theta"
            )
        for module in modules:
            fresh = type(module)(config).to(self.device)
            values = {key: value for key, value in vars(fresh).items() if not key.startswith("_")}
            vars(module).update(values)
            for name, buffer in fresh.named_buffers(recurse=False):
                setattr(module, name, buffer)
        self.turned_by = file

    def tell_stage(self) -> None:
        stage = self.job.stages[self.stage]
        self.tell(
            "stage", step=self.step, number=self.stage + 1, count=len(self.job.stages), title=stage.get("title"),
            tokens_per_step=stage["batch"] * stage["accumulate"] * stage["length"],
        )  # fmt: skip

    def take(self, draw: int) -> tuple[torch.Tensor, int]:
        """The sequences of a draw and their targets; notes what they show."""
        stage, lines = self.job.stages[self.stage], self.draws
        size = stage["batch"] * stage["accumulate"]
        if draw >= len(lines):
            raise Refusal(
                f"step {self.step + 1}: the run went back so often that no planned sequences are left; go on with a"
                " lower --lr or a longer --warmup"
            )
        rows = self.rows[draw * size : (draw + 1) * size]
        targets = int((rows[:, 1] >= 0).sum())
        if len(rows) != size or targets != lines[draw]["targets"]:
            raise Refusal(
                f"{stage['sequences']}: the sequences from {draw * size + 1} on have {targets} targets, and the job has"
                f" {lines[draw]['targets']}; plan it anew"
            )
        before = lines[draw - 1] if draw > 0 else self.job.steps[self.first_step - 1] if self.first_step > 0 else None
        for name, figures in lines[draw]["sources"].items():
            known = before["sources"].get(name, {"tokens": 0})["tokens"] if before else 0
            self.shown[name] = self.shown.get(name, 0) + figures["tokens"] - known
            if "synthetic" in figures:
                known = before["sources"].get(name, {}).get("synthetic", 0) if before else 0
                self.synthetic[name] = self.synthetic.get(name, 0) + figures["synthetic"] - known
        return rows, targets

    def figures(self) -> dict[str, dict[str, float]]:
        """What was shown by now: passes, coverage and tokens of each source."""
        sizes: dict[str, int] = {}
        for stage in self.job.stages[: self.stage + 1]:
            sizes |= stage["sizes"]
        return {
            name: {"passes": tokens / sizes[name], "coverage": min(1, tokens / sizes[name]), "tokens": tokens}
            | ({"synthetic": self.synthetic[name]} if name in self.synthetic else {})
            for name, tokens in self.shown.items()
        }

    def take_step(self) -> bool:
        """Moves the weights by the next sequences; false where the run has gone back instead."""
        start, line, stage = time.monotonic(), self.job.steps[self.step], self.job.stages[self.stage]
        draw, before = self.step - self.first_step + self.shift, sum(self.shown.values())
        rows, targets = self.take(draw)
        tokens = sum(self.shown.values())
        self.step += 1
        rate = stage["optimizer"]["rate"] * line["factor"]
        report = {"step": self.step, "draw": draw, "lr": rate, "tokens": tokens, "sources": self.figures()}
        if targets == 0:
            # Nothing is asked for, as where only a text's last token was left, or nothing at all.
            if tokens > before:
                self.tell("step", **report, loss=0, grad_norm=0, seconds=time.monotonic() - start)
            return True
        own = (self.distil if stage.get("distils_rows") else self.compute_gradients)(stage, rows, targets)
        gradients = self.gradients(stage)
        own_square = sum(float(g.double().square().sum()) for _, g in gradients)
        square, *sums = self.total(own_square, *own.values())
        figures = dict(zip(own, sums))
        loss, norm = figures["loss"], math.sqrt(square)
        finding = self.guard.judge(loss, norm)
        if finding is None:
            self.update(stage, gradients, rate, norm)
        for parameter in self.model.parameters():
            parameter.grad = None
        for own in self.trained.values():
            own.gradient = None
        if finding is None:
            if stage.get("teaching"):
                report["teacher"] = self.taught(rows, targets, figures)
            if how := stage.get("distils_rows"):
                places = int((rows[:, 5] >= 0).sum())
                report["rows"] = {"mse": figures["mse"] / places, "places": places}
                report["rows"] |= {"cross_entropy": figures["cross_entropy"] / targets} if how["predicts"] else {}
            self.tell("step", **report, loss=loss, grad_norm=norm, seconds=time.monotonic() - start)
            return True
        finding.pop("deviations")
        finding["documents"] = self.draws[draw]["documents"]
        if self.guard.policy == "stop":
            self.tell("diverged", step=self.step, **finding, in_a_row=self.guard.state["in_a_row"])
            raise Refusal(
                f"step {self.step}: the {finding['what']} is {finding['value'] or 'no finite number'}; run again with a"
                " lower --lr or a longer --warmup"
            )
        if self.guard.policy == "rollback" and self.goes_back_to > 0:
            self.go_back(draw, finding)
            return False
        self.tell("skipped", step=self.step, **finding)
        return True

    def compute_gradients(self, stage: dict[str, Any], rows: torch.Tensor, targets: int) -> dict[str, float]:
        """The gradients of a step's loss; this process's part of the loss and, over targets, of what it is made of."""
        own, batch, size = {"loss": 0.0, "cross_entropy": 0.0, "kl": 0.0, "hidden_mse": 0.0}, stage["batch"], len(rows)
        teaching = self.teaching(stage)
        balances = self.job.values["model"].get("balance") is not None
        # Experts are balanced a batch at a time, of which all sequences are then computed at once.
        together = batch * math.ceil(self.ranks / batch) if balances else size
        for some in rows.split(together):
            for whole, part in self.passes(some, together if balances else batch):
                # The teacher reads where it teaches some process something.
                is_taught = bool((whole[:, 3:] > 0).any())
                how = (stage["counts_from_row"], balances, teaching if is_taught else None)
                losses, routers, found = self.losses(part, *how)
                loss = losses.sum() / targets
                for key, values in zip(("cross_entropy", "kl", "hidden_mse"), found or [losses.detach()]):
                    own[key] += values.sum().item()
                if routers:
                    loss = loss + self.balance(routers, (some[:, 1] >= 0).sum(1).view(-1, batch) / targets)
                # FSDP takes the mean over the processes of what is a sum.
                (loss * self.ranks).backward()
                own["loss"] += loss.item()
        if self.teacher:
            # What it gathered for its head is let go until the next step.
            self.teacher.model.reshard()
        return own

    def distil(self, stage: dict[str, Any], rows: torch.Tensor, targets: int) -> dict[str, float]:
        """The same of a step's snippets, of which both readings are compared."""
        own, how = {"loss": 0.0, "mse": 0.0, "cross_entropy": 0.0}, stage["distils_rows"]
        places = int((rows[:, 5] >= 0).sum())
        for _, part in self.passes(rows, stage["batch"]):
            part = part.to(self.device, torch.int64)
            squares, losses = self.model(reading_losses, part, how["layer"], how["predicts"])
            loss = squares.sum() / places + losses.sum() / targets
            (loss * self.ranks).backward()
            for key, value in (("loss", loss), ("mse", squares.sum()), ("cross_entropy", losses.sum())):
                own[key] += value.item()
        return own

    def teaching(self, stage: dict[str, Any]) -> dict[str, Any] | None:
        """How the step at hand learns from the teacher, which compares hidden states in some of the first."""
        teaching = stage.get("teaching")
        hidden = teaching and teaching.get("hidden")
        if hidden and self.step - self.first_step > hidden["steps"]:
            return {**teaching, "hidden": None}
        return teaching

    def taught(self, rows: torch.Tensor, targets: int, figures: dict[str, float]) -> dict[str, float]:
        """What there is to say of a step with a teacher."""
        taught = int((rows[:, 3] > 0).sum())
        said = {"cross_entropy": figures["cross_entropy"] / targets, "taught": taught, "targets": targets}
        if taught > 0:
            said["kl"] = figures["kl"] / taught
            if self.teaching(self.job.stages[self.stage]).get("hidden"):
                said["hidden_mse"] = figures["hidden_mse"] / taught
        return said

    def go_back(self, draw: int, finding: dict[str, Any]) -> None:
        """Goes back to the last checkpoint of the job's own rules, and on with the sequences behind a draw."""
        origin, stage, guard = self.step, self.stage, self.guard
        progress = self.load(self.place(self.goes_back_to))
        is_same = self.stage == stage
        if not is_same:
            self.enter(stage)
        self.recall(progress)
        self.shift = draw + 1 - (self.step - self.first_step)
        guard.go_back(StepGuard(guard.settings, progress["guard"] if is_same else None), origin - self.step - 1)
        self.guard = guard
        self.rollbacks += 1
        if self.rank == 0:
            for path in self.checkpoints():
                if path > self.place(self.step):
                    shutil.rmtree(path)
        self.tell("rolled_back", step=self.step, origin=origin, **finding)

    def gradients(self, stage: dict[str, Any]) -> list[tuple[Parameter, torch.Tensor]]:
        """This process's shard of each gradient of the stage; it is zero where nothing moves."""
        gradients = []
        for parameter in self.trained.values():
            gradient = parameter.gradient
            if gradient is None and parameter.weights.grad is not None:
                gradient = local(parameter.weights.grad)
            if parameter.mean is None or gradient is None:
                continue
            for part in parameter.parts:
                if part.name not in stage["tensors"]:
                    part.of(gradient).zero_()
                for run, rows in part.runs(stage):
                    if run["frozen"]:
                        part.of(gradient)[rows] = 0
            gradients.append((parameter, gradient))
        return gradients

    @torch.no_grad()
    def update(
        self, stage: dict[str, Any], gradients: list[tuple[Parameter, torch.Tensor]], rate: float, norm: float
    ) -> None:
        """AdamW on each run of rows at its own rate and decay; frozen rows stay and lose their moments."""
        clip = stage["optimizer"].get("clip")
        scale = min(1.0, clip / (norm + 1e-6)) if clip else 1.0
        alike: dict[tuple[float, float], list[tuple[torch.Tensor, ...]]] = {}
        for parameter, gradient in gradients:
            shards = [local(parameter.weights), gradient, local(parameter.mean), local(parameter.square)]
            for part in parameter.parts:
                own = [part.of(shard) for shard in shards]
                for run, rows in part.runs(stage):
                    if run["frozen"]:
                        own[2][rows] = own[3][rows] = 0
                        continue
                    pieces, how = [one[rows] for one in own], (rate * run["rate"], run["decay"])
                    if part.storage:
                        self.move_rounded(stage, part, rows, pieces, how, scale)
                        continue
                    pieces[1].mul_(scale)
                    count = torch.tensor(float(part.count), device=self.device)
                    alike.setdefault(how, []).append((*pieces, count))
                part.count += part.name in stage["tensors"]
        for how, parts in alike.items():
            self.move(stage, [list(column) for column in zip(*parts)], how)
        for parameter, _ in gradients:
            if parameter.average is not None:
                share = self.job.rules["average_decay"]
                average, weights = local(parameter.average), local(parameter.weights)
                average.mul_(share).add_(weights, alpha=1 - share)
                for part in parameter.parts:
                    for run, rows in part.runs(stage):
                        if run["frozen"]:
                            # A sum of shares would round them.
                            part.of(average)[rows] = part.of(weights)[rows]

    def move(self, stage: dict[str, Any], columns: list[list[torch.Tensor]], how: tuple[float, float]) -> None:
        """AdamW on weights by their gradients, with both moments and counts, at a rate and a decay."""
        numbers, (weights, gradients, means, squares, counts) = stage["optimizer"], columns
        adamw(
            weights, gradients, means, squares, [], counts, fused=True, amsgrad=False, beta1=numbers["beta1"],
            beta2=numbers["beta2"], lr=how[0], weight_decay=how[1], eps=numbers["epsilon"], maximize=False,
        )  # fmt: skip

    def move_rounded(
        self,
        stage: dict[str, Any],
        part: Part,
        rows: slice,
        pieces: list[torch.Tensor],
        how: tuple[float, float],
        scale: float,
    ) -> None:
        """The same of what is kept in bfloat16: some rows at a time in float32, and rounded as the trainer does."""
        height = max(1, AT_ONCE // max(1, math.prod(part.shape[1:])))
        word, number = 0xFFFFFFFF, part.count + 1
        keys = [number * 0x2545F491 & word, (number * 0x2545F491 + 0x9E3779B1) & word]
        for start in range(0, len(pieces[0]), height):
            weights, gradient, *moments = (piece[start : start + height] for piece in pieces)
            whole = [moment.float() for moment in moments]
            count = torch.tensor(float(part.count), device=self.device)
            columns = [[weights], [gradient.float() * scale], [whole[0]], [whole[1]], [count]]
            self.move(stage, columns, how)
            if stage["moments"] != "bf16":
                # These were no copies.
                continue
            own = slice(rows.start + start, rows.start + start + len(weights))
            places = part.places_in_memory(own, self.device).view(weights.shape)
            for moment, values, key in zip(moments, whole, keys):
                moment.copy_(rounded(values, places, key))

    @torch.no_grad()
    def take_average(self) -> None:
        """Makes what the stage moves its running average; nothing is trained after that."""
        for parameter in self.trained.values():
            if parameter.average is None:
                continue
            for part in parameter.parts:
                own, average = part.of(local(parameter.weights)), part.of(local(parameter.average))
                for run, rows in part.runs(self.job.stages[self.stage]):
                    if not run["frozen"]:
                        own[rows] = average[rows]
        self.model.reshard()

    # Evaluation

    @torch.no_grad()
    def evaluate(self) -> None:
        """What the model makes of the sets, and what follows of it."""
        found = {}
        for one in self.job.values["evaluations"]:
            nats, tokens, end_nats, end_probability, ends = self.sums(one)
            if not math.isfinite(nats):
                raise Refusal(f"{one['name']}: the loss is not a finite number")
            bits = nats / math.log(2) / one["bytes"] if one.get("bytes") else None
            found[one["name"]] = {"bits_per_byte": bits, "loss": nats / max(1, tokens)}
            self.tell(
                "evaluated", step=self.step, set=one["name"], nats=nats, tokens=int(tokens), bytes=one.get("bytes"),
                bits_per_byte=bits, end_nats=end_nats, end_probability=end_probability, ends=int(ends),
            )  # fmt: skip
        if self.evaluations.hear(self.step, found, is_mature=self.step > 0 and self.share == 1):
            self.tell("healed", step=self.step, tokens=sum(self.shown.values()))

    def sums(self, one: dict[str, Any]) -> list[float]:
        """Of a set: the nats and the tokens of its texts; the nats, the probabilities and the number of their ends."""
        sums = [0.0] * 5
        rows = self.job.sequences(one["file"], one["length"], 4)
        for _, part in self.passes(rows, self.ranks * max(1, EVALUATED_AT_ONCE // one["length"])):
            losses = self.losses(part, False)[0].double().cpu()
            kept = part[:, 1].flatten() >= 0
            if not bool(kept.any()):
                continue
            ends = part[:, 3].flatten()[kept] > 0
            texts, last = losses[~ends], losses[ends]
            own = [texts.sum().item(), len(texts), last.sum().item(), (-last).exp().sum().item(), len(last)]
            sums = [a + b for a, b in zip(sums, own)]
        return self.total(*sums)

    # Keeping the run

    def checkpoints(self) -> list[pathlib.Path]:
        """Those that are whole, the oldest first."""
        return sorted(self.job.folder.glob("checkpoint-*[0-9]"))

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        for name, parameter in self.trained.items():
            state[f"weights/{name}"] = parameter.weights
            for kind, values in parameter.buffers.items():
                state[f"{kind}/{name}"] = values
        return state

    @property
    def keeps_best(self) -> bool:
        return self.job.rules["keep_best"] or self.job.rules["result"] == "best"

    def place(self, step: int) -> pathlib.Path:
        return self.job.folder / f"checkpoint-{step:06}"

    def keep(self, is_stopped: bool = False) -> None:
        """Writes a checkpoint, whole or not at all, by the job's rules or because the run is stopped."""
        is_kept = self.step == self.kept and self.rollbacks == self.kept_rollbacks
        if is_kept if is_stopped else self.step == self.goes_back_to:
            return
        path = self.place(self.step)
        partial, old = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old")
        if not is_stopped:
            self.goes_back_to = self.step
        self.kept, self.kept_rollbacks = self.step, self.rollbacks
        if self.rank == 0 or self.rank in self.folders.leads:
            shutil.rmtree(partial, ignore_errors=True)
        dist.barrier()
        dcp.save(self.state(), checkpoint_id=str(partial))
        self.folders.bring_home(partial)
        if self.rank == 0:
            (partial / "progress.json").write_text(json.dumps(self.progress(partial)))
            for file in [*partial.iterdir(), partial]:
                descriptor = os.open(file, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)
            if path.exists():
                # The run has gone back to it, and is stopped there.
                path.rename(old)
            partial.rename(path)
            shutil.rmtree(old, ignore_errors=True)
            self.remove_old()
        self.folders.remove_copy(partial)
        self.tell("kept", step=self.step, folder=str(path))

    def progress(self, folder: pathlib.Path) -> dict[str, Any]:
        """Where the run stands, beside the tensors of a checkpoint."""
        return {
            "run": self.job.values["run"], "step": self.step, "stage": self.stage, "guard": self.guard.state,
            "counts": {part.name: part.count for one in self.trained.values() for part in one.parts},
            "shift": self.shift, "shown": self.shown, "synthetic": self.synthetic,
            "evaluations": self.evaluations.state,
            "goes_back_to": self.goes_back_to, "rollbacks": self.rollbacks,
            "metadata_sha256": hashlib.sha256((folder / ".metadata").read_bytes()).hexdigest(),
        }  # fmt: skip

    def remove_old(self) -> None:
        """Removes checkpoints that are neither among the last ones, nor to stay, nor needed to go back to."""
        needed = self.goes_back_to if self.guard.settings["policy"] == "rollback" else 0
        stay = self.staying(self.job.rules.get("keep") or 1, self.keeps_best) + [self.place(needed)]
        for path in self.checkpoints():
            if path not in stay:
                shutil.rmtree(path)

    def staying(self, last: int, best: bool) -> list[pathlib.Path]:
        """The last checkpoints, those at the ends of stages that are to stay, and perhaps the best."""
        paths = self.checkpoints()
        stay = {self.place(step) for step in self.job.rules["keep_ends"]}
        if best and self.evaluations.best:
            stay.add(self.place(self.evaluations.best))
        return [path for path in paths if path in stay or path in paths[max(0, len(paths) - last) :]]

    def resume(self) -> None:
        """Goes on from the last checkpoint, whatever number of processes wrote it."""
        if self.rank == 0:
            for old in self.job.folder.glob(".checkpoint-*.old"):
                # It was to be replaced when the run died.
                path = old.with_name(old.name[1:-4])
                shutil.rmtree(old) if path.exists() else old.rename(path)
        last = [[path.name for path in self.checkpoints()[-1:]]]
        dist.broadcast_object_list(last)
        if not last[0]:
            return
        progress = self.load(self.job.folder / last[0][0])
        self.recall(progress)
        self.shift, self.shown = progress["shift"], progress["shown"]
        self.synthetic = progress.get("synthetic", {})
        self.guard = StepGuard(self.job.stages[self.stage]["guard"], progress["guard"])

    def recall(self, progress: dict[str, Any]) -> None:
        """Takes over what a checkpoint knows of the run so far, but for what was shown."""
        self.step = self.kept = progress["step"]
        self.goes_back_to, self.evaluations.state = progress["goes_back_to"], progress["evaluations"]
        self.kept_rollbacks = progress["rollbacks"]
        self.rollbacks = max(self.rollbacks, self.kept_rollbacks)

    def load(self, path: pathlib.Path) -> dict[str, Any]:
        """Brings weights and moments to where a checkpoint has them; what else it says."""
        self.folders.hand_out(path)
        try:
            progress = json.loads((path / "progress.json").read_text())
            digest = hashlib.sha256((path / ".metadata").read_bytes()).hexdigest()
        except (OSError, ValueError) as error:
            raise Refusal(f"{path}: {error}; remove it to go on from the one before") from error
        if progress["run"] != self.job.values["run"]:
            raise Refusal(
                f"{path} is of the run {progress['run']}, and the job's is {self.job.values['run']}; remove it"
            )
        # It is read by pickle, so it must be what this worker has written.
        if digest != progress["metadata_sha256"]:
            raise Refusal(f"{path}/.metadata is not what was written; remove the checkpoint")
        self.enter(progress["stage"])
        dcp.load(self.state(), checkpoint_id=str(path))
        self.folders.remove_copy(path)
        self.model.reshard()
        for parameter in self.trained.values():
            for part in parameter.parts:
                part.count = progress["counts"][part.name]
        return progress

    def write(self, folder: pathlib.Path, is_whole: bool = False) -> None:
        """Gathers what was trained, a tensor at a time in float32, and writes it with an index as transformers does.

        What `is_whole` has moments and averages, too, each kind under a name of its own.
        """
        partial = folder.with_name(f".{folder.name}.partial")
        if self.rank == 0:
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
            partial.mkdir(parents=True)
        files: list[dict[str, torch.Tensor]] = [{}]
        written: list[list[str]] = []
        room = SHARD_BYTES
        total = 0
        trained = {name for stage in self.job.stages for name in stage["tensors"]}
        for parameter in self.trained.values():
            kinds = {"": parameter.weights}
            if is_whole:
                kinds = {"weights/": parameter.weights}
                kinds |= {f"{kind}/": values for kind, values in parameter.buffers.items()}
            for kind, values in kinds.items():
                whole = values.full_tensor().detach().cpu()
                for part in parameter.parts:
                    if part.name not in trained:
                        continue
                    size = (part.end - part.start) * 4
                    if size > room and files[-1]:
                        written.append(self.write_file(partial, len(written), files.pop()))
                        files, room = [{}], SHARD_BYTES
                    own = part.whole(whole).clone() if self.rank == 0 else torch.empty(0)
                    files[-1][kind + part.name] = own
                    room -= size
                    total += size
        written.append(self.write_file(partial, len(written), files.pop()))
        if self.rank == 0:
            names = [f"model-{index + 1:05}-of-{len(written):05}.safetensors" for index in range(len(written))]
            places = {}
            for index, (name, tensors) in enumerate(zip(names, written)):
                (partial / f"{index}.safetensors").rename(partial / name)
                places.update(dict.fromkeys(tensors, name))
            index = {"metadata": {"total_size": total}, "weight_map": places}
            (partial / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
            partial.rename(folder)
        dist.barrier()

    def write_file(self, folder: pathlib.Path, index: int, tensors: dict[str, torch.Tensor]) -> list[str]:
        if self.rank == 0:
            save_file(
                {name: one.contiguous() for name, one in tensors.items()},
                folder / f"{index}.safetensors",
                {"format": "pt"},
            )
        return list(tensors)

    # The run

    def stop(self, *_: Any) -> None:
        self.is_stopped = True

    def is_out_of_time(self) -> bool:
        return time.monotonic() >= self.end_of_time

    def should_stop(self) -> bool:
        """Whether some process was asked to stop, by a signal, the file `stop` or the time; the same on all of them."""
        if self.rank == 0 and (self.is_out_of_time() or (self.job.folder / "stop").exists()):
            self.is_stopped = True
        return self.total(float(self.is_stopped))[0] > 0

    def run(self) -> bool:
        """Takes all steps that are left; false where it was stopped before."""
        job, steps = self.job, len(self.job.steps)
        self.resume()
        self.tell(
            "started", step=self.step, steps=steps, processes=self.ranks, rollbacks=self.rollbacks,
            torch=torch.__version__, transformers=transformers.__version__,
        )  # fmt: skip
        begun = self.step
        if self.stage >= 0 and self.step < steps and job.steps[self.step]["stage"] == self.stage:
            self.tell_stage()
        if self.step > 0:
            self.settle()
        while self.step < steps and self.evaluations.end is None:
            if self.stage < 0:
                self.begin()
                self.tell_stage()
            elif job.steps[self.step]["stage"] != self.stage:
                self.enter(job.steps[self.step]["stage"])
                self.tell_stage()
            if self.step == 0:
                self.evaluate()
            if self.should_stop():
                if self.step > 0:
                    self.keep(is_stopped=True)
                if self.rank == 0:
                    # The same command goes on.
                    (job.folder / "stop").unlink(missing_ok=True)
                self.tell("stopped", step=self.step, out_of_time=self.is_out_of_time())
                return False
            if self.take_step():
                self.settle()
        self.finish(begun)
        return True

    def settle(self) -> None:
        """Does what follows a step: evaluates, and keeps the run, where that should be and has not been."""
        rules, steps = self.job.rules, len(self.job.steps)
        if (
            self.step in rules["evaluate_after"]
            and self.step < steps
            and not self.evaluations.is_after("last", self.step)
        ):
            self.evaluate()
            if self.keeps_best and self.evaluations.is_after("best", self.step):
                self.keep()
        every = rules["checkpoint_every"]
        ends_stage = self.step < steps and self.job.steps[self.step]["stage"] != self.stage
        if self.evaluations.end is None and self.step < steps and (ends_stage or every > 0 and self.step % every == 0):
            self.keep()

    def finish(self, begun: int) -> None:
        """Writes what becomes of the run, and of the checkpoints those that are to stay."""
        rules, step, stage = self.job.rules, self.step, self.stage
        if rules["result"] == "average" or rules.get("keep") or step in rules["keep_ends"]:
            self.keep()
        if rules["result"] == "average":
            # What is kept has the weights themselves.
            self.take_average()
        if not self.evaluations.is_after("last", step) or rules["result"] == "average":
            self.evaluate()
        if self.keeps_best and self.evaluations.is_after("best", step):
            self.keep()
        best, result_step = self.evaluations.best, step
        if rules["result"] == "best" and best is not None and best < step:
            self.load(self.place(best))
            result_step = best
        self.write(self.job.folder / "result")
        self.tell("memory", step=step, processes=self.memory())
        staying = [[path.name for path in self.staying(rules.get("keep") or 0, rules["keep_best"])]]
        dist.broadcast_object_list(staying)
        for name in staying[0]:
            progress = self.load(self.job.folder / name)
            place = self.job.folder / "kept" / name
            self.write(place, is_whole=True)
            if self.rank == 0:
                (place / "progress.json").write_text(json.dumps(progress))
        self.tell(
            "finished", step=step, begun=begun, stage=stage, end=self.evaluations.end,
            healed_at=self.evaluations.state["healed_at"], result_step=result_step,
        )  # fmt: skip

    def memory(self) -> list[dict[str, int]]:
        """Bytes of each process: before it opened the model, the most of them, and the most of its GPU's."""
        gpu = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else 0
        found: list[Any] = [None] * self.ranks
        dist.all_gather_object(found, {"base": self.base, "peak": resident("VmHWM"), "gpu": gpu})
        return found


def find_moved(moved: list[str], layer: Any, given: Any, result: Any) -> None:
    """Notes a layer that should add nothing and does."""
    result = result[0] if isinstance(result, tuple) else result
    if not torch.equal(result, given[0]):
        moved.append(type(layer).__name__)


def sentence(error: Exception) -> str:
    """What to say of an error that is not ours, and what can be done about it."""
    text = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        return f"there is too little memory ({text[:200]}); take a smaller --batch, --recompute layer or more processes"
    if "NCCL" in text:
        return (
            f"NCCL, by which GPUs exchange what they compute, failed ({text[:300]}); look on each host for"
            " the process that ended first. NCCL_DEBUG=INFO says more, NCCL_SOCKET_IFNAME names the network interface"
        )
    if "gloo" in text or "Connection closed by peer" in text:
        return f"another process has ended, or can't be reached ({text[:300]}); look at the output of each host"
    return f"{type(error).__name__}: {text}"


def report(store: dist.Store | None, job: Job | None, rank: int, of: int, message: str, refused: bool) -> None:
    """Writes down why a process fails; the first one does so also for those that have another folder."""
    if rank not in (0, of):
        return
    print(f"process {of}: {message}", file=sys.stderr, flush=True)
    failures = [[of, message, refused]]
    with contextlib.suppress(RuntimeError):
        if store and rank > 0:
            store.set("failed", json.dumps(failures[0]))
        elif store and store.check(["failed"]):
            failures.insert(0, json.loads(store.get("failed")))
    if job:
        for of, message, refused in failures:
            write_event(job, "failed", rank=of, refused=refused, message=message)


def give_memory_back() -> None:
    """Has the C library return blocks of a megabyte when they are freed; kept, they are a quarter of a process."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        # M_MMAP_THRESHOLD of malloc.h, which begins at 128 kB and grows by itself unless it is set.
        library.mallopt(-3, 1 << 20)


def main() -> int:
    parser = argparse.ArgumentParser(description="Carries out a training job, as one of torchrun's processes.")
    parser.add_argument("job", type=pathlib.Path, help="job.json")
    parser.add_argument("--model", help="the model's folder, where it is not the one that the job names")
    parser.add_argument("--teacher", help="the teacher's folder, where it is not the one that the job names")
    parser.add_argument("--max-time", type=float, metavar="SECONDS", help="stop after so long, and keep the run")
    arguments = parser.parse_args()
    if "RANK" not in os.environ:
        parser.error("start it as torchrun --standalone --nproc-per-node N worker.py job.json")
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store: dist.Store | None = None
    job: Job | None = None
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=CHECKING))
        problem, sums = None, ""
        try:
            job = Job(arguments.job.absolute(), arguments.model, arguments.teacher)
            sums = job.check(rank)
        except Refusal as refusal:
            problem = str(refusal)
        agree(store, rank, ranks, problem, sums)
        if interface := interface_to(os.environ["MASTER_ADDR"]):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        backend = "nccl" if job.values["device"] == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=ranks)
        if job.values["device"] == "cpu":
            give_memory_back()
        worker = Worker(job, arguments.max_time)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, worker.stop)
        worker.run()
        dist.destroy_process_group()
        return 0
    except Refusal as refusal:
        report(store, job, rank, rank if refusal.rank is None else refusal.rank, str(refusal), True)
    except Exception as error:
        report(store, job, rank, rank, sentence(error), False)
        raise
    return 2


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is on the disk. The end of Python would also end threads of libraries, which now and then abort then.
    os._exit(status)
