"""Compares `trainer analyze` with whole passes of transformers, in which a layer runs once, twice or not at all.

usage: analyze.py MODEL FILE.jsonl [--trainer .build/release/trainer] [--documents 40 --length 256 --threads 2] [--random KIND]

MODEL has a tokenizer. With --random a model of that kind (gemma2, gemma3_text, gpt_neox, gpt_oss) with random weights takes its place, with
MODEL's tokenizer. The first documents of FILE are laid out as the trainer does: start token, text, end of text, in windows
that predict --length tokens each, the last one with as much before it as makes that length. Prints the largest differences,
and how long both took with the same number of threads. Needs torch, transformers and tokenizers.
"""
import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("model", type=pathlib.Path)
parser.add_argument("text")
parser.add_argument("--trainer", default=".build/release/trainer")
for name, default in (("documents", 40), ("length", 256), ("threads", 2)):
    parser.add_argument("--" + name, type=int, default=default)
parser.add_argument("--random", choices=["gemma2", "gemma3_text", "gpt_neox", "gpt_oss"])
a = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)

import torch
import transformers
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

torch.set_num_threads(a.threads)
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
work = pathlib.Path(tempfile.mkdtemp())
BATCH = 8  # windows that transformers computes at once


def random_model():
    own = json.loads((a.model / "config.json").read_text())
    settings = dict(
        vocab_size=own["vocab_size"], hidden_size=128, intermediate_size=256, num_hidden_layers=6, num_attention_heads=4,
        max_position_embeddings=1024, bos_token_id=own["bos_token_id"], eos_token_id=own["eos_token_id"], pad_token_id=None)
    if a.random != "gpt_neox":
        settings |= dict(num_key_value_heads=2, head_dim=32, sliding_window=24)
    if a.random == "gpt_oss":
        settings |= dict(num_local_experts=4, num_experts_per_tok=2)
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(a.random, **settings), dtype=torch.float32)
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            parameter.data.normal_(0, 0.06)
    folder = work / a.random
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(a.model / name, folder / name)
    return folder


def windows(folder, texts):
    """Of each window: the tokens that go in, those that they predict, the first that counts, whether it ends a text."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = json.loads((folder / "config.json").read_text())
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        ids = [config["bos_token_id"]] + ids + [config["eos_token_id"]]
        for done in range(0, len(ids) - 1, a.length):
            end = min(done + a.length, len(ids) - 1)
            start = max(0, end - a.length)
            yield ids[start:end], ids[start + 1 : end + 1], done - start, end == len(ids) - 1


class Layers:
    """The layers of a model, each of which can be told how often it runs; keeps what lies between them."""

    def __init__(self, layers):
        self.times, self.streams = [1] * len(layers), {}
        for index, layer in enumerate(layers):
            self.wrap(index, layer, layer.forward)

    def wrap(self, index, layer, forward):
        def run(hidden, *rest, **named):
            self.streams[index] = hidden
            for _ in range(self.times[index]):
                result = forward(hidden, *rest, **named)
                hidden = result[0] if isinstance(result, tuple) else result
            self.streams[index + 1] = hidden
            return hidden

        layer.forward = run


def reference(folder, rows):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    layers = Layers(model.gpt_neox.layers if hasattr(model, "gpt_neox") else model.model.layers)
    count = len(layers.times)
    rows = sorted(rows, key=lambda row: len(row[0]))

    def batches():
        """Windows filled at their ends: what is behind a token changes nothing of it."""
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            width = max(len(row[0]) for row in part)
            ids, targets = torch.zeros(len(part), width, dtype=torch.long), torch.full((len(part), width), -100)
            for index, (tokens, following, first, _) in enumerate(part):
                ids[index, : len(tokens)] = torch.tensor(tokens)
                targets[index, first : len(tokens)] = torch.tensor(following[first:])
            yield part, ids, targets

    def loss(see=lambda *_: None):
        total, tokens = 0.0, 0
        for part, ids, targets in batches():
            with torch.no_grad():
                logits = model(input_ids=ids, use_cache=False).logits
            see(part, targets)
            losses = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape).double()
            for index, (tokens_in, _, _, ends) in enumerate(part):
                if ends:  # the end of a text is no token of it
                    losses[index, len(tokens_in) - 1] = 0
                    targets[index, len(tokens_in) - 1] = -100
            total += losses.sum().item()
            tokens += (targets >= 0).sum().item()
        return total / tokens

    cosines = torch.zeros(count, dtype=torch.float64)
    angles, lasts = torch.zeros(count, count + 1, dtype=torch.float64), torch.zeros(count, count + 1, dtype=torch.float64)
    seen = 0

    def see(part, targets):
        nonlocal seen
        counts = targets >= 0
        ends = torch.tensor([len(row[0]) - 1 for row in part])
        seen += counts.sum().item()
        for first in range(count):
            for behind in range(first + 1, count + 1):
                cosine = torch.nn.functional.cosine_similarity(
                    layers.streams[first].double(), layers.streams[behind].double(), dim=-1)
                angle = cosine.clamp(-1, 1).arccos() / math.pi
                angles[first, behind] += angle[counts].sum()
                lasts[first, behind] += angle[torch.arange(len(part)), ends].sum()
                if behind == first + 1:
                    cosines[first] += cosine[counts].sum()

    scores = {"loss": loss(see)}
    scores["block_influence"] = (1 - cosines / seen).tolist()
    blocks = [[(first, first + size) for first in range(count - size + 1)] for size in range(1, count + 1)]
    scores["angular_distance"] = [[lasts[pair].item() / len(rows) for pair in block] for block in blocks]
    scores["angular_distance_all_tokens"] = [[angles[pair].item() / seen for pair in block] for block in blocks]
    for key, times in (("loss_without", 0), ("loss_repeated", 2)):
        scores[key] = []
        for layer in range(count):
            layers.times = [times if index == layer else 1 for index in range(count)]
            scores[key].append(loss())
    return scores


def flat(value):
    return [part for item in value for part in flat(item)] if isinstance(value, list) else [value]


try:
    folder = random_model() if a.random else a.model
    with open(a.text) as file:
        texts = [json.loads(line)["text"] for line, _ in zip(file, range(a.documents))]
    data = work / "texts.jsonl"
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    rows = list(windows(folder, texts))
    begin = time.time()
    expected = reference(folder, rows)
    middle = time.time()
    run = subprocess.run(
        [a.trainer, "analyze", folder, "--data", data, "--tokens", "1000000000", "--length", str(a.length), "--threads",
         str(a.threads), "--json"], capture_output=True, text=True)
    end = time.time()
    if run.returncode:
        sys.exit(run.stderr)
    found = json.loads(run.stdout)
    worst = 0
    print(f"{folder.name}: {len(expected['block_influence'])} layers, {found['text']['tokens']} tokens, "
          f"{len(rows)} windows of at most {a.length} (trainer {found['text']['windows']})")
    for key, value in expected.items():
        differences = [abs(x - y) for x, y in zip(flat(value), flat(found[key]), strict=True)]
        worst = max(worst, *differences)
        print(f"  {key}: largest difference {max(differences):.1e} of {max(map(abs, flat(value))):.4f}")
    print(f"  transformers {middle - begin:.1f} s, trainer {end - middle:.1f} s, {a.threads} threads")
    for key in ("block_influence", "loss_without", "loss_repeated"):
        print(f"  {key} transformers {[round(x, 5) for x in expected[key]]}")
        print(f"  {key} trainer      {[round(x, 5) for x in found[key]]}")
    sys.exit(0 if worst < 1e-4 else 1)
finally:
    shutil.rmtree(work)
