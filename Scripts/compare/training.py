"""Trains a model on the same rows of tokens with PyTorch and with `trainer heal`, and compares the losses step by step.

usage: training.py MODEL FILE.jsonl [--trainer .build/release/trainer] [--steps 50 --batch 4 --length 256 --lr 3e-4 --threads 2]
Needs torch, transformers, tokenizers and safetensors. AdamW with betas 0.9 and 0.95, decay 0.1 of matrices only, constant rate,
gradients clipped to 1. Prints, for each way of keeping moments and gradients, the largest difference from PyTorch's losses.
"""
import argparse, json, os, subprocess, tempfile

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("text")
parser.add_argument("--trainer", default=".build/release/trainer")
for name, default in (("steps", 50), ("batch", 4), ("length", 256), ("threads", 2)):
    parser.add_argument("--" + name, type=int, default=default)
parser.add_argument("--lr", type=float, default=3e-4)
a = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

tokenizer = Tokenizer.from_file(a.model + "/tokenizer.json")
rows, ids = a.steps * a.batch, []
for line in open(a.text):
    ids += tokenizer.encode(json.loads(line)["text"]).ids
    if len(ids) >= rows * a.length:
        break
assert len(ids) >= rows * a.length, "the text is too short for so many steps"
ids = torch.tensor(ids[: rows * a.length], dtype=torch.int64).reshape(rows, a.length)


def pytorch():
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32).train()
    groups = [
        {"params": [p for p in model.parameters() if (p.ndim > 1) == matrix], "weight_decay": 0.1 if matrix else 0.0}
        for matrix in (True, False)
    ]
    optimizer = torch.optim.AdamW(groups, lr=a.lr, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for step in range(a.steps):
        batch = ids[step * a.batch : (step + 1) * a.batch]
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def ours(folder, options, threads=a.threads, batch=a.batch, accumulate=1):
    log, out = folder + "/log.jsonl", folder + "/out"
    subprocess.run(
        [a.trainer, "heal", a.model, "--ids", folder + "/ids.safetensors", "--steps", str(a.steps)]
        + ["--batch", str(batch), "--accumulate", str(accumulate), "--lr", str(a.lr), "--embedding-lr", str(a.lr)]
        + ["--warmup", "0", "--schedule", "constant", "--threads", str(threads), "--log", log, "-o", out, "--force"]
        + options,
        check=True, capture_output=True,
    )
    with open(log) as lines:
        return [json.loads(line)["loss"] for line in lines]


def compare(name, losses, reference):
    absolute = max(abs(x - y) for x, y in zip(losses, reference))
    relative = max(abs(x - y) / y for x, y in zip(losses, reference))
    print(f"{name}: last {losses[-1]:.5f}, largest difference {absolute:.2e}, relative {relative:.2e}")


reference = pytorch()
print(f"PyTorch {torch.__version__}: {reference[0]:.5f} at first, last {reference[-1]:.5f}")
with tempfile.TemporaryDirectory() as folder:
    save_file({"input_ids": ids}, folder + "/ids.safetensors")
    exact = ours(folder, ["--moments", "f32", "--gradients", "f32"])
    compare("float32", exact, reference)
    compare("moments bf16, gradients bf16", ours(folder, ["--moments", "bf16", "--gradients", "bf16"]), reference)
    compare("default: moments 8bit, gradients bf16", ours(folder, []), reference)
    for threads in (1, 4):
        same = ours(folder, ["--moments", "f32", "--gradients", "f32"], threads=threads) == exact
        print(f"float32 on {threads} threads: {'the same bits' if same else 'DIFFERENT'}")
    parts = ours(folder, ["--moments", "f32", "--gradients", "f32"], batch=1, accumulate=a.batch)
    compare(f"float32, {a.batch} x 1 beside 1 x {a.batch}", parts, exact)
