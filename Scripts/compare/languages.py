"""How often `trainer select --language` knows the language of texts that it has not seen.

usage: languages.py TRAINER WORK [LANGUAGE ...]      (da de es it nl pt sv)

Samples are 100,000 characters of LibreOffice's help in each language (Debian's libreoffice-help packages, which are
downloaded and not installed). Texts of 30, 60, 120 and 300 characters are of other pages of the help, and of translated
manual pages under /usr/share/man, where there are any. Both hold English that nobody has translated: lines and texts
with one of six English words are left out. Each language is told from all others; and each text is asked of
the samples without that of its own language, where it is to be unknown.
"""

import collections
import gzip
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "evidence"))

from texts import PageText

ENGLISH = re.compile(r"\b(the|and|this|with|you|are)\b", re.IGNORECASE)


def pages(language: str, work: pathlib.Path) -> list[str]:
    """The lines of each page of the help in a language, those of earlier pages left out."""
    folder = work / language
    if not folder.exists():
        folder.mkdir(parents=True)
        package = f"libreoffice-help-{language}"
        subprocess.run(["apt-get", "-qq", "download", package], cwd=folder, check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["dpkg", "-x", next(folder.glob("*.deb")), folder / "x"], check=True)
    seen, found = set(), []
    for page in sorted(folder.glob("x/**/*.html")):
        parser = PageText()
        parser.feed(page.read_text(errors="ignore"))
        lines = [line for line in parser.lines() if len(line) >= 40 and not ENGLISH.search(line)]
        keep = [line for line in lines if not (line in seen or seen.add(line))]
        if keep:
            found.append("\n".join(keep))
    return found


def manuals(language: str) -> list[str]:
    """The paragraphs of translated manual pages, without their markup."""
    found = []
    for path in sorted(pathlib.Path("/usr/share/man", language).glob("man*/*.gz")):
        lines = gzip.decompress(path.read_bytes()).decode(errors="replace").split("\n")
        text = " ".join(line for line in lines if line and line[0] not in ".'")
        found.append(re.sub(r"\s+", " ", re.sub(r"\\f.|\\[-&|]|\\\(..|\\\[[^]]*\]", "", text)))
    return found


def pieces(texts: list[str], length: int, count: int) -> list[str]:
    """Texts of a length, cut out of different ones at spaces, the first words left out."""
    found = []
    for text in texts:
        for start in range(200, len(text) - length, 1000):
            first = text.find(" ", start) + 1
            piece = text[first : first + length]
            if not ENGLISH.search(piece):
                found.append(piece)
    step = max(1, len(found) // count)
    return found[::step][:count]


def verdicts(trainer: str, work: pathlib.Path, samples: list[str], texts: list[str]) -> list[str]:
    """The language of each text, as `trainer select` explains it."""
    name = work / "texts.jsonl"
    name.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    out = work / "out.jsonl"
    arguments = [f"{language}={work}/{language}.sample.jsonl" for language in samples]
    # What is in the first language is kept; of all else it is told why it was dropped.
    words = [
        trainer,
        "select",
        str(name),
        "-o",
        str(out),
        "--rules",
        "none",
        "--keep-duplicates",
        "--keep-near-duplicates",
    ]
    words += ["--language-samples", *arguments, "--language", samples[0], "--force"]
    subprocess.run(words, check=True, capture_output=True)
    lines = subprocess.run([trainer, "select", "-o", str(out), "--explain", "all"], check=True, capture_output=True)
    found = []
    for line in lines.stdout.splitlines():
        fate = json.loads(line)
        if fate["kept"]:
            found.append(samples[0])
        else:
            found.append("undecided" if fate["reason"] == "undecided_language" else fate["language"])
    return found


def main() -> None:
    trainer, work = sys.argv[1], pathlib.Path(sys.argv[2])
    languages = sys.argv[3:] or "da de es it nl pt sv".split()
    texts: dict[str, dict[str, list[str]]] = collections.defaultdict(dict)
    for language in languages:
        help_pages = pages(language, work)
        sample, size = [], 0
        for page in help_pages[::2]:
            if size < 100_000:
                sample.append(page)
                size += len(page)
        lines = "".join(json.dumps({"text": page}) + "\n" for page in sample)
        (work / f"{language}.sample.jsonl").write_text(lines)
        texts["help"][language] = help_pages[1::2]
        texts["manuals"][language] = manuals(language)
    print("| texts | characters | texts | right | wrong | undecided | unknown | without their sample: unknown |")
    for kind, by_language in texts.items():
        for length in (30, 60, 120, 300):
            counts: collections.Counter[str] = collections.Counter()
            for language in languages:
                some = pieces(by_language[language], length, 200)
                if not some:
                    continue
                for verdict in verdicts(trainer, work, languages, some):
                    known = verdict in ("undecided", "unknown")
                    counts[verdict if known else "right" if verdict == language else f"{language} for {verdict}"] += 1
                rest = [other for other in languages if other != language]
                for verdict in verdicts(trainer, work, rest, some):
                    counts["foreign " + (verdict if verdict in ("undecided", "unknown") else "guessed")] += 1
            all_texts = sum(count for name, count in counts.items() if not name.startswith("foreign"))
            wrong = all_texts - counts["right"] - counts["undecided"] - counts["unknown"]
            shares = [counts["right"], wrong, counts["undecided"], counts["unknown"], counts["foreign unknown"]]
            cells = " | ".join(f"{100 * share / max(1, all_texts):.1f} %" for share in shares)
            print(f"| {kind} | {length} | {all_texts} | {cells} |", flush=True)
            pairs = [(n, c) for n, c in counts.most_common() if " for " in n]
            print("   ", pairs[:6], flush=True)


main()
