"""Samples texts with `trainer replay` and with transformers in turn, and compares tokens a second.

usage: replay.py MODEL [--trainer .build/release/trainer] [--tokens 20000 --length 512 --runs 3 --threads 2 --batches 16 64]
Needs torch and transformers. Both begin with the model's start token and sample at temperature 1 from all tokens, with a key-value
cache, until an end or the length. transformers goes on with a batch until its last text ends; what it fills the others with is not
counted. Reading the model is not counted either. Two figures tell whether both sample from the same distribution: the mean length
of a text and the share of texts that the model ended.
"""
import argparse, json, os, statistics, subprocess, tempfile, time

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--trainer", default=".build/release/trainer")
for name, default in (("tokens", 20000), ("length", 512), ("runs", 3), ("threads", 2)):
    parser.add_argument("--" + name, type=int, default=default)
parser.add_argument("--batches", type=int, nargs="+", default=[16, 64])
a = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(a.threads)
model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32).eval()
bos, eos = model.config.bos_token_id, model.config.eos_token_id


def theirs(batch, seed):
    torch.manual_seed(seed)
    lengths, ended, seconds = [], 0, 0.0
    while sum(lengths) < a.tokens:
        start = time.perf_counter()
        with torch.no_grad():
            out = model.generate(
                torch.full((batch, 1), bos), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                max_new_tokens=a.length - 1, eos_token_id=[eos, bos], pad_token_id=eos)[:, 1:]
        seconds += time.perf_counter() - start
        for row in out.tolist():
            end = next((place + 1 for place, token in enumerate(row) if token in (eos, bos)), None)
            lengths.append(end or len(row))
            ended += end is not None
    return sum(lengths) / seconds, statistics.mean(lengths), ended / len(lengths)


def ours(seed):
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [a.trainer, "replay", a.model, "--tokens", str(a.tokens), "--length", str(a.length), "--seed", str(seed), "-o",
             folder + "/own.jsonl", "--threads", str(a.threads), "--json"], capture_output=True, text=True, check=True)
        figures = json.loads(run.stdout)
        lines = [json.loads(line) for line in open(folder + "/own.jsonl")]
    return figures["tokens_per_second"], statistics.mean(line["tokens"] + 1 for line in lines), figures["ended"] / len(lines)


names = ["trainer"] + [f"transformers, {batch} at once" for batch in a.batches]
results = {name: [] for name in names}
for seed in range(a.runs):
    results["trainer"].append(ours(seed))
    for batch in a.batches:
        results[f"transformers, {batch} at once"].append(theirs(batch, seed))
for name, found in results.items():
    rates = [rate for rate, _, _ in found]
    print(f"{name}: {statistics.median(rates):.0f} tokens/s ({min(rates):.0f}-{max(rates):.0f}); "
          f"{statistics.mean(length for _, length, _ in found):.0f} tokens a text, "
          f"{statistics.mean(share for _, _, share in found):.2f} ended; load {os.getloadavg()[0]:.1f}", flush=True)
