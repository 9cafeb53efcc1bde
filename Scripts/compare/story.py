"""The mission's healing by PyTorch's own means, to set beside `trainer heal`: a grown model, rows of its new tokens at twice the rate.

    python Scripts/compare/story.py GROWN OLD_VOCABULARY --data FILE:WEIGHT… --eval NAME=FILE… [--steps 400 --lr 1e-3 --seed 0]

GROWN is what `surgery` made. Windows are of the documents' tokens, run together with their ends: each pass over a text takes its
documents in a new order, and its windows by lot, each once; every text has its share of all windows. AdamW (0.9,
0.95, decay 0.1 on matrices), clipping at 1, a warm-up of 1 % of the steps but at least 10, a cosine to a tenth. Embedding and head are
moved by AdamW like the layers, and what their rows moved by is then multiplied: by --old-rate for old rows, by --new for new ones. Bits per
byte are those of lm-evaluation-harness's loglikelihood_rolling: each document by itself, its own tokens only. Needs torch and
transformers.
"""
import argparse
import json
import math
import random
import time

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("old", type=int, help="tokens before the surgery")
parser.add_argument("--data", nargs="+", required=True)
parser.add_argument("--eval", nargs="+", required=True)
for name, value in (("steps", 400), ("batch", 8), ("length", 256), ("seed", 0), ("threads", 2), ("warmup", 0)):
    parser.add_argument(f"--{name}", type=int, default=value)
for name, value in (("lr", 1e-3), ("new", 2.0), ("old-rate", 0.2), ("min", 0.1)):
    parser.add_argument(f"--{name}", type=float, default=value)
options = parser.parse_args()
torch.set_num_threads(options.threads)
torch.manual_seed(options.seed)
random.seed(options.seed)
tokenizer = Tokenizer.from_file(f"{options.model}/tokenizer.json")
model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
start, end = model.config.bos_token_id, model.config.eos_token_id


def texts(path):
    return [json.loads(line)["text"] for line in open(path, encoding="utf-8")]


def encoded(text):
    return tokenizer.encode(text, add_special_tokens=False).ids


@torch.no_grad()
def bits_per_byte(path):
    """Windows of `length` targets; the last one of a document has as much context as fits."""
    model.eval()
    nats, size, rows = 0.0, 0, []
    for text in texts(path):
        ids = encoded(text)
        size += len(text.encode())
        full, done = [start] + ids, 0
        while done < len(ids):
            to = min(done + options.length, len(ids))
            begin = max(0, to - options.length)
            rows.append((full[begin:to], [-100] * (done - begin) + ids[done:to]))
            done = to
    rows.sort(key=lambda row: len(row[0]))
    for first in range(0, len(rows), 16):
        part = rows[first : first + 16]
        longest = max(len(row[0]) for row in part)
        inputs = torch.tensor([row[0] + [0] * (longest - len(row[0])) for row in part])
        targets = torch.tensor([row[1] + [-100] * (longest - len(row[1])) for row in part])
        logits = model(input_ids=inputs).logits.transpose(1, 2)
        nats += F.cross_entropy(logits, targets, reduction="sum").item()
    model.train()
    return nats / math.log(2) / size


def evaluated():
    return {name: round(bits_per_byte(path), 4) for name, path in (pair.split("=", 1) for pair in options.eval)}


print("grown", json.dumps(evaluated()), flush=True)


def windows(documents):
    """Pass after pass."""
    while True:
        order = random.sample(documents, len(documents))
        stream = torch.tensor([token for document in order for token in document])
        begins = list(range(0, len(stream) - options.length, options.length))
        for begin in random.sample(begins, len(begins)):
            yield stream[begin : begin + options.length + 1]


# Each source's windows, its weight, and how many windows were taken.
sources = []
for given in options.data:
    path, weight = given.rsplit(":", 1)
    documents = [(start, *encoded(text), end) for text in texts(path)]
    print(f"{path}: {sum(map(len, documents))} tokens", flush=True)
    sources.append([windows(documents), float(weight), 0])
rows = [model.get_input_embeddings().weight]
if not model.config.tie_word_embeddings:
    rows.append(model.get_output_embeddings().weight)
matrices = [value for value in model.parameters() if value.ndim > 1]
others = [value for value in model.parameters() if value.ndim <= 1]
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], lr=options.lr, betas=(0.9, 0.95), eps=1e-8
)
warmup = options.warmup or min(max(10, options.steps // 100), options.steps // 4)
begun = time.time()
for step in range(options.steps):
    if step < warmup:
        share = (step + 1) / warmup
    else:
        done = (step - warmup) / max(1, options.steps - warmup)
        share = options.min + (1 - options.min) / 2 * (1 + math.cos(math.pi * done))
    for group in optimizer.param_groups:
        group["lr"] = options.lr * share
    chosen = []
    for _ in range(options.batch):
        source = min(sources, key=lambda source: (source[2] + 1) / source[1])
        source[2] += 1
        chosen.append(next(source[0]))
    batch = torch.stack(chosen)
    logits = model(input_ids=batch[:, :-1]).logits
    loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    before = [value.detach().clone() for value in rows]
    optimizer.step()
    with torch.no_grad():
        for value, kept in zip(rows, before):
            moved = value - kept
            moved[: options.old] *= options.old_rate
            moved[options.old :] *= options.new
            value.copy_(kept + moved)
    optimizer.zero_grad()
    if step % 100 == 99:
        print(f"step {step + 1}: loss {loss.item():.4f}, {(step + 1) * options.batch * options.length / (time.time() - begun):.0f} tokens/s", flush=True)
print("healed", json.dumps(evaluated()), f"{time.time() - begun:.0f} s", flush=True)
