#!/usr/bin/env python3
"""Makes the tables of Documentation/healing-evidence.md of what experiments.py has written down.

usage: tables.py [--check]

A table stands behind a line <!-- table: NAME NAME … -->, a row an experiment; where it was carried out with several seeds
the row has the mean, and the largest distance from it. --check changes nothing and fails where the page would change.
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "Documentation/healing-evidence.md"


def row(name: str) -> str:
    runs = [json.loads(path.read_text()) for path in sorted((HERE / "results").glob(f"{name}-[0-9]*.json"))]
    runs = [run for run in runs if run["name"] == name]
    if not runs:
        sys.exit(f"{name}: experiments.py has not carried it out")
    cells = [f"`{name}`", str(len(runs))]
    sums = [0.0] * len(runs)
    for text in ("ko", "en"):
        values = [run["told"]["after"][text]["bits_per_byte"] for run in runs]
        sums = [one + value for one, value in zip(sums, values)]
        cells.append(words([run["told"]["before"][text]["bits_per_byte"] for run in runs]))
        cells.append(words(values))
    cells.append(words(sums))
    return "| " + " | ".join(cells) + " |"


def words(values: list[float]) -> str:
    mean = sum(values) / len(values)
    spread = max(abs(value - mean) for value in values)
    return f"{mean:.4f}" + (f" ± {spread:.4f}" if len(values) > 1 else "")


def table(match: re.Match[str]) -> str:
    head = "| experiment | seeds | ko, before | ko | en, before | en | sum |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    rows = "".join(row(name) + "\n" for name in match[1].split())
    return f"<!-- table: {match[1]} -->\n\n{head}{rows}\n"


old = PAGE.read_text()
new = re.sub(r"<!-- table: (.*?) -->\n\n(?:\|.*\n)*\n?", table, old)
if "--check" not in sys.argv:
    PAGE.write_text(new)
elif new != old:
    sys.exit(f"{PAGE.name} does not have what Scripts/evidence/results say; run Scripts/evidence/tables.py")
