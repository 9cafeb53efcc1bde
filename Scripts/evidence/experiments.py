#!/usr/bin/env python3
"""Heals small models in many ways, one thing changed at a time, and writes down what came of it.

usage: experiments.py --model BASE --data FOLDER --tools FOLDER [--seed N] [--threads N] [--again] NAME…
       experiments.py --list

BASE is a Mistral of 8 layers and 7.7 million parameters that knows English alone; FOLDER has en, ko and python, each as
train.jsonl and val.jsonl (English and Korean help of one program, the documentation of another in English). Each
experiment is 400 steps of 8 x 256 tokens unless it says otherwise. What it gives is written to
results/NAME-SEED.json beside this file: the commands, the tools' version, the seed, and bits per byte of the held-out
texts, before and after. tables.py makes the tables of Documentation/healing-evidence.md of these. Python's standard library
is enough.
"""
import argparse
import dataclasses
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
DEEPER = ["dus --to 12"]
KOREAN = ["resize-vocab --learn 2000 --corpus {data}/ko.train.jsonl"]
BOTH = DEEPER + KOREAN
MIXED = ["--data", "ko={data}/ko.train.jsonl:0.75", "--replay", "en={data}/en.train.jsonl:0.25"]
RATE = ["--lr", "1e-3"]


@dataclasses.dataclass
class Experiment:
    """What surgery does to the base, what healing is given, and what is evaluated before and after it."""

    surgery: list[str]
    healing: list[str]
    # Commands of trainer that come first and write into {work}.
    first: list[str] = dataclasses.field(default_factory=list)
    evaluated: tuple[str, ...] = ("ko", "en")
    steps: int = 400


def groups(*rules: str) -> list[str]:
    """Rates of rows as shares of the body's, in place of the tool's own."""
    return ["--embedding-lr", "1e-3", "--groups", *rules]


def story(*healing: str, surgery: list[str] = BOTH) -> Experiment:
    """The mission's own: deeper, with Korean tokens, healed on Korean with a quarter of English."""
    return Experiment(surgery, [*MIXED, *RATE, *healing])


def retention(*healing: str, surgery: list[str] = [], rate: str = "3e-4", replay: float = 0, own: bool = False) -> Experiment:
    """A new domain, and what of the old one stays."""
    first = ["replay {model} --tokens 60000 -o {work}/own.jsonl"] if own else []
    data = ["--data", f"python={{data}}/python.train.jsonl:{1 - replay:g}"]
    if replay:
        data += ["--replay", f"en={'{work}/own.jsonl' if own else '{data}/en.train.jsonl'}:{replay:g}"]
    return Experiment(surgery, [*data, "--lr", rate, *healing], first, evaluated=("python", "en"))


def pruned(by: str, *analysis: str) -> Experiment:
    """Two layers of the eight left out, and the rest healed on its own text."""
    return Experiment(
        [f"prune --to 6 --scores {{work}}/scores.json --by {by}"],
        ["--data", "en={data}/en.train.jsonl", *RATE],
        [" ".join(["analyze {model} --data {data}/en.train.jsonl -o {work}/scores.json", *analysis])],
        evaluated=("en",),
    )


