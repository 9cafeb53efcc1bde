"""Packs a corpus with `trainer tokenize -o FOLDER` and with Hugging Face tokenizers in turn, and kills ours at random moments.

    python Scripts/compare/tokenize_corpus.py .build/release/trainer TOKENIZER FOLDER --files FILE.jsonl… [--gigabytes 1] [--rounds 3] [--kills 10]

The corpus is made in FOLDER of the documents of FILES, again and again, each time with its words in another order, so that no text
comes twice. Theirs reads the lines in batches of 2,000 documents, encodes each with encode_batch on all processors and writes the ids
as 16 bits to a file, in the order of the corpus; ours is the whole command, shuffled. Tokens a second and the peak of resident memory
(of the process and its threads), medians of the rounds. Then the command is killed (SIGKILL) at moments drawn evenly over its usual
time, one folder after the other, until so many kills have hit, and what it comes to in the end has to be the same bytes. Needs tokenizers.
Exit code 1 where anything differed.
"""
import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("trainer", type=Path)
parser.add_argument("tokenizer", type=Path)
parser.add_argument("folder", type=Path)
parser.add_argument("--files", nargs="+")
parser.add_argument("--gigabytes", type=float, default=1)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--kills", type=int, default=10)
parser.add_argument("--shard-bytes", default="256MB")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--peer", type=Path, help="(for itself) the corpus to encode")
options = parser.parse_args()
corpus = options.folder / "corpus"


def make_corpus():
    """Eight files of about as many bytes as wanted; each document's words shuffled anew each time."""
    texts = [json.loads(line)["text"].split(" ") for path in options.files for line in open(path, encoding="utf-8")]
    draw, size, wanted = random.Random(options.seed), 0, options.gigabytes * 1e9
    corpus.mkdir(parents=True)
    files = [open(corpus / f"{number}.jsonl", "w", encoding="utf-8") for number in range(8)]
    while size < wanted:
        for words in texts:
            draw.shuffle(words)
            line = json.dumps({"text": " ".join(words)}, ensure_ascii=False) + "\n"
            files[draw.randrange(8)].write(line)
            size += len(line.encode())
            if size >= wanted:
                break
    for file in files:
        file.close()


def peer():
    import numpy
    import tokenizers
    made = tokenizers.Tokenizer.from_file(str(options.tokenizer / "tokenizer.json"))
    tokens = 0
    with open(options.folder / "peer.bin", "wb") as output:
        for path in sorted(options.peer.iterdir()):
            batch = []
            for line in open(path, encoding="utf-8"):
                batch.append(json.loads(line)["text"])
                if len(batch) == 2000:
                    tokens += encode(made, batch, output, numpy)
                    batch = []
            tokens += encode(made, batch, output, numpy)
    print(tokens)


def encode(made, batch, output, numpy):
    count = 0
    for encoding in made.encode_batch(batch):
        count += len(encoding.ids)
        output.write(numpy.asarray(encoding.ids, dtype=numpy.uint16).tobytes())
    return count


def measured(command):
    """The command's output, its seconds and the peak of its resident memory in bytes."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command}: exit code {process.returncode}")
    return output, time.perf_counter() - begin, usage.ru_maxrss * 1024


def ours_command(output):
    return [str(options.trainer), "tokenize", str(options.tokenizer), str(corpus), "-o", str(output), "--seed", "1",
            "--shard-bytes", options.shard_bytes, "--json"]


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def main():
    if not corpus.exists():
        make_corpus()
    size = sum(path.stat().st_size for path in corpus.iterdir())
    print(f"{size / 1e9:.2f} GB of JSON lines in {len(list(corpus.iterdir()))} files", flush=True)
    out = options.folder / "tokens"
    rates, peaks, seconds = {"ours": [], "theirs": []}, {"ours": [], "theirs": []}, []
    for _ in range(options.rounds):
        shutil.rmtree(out, ignore_errors=True)
        output, taken, peak = measured(ours_command(out))
        tokens = json.loads(output)["tokens"]
        rates["ours"].append(tokens / taken)
        peaks["ours"].append(peak)
        seconds.append(taken)
        output, taken, peak = measured([
            sys.executable, sys.argv[0], str(options.trainer), str(options.tokenizer), str(options.folder), "--peer", str(corpus)])
        if int(output) != tokens:
            sys.exit(f"{tokens} tokens here, {int(output)} there")
        rates["theirs"].append(tokens / taken)
        peaks["theirs"].append(peak)
    for name in rates:
        print(f"{name}: {statistics.median(rates[name]) / 1e6:.2f} M tokens/s ({', '.join(f'{r / 1e6:.2f}' for r in rates[name])}), "
              f"{statistics.median(peaks[name]) / 1e6:.0f} MB ({', '.join(f'{p / 1e6:.0f}' for p in peaks[name])})")
    print(f"ratio {statistics.median(rates['ours']) / statistics.median(rates['theirs']):.2f}; {tokens} tokens", flush=True)
    expected, usual, draw = digests(out), statistics.median(seconds), random.Random(options.seed)
    kills, runs, differing = 0, 0, 0
    while kills < options.kills:
        runs += 1
        shutil.rmtree(out)
        while True:
            process = subprocess.Popen(ours_command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if kills < options.kills:
                try:
                    process.wait(usual * draw.random())
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
            if process.wait() == 0:
                break
            kills += 1
        differing += digests(out) != expected
    print(f"{kills} kills in {runs} runs, {differing} results differ")
    sys.exit(1 if differing else 0)


if options.peer:
    peer()
else:
    main()
