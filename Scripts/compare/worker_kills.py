"""Kills a process of `trainer heal --on torchrun` at random moments, goes on, and compares the end with the undisturbed one.

usage: worker_kills.py TRAINER SURGERY PYTHON FOLDER [--kills 10] [--seed 1]
TRAINER, SURGERY: the built commands; PYTHON: one with torch and transformers; FOLDER: where models and runs are made and removed

A small model is healed by two processes on the CPU, 50 steps in three stages with frozen rows, a checkpoint every third step. One of the
processes, drawn by chance, gets SIGKILL at a moment drawn from the time that they are there, or while a checkpoint is being written (every
second time). The command has to end within a minute by 1 and to say which process it was; then it goes on with --resume, so that the
kills lie one after the other in a run, and the next run begins when one is at its end. Counted is what was lost: the step from which
it went on is never before the last checkpoint that was told of. Exit code 1 where something was lost or a loss differs by more than 1e-4.
"""

import argparse, json, os, random, shutil, signal, subprocess, sys, time
from pathlib import Path

parser = argparse.ArgumentParser(usage=__doc__)
for name in ("trainer", "surgery", "python", "folder"):
    parser.add_argument(name, type=lambda path: Path(path).absolute())
parser.add_argument("--kills", type=int, default=10)
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
draw = random.Random(options.seed)
folder, fixtures = options.folder, Path(__file__).resolve().parents[2] / "Tests/TrainerTests/Fixtures"
GROUPS = ("old-output-rows: freeze", "new-rows: rate=2, decay=0", "old-input-rows: rate=0.1", "copied-layers: rate=0.5")
STAGES = (
    'name: rows, steps: 15, groups: ["new-rows: rate=2, decay=0", "rest: freeze"]',
    'name: old, steps: 10, groups: ["old-rows: freeze"]',
    "name: all, steps: 25, lr: 1e-3, groups: [" + ", ".join(f'"{group}"' for group in GROUPS) + "]",
)


def heal(name, *more):
    words = [
        options.trainer, "heal", folder / "grown", "--ids", fixtures / "groups/rows.safetensors", "--batch", 4, "--lr", 3e-3,
        "--embedding-lr", 3e-3, "--stages", *STAGES, "--checkpoint-every", 3, "--moments", "f32", "--gradients", "f32",
        "--no-tensorboard", "--on", "torchrun:2", "--device", "cpu", "--python", options.python,
        "-o", folder / name, "--log", folder / f"{name}.jsonl", *more,
    ]
    return [str(word) for word in words]


def losses(name):
    return [json.loads(line)["loss"] for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def children(process):
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        # It has just ended.
        return []


def workers(process):
    return [one for torchrun in children(process) for one in children(torchrun)]


def started(process):
    """When its processes are there, or it has ended."""
    while process.poll() is None and not workers(process.pid):
        time.sleep(0.02)
    return time.monotonic()


def events(name):
    path = folder / f"{name}.cluster/events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)
steps = ("--step", "dus --to 4", "--step", "resize-vocab --size 251")
subprocess.run([options.surgery, "run", fixtures / "golden/llama", "-o", folder / "grown", *steps], check=True, capture_output=True)
process = subprocess.Popen(heal("undisturbed"), stderr=subprocess.PIPE, text=True)
start, said = started(process), process.communicate()[1]
if process.returncode != 0:
    sys.exit(f"undisturbed: {said}")
usual = time.monotonic() - start
expected = losses("undisturbed")
kills = runs = writing = lost = 0
worst = slowest = 0.0
while kills < options.kills:
    runs += 1
    name, more = f"run{runs}", []
    while True:
        process = subprocess.Popen(heal(name, *more), stderr=subprocess.PIPE, text=True)
        before = max((event["step"] for event in events(name) if event["event"] == "kept"), default=0)
        seen = len(events(name))
        if kills < options.kills:
            moment, during = started(process) + draw.uniform(0, 0.9) * usual, kills % 2 == 1
            cluster = folder / f"{name}.cluster"
            while process.poll() is None and time.monotonic() < moment:
                time.sleep(0.005)
            while during and process.poll() is None and not list(cluster.glob(".checkpoint-*.partial")):
                time.sleep(0.0005)
            if process.poll() is None and (found := workers(process.pid)):
                writing += bool(list(cluster.glob(".checkpoint-*.partial")))
                os.kill(draw.choice(found), signal.SIGKILL)
                kills += 1
                killed = time.monotonic()
                said = process.communicate()[1]
                slowest = max(slowest, time.monotonic() - killed)
                if process.returncode != 1 or "was ended by signal 9" not in said:
                    print(f"{name}: ended by {process.returncode}: {said.splitlines()[-1]}")
                begun = [event["step"] for event in events(name)[seen:] if event["event"] == "started"]
                lost += bool(begun) and begun[0] < before
                more = ["--resume"]
                continue
        said = process.communicate()[1]
        if process.returncode != 0:
            sys.exit(f"{name}: {said}")
        break
    found = losses(name)
    assert len(found) == len(expected)
    worst = max(worst, max(abs(a - b) / b for a, b in zip(found, expected)))
    print(f"run {runs}: {kills} kills by now, losses within {worst:.1e}", flush=True)
print(
    f"{kills} kills in {runs} runs, {writing} of them while a checkpoint was written; {lost} checkpoints lost, losses within"
    f" {worst:.1e}, ended within {slowest:.0f} s"
)
sys.exit(0 if lost == 0 and worst < 1e-4 and slowest < 60 else 1)
