"""Questions and answers out of Python's documentation: a signature, and the sentence below it.

usage: questions.py DATA FOLDER     DATA: has python.train.jsonl and python.val.jsonl, a {"text": ...} a line, as Debian's
                                    python3-doc gives them without markup; FOLDER: gets qa.train.jsonl and qa.val.jsonl

What Documentation/surgery-restore.md takes for instructions: of Python 3.11's documentation 2,673 pairs (397,184 characters) to
train on and 144 (21,287) to measure.
"""
import json, sys
from pathlib import Path

data, folder = Path(sys.argv[1]), Path(sys.argv[2])
for kind in ["train", "val"]:
    with open(folder / f"qa.{kind}.jsonl", "w") as out:
        for line in open(data / f"python.{kind}.jsonl"):
            lines = json.loads(line)["text"].split("\n")
            for name, about in zip(lines, lines[1:]):
                if not name.endswith(")¶") or len(about) < 20 or about.endswith("¶"):
                    continue
                text = f"### Question: What does {name[:-1]} do?\n### Answer: {about}"
                out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
