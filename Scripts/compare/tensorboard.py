"""Heals a small model, stopped and gone on with, and has TensorBoard read back every figure.

usage: python Scripts/compare/tensorboard.py [TRAINER]
TRAINER: the built command (.build/release/trainer)

The run is killed by SIGKILL between two checkpoints, so that some steps are taken twice and TensorBoard has to forget the first
time. While it runs, its folder is read. At the end every scalar of tensorboard's EventAccumulator is compared with the
run's record: each step once, each figure as float32 has it. Needs tensorboard.
"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.pop(0)  # This file has the library's name.
import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as Scalars
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as Plugins

root = pathlib.Path(__file__).resolve().parents[2]
trainer = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else root / ".build/release/trainer").resolve()
data, work = root / "Examples/data", pathlib.Path(tempfile.mkdtemp())
command = [
    trainer, "heal", root / "Examples/base", "--data", f"ko={data}/korean.val.jsonl:3", "--replay", f"en={data}/english.val.jsonl",
    "--eval", f"english={data}/english.val.jsonl", f"한국어={data}/korean.val.jsonl", "--steps", "60", "--batch", "2",
    "--length", "32", "--lr", "1e-3", "--checkpoint-every", "7", "-o", work / "out"]
events, record = work / "out.run/tensorboard", work / "out.run/record.jsonl"


def lines():
    return [json.loads(line) for line in record.read_text().splitlines()]


def steps():
    text = record.read_bytes() if record.exists() else b""
    return sum(b'"event"' not in line for line in text.split(b"\n")[:-1])


process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
while steps() < 20:
    time.sleep(0.01)
live = Scalars(str(events)).Reload()
seen = len(live.Scalars("loss"))
process.send_signal(signal.SIGKILL)
process.wait()
killed = steps()
subprocess.run([*command, "--resume"], check=True, stderr=subprocess.DEVNULL)

expected = {}
tokens = 0
for line in lines():
    if line.get("event") == "evaluated":
        expected.setdefault(f"eval_loss/{line['set']}", {})[line["step"]] = line["result"]["loss"]
        expected.setdefault(f"bits_per_byte/{line['set']}", {})[line["step"]] = line["result"]["bits_per_byte"]
    elif "event" not in line:
        for tag, value in (("loss", line["loss"]), ("lr", line["lr"]), ("grad_norm", line["grad_norm"])):
            expected.setdefault(tag, {})[line["step"]] = value
        for name, source in line["sources"].items():
            expected.setdefault(f"share/{name}", {})[line["step"]] = source["tokens"] / line["tokens"]
            expected.setdefault(f"passes/{name}", {})[line["step"]] = source["passes"]
        expected.setdefault("tokens_per_second", {})[line["step"]] = (line["tokens"] - tokens) / line["seconds"]
        tokens = line["tokens"]

wrong = 0
found = Scalars(str(events), size_guidance={"scalars": 0}).Reload()
tags = found.Tags()["scalars"]
wrong += set(tags) != set(expected)
print(f"{len(list(events.iterdir()))} files; read while it ran: {seen} steps; killed after {killed}; {len(tags)} tags")
for tag, values in sorted(expected.items()):
    points = found.Scalars(tag)
    steps_of = [point.step for point in points]
    missing = sorted(set(values) - set(steps_of))
    double = len(steps_of) - len(set(steps_of))
    off = max(abs(point.value - float(numpy.float32(values[point.step]))) for point in points)
    bad = bool(missing) or double > 0 or off > 0
    wrong += bad
    print(f"{tag:24}{len(points):5} points  missing {missing}  double {double}  largest difference {off:g}{'  WRONG' if bad else ''}")
plugins = Plugins(str(events)).Reload()
wrong += set(plugins.Tags()["tensors"]) != set(expected)
print("TensorBoard's own reader sees", len(plugins.Tags()["tensors"]), "tags")
shutil.rmtree(work)
sys.exit(1 if wrong else 0)
