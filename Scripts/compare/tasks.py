"""Compares `trainer eval --choices` and `--data` with lm-evaluation-harness's HFLM.

usage: tasks.py MODEL --choices FILE.jsonl… [--data TEXTS.jsonl… --length 256 --documents 40] [--random KIND]
                [--trainer .build/release/trainer --threads 2]

Each choice's log-likelihood (1e-3), what is chosen by sum and by character, the accuracies and their standard error are
compared item for item; where two choices are nearer than the log-likelihoods agree, either may be first, and that is counted
apart. Of --data bits per byte are compared (1e-4), the harness with add_bos_token=False. With --random a model of that kind
(llama, qwen2, gpt_neox) with random weights takes MODEL's place, with MODEL's tokenizer. Exit code 1 where something differs.
Needs torch, transformers and lm_eval.
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

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", type=pathlib.Path)
parser.add_argument("--choices", nargs="+", default=[])
parser.add_argument("--data", nargs="+", default=[])
parser.add_argument("--random", choices=["llama", "qwen2", "gpt_neox"])
parser.add_argument("--trainer", default=".build/release/trainer")
for option, default in (("length", 256), ("documents", 40), ("threads", 2)):
    parser.add_argument("--" + option, type=int, default=default)
a = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)

import numpy
import torch
import transformers
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean_stderr
from lm_eval.models.huggingface import HFLM

torch.set_num_threads(a.threads)
transformers.utils.logging.set_verbosity_error()
work = pathlib.Path(tempfile.mkdtemp())
model, wrong = a.model, []


def random_model():
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)
    heads = {} if a.random == "gpt_neox" else {"num_key_value_heads": 2}
    config = transformers.AutoConfig.for_model(
        a.random, vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=256, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=None, **heads)
    torch.manual_seed(1)
    made = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for parameter_name, parameter in made.named_parameters():
        if "norm" not in parameter_name:
            parameter.data.normal_(0, 0.1)
    made.save_pretrained(work / a.random)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (a.model / name).exists():
            shutil.copy(a.model / name, work / a.random / name)
    return work / a.random


def run(*arguments):
    start = time.time()
    done = subprocess.run(
        [a.trainer, "eval", model, *arguments, "--threads", str(a.threads), "--json"], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout), time.time() - start


def differ(what):
    wrong.append(what)
    print("DIFFERS:", what)


def compare_choices(lm, path):
    questions = [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()]
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=(q["context"], choice), idx=k)
        for q in questions for k, choice in enumerate(q["choices"])]
    start = time.time()
    sums = iter([s for s, _ in lm.loglikelihood(requests, disable_tqdm=True)])
    harness_time = time.time() - start
    items = work / "items.jsonl"
    found, own_time = run("--choices", f"set={path}", "--items", items, "--force")
    worst, near, right, right_norm = 0.0, 0, [], []
    for q, line in zip(questions, open(items), strict=True):
        own = json.loads(line)
        lls = numpy.array([next(sums) for _ in q["choices"]])
        worst = max(worst, numpy.abs(lls - own["log_likelihoods"]).max())
        by_character = lls / numpy.array([float(len(choice)) for choice in q["choices"]])
        for scores, key, list_ in ((lls, "choice", right), (by_character, "choice_norm", right_norm)):
            choice = int(numpy.argmax(scores))
            list_.append(float(choice == q["answer"]))
            if choice != own[key]:
                if scores[choice] - scores[own[key]] > 1e-4:
                    differ(f"{path}, line {own['line']}: {key} {own[key]}, the harness {choice}")
                near += 1
    result = found["choices"]["set"]
    expected = {"acc": numpy.mean(right), "acc_norm": numpy.mean(right_norm), "acc_stderr": mean_stderr(right), "items": len(right)}
    for key, value in expected.items():
        if near == 0 and abs(result[key] - value) > 1e-9:
            differ(f"{path}: {key} {result[key]}, the harness {value}")
    if worst > 1e-3:
        differ(f"{path}: a log-likelihood by {worst:.2g}")
    print(
        f"{path}: {len(questions)} items, {len(requests)} log-likelihoods within {worst:.1e}, decisions "
        + (f"alike but {near} near ties" if near else "all alike")
        + f"; acc {result['acc']:.4f} ± {result['acc_stderr']:.4f}, acc_norm {result['acc_norm']:.4f}"
        + f"; {own_time:.1f} s, the harness {harness_time:.1f} s")


def compare_text(lm, path):
    lines = open(path, encoding="utf-8").readlines()[:a.documents]
    texts = [json.loads(line)["text"] for line in lines]
    (work / "texts.jsonl").write_text("".join(lines), encoding="utf-8")
    requests = [Instance(request_type="loglikelihood_rolling", doc={}, arguments=(text,), idx=0) for text in texts]
    nats = -sum(lm.loglikelihood_rolling(requests, disable_tqdm=True))
    bits = nats / math.log(2) / sum(len(text.encode()) for text in texts)
    found, _ = run("--data", f"set={work / 'texts.jsonl'}", "--length", str(a.length), "--no-end-of-text")
    own = found["sets"]["set"]["bits_per_byte"]
    if abs(own - bits) > 1e-4:
        differ(f"{path}: {own} bits per byte, the harness {bits}")
    print(f"{path}: {own:.6f} bits per byte of {len(texts)} documents, the harness {bits:.6f}")


if a.random:
    model = random_model()
common = dict(pretrained=str(model), dtype="float32", batch_size=8, device="cpu")
if a.choices:
    harness = HFLM(**common)
    for file in a.choices:
        compare_choices(harness, file)
if a.data:
    harness = HFLM(**common, add_bos_token=False, max_length=a.length)
    for file in a.data:
        compare_text(harness, file)
shutil.rmtree(work)
sys.exit(1 if wrong else 0)
