"""Compares trainer select with datatrove: verdicts, planted near-duplicates, speed, memory, planted evaluations.

usage: selection.py TRAINER WORK FILE.jsonl... [--only verdicts,pairs,speed,memory,evaluations] [--documents N]
       [--megabytes N]
Needs datatrove (0.10.1 was used), spacy (3.8.18) and xxhash below 4, which datatrove's hashes need. FILEs are the
texts; WORK is a folder that is made. Four fifths of the texts for verdicts are cut out of them, mixed and spoilt. CPU seconds are compared, so that another load on the machine counts little. Ends
with 1 where something is not as it should be.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import subprocess
import sys
import time
from collections.abc import Callable

parser = argparse.ArgumentParser()
parser.add_argument("trainer")
parser.add_argument("work", type=pathlib.Path)
parser.add_argument("files", nargs="+")
parser.add_argument("--only", default="verdicts,pairs,speed,memory,evaluations")
parser.add_argument("--documents", type=int, default=10_000)
parser.add_argument("--megabytes", type=int, default=1000)
options = parser.parse_args()
options.work.mkdir(parents=True, exist_ok=True)
failures = []


def texts(limit: int) -> list[str]:
    """Texts of the files in turn."""
    readers = [open(path, encoding="utf-8") for path in options.files]
    found = []
    while readers and len(found) < limit:
        for reader in list(readers):
            line = reader.readline()
            if not line:
                readers.remove(reader)
            elif len(found) < limit:
                found.append(json.loads(line)["text"])
    return found


def spoilt(documents: list[str], count: int) -> list[str]:
    """As many texts, cut out of documents, mixed, and spoilt in the ways that the rules look for."""
    chance = random.Random(4)
    words = sorted({word for text in documents[:200] for word in text.split()})

    def part() -> list[str]:
        lines = chance.choice(documents).split("\n")
        start = chance.randrange(len(lines))
        return lines[start : start + chance.choice((1, 3, 10, 30, 100))]

    def each(lines: list[str], share: float, change: Callable[[str], str]) -> list[str]:
        return [change(line) if chance.random() < share else line for line in lines]

    ways: list[Callable[[list[str], float], list[str]]] = [
        lambda lines, share: lines,
        lambda lines, share: lines + part() + part(),
        lambda lines, share: each(lines, share, lambda line: "- " + line),
        lambda lines, share: each(lines, share, lambda line: line.rstrip(".") + chance.choice(("...", "…"))),
        lambda lines, share: each(lines, share, lambda line: line.replace(" ", " # ", chance.randrange(1, 4))),
        lambda lines, share: each(lines, share, lambda line: line.replace(" ", " 17 ", chance.randrange(1, 9))),
        lambda lines, share: each(lines, share, lambda line: line.replace(" ", chance.choice(("", "-", "_")))),
        lambda lines, share: each(lines, share, lambda line: " ".join(word[:2] for word in line.split())),
        lambda lines, share: each(lines, share, lambda line: line.rstrip(".!?:;")),
        lambda lines, share: each(lines, share, lambda line: line[: chance.randrange(1, 40)]),
        lambda lines, share: each(lines, share, lambda line: line.replace(" ", "\n")),
        lambda lines, share: each(lines, share, lambda line: f"{line} {line}"),
        lambda lines, share: lines + [line for line in lines if chance.random() < share],
        lambda lines, share: "\n\n".join(lines + lines[: round(share * len(lines))]).split("\n"),
        lambda lines, share: [" ".join(lines), *([" ".join(lines[:2])] * round(10 * share))],
        lambda lines, share: [" ".join(chance.choices(words, k=chance.choice((20, 60, 400, 3000))))],
        lambda lines, share: [" ".join(chance.choices(words[:: len(words) // 9], k=chance.choice((60, 400))))],
        lambda lines, share: lines * (1 + round(400 * share)),
        lambda lines, share: each(lines, share, str.upper),
        lambda lines, share: each(
            lines, share, lambda line: line + chance.choice((" :-)", "\u00a0", "\t", " 안녕하세요 ", " é"))
        ),
    ]
    found = []
    while len(found) < count:
        lines = part() if chance.random() < 0.5 else chance.choice(documents).split("\n")
        for _ in range(chance.randrange(1, 3)):
            lines = chance.choice(ways)(lines, chance.random())
        text = "\n".join(lines)[:400_000]
        if text.strip():
            found.append(text)
    return found


def write(name: str, lines: list[str]) -> pathlib.Path:
    path = options.work / name
    with open(path, "w", encoding="utf-8") as file:
        for text in lines:
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    return path


def select(path: pathlib.Path, name: str, *arguments: str) -> tuple[list[dict], float, int]:
    """Runs trainer select; returns every document's fate, the CPU seconds and the peak memory in bytes."""
    out = options.work / name
    command = [options.trainer, "select", str(path), "-o", str(out), "--force", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    messages = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: {messages}")
    explained = subprocess.run(
        [options.trainer, "select", "-o", str(out), "--explain", "all"], capture_output=True, check=True
    ).stdout
    fates = [json.loads(line) for line in explained.splitlines()]
    return fates, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


KEEP = ["--clean", "none", "--keep-duplicates", "--keep-near-duplicates"]


def filters() -> dict:
    from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter

    return {
        "gopher_quality": GopherQualityFilter(),
        "gopher_repetition": GopherRepetitionFilter(),
        "fineweb_quality": FineWebQualityFilter(),
    }


def signer() -> "MinhashDedupSignature":  # noqa: F821
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    return MinhashDedupSignature(str(options.work / "unused"), MinhashConfig())


def verdicts() -> None:
    from datatrove.data import Document

    documents = texts(options.documents // 5)
    documents += spoilt(documents, options.documents - len(documents))
    path = write("verdicts.jsonl", documents)
    for group, rules in filters().items():
        fates, _, _ = select(path, f"{group}.jsonl", "--rules", group, *KEEP)
        same, theirs, different = collections.Counter(), collections.Counter(), []
        for text, fate in zip(documents, fates, strict=True):
            verdict = rules.filter(Document(text=text, id=""))
            reason = "kept" if verdict is True else verdict[1]
            theirs[reason] += 1
            if reason == fate.get("reason", "kept"):
                same[reason] += 1
            else:
                different.append((reason, fate.get("reason", "kept"), fate.get("score"), text[:60]))
        print(f"{group}: {len(documents) - len(different)} of {len(documents)} verdicts the same")
        for reason, count in theirs.most_common():
            print(f"  {reason}: {same[reason]} of {count}")
        for entry in different[:10]:
            print("  other:", entry)
        if len(different) > len(documents) / 1000:
            failures.append(f"{group}: {len(different)} other verdicts")


def pairs() -> None:
    generator = random.Random(1)
    sign = signer()
    documents, similarities, shared = [], [], []
    for target in (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95):
        for _ in range(300):
            words = ["".join(generator.choices("bcdfglmnprstvz", k=6)) for _ in range(404)]
            changed = list(words)
            count = round(400 * (1 - target) / (5 * (1 + target)))
            for place in generator.sample(range(40), count):
                changed[place * 10 + 5] = "".join(generator.choices("aeiouy", k=8))
            one, two = " ".join(words), " ".join(changed)
            a, b = (set(sign.get_shingles(text).ravel().tolist()) for text in (one, two))
            similarities.append((target, len(a & b) / len(a | b)))
            bands = [sign.get_signature(sign.get_shingles(text)) for text in (one, two)]
            shared.append(any(x == y for x, y in zip(*bands)))
            documents += [one, two]
    fates, _, _ = select(write("pairs.jsonl", documents), "pairs.out.jsonl", "--rules", "none", "--clean", "none")
    found = [fates[2 * i + 1].get("reason") == "near_duplicate" for i in range(len(similarities))]
    others = [fates[2 * i].get("reason") for i in range(len(similarities)) if fates[2 * i].get("reason")]
    for target in dict.fromkeys(target for target, _ in similarities):
        mine = [i for i, (t, _) in enumerate(similarities) if t == target]
        chances = [1 - (1 - similarities[i][1] ** 8) ** 14 for i in mine]
        share, expected = sum(found[i] for i in mine) / len(mine), sum(chances) / len(mine)
        error = sum(p * (1 - p) for p in chances) ** 0.5 / len(mine)
        within = abs(share - expected) <= 3 * max(error, 1 / len(mine) / 3)
        print(f"similarity {target}: found {share:.3f}, expected {expected:.3f} ± {error:.3f}")
        if not within:
            failures.append(f"pairs at {target}")
    same = sum(x == y for x, y in zip(found, shared))
    print(f"the same as datatrove: {same} of {len(found)} pairs; {len(others)} others")
    if found != shared or others:
        failures.append("pairs found otherwise than by datatrove")


def speed() -> None:
    from datatrove.data import Document

    documents = texts(min(options.documents, 3000))
    size = sum(len(text.encode()) for text in documents)
    path = write("speed.jsonl", documents)
    rules, sign = list(filters().values()), signer()
    sign.get_shingles("a warm start for the tokenizer")
    start = time.process_time()
    for text in documents:
        document = Document(text=text, id="")
        if all(rule.filter(document) is True for rule in rules):
            shingles = sign.get_shingles(text)
            if shingles.size:
                sign.get_signature(shingles)
    theirs = time.process_time() - start
    _, ours, _ = select(path, "speed.out.jsonl", "--threads", "1")
    start = time.process_time()
    for text in documents:
        shingles = sign.get_shingles(text)
        if shingles.size:
            sign.get_signature(shingles)
    their_hash = time.process_time() - start
    _, hash_only, _ = select(path, "hash.out.jsonl", "--threads", "1", "--rules", "none")
    _, bare, _ = select(path, "bare.out.jsonl", "--threads", "1", "--rules", "none", "--keep-near-duplicates")
    print(
        f"{size / 1e6:.1f} MB, CPU seconds of one core: rules and MinHash {theirs:.2f} (datatrove, signatures alone) "
        f"and {ours:.2f} (trainer, from file to file): {theirs / ours:.1f} times; MinHash alone {their_hash:.2f} and "
        f"{hash_only:.2f}: {their_hash / hash_only:.1f} times; reading and writing {bare:.2f}"
    )
    if theirs < 5 * ours:
        failures.append("less than 5 times datatrove's speed")


def memory() -> None:
    generator = random.Random(2)
    documents = texts(200_000)
    path, size = options.work / "large.jsonl", 0
    with open(path, "w", encoding="utf-8") as file:
        while size < options.megabytes * 1_000_000:
            text = generator.choice(documents)
            words = text.split(" ")
            for _ in range(len(words) // 10):
                words[generator.randrange(len(words))] = generator.choice(words)
            line = json.dumps({"text": " ".join(words)}, ensure_ascii=False) + "\n"
            size += len(line.encode())
            file.write(line)
    start = time.time()
    fates, seconds, peak = select(path, "large.out.jsonl")
    print(
        f"{size / 1e9:.2f} GB, {len(fates)} documents: {time.time() - start:.0f} s with the ledger read, "
        f"{seconds:.0f} s of CPU, {peak / 1e6:.0f} MB at most"
    )
    if peak > 1_000_000_000:
        failures.append("more than 1 GB of memory")


def plain(text: str) -> str:
    from datatrove.utils.text import TextNormConfig, simplify_text

    return f" {simplify_text(text, TextNormConfig(norm_numbers=False))} "


def holds(words: list[str], question: list[str]) -> bool:
    """Whether half of a question's runs of words, or a short one as a whole, stand among words."""
    size = min(13, len(question))
    runs = {tuple(question[i : i + size]) for i in range(len(question) - size + 1)}
    there = {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}
    return len(runs & there) >= len(runs) / 2


def evaluations() -> None:
    generator = random.Random(3)
    documents = [text for text in texts(20_000) if len(text.split()) >= 40][:2100]
    sources, targets = documents[:100], documents[100:]
    planted, held, questions = set(), list(targets), []
    for text in sources:
        words = text.split()
        start = generator.randrange(max(1, len(words) - 20))
        question = " ".join(words[start : start + generator.randrange(6, 20)])
        questions.append(question)
        place = generator.choice([i for i in range(1000, len(targets)) if i not in planted])
        planted.add(place)
        cut = generator.randrange(len(targets[place].split()))
        parts = targets[place].split()
        held[place] = " ".join(parts[:cut] + [question.upper() + "!"] + parts[cut:])
    path, evaluation = write("held.jsonl", held), write("questions.jsonl", questions)
    fates, _, _ = select(path, "held.out.jsonl", "--rules", "none", "--against", f"planted={evaluation}", *KEEP)
    flagged = {i for i, fate in enumerate(fates) if fate.get("reason") == "contamination"}
    others = sorted(i for i in flagged - planted if i < 1000)
    # A text of a corpus may hold a good part of a sentence of another; that is found rightly.
    known = [plain(question).split() for question in questions]
    wrong = [i for i in others if not any(holds(plain(held[i]).split(), words) for words in known)]
    print(
        f"evaluations: {len(planted - flagged)} of {len(planted)} planted missed, {len(wrong)} of 1000 others flagged, "
        f"besides {len(others) - len(wrong)} that hold one of themselves"
    )
    if planted - flagged or wrong:
        failures.append("evaluations")


for name in options.only.split(","):
    {"verdicts": verdicts, "pairs": pairs, "speed": speed, "memory": memory, "evaluations": evaluations}[name]()
for failure in failures:
    print("NOT AS IT SHOULD BE:", failure)
sys.exit(1 if failures else 0)
