"""Measures encoding beside Hugging Face tokenizers, in turn, on one thread and on two.

    python Scripts/compare/tokenizer_speed.py .build/release/trainer TOKENIZER --files FILE.jsonl… [--seconds 10] [--rounds 5]

Each side encodes a file's documents again and again for about so many seconds, so that its own cache is warm. Theirs is the time
of encode_batch_fast alone, in a process of its own; ours is the time of the whole command, which also starts, opens the
tokenizer and reads the file anew each time. Needs tokenizers==0.23.3.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("trainer")
parser.add_argument("tokenizer")
parser.add_argument("--files", nargs="*", default=[])
parser.add_argument("--seconds", type=float, default=10)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
parser.add_argument("--peer", nargs=3, help="(for itself) a file, the times over, whether to count bytes")
options = parser.parse_args()


def texts_of(path):
    return [json.loads(line)["text"] for line in open(path, encoding="utf-8") if line.strip()]


def peer(path, times):
    import tokenizers
    made = tokenizers.Tokenizer.from_file(options.tokenizer + "/tokenizer.json")
    texts = texts_of(path)
    made.encode_batch_fast(texts)
    start = time.perf_counter()
    for _ in range(times):
        made.encode_batch_fast(texts)
    print(time.perf_counter() - start)


def theirs(path, times, threads):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads),
                   "TOKENIZERS_PARALLELISM": "false" if threads == 1 else "true"}
    command = [sys.executable, sys.argv[0], options.trainer, options.tokenizer, "--peer", path, str(times), "0"]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def ours(path, times, threads):
    start = time.perf_counter()
    subprocess.run([options.trainer, "tokenize", options.tokenizer, *[path] * times, "--threads", str(threads), "--json"],
                   capture_output=True, check=True)
    return time.perf_counter() - start


def main():
    for path in options.files:
        size = sum(len(t.encode()) for t in texts_of(path))
        for threads in options.threads:
            sides = [("tokenizers", theirs), ("ours", ours)]
            times = [max(1, round(10 * options.seconds / max(1e-3, run(path, 10, threads)))) for _, run in sides]
            rates = [[], []]
            for _ in range(options.rounds):
                for side, (_, run) in enumerate(sides):
                    rates[side].append(size * times[side] / run(path, times[side], threads) / 1e6)
            medians = [statistics.median(r) for r in rates]
            print(f"{os.path.basename(options.tokenizer)} {os.path.basename(path)}, {threads} threads: "
                  f"ours {medians[1]:.1f} MB/s, tokenizers {medians[0]:.1f} MB/s, ratio {medians[1] / medians[0]:.2f}; "
                  f"all: {[round(r, 1) for r in rates[1]]} {[round(r, 1) for r in rates[0]]}", flush=True)


if options.peer:
    peer(options.peer[0], int(options.peer[1]))
else:
    main()
