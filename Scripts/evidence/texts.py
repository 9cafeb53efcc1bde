#!/usr/bin/env python3
"""Makes the texts that experiments.py needs beside en, ko and python, out of Debian's documentation packages.

usage: texts.py FOLDER

FOLDER has ko, en and python, each as train.jsonl and val.jsonl. Written beside them:
  gimp.val.jsonl          Korean help of another program (gimp-help-ko), lines of mostly Hangul
  ko.choices.jsonl, en.choices.jsonl
                          200 questions each: which of four lines follows in a held-out page
  docs.train.jsonl, docs.val.jsonl
                          English documentation of five programs, for a parent from nothing; each fortieth page held out
  pool.jsonl, task.jsonl  English help, half of the Korean help and a third of Python's documentation in pieces of at
                          most 1,500 characters, in an order by lot; and 60 pieces of other pages of the last
Needs apt-get and dpkg; nothing is installed.
"""

import html.parser
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable

HANGUL = re.compile("[\uac00-\ud7a3]")
DOCUMENTATION = ["libreoffice-help-en-us", "python3.11-doc", "gimp-help-en", "postgresql-doc-15", "git-doc"]


class PageText(html.parser.HTMLParser):
    """The lines of a page that a reader sees, menus left out."""

    HIDDEN = {"script", "style", "head", "nav", "header", "footer"}
    LINES = {"p", "div", "li", "h1", "h2", "h3", "h4", "tr", "br", "pre", "td", "dt", "dd"}

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in self.HIDDEN
        if tag in self.LINES:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in self.HIDDEN and self.hidden > 0

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)

    def lines(self) -> list[str]:
        return [" ".join(line.split()) for line in "".join(self.parts).split("\n")]


def pages(packages: list[str], wanted: Callable[[str], object] = bool) -> list[str]:
    """Pages of two lines or more; lines of 20 characters or more that no page before had."""
    seen, found = set(), []
    for package in packages:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "-qq", "download", package], cwd=folder, check=True, stderr=subprocess.DEVNULL)
            (archive,) = pathlib.Path(folder).glob("*.deb")
            subprocess.run(["dpkg", "-x", archive, f"{folder}/tree"], check=True)
            for path in sorted(pathlib.Path(folder, "tree").rglob("*.html")):
                page = PageText()
                page.feed(path.read_text(errors="ignore"))
                lines = [line for line in dict.fromkeys(page.lines()) if len(line) >= 20 and wanted(line)]
                lines = [line for line in lines if line not in seen]
                seen.update(lines)
                if len(lines) >= 2:
                    found.append("\n".join(lines))
    return found


def is_korean(line: str) -> bool:
    return 2 * len(HANGUL.findall(line)) >= sum(map(str.isalpha, line)) > 0


def write(path: pathlib.Path, objects: list) -> None:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects), encoding="utf-8")


def questions(path: pathlib.Path, count: int) -> list[dict]:
    """The first lines of a page, and four that could be the next: one is, three are from other pages."""
    chance = random.Random(0)
    documents = [json.loads(line)["text"].split("\n") for line in path.open(encoding="utf-8")]
    documents = [lines for lines in documents if len(lines) >= 3]
    places = [(at, line) for at, lines in enumerate(documents) for line in range(1, len(lines))]
    chance.shuffle(places)
    made = []
    for at, line in places[:count]:
        others = chance.sample([other for other in range(len(documents)) if other != at], 3)
        choices = [chance.choice(documents[other][1:]) for other in others]
        answer = chance.randrange(4)
        choices.insert(answer, documents[at][line])
        if len(set(choices)) == 4:
            context = "\n".join(documents[at][max(0, line - 3) : line]) + "\n"
            made.append({"context": context, "choices": choices, "answer": answer})
    return made


def pieces(path: pathlib.Path) -> list[str]:
    """The documents' lines, run together to pieces of at most 1,500 characters but for lines that are longer."""
    found = []
    for line in path.open(encoding="utf-8"):
        piece = ""
        for part in json.loads(line)["text"].split("\n"):
            if piece and len(piece) + len(part) >= 1500:
                found.append(piece)
                piece = ""
            piece += "\n" * bool(piece) + part
        found.append(piece)
    return found


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    for language in ("ko", "en"):
        write(folder / f"{language}.choices.jsonl", questions(folder / f"{language}.val.jsonl", 200))
    english, korean, python = (pieces(folder / f"{name}.train.jsonl") for name in ("en", "ko", "python"))
    pool = english + korean[: len(korean) // 2] + python[: len(python) // 3]
    random.Random(0).shuffle(pool)
    write(folder / "pool.jsonl", [{"text": text} for text in pool])
    write(folder / "task.jsonl", [{"text": text} for text in random.Random(0).sample(python[len(python) // 2 :], 60)])
    write(folder / "gimp.val.jsonl", [{"text": text} for text in pages(["gimp-help-ko"], wanted=is_korean)])
    documentation = [{"text": text} for text in pages(DOCUMENTATION)]
    write(folder / "docs.val.jsonl", documentation[::40])
    write(folder / "docs.train.jsonl", [one for at, one in enumerate(documentation) if at % 40])


if __name__ == "__main__":
    main()
