"""What is to be done: a run folder, which is compared with what was planned, and to which is added what happens."""

import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import time
from typing import Any

import torch
from rules import Refusal

FORMAT, VERSION = "model-surgery job", 4


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """A model that a job names: where it lies here, its files and configuration, and what they call its head."""

    folder: pathlib.Path
    files: list[dict[str, Any]]
    configuration: pathlib.Path
    head: str | None

    @property
    def paths(self) -> list[pathlib.Path]:
        return [self.folder / file["name"] for file in self.files]


class Job:
    """A run folder: its job, its steps and its sequences."""

    def __init__(self, path: pathlib.Path, model: str | None = None, teacher: str | None = None) -> None:
        self.folder = path.parent
        try:
            self.sums = (self.folder / "SHA256SUMS").read_bytes()
        except OSError as error:
            raise Refusal(f"{error.filename}: {error.strerror}; copy the run folder as a whole") from error
        names = [line.split("  ", 1) for line in self.sums.decode(errors="replace").splitlines() if "  " in line]
        self.files = [(self.folder / name, digest) for digest, name in names]
        # What is read before all files are compared.
        compare([one for one in self.files if one[0].suffix in (".json", ".jsonl", ".py")])
        try:
            self.values: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise Refusal(f"{path}: {error}; give the job.json that trainer heal --on has written") from error
        found = [self.values.get(key) for key in ("format", "version")] if isinstance(self.values, dict) else []
        if found != [FORMAT, VERSION]:
            raise Refusal(
                f"{path} is not of version {VERSION} of {FORMAT!r}, which this worker carries out; give the job.json"
                " that lies beside it"
            )
        self.model = self.named(self.values["model"], model)
        self.teacher: ModelFiles | None = None
        if named := self.values.get("teacher"):
            self.teacher = self.named(named["model"], teacher)
        elif teacher:
            raise Refusal(f"{path} has no teacher; leave out --teacher")
        self.steps = self.lines("steps.jsonl")
        self.stages: list[dict[str, Any]] = self.values["stages"]
        self.rules: dict[str, Any] = self.values["rules"]
        self.events = self.folder / "events.jsonl"

    def named(self, model: dict[str, Any], folder: str | None) -> ModelFiles:
        """A model of the job, which may lie in another folder here."""
        configuration = self.folder / model["configuration"]
        return ModelFiles(pathlib.Path(folder or model["path"]), model["files"], configuration, model.get("head"))

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of a file, which need not be there."""
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def draws(self, stage: int) -> list[dict[str, Any]]:
        """What there is to know of the sequences that steps of a stage take: as many as it has, and spare ones."""
        return [line for line in self.steps + self.lines("spare.jsonl") if line["stage"] == stage]

    def sequences(self, file: str, length: int, parts: int) -> torch.Tensor:
        """The rows of a file: (N, parts, T)."""
        return self.numbers(file).view(-1, parts, length)

    def numbers(self, file: str) -> torch.Tensor:
        """The numbers of a file, mapped into memory."""
        path = self.folder / file
        return torch.from_file(str(path), shared=False, size=path.stat().st_size // 4, dtype=torch.int32)

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
        # Each process of a machine takes some.
        files = list(self.files)
        for model in (self.model, *([self.teacher] if self.teacher else [])):
            files += [(path, file["sha256"]) for path, file in zip(model.paths, model.files)]
        compare(files[own::processes])
        return hashlib.sha256(self.sums).hexdigest()


def compare(files: list[tuple[pathlib.Path, str]]) -> None:
    """Refuses a file that has not the SHA-256 that it had when the job was planned."""
    for path, expected in files:
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


def digest_of(file: Any) -> str:
    """The SHA-256 of an open file."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def write_event(job: Job, event: str, **values: Any) -> None:
    """Appends a line to events.jsonl."""
    line = json.dumps({"event": event, "time": time.time(), **values})
    with job.events.open("a") as file:
        file.write(line + "\n")
    print(line, flush=True)
