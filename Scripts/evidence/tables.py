#!/usr/bin/env python3
"""Makes the tables of Documentation/healing-evidence.md of what experiments.py has written down.

usage: tables.py [--check]

A table stands behind a line <!-- table of TEXT TEXT: NAME NAME … -->, a row an experiment; where it was carried out
with several seeds the row has the mean, and the largest distance from it. A text that healing has evaluated has two
columns, before and after, and counts in the sum; of what was asked afterwards a text has one, and questions are written
?NAME, for the share that was answered rightly. Behind <!-- looks of TEXT: NAME NAME … --> each row has what a run of
several looks saw of a text, by step. Behind <!-- probe NAME of TEXT TEXT: INIT=NAME … --> each row begins
with what the probe of the first NAME, --init auto, has found of that INIT. --check changes nothing and fails where the
page would change.
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "Documentation/healing-evidence.md"


def runs_of(name: str) -> list[dict]:
    runs = [json.loads(path.read_text()) for path in sorted((HERE / "results").glob(f"{name}-[0-9]*.json"))]
    runs = [run for run in runs if run["name"] == name]
    if not runs:
        sys.exit(f"{name}: experiments.py has not carried it out")
    return runs


def columns(text: str, runs: list[dict]) -> list[tuple[str, str]]:
    """The titles and cells of what runs make of a text."""
    if text.startswith("?"):
        return [(text, words([run["asked"]["choices"][text[1:]]["acc"] for run in runs], digits=3))]
    if text not in runs[0]["told"]["after"]:
        asked = [run["asked"]["sets"] for run in runs]
        # Older results were asked of another text.
        known = all(text in sets for sets in asked)
        return [(text, words([sets[text]["bits_per_byte"] for sets in asked]) if known else "–")]
    told = {when: [run["told"][when][text]["bits_per_byte"] for run in runs] for when in ("before", "after")}
    return [(f"{text}, before", words(told["before"])), (text, words(told["after"]))]


def row(name: str, texts: list[str]) -> list[tuple[str, str]]:
    """The titles and cells of an experiment."""
    runs = runs_of(name)
    cells = [("experiment", f"`{name}`"), ("seeds", str(len(runs)))]
    cells += [cell for text in texts for cell in columns(text, runs)]
    if "chosen" in runs[0]:
        cells.append((f"of {texts[0]}", f"{100 * runs[0]['chosen'][texts[0]]:.0f} %"))
    healed = [text for text in texts if text in runs[0]["told"]["after"]]
    if len(healed) > 1:
        sums = [sum(run["told"]["after"][text]["bits_per_byte"] for text in healed) for run in runs]
        cells.append(("sum", words(sums)))
    return cells


def looked(name: str, text: str) -> list[tuple[str, str]]:
    """The titles and cells of what the runs of an experiment came to on the way."""
    runs = [run["looks"] for run in runs_of(name)]
    cells = [("experiment", f"`{name}`"), ("seeds", str(len(runs)))]
    return cells + [(f"after {step}", words([run[step][text] for run in runs])) for step in runs[0]]


def words(values: list[float], digits: int = 4) -> str:
    mean = sum(values) / len(values)
    spread = max(abs(value - mean) for value in values)
    return f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if len(values) > 1 else "")


def probed(name: str, method: str) -> list[tuple[str, str]]:
    """The titles and cells of a way in which new rows may begin."""
    probes = [step["init_probe"] for run in runs_of(name) for step in run["told"]["steps"] if "init_probe" in step]
    found = [row for probe in probes for row in probe["methods"] if row["init"] == method]
    before, after = ([row[f"bits_per_byte_{when}"] for row in found] for when in ("before", "after"))
    steps = probes[0]["steps"]
    return [("rows begin as", f"`{method}`"), ("held back", words(before)), (f"after {steps} steps", words(after))]


def table(match: re.Match[str]) -> str:
    probe, texts, names = match[2], match[3].split(), match[4].split()
    rows = []
    for name in names:
        if match[1].startswith("<!-- looks"):
            rows.append(looked(name, *texts))
            continue
        method, _, experiment = name.rpartition("=")
        rows.append((probed(probe, method) if probe else []) + row(experiment, texts))
    left = [title in ("experiment", "rows begin as") for title, _ in rows[0]]
    lines = [[title for title, _ in rows[0]], ["---" if is_left else "---:" for is_left in left]]
    lines += [[cell for _, cell in cells] for cells in rows]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{match[1]}\n\n{text}\n"


old = PAGE.read_text()
new = re.sub(r"(<!-- (?:table|looks|probe (\S+)) of (.*?): (.*?) -->)\n\n(?:\|.*\n)*\n?", table, old)
if "--check" not in sys.argv:
    PAGE.write_text(new)
elif new != old:
    sys.exit(f"{PAGE.name} does not have what Scripts/evidence/results say; run Scripts/evidence/tables.py")
