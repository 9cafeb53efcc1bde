#!/usr/bin/env python3
"""Makes the tables of Documentation/healing-evidence.md of what experiments.py has written down.

usage: tables.py [--check]

A table stands behind a line <!-- table of TEXT TEXT: NAME NAME … -->, a row an experiment; where it was carried out with
several seeds the row has the mean, and the largest distance from it. A text that healing has evaluated has two columns,
before and after, and counts in the sum; of what was asked afterwards a text has one, and questions are written ?NAME, for
the share that was answered rightly. --check changes nothing and fails where the page would change.
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "Documentation/healing-evidence.md"


def row(name: str, texts: list[str]) -> str:
    runs = [json.loads(path.read_text()) for path in sorted((HERE / "results").glob(f"{name}-[0-9]*.json"))]
    runs = [run for run in runs if run["name"] == name]
    if not runs:
        sys.exit(f"{name}: experiments.py has not carried it out")
    cells = [f"`{name}`", str(len(runs))]
    healed = [text for text in texts if text in runs[0]["told"]["after"]]
    for text in texts:
        if text in healed:
            cells.append(words([run["told"]["before"][text]["bits_per_byte"] for run in runs]))
            cells.append(words([run["told"]["after"][text]["bits_per_byte"] for run in runs]))
        elif text.startswith("?"):
            cells.append(words([run["asked"]["choices"][text[1:]]["acc"] for run in runs], digits=3))
        else:
            cells.append(words([run["asked"]["sets"][text]["bits_per_byte"] for run in runs]))
    if len(healed) > 1:
        cells.append(words([sum(run["told"]["after"][text]["bits_per_byte"] for text in healed) for run in runs]))
    return "| " + " | ".join(cells) + " |"


def words(values: list[float], digits: int = 4) -> str:
    mean = sum(values) / len(values)
    spread = max(abs(value - mean) for value in values)
    return f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if len(values) > 1 else "")


def table(match: re.Match[str]) -> str:
    texts, names = match[1].split(), match[2].split()
    asked = ("other", "?ko", "?en")
    columns = []
    for text in texts:
        columns += [text] if text in asked else [f"{text}, before", text]
    columns += ["sum"] * (len([text for text in texts if text not in asked]) > 1)
    head = f"| experiment | seeds | {' | '.join(columns)} |\n| --- |{' ---: |' * (len(columns) + 1)}\n"
    rows = "".join(row(name, texts) + "\n" for name in names)
    return f"<!-- table of {match[1]}: {match[2]} -->\n\n{head}{rows}\n"


old = PAGE.read_text()
new = re.sub(r"<!-- table of (.*?): (.*?) -->\n\n(?:\|.*\n)*\n?", table, old)
if "--check" not in sys.argv:
    PAGE.write_text(new)
elif new != old:
    sys.exit(f"{PAGE.name} does not have what Scripts/evidence/results say; run Scripts/evidence/tables.py")
