"""Compares `surgery resize-vocab` with transformers and tokenizers: what it writes, and what it draws.

usage: resize_vocab.py SURGERY TRAINER MODEL CORPUS HELD_OUT ENGLISH FOLDER

SURGERY, TRAINER: the built commands; MODEL: a base model with a byte-level BPE; CORPUS, HELD_OUT: .jsonl in a language that it hardly
has tokens for; ENGLISH: .jsonl in one that it knows; FOLDER: where models are made. Needs torch, transformers and tokenizers;
measured with torch 2.15.0, transformers 5.24.0 and tokenizers 0.23.3.

1. 2,000 tokens are learned. The result loads in both libraries with nothing missing, unexpected or of another shape; every
   new token that is a text is encoded as itself there; texts are the same ids there and here; English texts without
   a new token are encoded as before; old rows are the same bytes.
2. --size with mean-cov, in float32: mean and covariance of the new rows over several seeds, beside transformers' own draws.
"""
import json, logging, subprocess, sys, warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import torch, transformers as tf
from safetensors.torch import load_file
from tokenizers import Tokenizer

logging.disable(logging.CRITICAL)
tf.utils.logging.disable_progress_bar()
surgery, trainer, base, corpus, held_out, english, folder = (Path(a).resolve() for a in sys.argv[1:8])
folder.mkdir(parents=True, exist_ok=True)


def run(*arguments, command=surgery):
    done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def texts(path):
    return [json.loads(line)["text"] for line in open(path) if line.strip()]


def check(holds, what):
    print("ok  " if holds else "FAIL", what)
    failures.append(what) if not holds else None


failures = []
grown = folder / "grown"
report = json.loads(run("resize-vocab", base, "--learn", 2000, "--corpus", corpus, "--held-out", held_out, english, "-o", grown, "--force", "--json"))
run("verify", grown)

model, info = tf.AutoModelForCausalLM.from_pretrained(grown, dtype="auto", output_loading_info=True)
check(not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], "transformers loads the model whole")
old, new, auto = Tokenizer.from_file(str(base / "tokenizer.json")), Tokenizer.from_file(str(grown / "tokenizer.json")), tf.AutoTokenizer.from_pretrained(grown)
before, after = old.get_vocab_size(), new.get_vocab_size()
check(after == before + 2000 and len(auto) == after == model.config.vocab_size, f"{before} + 2000 tokens = rows = vocab_size")

typed = partial = 0
for id in range(before, after):
    text = new.decode([id])
    if "\ufffd" in text:
        partial += 1
        continue
    typed += new.encode(text, add_special_tokens=False).ids == [id] and auto(text, add_special_tokens=False)["input_ids"] == [id]
check(typed + partial == 2000, f"all new tokens are encoded as themselves there: {typed} typed, {partial} a part of a character")

for path, figures in zip((held_out, english), report["text"][1:]):
    ids = [new.encode(text, add_special_tokens=False).ids for text in texts(path)]
    alike = all(auto(text, add_special_tokens=False)["input_ids"] == i for text, i in zip(texts(path), ids))
    count, size = sum(map(len, ids)), sum(len(text.encode()) for text in texts(path))
    check(alike and count == figures["tokens_after"] and size == figures["bytes"], f"{path.name}: {count} tokens here and there, {size / count:.3f} bytes a token (before: {figures['bytes_per_token_before']:.3f})")
    ours = [list(map(int, line.split())) for line in run("tokenize", grown, path, "--ids", command=trainer).splitlines()]
    check(ours == [new.encode(text).ids for text in texts(path)], f"{path.name}: trainer tokenize gives the same ids, document by document")
    round_trip = all(new.decode(i) == text for text, i in zip(texts(path), ids))
    check(round_trip, f"{path.name}: decodes to itself")
same = [new.encode(text).ids == old.encode(text).ids for text in texts(english) if max(new.encode(text).ids) < before]
lines = [line for text in texts(english) for line in text.split("\n")]
same += [new.encode(line).ids == old.encode(line).ids for line in lines if line and max(new.encode(line).ids) < before]
check(all(same) and len(same) > 100, f"{len(same)} English documents and lines without a new token are encoded as before")

one, two = load_file(base / "model.safetensors"), load_file(grown / "model.safetensors")
check(all(torch.equal(two[name][: tensor.shape[0]], tensor) for name, tensor in one.items()), "old rows and all other tensors are the same")

# --size against resize_token_embeddings, in float32, where 1e-9 of the variance is to be seen.
wide = folder / "f32"
run("convert", base, "-o", wide, "--dtype", "f32", "--force")
seeds, count = range(6), 2000
ours, theirs = {"model.embed_tokens.weight": [], "lm_head.weight": []}, {"model.embed_tokens.weight": [], "lm_head.weight": []}
for seed in seeds:
    run("resize-vocab", wide, "--size", before + count, "--init", "mean-cov", "--seed", seed, "-o", folder / "sized", "--force")
    sized = load_file(folder / "sized" / "model.safetensors")
    torch.manual_seed(seed)
    reference = tf.AutoModelForCausalLM.from_pretrained(wide, dtype=torch.float32)
    reference.resize_token_embeddings(before + count)
    state = reference.state_dict()
    for name in ours:
        ours[name].append(sized[name][before:])
        theirs[name].append(state[name][before:])
        check(torch.equal(sized[name][:before], load_file(wide / "model.safetensors")[name]), f"seed {seed}: old rows of {name} are the same bytes") if seed == 0 else None
for name in ours:
    rows = load_file(wide / "model.safetensors")[name].double()
    mean, wanted = rows.mean(0), torch.cov(rows.T, correction=0) * 1e-9
    figures = []
    for drawn in (ours[name], theirs[name]):
        drawn = torch.cat(drawn).double()
        covariance = torch.cov(drawn.T, correction=0)
        off = ((drawn.mean(0) - mean) / (wanted.diagonal() / len(drawn)).sqrt()).pow(2).mean().sqrt()
        figures.append((off.item(), (covariance.trace() / wanted.trace()).item(), ((covariance - wanted).norm() / wanted.norm()).item()))
    print(f"     {name}, {len(seeds) * count} rows: root mean square z of the mean, trace ratio, relative error of the covariance")
    for who, (off, trace, error) in zip(("surgery", "transformers"), figures):
        print(f"       {who:13} {off:.3f}  {trace:.4f}  {error:.4f}")
    # The numbers of a row vary together, so that z over them is 1 on average only.
    check(figures[0][0] < 1.6 and abs(figures[0][1] - 1) < 0.02 and figures[0][2] < 1.2 * figures[1][2] + 0.02, f"{name}: mean and covariance as they should be")
sys.exit(f"{len(failures)} checks failed" if failures else 0)
