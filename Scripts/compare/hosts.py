"""Heals a small model on two hosts and compares the losses with those on one: two network namespaces, a wire between them.

usage: hosts.py TRAINER SURGERY PYTHON FOLDER [--processes 2]
TRAINER, SURGERY: the built commands; PYTHON: one with torch and transformers; FOLDER: where models and runs are made and removed

Needs root, for the namespaces, and iproute2. Each host has processes of its own and sees only its end of the wire; the first is where
`trainer heal --hosts 2 --rendezvous` runs, the other gets the command that it prints. The job has frozen rows, rates by row,
a teacher and three stages, 50 steps in all. It runs once on one host with as many processes as the two have together, then:

  shared    both hosts see the run folder
  copied    the second one has a copy of it, of the model and of the teacher
  stopped   copied, and stopped twice by SIGINT and gone on with
  killed    copied, and a process of the second host is killed (SIGKILL); how long the first one takes to end; gone on with

Printed are the largest difference of a loss from one host's, relative, and what went through the wire.
Exit code 1 where a loss differs by more than 1e-4, the first host took a minute to end, or the second one's folder keeps a checkpoint.
"""

import argparse, json, os, shlex, shutil, signal, subprocess, sys, time
from pathlib import Path

parser = argparse.ArgumentParser(usage=__doc__)
for name in ("trainer", "surgery", "python", "folder"):
    parser.add_argument(name, type=lambda path: Path(path).absolute())
parser.add_argument("--processes", type=int, default=2)
options = parser.parse_args()
folder, fixtures = options.folder, Path(__file__).resolve().parents[2] / "Tests/TrainerTests/Fixtures"
FIRST, SECOND = "10.177.0.1", "10.177.0.2"
HOSTS = [f"heal-{os.getpid()}-{number}" for number in (1, 2)]
GROUPS = ("old-output-rows: freeze", "new-rows: rate=2, decay=0", "old-input-rows: rate=0.1", "copied-layers: rate=0.5")
STAGES = (
    'name: rows, steps: 15, groups: ["new-rows: rate=2, decay=0", "rest: freeze"]',
    'name: old, steps: 10, groups: ["old-rows: freeze"]',
    "name: all, steps: 25, lr: 1e-3, groups: [" + ", ".join(f'"{group}"' for group in GROUPS) + "]",
)


def run(*words):
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


def on(host, *words):
    return ["ip", "netns", "exec", HOSTS[host], *(str(word) for word in words)]


def wire():
    """Makes the two hosts; each has its own loopback and one end of the wire."""
    for host in HOSTS:
        run("ip", "netns", "add", host)
        run("ip", "-n", host, "link", "set", "lo", "up")
    run("ip", "link", "add", "wire1", "netns", HOSTS[0], "type", "veth", "peer", "name", "wire2", "netns", HOSTS[1])
    for host, end, address in zip(HOSTS, ("wire1", "wire2"), (FIRST, SECOND)):
        run("ip", "-n", host, "address", "add", f"{address}/24", "dev", end)
        run("ip", "-n", host, "link", "set", end, "up")


def through_the_wire():
    done = subprocess.run(on(0, "cat", "/sys/class/net/wire1/statistics/rx_bytes"), capture_output=True, text=True)
    if done.returncode == 0 and done.stdout.strip().isdigit():
        return int(done.stdout)
    lines = subprocess.run(on(0, "cat", "/proc/net/dev"), capture_output=True, text=True).stdout.splitlines()
    return next(int(line.split(":")[1].split()[0]) for line in lines if "wire1" in line)


def losses(log):
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 51)), f"{log} has not all steps"
    return [line["loss"] for line in lines]


def heal(name, processes, *more):
    return [
        options.trainer, "heal", folder / "grown", "--ids", fixtures / "groups/rows.safetensors", "--batch", 8, "--lr", 3e-3,
        "--embedding-lr", 3e-3, "--teacher", fixtures / "golden/llama", "--stages", *STAGES, "--checkpoint-every", 5,
        "--moments", "f32", "--gradients", "f32", "--no-tensorboard", "--on", f"torchrun:{processes}", "--device", "cpu", "--python", options.python,
        "-o", folder / name, "--log", folder / f"{name}.jsonl", *more,
    ]


