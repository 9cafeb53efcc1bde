#!/usr/bin/env python3
"""Heals small models in many ways, one thing changed at a time, and writes down what came of it.

usage: experiments.py --model BASE --data FOLDER --tools FOLDER --kept FOLDER [--seed N] [--threads N] [--again] NAME…
       experiments.py --list

BASE is a Mistral of 8 layers and 7.7 million parameters that knows English alone; FOLDER has en, ko and python, each as
train.jsonl and val.jsonl (English and Korean help of one program, the documentation of another in English), and what
texts.py makes beside them. Each experiment is 400 steps of 8 x 256 tokens unless it says otherwise. What it gives is
written to results/NAME-SEED.json beside this file: the commands, the tools' version, the seed, and bits per byte of the
held-out texts, before and after. The folder of --kept keeps the healed models, with some of which others begin.
tables.py makes the tables of Documentation/healing-evidence.md of the results. Python's standard library is enough.
"""

import argparse
import dataclasses
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import unicodedata
from collections.abc import Sequence

HERE = pathlib.Path(__file__).resolve().parent
DEEPER = ["dus --to 12"]
KOREAN = ["resize-vocab --learn 2000 --corpus {data}/ko.train.jsonl"]
BOTH = DEEPER + KOREAN
MIXED = ["--data", "ko={data}/ko.train.jsonl:0.75", "--replay", "en={data}/en.train.jsonl:0.25"]
RATE = ["--lr", "1e-3"]


@dataclasses.dataclass
class Experiment:
    """What surgery does to the base, what healing is given, and what is evaluated before and after it."""

    surgery: Sequence[str]
    healing: list[str]
    # Commands of trainer that come first and write into {work}.
    first: list[str] = dataclasses.field(default_factory=list)
    # Options of trainer select for {data}/pool.jsonl, once for all seeds, empty for all of it; healing finds what is
    # chosen as {chosen}.
    choosing: str | None = None
    evaluated: tuple[str, ...] = ("ko", "en")
    steps: int = 400
    batch: int = 8
    # After how many hundredths of the steps healing evaluates.
    looks: tuple[int, ...] = (0, 100)
    # Options of trainer eval for the base and for the result, beside what healing evaluates.
    asked: list[str] = dataclasses.field(default_factory=list)
    # The experiment whose result it begins with, in place of the base.
    parent: str | None = None
    # What config.json has in place of the base's, for a model that begins with random weights.
    shape: dict[str, int] = dataclasses.field(default_factory=dict)
    # A recipe in place of all that, of which the report alone is kept.
    recipe: str | None = None


def groups(*rules: str) -> list[str]:
    """Rates of rows as shares of the body's, in place of the tool's own."""
    return ["--embedding-lr", "1e-3", "--groups", *rules]


def story(*healing: str, surgery: Sequence[str] = BOTH) -> Experiment:
    """The mission's own: deeper, with Korean tokens, healed on Korean with a quarter of English."""
    return Experiment(surgery, [*MIXED, *RATE, *healing], asked=STORY)


def retention(
    *healing: str, surgery: Sequence[str] = (), rate: str = "3e-4", replay: float = 0, own: bool = False
) -> Experiment:
    """A new domain, and what of the old one stays."""
    first = ["replay {model} --tokens 60000 -o {work}/own.jsonl"] if own else []
    data = ["--data", f"python={{data}}/python.train.jsonl:{1 - replay:g}"]
    if replay:
        data += ["--replay", f"en={'{work}/own.jsonl' if own else '{data}/en.train.jsonl'}:{replay:g}"]
    return Experiment(surgery, [*data, "--lr", rate, *healing], first, evaluated=("python", "en"))


def lasting(steps: int, *healing: str, surgery: Sequence[str] = ()) -> Experiment:
    """The base, made deeper or not, on so much text that 8 million tokens pass it 1.3 times; the story's 25 times."""
    data = ["--data", "docs={data}/docs.train.jsonl", *RATE, *healing]
    return Experiment(surgery, data, evaluated=("docs",), steps=steps, looks=(0, 10, 25, 50, 100))


