#!/usr/bin/env python3
"""Heals small models in many ways, one thing changed at a time, and writes down what came of it.

usage: experiments.py --model BASE --data FOLDER --tools FOLDER [--seed N] [--again] NAME…
       experiments.py --list

BASE is a Mistral of 8 layers and 7.7 million parameters that knows English alone; FOLDER has en, ko and python, each as
train.jsonl and val.jsonl (English and Korean help of one program, the documentation of another in English). Each
experiment is 400 steps of 8 x 256 tokens unless it says otherwise. What it gives is written to
results/NAME-SEED.json beside this file: the commands, the tools' version, the seed, and bits per byte of the held-out
texts, before and after. tables.py makes the tables of Documentation/healing-evidence.md of these. Python's standard library
is enough.
"""
import argparse
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
PYTHON = ["--data", "python={data}/python.train.jsonl"]
EVALUATED = ["--eval", "ko={data}/ko.val.jsonl", "en={data}/en.val.jsonl"]
RATE = ["--lr", "1e-3"]


def rows(new: str, old: str, *more: str) -> list[str]:
    """Rates of new and of old rows of embedding and head, as shares of the body's."""
    return ["--embedding-lr", "1e-3", "--groups", f"new-rows: rate={new}", f"old-rows: rate={old}", *more]


# A name, what surgery does, and what healing is given besides the mixture and the rate.
EXPERIMENTS: dict[str, tuple[list[str], list[str]]] = {
    # 1. Rates of rows.
    "rates-default": (BOTH, MIXED + RATE + ["--embedding-lr", "2e-4"]),
    "rates-new-2": (BOTH, MIXED + RATE),
    "rates-new-2-no-decay": (BOTH, MIXED + RATE + ["--groups", "new-rows: rate=2, decay=0"]),
    "rates-all-1": (BOTH, MIXED + RATE + ["--embedding-lr", "1e-3"]),
    "rates-all-2": (BOTH, MIXED + RATE + ["--embedding-lr", "2e-3"]),
    "rates-new-1-old-0.25": (BOTH, MIXED + RATE + rows("1", "0.25")),
    "rates-new-2-old-0.1": (BOTH, MIXED + RATE + rows("2", "0.1")),
    "rates-new-2-old-0.25": (BOTH, MIXED + RATE + rows("2", "0.25")),
    "rates-new-2-old-0.5": (BOTH, MIXED + RATE + rows("2", "0.5")),
    "rates-new-4-old-0.25": (BOTH, MIXED + RATE + rows("4", "0.25")),
    "rates-new-2-old-0.25-no-decay": (BOTH, MIXED + RATE + rows("2, decay=0", "0.25")),
    "rates-new-in-1-out-2-old-0.25": (
        BOTH,
        MIXED
        + RATE
        + ["--embedding-lr", "1e-3", "--groups", "new-input-rows: rate=1", "new-output-rows: rate=2"]
        + ["old-rows: rate=0.25"],
    ),
    # 4. The seam.
    "seam-ramp": (BOTH, MIXED + RATE + rows("2", "0.25") + ["--seam", "ramp"]),
    "seam-noise": (["dus --to 12 --noise 0.1"] + KOREAN, MIXED + RATE + rows("2", "0.25")),
    "seam-expand": (["expand --to 12"] + KOREAN, MIXED + RATE + rows("2", "0.25")),
    # The story without a part of it.
    "story-no-depth": (KOREAN, MIXED + RATE + rows("2", "0.25")),
    "story-no-vocabulary": (DEEPER, MIXED + RATE),
    "story-no-replay": (
        BOTH,
        ["--data", "ko={data}/ko.train.jsonl"] + RATE + rows("2", "0.25"),
    ),
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
    parser.add_argument("--again", action="store_true", help="also those that are written down already")
    arguments = parser.parse_args()
    if arguments.list:
        return print("\n".join(EXPERIMENTS))
    for name in arguments.names:
        carry_out(name, arguments)


def carry_out(name: str, arguments: argparse.Namespace) -> None:
    surgery, healing = EXPERIMENTS[name]
    result = HERE / "results" / f"{name}-{arguments.seed}.json"
    if result.exists() and not arguments.again:
        return
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        given = {"data": str(arguments.data)}
        cut = ["run", str(arguments.model), "-o", str(work / "grown")]
        cut += [word for step in filled(surgery, **given) for word in ("--step", step)]
        heal = ["heal", str(work / "grown"), "-o", str(work / "healed"), *filled(healing + EVALUATED, **given)]
        heal += ["--steps", "400", "--batch", "8", "--length", "256", "--seed", str(arguments.seed)]
        heal += ["--eval-at", "0", "100", "--checkpoint-every", "0", "--no-tensorboard", "--json"]
        subprocess.run([arguments.tools / "surgery", *cut], check=True, capture_output=True)
        begun = time.monotonic()
        told = json.loads(
            subprocess.run([arguments.tools / "trainer", *heal], check=True, capture_output=True, text=True).stdout
        )
        seconds = time.monotonic() - begun
    version = subprocess.run([arguments.tools / "trainer", "--version"], check=True, capture_output=True, text=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
    places = {str(work): ".", str(arguments.data): "data", str(arguments.model): "base"}

    def shortened(text: str) -> str:
        for place, short in places.items():
            text = text.replace(place, short)
        return text

    commands = []
    for command in (["surgery", *cut], ["trainer", *heal]):
        commands.append(" ".join(f"'{word}'" if " " in word else word for word in command))
    result.parent.mkdir(exist_ok=True)
    partial = result.with_suffix(".partial")
    figures = {
        "name": name,
        "seed": arguments.seed,
        "commands": commands,
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