EXPAND = ["expand --after 4-7"]
EXPERIMENTS: dict[str, Experiment] = {
    # 1. Rates of rows.
    "rates-default": story("--embedding-lr", "2e-4"),
    "rates-new-2": story(),
    "rates-new-2-no-decay": story("--groups", "new-rows: rate=2, decay=0"),
    "rates-all-1": story("--embedding-lr", "1e-3"),
    "rates-all-2": story("--embedding-lr", "2e-3"),
    "rates-new-1": story(*groups("new-rows: rate=1", "old-rows: rate=0.2")),
    "rates-new-4": story(*groups("new-rows: rate=4", "old-rows: rate=0.2")),
    "rates-new-0.5": story(*groups("new-rows: rate=0.5", "old-rows: rate=0.2")),
    "rates-new-2-old-0.1": story(*groups("new-rows: rate=2", "old-rows: rate=0.1")),
    "rates-new-2-old-0.25": story(*groups("new-rows: rate=2", "old-rows: rate=0.25")),
    "rates-new-2-old-0.5": story(*groups("new-rows: rate=2", "old-rows: rate=0.5")),
    "rates-new-in-1-out-2": story(
        *groups("new-input-rows: rate=1", "new-output-rows: rate=2", "old-rows: rate=0.2")
    ),
    "rates-new-in-2-out-1": story(
        *groups("new-input-rows: rate=2", "new-output-rows: rate=1", "old-rows: rate=0.2")
    ),
    # The story without a part of it.
    "story-no-depth": story(surgery=KOREAN),
    "story-no-vocabulary": story(surgery=DEEPER),
    "story-no-replay": Experiment(BOTH, ["--data", "ko={data}/ko.train.jsonl", *RATE]),
    # 3. What stays of the old domain.
    "retention-full": retention(),
    "retention-own-layers": retention("--train", "model.layers.[4-7].*"),
    "retention-own-layers-1e-3": retention("--train", "model.layers.[4-7].*", rate="1e-3"),
    "retention-blocks": retention("--groups", "new-layers: rate=1", "rest: freeze", surgery=EXPAND),
    "retention-blocks-1e-3": retention(
        "--groups", "new-layers: rate=1", "rest: freeze", surgery=EXPAND, rate="1e-3"
    ),
    "retention-blocks-full": retention(surgery=EXPAND),
    "retention-dus-full": retention(surgery=DEEPER),
    "retention-full-replay": retention(replay=0.05),
    "retention-full-own": retention(replay=0.05, own=True),
    "retention-blocks-replay": retention(
        "--groups", "new-layers: rate=1", "rest: freeze", surgery=EXPAND, replay=0.05
    ),
    # 4. The seam.
    "seam-ramp": story("--seam", "ramp"),
    "seam-noise": story(surgery=["dus --to 12 --noise 0.1", *KOREAN]),
    "seam-expand": story(surgery=["expand --to 12", *KOREAN]),
    # 7. Fewer layers.
    "pruned-block-influence": pruned("block-influence"),
    "pruned-angular-distance": pruned("angular-distance"),
    "pruned-loss": pruned("loss"),
    "pruned-iterative": pruned("iterative", "--iterative --to 6 --by loss"),
}


def filled(words: list[str], **places: str) -> list[str]:
    return [word.format(**places) for word in words]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--tools", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="changes no figure but seconds")
    parser.add_argument("--again", action="store_true", help="also those that are written down already")
    arguments = parser.parse_args()
    if arguments.list:
        return print("\n".join(EXPERIMENTS))
    for name in arguments.names:
        carry_out(name, arguments)


def carry_out(name: str, arguments: argparse.Namespace) -> None:
    experiment = EXPERIMENTS[name]
    result = HERE / "results" / f"{name}-{arguments.seed}.json"
    if result.exists() and not arguments.again:
        return
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        given = {"data": str(arguments.data), "model": str(arguments.model), "work": folder}
        commands = [["trainer", *line.split()] for line in filled(experiment.first, **given)]
        model = str(arguments.model)
        if experiment.surgery:
            model = str(work / "grown")
            steps = [word for step in filled(experiment.surgery, **given) for word in ("--step", step)]
            commands.append(["surgery", "run", str(arguments.model), "-o", model, *steps])
        heal = ["trainer", "heal", model, "-o", str(work / "healed"), *filled(experiment.healing, **given)]
        heal += ["--eval", *(f"{text}={arguments.data}/{text}.val.jsonl" for text in experiment.evaluated)]
        heal += ["--steps", str(experiment.steps), "--batch", "8", "--length", "256", "--seed", str(arguments.seed)]
        heal += ["--eval-at", "0", "100", "--checkpoint-every", "0", "--no-tensorboard", "--json"]
        commands.append(heal)
        for command in commands:
            begun = time.monotonic()
            words = [arguments.tools / command[0], *command[1:]]
            if arguments.threads and command[1] == "heal":
                words += ["--threads", str(arguments.threads)]
            run = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            seconds = time.monotonic() - begun
        told = json.loads(run.stdout)
    version = subprocess.run([arguments.tools / "trainer", "--version"], check=True, capture_output=True, text=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
    places = {str(work): ".", str(arguments.data): "data", str(arguments.model): "base"}

    def shortened(text: str) -> str:
        for place, short in places.items():
            text = text.replace(place, short)
        return text

    lines = [" ".join(f"'{word}'" if " " in word else word for word in command) for command in commands]
    result.parent.mkdir(exist_ok=True)
    partial = result.with_suffix(".partial")
    figures = {
        "name": name,
        "seed": arguments.seed,
        "commands": lines,
        "version": version.stdout.strip(),
        "commit": commit.stdout.strip(),
        "seconds": round(seconds),
        "told": told,
    }
    partial.write_text(shortened(json.dumps(figures, indent=1, ensure_ascii=False)) + "\n")
    shutil.move(partial, result)
    after = {name: round(values["bits_per_byte"], 4) for name, values in told["after"].items()}
    print(result.name, after, f"{seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