def pruned(by: str, *analysis: str, teacher: bool = False) -> Experiment:
    """Two layers of the eight left out, and the rest healed on its own text."""
    return Experiment(
        [f"prune --to 6 --scores {{work}}/scores.json --by {by}"],
        ["--data", "en={data}/en.train.jsonl", *RATE, *(["--teacher", "{model}"] if teacher else [])],
        [" ".join(["analyze {model} --data {data}/en.train.jsonl -o {work}/scores.json", *analysis])],
        evaluated=("en",),
    )


def plateau(steps: int, *healing: str, surgery: Sequence[str] = ()) -> Experiment:
    """A parent that has nearly stopped learning, made deeper or not, on its own text; the rate falls last."""
    falling = ["--schedule", "wsd", "--decay-share", "0.1", "--min-lr-ratio", "0"]
    return Experiment(
        surgery,
        [*FROM_NOTHING, *falling, *healing],
        evaluated=("docs",),
        steps=steps,
        batch=16,
        parent="plateau-parent",
    )


def chosen(choosing: str) -> Experiment:
    """A new domain out of a tenth of a mixed corpus, chosen for it."""
    return Experiment([], ["--data", "{chosen}", *RATE], choosing=choosing, evaluated=("python", "en"), steps=100)


STORY = [
    "--data",
    "gimp={data}/gimp.val.jsonl",
    "--choices",
    "ko={data}/ko.choices.jsonl",
    "en={data}/en.choices.jsonl",
]
FROM_NOTHING = ["--data", "docs={data}/docs.train.jsonl", "--lr", "2e-3", "--embedding-lr", "2e-3"]
SMALL = {
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
}
PROBED = """
model: {model}
output: {work}/probed
steps:
  - dus:
      to: 12
  - resize-vocab:
      learn: 2000
      corpus: [{data}/ko.train.jsonl]
      init: auto
  - heal:
      data: [ko={data}/ko.train.jsonl:0.75]
      replay: [en={data}/en.train.jsonl:0.25]
      lr: 1e-3
      steps: 1
"""
FOR_PYTHON = "--to {data}/task.jsonl"
TENTH = "--rules none --keep-duplicates --keep-near-duplicates --budget 480kB"
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
    "rates-new-in-1-out-2": story(*groups("new-input-rows: rate=1", "new-output-rows: rate=2", "old-rows: rate=0.2")),
    "rates-new-in-2-out-1": story(*groups("new-input-rows: rate=2", "new-output-rows: rate=1", "old-rows: rate=0.2")),
    # 2. How new rows begin: what --init auto sees after 50 steps, and what becomes of each after 400.
    "init-auto": Experiment([], [], recipe=PROBED),
    "init-bil": story(surgery=[*DEEPER, f"{KOREAN[0]} --init bil"]),
    "init-eeve": story(surgery=[*DEEPER, f"{KOREAN[0]} --init eeve"]),
    "init-mean-cov": story(surgery=[*DEEPER, f"{KOREAN[0]} --init mean-cov"]),
    # The story without a part of it.
    "story-no-depth": story(surgery=KOREAN),
    "story-no-vocabulary": story(surgery=DEEPER),
    "story-no-replay": Experiment(BOTH, ["--data", "ko={data}/ko.train.jsonl", *RATE], asked=STORY),
    # 3. What stays of the old domain.
    "retention-full": retention(),
    "retention-own-layers": retention("--train", "model.layers.[4-7].*"),
    "retention-own-layers-1e-3": retention("--train", "model.layers.[4-7].*", rate="1e-3"),
    "retention-blocks": retention("--groups", "new-layers: rate=1", "rest: freeze", surgery=EXPAND),
    "retention-blocks-1e-3": retention("--groups", "new-layers: rate=1", "rest: freeze", surgery=EXPAND, rate="1e-3"),
    "retention-blocks-full": retention(surgery=EXPAND),
    "retention-dus-full": retention(surgery=DEEPER),
    "retention-full-replay": retention(replay=0.05),
    "retention-full-own": retention(replay=0.05, own=True),
    "retention-blocks-replay": retention("--groups", "new-layers: rate=1", "rest: freeze", surgery=EXPAND, replay=0.05),
    # 5. The parent as a teacher of what is replayed.
    "retention-full-replay-25": retention(replay=0.25),
    "retention-full-teacher": retention("--teacher", "{model}", "--teacher-on", "replay", replay=0.05),
    # 4. The seam.
    "seam-ramp": story("--seam", "ramp"),
    "seam-noise": story(surgery=["dus --to 12 --noise 0.1", *KOREAN]),
    "seam-expand": story(surgery=["expand --to 12", *KOREAN]),
    **{
        f"seam-docs-{name}-{steps}": lasting(steps, *healing, surgery=surgery)
        for name, surgery, healing in (
            ("none", [], []),
            ("copies", DEEPER, []),
            ("ramp", DEEPER, ["--seam", "ramp"]),
            ("noise", ["dus --to 12 --noise 0.1"], []),
            ("expand", ["expand --to 12"], []),
        )
        for steps in (400, 4000)
    },
    # 6. Depth for a parent that has nearly stopped learning: at equal tokens, and at equal computation, 8 layers
    # against 1.6 times the steps.
    "plateau-parent": Experiment(
        [],
        ["--from-scratch", *FROM_NOTHING, "--schedule", "constant"],
        evaluated=("docs",),
        steps=5000,
        batch=16,
        shape=SMALL,
    ),
    **{
        f"plateau-{name}-{steps}": plateau(steps, *healing, surgery=surgery)
        for name, surgery, healing, lengths in (
            ("on", [], [], (375, 605, 750, 1210, 1500, 2420)),
            ("dus", ["layers --plan 0-3,0-3"], [], (375, 750, 1500)),
            ("copies-ramp", ["layers --plan 0,0,1,1,2,2,3,3"], ["--seam", "ramp"], (375, 750, 1500)),
            ("expand", ["expand --to 8 --placement even"], [], (375, 750, 1500)),
        )
        for steps in lengths
    },
    # 7. Fewer layers, and the base with as much more of its own text.
    "pruned-not": Experiment([], ["--data", "en={data}/en.train.jsonl", *RATE], evaluated=("en",)),
    "pruned-block-influence": pruned("block-influence"),
    "pruned-angular-distance": pruned("angular-distance"),
    "pruned-loss": pruned("loss"),
    "pruned-loss-teacher": pruned("loss", teacher=True),
    "pruned-iterative": pruned("iterative", "--iterative --to 6 --by loss"),
    # The tenth of a corpus that a measure puts first, beside a random tenth and the whole.
    "chosen-whole": chosen(""),
    **{
        f"chosen-{name}": chosen(f"{options} {TENTH}")
        for name, options in (
            ("random", "--sample"),
            ("similarity", f"--by similarity {FOR_PYTHON} --model {{model}}"),
            ("ngrams", f"--by ngrams {FOR_PYTHON}"),
            ("ngrams-mean", f"--by ngrams-mean {FOR_PYTHON}"),
            ("perplexity", "--by perplexity --model {model}"),
            ("entropy", "--by entropy"),
            ("similarity-ngrams-mean", f"--by similarity --by ngrams-mean {FOR_PYTHON} --model {{model}}"),
            (
                "similarity-perplexity-entropy",
                f"--by similarity --by perplexity --by entropy {FOR_PYTHON} --model {{model}}",
            ),
        )
    },
}


