"""Carries out a training job that `trainer heal --on torchrun` has planned: one process of several.

usage: torchrun --standalone --nproc-per-node N worker.py job.json [--model FOLDER] [--max-time SECONDS]
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
import datetime
import fcntl
import functools
import hashlib
import json
import math
import os
import pathlib
import secrets
import shutil
import signal
import socket
import struct
import sys
import time
from typing import Any

# The folder is to hold what was planned and what a run writes.
sys.dont_write_bytecode = True

try:
    import torch
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
    import transformers
    from parameters import Parameter, kept_buffers, local, token_losses, views
    from rules import Evaluations, Refusal, StepGuard
    from safetensors import safe_open
    from safetensors.torch import save_file
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    from torch.optim.adamw import adamw
    from torch.utils.checkpoint import checkpoint
except ImportError as error:
    sys.exit(
        f"{sys.executable}: {error}; worker.py needs torch 2.6 and transformers 5 or newer; install them with"
        " pip install -r requirements.txt"
    )

FORMAT, VERSION = "model-surgery job", 2
# About how many tokens of an evaluation set are computed at once.
EVALUATED_AT_ONCE = 2048
# The most that a file of the result holds.
SHARD_BYTES = 5_000_000_000
# What is copied from host to host at once.
BLOCK_BYTES = 64_000_000
# How long processes wait for those that compare files: the model's are read through once.
CHECKING = datetime.timedelta(hours=1)


class Job:
    """A run folder: its job, its steps and its sequences."""

    def __init__(self, path: pathlib.Path, model: str | None) -> None:
        self.folder = path.parent
        try:
            self.values: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise Refusal(f"{path}: {error}; give the job.json that trainer heal --on has written") from error
        if self.values.get("format") != FORMAT or self.values.get("version") != VERSION:
            raise Refusal(
                f"{path}: format {self.values.get('format')!r}, version {self.values.get('version')!r}; this worker"
                f" carries out version {VERSION} of {FORMAT!r}. Use the worker.py that lies beside the job"
            )
        self.model = pathlib.Path(model or self.values["model"]["path"])
        self.steps = self.lines("steps.jsonl")
        self.stages: list[dict[str, Any]] = self.values["stages"]
        self.rules: dict[str, Any] = self.values["rules"]
        self.events = self.folder / "events.jsonl"

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of a file, which need not be there."""
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def draws(self, stage: int) -> list[dict[str, Any]]:
        """What there is to know of the sequences that steps of a stage take: as many as it has, and spare ones."""
        return [line for line in self.steps + self.lines("spare.jsonl") if line["stage"] == stage]

    def sequences(self, file: str, length: int, parts: int) -> torch.Tensor:
        """The rows of a file, mapped into memory: (N, parts, T)."""
        path = self.folder / file
        count = path.stat().st_size // 4
        return torch.from_file(str(path), shared=False, size=count, dtype=torch.int32).view(-1, parts, length)

    def check(self, rank: int) -> str:
        """Looks whether this process can carry the job out and all files are as planned; the SHA-256 of their sums."""
        if rank == 0:
            # The lock is held until the process ends.
            lock = os.open(self.folder / "worker.lock", os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Refusal(f"{self.folder}: another worker carries this job out; wait for it, or stop it") from error
        own, processes = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
        if self.values["device"] == "cuda":
            if not torch.cuda.is_available():
                raise Refusal(
                    "PyTorch finds no GPU here; plan the job with --device cpu, or start it where there is one"
                )
            if processes > torch.cuda.device_count():
                raise Refusal(
                    f"{processes} processes for {torch.cuda.device_count()} GPUs; start as many as there are GPUs"
                )
            torch.cuda.set_device(own)
        try:
            text = (self.folder / "SHA256SUMS").read_bytes()
        except OSError as error:
            raise Refusal(f"{error.filename}: {error.strerror}; copy the run folder as a whole") from error
        # Each process of a machine takes some.
        sums = [line.split("  ", 1) for line in text.decode().splitlines()]
        files = [(self.folder / name, digest) for digest, name in sums]
        files += [(self.model / file["name"], file["sha256"]) for file in self.values["model"]["files"]]
        for path, expected in files[own::processes]:
            try:
                with path.open("rb") as file:
                    found = digest_of(file)
            except OSError as error:
                raise Refusal(f"{path}: {error.strerror}; the job needs it as it was when it was planned") from error
            if found != expected:
                raise Refusal(
                    f"{path} has the SHA-256 {found[:12]}…, and the job was planned with {expected[:12]}…;"
                    " copy it again, or plan the job anew"
                )
        return hashlib.sha256(text).hexdigest()


def digest_of(file: Any) -> str:
    """The SHA-256 of an open file."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def agree(store: dist.Store, rank: int, ranks: int, problem: str | None, sums: str) -> None:
    """Tells every process what is wrong with one of them, so that none waits for it; all must have the same files."""
    store.set(f"checked/{rank}", json.dumps([socket.gethostname(), problem, sums]))
    for other in range(ranks):
        host, problem, found = json.loads(store.get(f"checked/{other}"))
        if problem:
            raise Refusal(problem, other, host)
        if other == 0:
            first = found
        elif found != first:
            raise Refusal(
                "its run folder is of another job than that of process 0; copy the folder to each host anew",
                other,
                host,
            )


def interface_to(address: str) -> str | None:
    """The network interface by which an IPv4 address is reached; none where only others know.

    Where a machine's own name stands for 127.0.1.1, as on Debian, gloo would listen where no other host reaches it.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # No packet is sent: the system only says where it would go.
        probe.connect((address, 9))
        own = probe.getsockname()[0]
        if own.startswith("127.") and os.environ["WORLD_SIZE"] != os.environ["LOCAL_WORLD_SIZE"]:
            return None
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                siocgifaddr = 0x8915
                found = fcntl.ioctl(probe, siocgifaddr, struct.pack("256s", name.encode()))
                if socket.inet_ntoa(found[20:24]) == own:
                    return name
    return None


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
        self.evaluations = Evaluations(job.rules, job.values.get("parent"), len(job.steps))
        for stage in job.stages:
            sequences = stage["batch"] * stage["accumulate"]
            if self.ranks > sequences:
                raise Refusal(
                    f"{self.ranks} processes for {sequences} sequences a step; start 1 to {sequences} processes,"
                    " or plan the job with a larger --batch or --accumulate"
                )
        self.find_folders()
        self.mesh = init_device_mesh(self.device.type, (self.ranks,))
        self.model, self.trained = self.open_model()

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

    # Other hosts

    def find_folders(self) -> None:
        """Finds out which processes see the first one's folder, and one process for each folder that is another."""
        names = [f".seen-{secrets.token_hex(8)}"]
        dist.broadcast_object_list(names)
        token = self.job.folder / names[0]
        if self.rank == 0:
            token.touch()
        dist.barrier()
        self.is_home = token.exists()
        leads: list[Any] = [None] * self.ranks
        dist.all_gather_object(leads, not self.is_home and os.environ["LOCAL_RANK"] == "0")
        self.leads = [rank for rank, leads_another in enumerate(leads) if leads_another]
        if self.rank == 0:
            token.unlink()

    def transfer(self, path: pathlib.Path, size: int, sender: int, receiver: int) -> None:
        """Copies a file from one process to another, some at a time."""
        if self.rank not in (sender, receiver):
            return
        with path.open("rb" if self.rank == sender else "wb") as file:
            for start in range(0, size, BLOCK_BYTES):
                count = min(BLOCK_BYTES, size - start)
                if self.rank == sender:
                    block = torch.frombuffer(bytearray(file.read(count)), dtype=torch.uint8)
                    dist.send(block.to(self.device), receiver)
                else:
                    block = torch.empty(count, dtype=torch.uint8, device=self.device)
                    dist.recv(block, sender)
                    file.write(block.cpu().numpy())

    def bring_home(self, folder: pathlib.Path) -> None:
        """Brings the parts of a checkpoint to the first process that were written to other folders."""
        own = [] if self.is_home else sorted(folder.glob(f"__{self.rank}_*"))
        lists: list[Any] = [None] * self.ranks
        dist.all_gather_object(lists, [(file.name, file.stat().st_size) for file in own])
        for sender, files in enumerate(lists):
            for name, size in files:
                self.transfer(folder / name, size, sender, 0)

    def hand_out(self, folder: pathlib.Path) -> None:
        """Copies a checkpoint to the folders of those that do not see it."""
        found = [[(file.name, file.stat().st_size) for file in sorted(folder.iterdir())] if self.rank == 0 else []]
        dist.broadcast_object_list(found)
        for lead in self.leads:
            if self.rank == lead:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            for name, size in found[0]:
                self.transfer(folder / name, size, 0, lead)
        dist.barrier()

    def remove_copy(self, folder: pathlib.Path) -> None:
        """Removes what lies in another folder than the first process's."""
        dist.barrier()
        if self.rank in self.leads:
            shutil.rmtree(folder, ignore_errors=True)

    # The model

    def open_model(self) -> tuple[Any, dict[str, Parameter]]:
        """Builds the model by config.json, shards it, and reads of the files what this process has of each tensor."""
        config = transformers.AutoConfig.from_pretrained(self.job.folder)
        # It is for this worker to add what balances experts.
        config.output_router_logits = False
        with torch.device("meta"):
            model = self.make_model(config)
        # Nothing is dropped out: the trainer knows no such thing.
        model.eval()
        layers = getattr(model, model.base_model_prefix, None)
        blocks = (
            next((part for part in layers.children() if isinstance(part, torch.nn.ModuleList)), None)
            if layers
            else None
        )
        if blocks is None:
            raise Refusal(
                f"{type(model).__name__} has no list of layers that this worker finds; it can't be sharded by layer"
            )
        names = {name for stage in self.job.stages for name in stage["tensors"]}
        files = self.open_files()
        found = {
            name: {self.file_name(model, other, files): view for other, view in parts.items()}
            for name, parts in views(model).items()
        }
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not names.isdisjoint(found[name]))
        policy = MixedPrecisionPolicy()
        if self.job.values["dtype"] == "bf16":
            policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        for block in blocks:
            if self.job.values["recompute"] == "layer":
                block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)
            fully_shard(block, mesh=self.mesh, mp_policy=policy)
        model.forward = functools.partial(token_losses, model, model.forward)
        fully_shard(model, mesh=self.mesh, mp_policy=policy)
        model.to_empty(device=self.device)
        model.tie_weights()
        with torch.no_grad():
            for module in model.modules():
                if module._non_persistent_buffers_set:
                    model._init_weights(module)
        parameters = {
            name: Parameter(values, self.mesh, found[name])
            for name, values in [*model.named_parameters(), *kept_buffers(model).items()]
        }
        self.read(parameters, files)
        if missing := names - {part.name for parameter in parameters.values() for part in parameter.parts}:
            raise Refusal(
                f"{type(model).__name__} has no parameter for the tensor '{min(missing)}', which the job trains"
            )
        self.check_borders(model, config)
        return model, {name: one for name, one in parameters.items() if one.weights.requires_grad}

    def file_name(self, model: Any, name: str, files: Any) -> str:
        """What a parameter is called in the files: the head as its family calls it, base models without a prefix."""
        head = self.job.values["model"].get("head")
        if head and name == "lm_head.weight" and name not in files:
            return head
        short = name.removeprefix(model.base_model_prefix + ".")
        return name if name in files or short not in files else short

    def make_model(self, config: Any) -> Any:
        """transformers' model with the fastest attention that it has here; plain where PyTorch's own can't do it."""
        kinds = ["sdpa", "eager"]
        # PyTorch's own attention knows no cap of scores.
        if getattr(config, "attn_logit_softcapping", None):
            kinds = ["eager"]
        if self.job.values["dtype"] == "bf16" and transformers.utils.is_flash_attn_2_available():
            kinds.insert(0, "flash_attention_2")
        for kind in kinds:
            try:
                return transformers.AutoModelForCausalLM.from_config(
                    config, dtype=torch.float32, attn_implementation=kind
                )
            except ValueError as error:
                refusal = error
        raise Refusal(f"transformers makes no causal language model of config.json: {refusal}")

    def open_files(self) -> dict[str, Any]:
        """The file of each tensor."""
        files: dict[str, Any] = {}
        for file in self.job.values["model"]["files"]:
            opened = safe_open(self.job.model / file["name"], "pt")
            files.update(dict.fromkeys(opened.keys(), opened))
        return files

    @torch.no_grad()
    def read(self, parameters: dict[str, Parameter], files: dict[str, Any]) -> None:
        """Fills in this process's shard of each parameter."""
        for parameter in parameters.values():
            for part in parameter.parts:
                if part.name not in files:
                    raise Refusal(f"{self.job.model}: there is no tensor '{part.name}', which transformers' model has")
                tensor = files[part.name].get_slice(part.name)
                if list(tensor.get_shape()) != part.shape:
                    raise Refusal(
                        f"{self.job.model}: '{part.name}' is {tensor.get_shape()}, and transformers' model has"
                        f" {part.shape}"
                    )
                first, last = part.rows
                if first < last:
                    part.of(local(parameter.weights)).copy_(tensor[first:last])

    def check_borders(self, model: Any, config: Any) -> None:
        """Refuses a model whose tokens see what stands before their document."""
        length = 8
        tokens = torch.arange(4 * length, device=self.device).view(2, -1) % config.vocab_size
        positions = torch.arange(length, device=self.device).repeat(2, 2)
        targets = torch.full_like(tokens, -1)
        targets[:, length:] = 1
        with torch.no_grad():
            first, _ = model(tokens, positions, targets)
            tokens[:, :length] = tokens[:, :length].flip(1)
            second, _ = model(tokens, positions, targets)
        # What of the weights was gathered is let go, for a checkpoint may have others.
        model.reshard()
        if not torch.allclose(first, second, rtol=1e-5, atol=1e-5):
            raise Refusal(
                f"{type(model).__name__} lets the tokens of a document see the one before it; this family can't be"
                " trained by this worker, whose sequences hold several documents"
            )

    # Steps

    def parts(self, rows: torch.Tensor, at_once: int) -> list[torch.Tensor]:
        """What this process computes of some rows, at most so many at once; as many parts on every process."""
        own = rows[self.rank :: self.ranks]
        size = max(1, math.ceil(at_once / self.ranks))
        passes = math.ceil(math.ceil(len(rows) / self.ranks) / size)
        parts = [own[index * size : (index + 1) * size] for index in range(passes)]
        nothing = rows[:1].clone()
        nothing[:, 1] = -1
        return [part if len(part) else nothing for part in parts]

    def losses(self, rows: torch.Tensor, counts_from_row: bool, routed: bool = False) -> Any:
        """rows (B, 3 or more, T): tokens, targets, first visible positions; see `token_losses`."""
        rows = rows.to(self.device, torch.int64)
        places = torch.arange(rows.shape[2], device=self.device).expand(len(rows), -1)
        positions = places if counts_from_row else places - rows[:, 2]
        return self.model(rows[:, 0], positions, rows[:, 1], routed)

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
        self.rows = self.job.sequences(stage["sequences"], stage["length"], 3)
        self.draws = self.job.draws(index)
        self.first_step = sum(other["steps"] for other in self.job.stages[:index])
        # Data that goes on does so behind what was passed over.
        self.shift = self.shift if stage["goes_on"] else 0
        for parameter in self.trained.values():
            parameter.enter(stage, averages=self.job.rules["result"] == "average")

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
        return rows, targets

    def figures(self) -> dict[str, dict[str, float]]:
        """What was shown by now: passes, coverage and tokens of each source."""
        sizes: dict[str, int] = {}
        for stage in self.job.stages[: self.stage + 1]:
            sizes |= stage["sizes"]
        return {
            name: {"passes": tokens / sizes[name], "coverage": min(1, tokens / sizes[name]), "tokens": tokens}
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
        own, batch, size = 0.0, stage["batch"], len(rows)
        balances = self.job.values["model"].get("balance") is not None
        # Experts are balanced a batch at a time, of which all sequences are then computed at once.
        together = batch * math.ceil(self.ranks / batch) if balances else size
        for some in rows.split(together):
            for part in self.parts(some, together if balances else batch):
                losses, routers = self.losses(part, stage["counts_from_row"], balances)
                loss = losses.sum() / targets
                if routers:
                    loss = loss + self.balance(routers, (some[:, 1] >= 0).sum(1).view(-1, batch) / targets)
                # FSDP takes the mean over the processes of what is a sum.
                (loss * self.ranks).backward()
                own += loss.item()
        gradients = self.gradients(stage)
        loss, square = self.total(own, sum(float(g.double().square().sum()) for _, g in gradients))
        norm = math.sqrt(square)
        finding = self.guard.judge(loss, norm)
        if finding is None:
            self.update(stage, gradients, rate, norm)
        for parameter in self.model.parameters():
            parameter.grad = None
        if finding is None:
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
            if parameter.mean is None or parameter.weights.grad is None:
                continue
            gradient = local(parameter.weights.grad)
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
        numbers = stage["optimizer"]
        scale = min(1.0, numbers["clip"] / (norm + 1e-6)) if numbers.get("clip") else 1.0
        alike: dict[tuple[float, float], list[tuple[torch.Tensor, ...]]] = {}
        for parameter, gradient in gradients:
            gradient.mul_(scale)
            shards = [local(parameter.weights), gradient, local(parameter.mean), local(parameter.square)]
            for part in parameter.parts:
                own = [part.of(shard) for shard in shards]
                for run, rows in part.runs(stage):
                    if run["frozen"]:
                        own[2][rows] = own[3][rows] = 0
                        continue
                    count = torch.tensor(float(part.count), device=self.device)
                    alike.setdefault((run["rate"], run["decay"]), []).append((*(one[rows] for one in own), count))
                part.count += part.name in stage["tensors"]
        for (share, decay), parts in alike.items():
            weights, gradient, mean, square, counts = (list(column) for column in zip(*parts))
            adamw(
                weights, gradient, mean, square, [], counts, fused=True, amsgrad=False, beta1=numbers["beta1"],
                beta2=numbers["beta2"], lr=rate * share, weight_decay=decay, eps=numbers["epsilon"], maximize=False,
            )  # fmt: skip
        for parameter, _ in gradients:
            if parameter.average is not None:
                share = self.job.rules["average_decay"]
                local(parameter.average).mul_(share).add_(local(parameter.weights), alpha=1 - share)

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
        if self.evaluations.hear(self.step, found, is_mature=self.step > 0):
            self.tell("healed", step=self.step, tokens=sum(self.shown.values()))

    def sums(self, one: dict[str, Any]) -> list[float]:
        """Of a set: the nats and the tokens of its texts; the nats, the probabilities and the number of their ends."""
        sums = [0.0] * 5
        rows = self.job.sequences(one["file"], one["length"], 4)
        for part in self.parts(rows, self.ranks * max(1, EVALUATED_AT_ONCE // one["length"])):
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
        if self.rank == 0 or self.rank in self.leads:
            shutil.rmtree(partial, ignore_errors=True)
        dist.barrier()
        dcp.save(self.state(), checkpoint_id=str(partial))
        self.bring_home(partial)
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
        self.remove_copy(partial)
        self.tell("kept", step=self.step, folder=str(path))

    def progress(self, folder: pathlib.Path) -> dict[str, Any]:
        """Where the run stands, beside the tensors of a checkpoint."""
        return {
            "run": self.job.values["run"], "step": self.step, "stage": self.stage, "guard": self.guard.state,
            "counts": {part.name: part.count for one in self.trained.values() for part in one.parts},
            "shift": self.shift, "shown": self.shown, "evaluations": self.evaluations.state,
            "goes_back_to": self.goes_back_to, "rollbacks": self.rollbacks,
            "metadata_sha256": hashlib.sha256((folder / ".metadata").read_bytes()).hexdigest(),
        }  # fmt: skip

    def remove_old(self) -> None:
        """Removes checkpoints that are neither among the last ones, nor to stay, nor needed to go back to."""
        stay = {self.place(step) for step in self.job.rules["keep_ends"]}
        if self.keeps_best and self.evaluations.best:
            stay.add(self.place(self.evaluations.best))
        if self.guard.settings["policy"] == "rollback":
            stay.add(self.place(self.goes_back_to))
        for path in self.checkpoints()[: -(self.job.rules.get("keep") or 1)]:
            if path not in stay:
                shutil.rmtree(path)

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
        self.guard = StepGuard(self.job.stages[self.stage]["guard"], progress["guard"])

    def recall(self, progress: dict[str, Any]) -> None:
        """Takes over what a checkpoint knows of the run so far, but for what was shown."""
        self.step = self.kept = progress["step"]
        self.goes_back_to, self.evaluations.state = progress["goes_back_to"], progress["evaluations"]
        self.kept_rollbacks = progress["rollbacks"]
        self.rollbacks = max(self.rollbacks, self.kept_rollbacks)

    def load(self, path: pathlib.Path) -> dict[str, Any]:
        """Brings weights and moments to where a checkpoint has them; what else it says."""
        self.hand_out(path)
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
        self.remove_copy(path)
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
            if job.steps[self.step]["stage"] != self.stage:
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
        if rules["result"] == "average" or rules.get("keep"):
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


def write_event(job: Job, event: str, **values: Any) -> None:
    """Appends a line to events.jsonl."""
    line = json.dumps({"event": event, "time": time.time(), **values})
    with job.events.open("a") as file:
        file.write(line + "\n")
    print(line, flush=True)


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


def main() -> int:
    parser = argparse.ArgumentParser(description="Carries out a training job, as one of torchrun's processes.")
    parser.add_argument("job", type=pathlib.Path, help="job.json")
    parser.add_argument("--model", help="the model's folder, where it is not the one that the job names")
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
            job = Job(arguments.job.absolute(), arguments.model)
            sums = job.check(rank)
        except Refusal as refusal:
            problem = str(refusal)
        agree(store, rank, ranks, problem, sums)
        if interface := interface_to(os.environ["MASTER_ADDR"]):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        backend = "nccl" if job.values["device"] == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=ranks)
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