class Run:
    """Both hosts at work: the first by `trainer heal`, the other by what it prints."""

    def __init__(self, name, place, *more):
        words = heal(name, options.processes, "--hosts", 2, "--rendezvous", FIRST, *more)
        self.first = subprocess.Popen(on(0, *words), stderr=subprocess.PIPE, text=True)
        self.events = folder / f"{name}.cluster/events.jsonl"
        self.said = ""
        while "worker.py" not in self.said and (line := self.first.stderr.readline()):
            self.said += line
        command = shlex.split(self.said.splitlines()[-1])
        assert command[0] == "torchrun", self.said
        while not (folder / f"{name}.cluster/job.json").exists() and self.first.poll() is None:
            time.sleep(0.02)
        copies = ["--model", folder / "elsewhere-model", "--teacher", folder / "elsewhere-teacher"]
        more = [] if place == f"{name}.cluster" else copies
        self.second = subprocess.Popen(
            on(1, options.python, "-m", "torch.distributed.run", *command[1:], *more), cwd=folder / place,
            stdout=(folder / f"{name}.second.log").open("a"), stderr=subprocess.STDOUT,
        )

    def wait_for(self, step):
        while self.first.poll() is None and not (self.events.exists() and f'"step": {step},' in self.events.read_text()):
            time.sleep(0.02)

    def end(self):
        self.said += self.first.communicate()[1]
        self.second.wait(timeout=120)
        return self.first.returncode


def children(process):
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def main():
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(options.surgery, "run", fixtures / "golden/llama", "-o", folder / "grown", "--step", "dus --to 4",
        "--step", "resize-vocab --size 251")
    shutil.copytree(folder / "grown", folder / "elsewhere-model")
    shutil.copytree(fixtures / "golden/llama", folder / "elsewhere-teacher")
    run(*heal("one", 2 * options.processes))
    expected = losses(folder / "one.jsonl")
    print(f"{2 * options.processes} processes; the hosts are {FIRST} and {SECOND}")
    print(f"{'':10} {'losses within':>14} {'through the wire':>17}  ended after a kill in")
    fine = True
    for name in ("shared", "copied", "stopped", "killed"):
        before, ended = through_the_wire(), ""
        place = f"{name}.cluster"
        if name != "shared":
            run(*heal(name, options.processes, "--hosts", 2, "--plan-only"))
            place = f"elsewhere-{name}"
            shutil.copytree(folder / f"{name}.cluster", folder / place)
        more = [] if name == "shared" else ["--resume"]
        if name == "stopped":
            for step in (9, 31):
                one = Run(name, place, *more)
                one.wait_for(step)
                one.first.send_signal(signal.SIGINT)
                assert one.end() == 128 + signal.SIGINT, one.said
        if name == "killed":
            one = Run(name, place, *more)
            one.wait_for(23)
            os.kill(children(one.second.pid)[-1], signal.SIGKILL)
            start = time.monotonic()
            code = one.end()
            seconds = time.monotonic() - start
            ended = f"{seconds:.0f} s"
            fine &= code == 1 and seconds < 60
            print(one.said.splitlines()[-1], file=sys.stderr)
        one = Run(name, place, *more)
        assert one.end() == 0, one.said
        worst = max(abs(a - b) / b for a, b in zip(losses(folder / f"{name}.jsonl"), expected))
        left = [] if name == "shared" else [path.name for path in (folder / place).glob("*checkpoint*")]
        fine &= worst < 1e-4 and not left
        print(f"{name:10} {worst:14.1e} {(through_the_wire() - before) / 1e6:14.1f} MB  {ended}", flush=True)
        if left:
            print(f"{name}: the second host keeps {left}")
    return 0 if fine else 1


try:
    wire()
    sys.exit(main())
finally:
    for host in HOSTS:
        subprocess.run(["ip", "netns", "delete", host], capture_output=True)