def bare(text: str) -> str:
    """Letters and digits alone: the same before and after cleaning."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", text)))


def filled(words: list[str], places: dict[str, str]) -> list[str]:
    return [word.format(**places) for word in words]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    for folder in ("--model", "--data", "--tools", "--kept"):
        parser.add_argument(folder, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="changes no figure but seconds")
    parser.add_argument("--again", action="store_true", help="also those that are written down already")
    parser.add_argument("--ask", action="store_true", help="only ask the models that are kept again")
    arguments = parser.parse_args()
    if arguments.list:
        return print("\n".join(EXPERIMENTS))
    for name in arguments.names:
        result = HERE / "results" / f"{name}-{arguments.seed}.json"
        with tempfile.TemporaryDirectory() as folder:
            if arguments.ask:
                Run(name, pathlib.Path(folder), arguments).ask_again(result)
            elif arguments.again or not result.exists():
                Run(name, pathlib.Path(folder), arguments).carry_out(result)


class Run:
    """One experiment, carried out with one seed."""

    def __init__(self, name: str, work: pathlib.Path, arguments: argparse.Namespace) -> None:
        self.name, self.work, self.arguments = name, work, arguments
        self.experiment = experiment = EXPERIMENTS[name]
        self.base = arguments.model
        if experiment.parent:
            self.base = self.kept(experiment.parent)
            if not self.base.exists():
                raise SystemExit(f"{self.base} is not there; carry out {experiment.parent} first")
        if experiment.shape:
            self.base = shaped(self.base, work / "shape", experiment.shape)
        self.places = {"data": str(arguments.data), "model": str(self.base), "work": str(work)}
        self.commands: list[list[str]] = []

    def kept(self, name: str) -> pathlib.Path:
        return self.arguments.kept / f"{name}-{self.arguments.seed}"

    def carried_out(self, *command: str) -> str:
        self.commands.append(list(command))
        words = [self.arguments.tools / command[0], *command[1:]]
        if self.arguments.threads and command[1] in ("heal", "eval", "select"):
            words += ["--threads", str(self.arguments.threads)]
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout

    def chosen(self, choosing: str) -> str:
        """What is chosen, under the name without its seed: all seeds train on the same documents."""
        chosen = self.arguments.kept / f"{self.name}.jsonl"
        pool = str(self.arguments.data / "pool.jsonl")
        if not choosing:
            return pool
        command = ["trainer", "select", pool, "-o", str(chosen), *filled(choosing.split(), self.places)]
        if chosen.exists():
            self.commands.append(command)
        else:
            self.carried_out(*command)
        return str(chosen)

    def origins(self, chosen: str) -> dict[str, float]:
        """How much of what was chosen is of each text that the corpus was made of."""
        texts = {}
        for name in ("en", "ko", "python"):
            with (self.arguments.data / f"{name}.train.jsonl").open(encoding="utf-8") as file:
                texts[name] = "\n".join(bare(json.loads(line)["text"]) for line in file)
        sizes = dict.fromkeys(texts, 0)
        with open(chosen, encoding="utf-8") as file:
            for line in file:
                piece = json.loads(line)["text"]
                (origin,) = (name for name, text in texts.items() if bare(piece) in text)
                sizes[origin] += len(piece.encode())
        return {name: round(size / sum(sizes.values()), 4) for name, size in sizes.items()}

    def healed(self) -> dict[str, object]:
        """Surgery, healing and what is asked afterwards."""
        experiment, arguments, places = self.experiment, self.arguments, self.places
        for line in experiment.first:
            self.carried_out("trainer", *filled(line.split(), places))
        if experiment.choosing is not None:
            places["chosen"] = self.chosen(experiment.choosing)
        model, healed = str(self.base), self.work / "healed"
        if experiment.surgery:
            model = str(self.work / "grown")
            steps = [word for step in filled(experiment.surgery, places) for word in ("--step", step)]
            self.carried_out("surgery", "run", str(self.base), "-o", model, *steps)
        heal = ["trainer", "heal", model, "-o", str(healed), *filled(experiment.healing, places)]
        heal += ["--eval", *(f"{text}={arguments.data}/{text}.val.jsonl" for text in experiment.evaluated)]
        heal += ["--steps", str(experiment.steps), "--batch", str(experiment.batch), "--length", "256"]
        heal += ["--seed", str(arguments.seed), "--eval-at", *map(str, experiment.looks)]
        heal += ["--checkpoint-every", "0", "--no-tensorboard"]
        begun = time.monotonic()
        told = json.loads(self.carried_out(*heal, "--json"))
        found = {"seconds": round(time.monotonic() - begun), "told": told}
        if len(experiment.looks) > 2:
            found["looks"] = looks(healed.with_name(f"{healed.name}.run") / "record.jsonl")
        if experiment.choosing is not None:
            found["chosen"] = self.origins(places["chosen"])
        if experiment.asked:
            found["asked"] = self.asked(healed)
        kept = self.kept(self.name)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(healed, kept)
        return found

    def asked(self, healed: pathlib.Path) -> dict[str, object]:
        questions = [*filled(self.experiment.asked, self.places), "--parent", str(self.base), "--json"]
        return json.loads(self.carried_out("trainer", "eval", str(healed), *questions))

    def reported(self, recipe: str) -> dict[str, object]:
        """What surgery reports of a recipe."""
        path = self.work / "recipe.yaml"
        (text,) = filled([recipe], self.places)
        path.write_text(text)
        begun = time.monotonic()
        told = json.loads(self.carried_out("surgery", "run", str(path), "--json"))
        return {"seconds": round(time.monotonic() - begun), "recipe": text, "told": told}

    def carry_out(self, result: pathlib.Path) -> None:
        recipe = self.experiment.recipe
        found = self.reported(recipe) if recipe else self.healed()
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
        version = self.carried_out("trainer", "--version").strip()
        figures = {
            "name": self.name,
            "seed": self.arguments.seed,
            "commands": self.command_lines(),
            "version": version,
            "commit": commit.stdout.strip(),
            **found,
        }
        self.write(figures, result)
        after = {text: round(values["bits_per_byte"], 4) for text, values in figures["told"].get("after", {}).items()}
        print(result.name, after, f"{figures['seconds']} s", flush=True)

    def ask_again(self, result: pathlib.Path) -> None:
        kept = self.kept(self.name)
        if not (kept.exists() and result.exists() and self.experiment.asked):
            raise SystemExit(f"{self.name} has nothing that can be asked again; carry it out with --again")
        figures = json.loads(result.read_text())
        figures["asked"] = self.asked(kept)
        figures["commands"] = [line for line in figures["commands"] if not line.startswith("trainer eval ")]
        figures["commands"] += self.command_lines()
        self.write(figures, result)
        print(result.name, {name: round(one["bits_per_byte"], 4) for name, one in figures["asked"]["sets"].items()})

    def command_lines(self) -> list[str]:
        """The commands that were carried out, as one would type them."""
        return [" ".join(f"'{word}'" if " " in word else word for word in command) for command in self.commands]

    def write(self, figures: dict[str, object], result: pathlib.Path) -> None:
        text = json.dumps(figures, indent=1, ensure_ascii=False) + "\n"
        given = self.arguments
        for place, short in {self.work: ".", given.data: "data", given.model: "base", given.kept: "kept"}.items():
            text = text.replace(str(place), short)
        result.parent.mkdir(exist_ok=True)
        partial = result.with_suffix(".partial")
        partial.write_text(text)
        shutil.move(partial, result)


def looks(record: pathlib.Path) -> dict[str, dict[str, float]]:
    """Bits per byte of each text, by the step after which it was evaluated."""
    found: dict[str, dict[str, float]] = {}
    for line in map(json.loads, record.read_text().splitlines()):
        if line.get("event") == "evaluated":
            found.setdefault(str(line["step"]), {})[line["set"]] = line["result"]["bits_per_byte"]
    return found


def shaped(base: pathlib.Path, folder: pathlib.Path, shape: dict[str, int]) -> pathlib.Path:
    """A folder without weights: the base's tokenizer, and its configuration in another shape."""
    folder.mkdir()
    for path in base.glob("tokenizer*"):
        shutil.copy(path, folder)
    configuration = json.loads((base / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**configuration, **shape}, indent=2))
    return folder


if __name__ == "__main__":
    main()
