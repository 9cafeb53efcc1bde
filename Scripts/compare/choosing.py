"""Compares what trainer select chooses by with PyTorch, and says what each measure finds.

usage: choosing.py TRAINER MODEL WORK --target T.jsonl --right R.jsonl --others A.jsonl B.jsonl
       [--only embeddings,found] [--documents 200] [--each 100] [--cut 1500]

TRAINER is the command, MODEL a folder with a tokenizer, WORK a folder that is made. `embeddings`: of the first
documents of all files, as many of each, cut to --cut characters, the mean last hidden state by transformers, in
float32 and the trainer's windows, beside the trainer's, and the ranks by cosine with the mean of T's. `found`: --each
documents of R among as many of each other file; of each measure, with T as the task, the share of the chosen third that
is of R, as they are and cut to --cut characters. Needs torch and transformers.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import torch
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("trainer")
parser.add_argument("model")
parser.add_argument("work", type=pathlib.Path)
parser.add_argument("--target", required=True)
parser.add_argument("--right", required=True)
parser.add_argument("--others", nargs="+", required=True)
parser.add_argument("--only", default="embeddings,found")
for name, default in (("documents", 200), ("each", 100), ("cut", 1500), ("threads", 2)):
    parser.add_argument(f"--{name}", type=int, default=default)
a = parser.parse_args()
a.work.mkdir(parents=True, exist_ok=True)
torch.set_num_threads(a.threads)
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def texts(path: str, count: int | None = None) -> list[str]:
    with open(path, encoding="utf-8") as file:
        found = [json.loads(line)["text"] for line in file if line.strip()]
    return found[:count]


def write(name: str, documents: list[str]) -> pathlib.Path:
    path = a.work / name
    path.write_text(
        "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in documents), encoding="utf-8"
    )
    return path


def command(source: pathlib.Path, name: str, *options: str) -> list[str]:
    keep = ["--rules", "none", "--clean", "none", "--keep-duplicates", "--keep-near-duplicates"]
    out = ["-o", str(a.work / name), "--force", "--threads", str(a.threads)]
    return [a.trainer, "select", str(source), *out, *keep, *options]


def fates(name: str) -> list[dict]:
    explain = [a.trainer, "select", "-o", str(a.work / name), "--explain", "all"]
    return [json.loads(line) for line in subprocess.run(explain, capture_output=True, check=True).stdout.splitlines()]


def embeddings() -> None:
    files = [a.right, *a.others]
    documents = [text[: a.cut] for path in files for text in texts(path, a.documents // len(files) + 1)][: a.documents]
    target = [text[: a.cut] for text in texts(a.target)]
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.model)
    model = transformers.AutoModel.from_pretrained(a.model, dtype=torch.float32).eval()
    length = min(512, model.config.max_position_embeddings)

    def embedding(text: str) -> torch.Tensor:
        tokens = [tokenizer.bos_token_id] + tokenizer(text, add_special_tokens=False).input_ids
        states = []
        for done in range(0, len(tokens), length):
            end = min(done + length, len(tokens))
            first = max(0, end - length)
            with torch.no_grad():
                out = model(torch.tensor([tokens[first:end]])).last_hidden_state[0]
            states.append(out[done - first :].double())
        return torch.cat(states).mean(0)

    theirs = torch.stack([embedding(text) for text in documents])
    task = torch.stack([embedding(text) for text in target]).mean(0)
    cosines = torch.cosine_similarity(theirs, task[None], 1)
    # The trainer keeps embeddings of length 1 until it is done: a second name keeps them longer.
    made, kept = a.work / "embeddings.out.jsonl.run/0.embeddings", a.work / "kept.embeddings"
    kept.unlink(missing_ok=True)
    target_file = str(write("target.jsonl", target))
    options = ["--by", "similarity", "--to", target_file, "--model", a.model, "--share", "0.5", "--clusters", "2"]
    process = subprocess.Popen(command(write("embeddings.jsonl", documents), "embeddings.out.jsonl", *options))
    while not kept.exists():
        if made.exists():
            os.link(made, kept)
        elif process.poll() is not None:
            sys.exit("the embeddings were gone before they could be read")
        time.sleep(0.001)
    if process.wait():
        sys.exit("the trainer failed")
    ours = torch.frombuffer(bytearray(kept.read_bytes()), dtype=torch.float32).reshape(len(documents), -1).double()
    unit = theirs / theirs.norm(dim=1, keepdim=True)
    found = fates("embeddings.out.jsonl")
    order = sorted(range(len(documents)), key=lambda i: -cosines[i].item())
    ranks = {index: rank + 1 for rank, index in enumerate(order)}
    same = sum(fate["rank"] == ranks[i] for i, fate in enumerate(found))
    error = max(abs(fate["similarity"] - cosines[i].item()) for i, fate in enumerate(found))
    print(f"{len(documents)} documents: largest difference of an embedding {(ours - unit).abs().max():.1e}, ", end="")
    print(f"of a cosine {error:.1e}; {same} of {len(documents)} ranks the same")


MEASURES = ("similarity", "ngrams", "ngrams-mean", "perplexity", "bits-per-byte", "entropy")


def found() -> None:
    files = [a.right, *a.others]
    names = [pathlib.Path(path).name for path in files]

    def tell(measure: str, chosen: list[int]) -> None:
        shares = [f"{name} {sum(i // a.each == n for i in chosen) / a.each:.2f}" for n, name in enumerate(names)]
        print(f"  {measure}: {', '.join(shares)}", flush=True)

    for title, cut in (("as they are", None), (f"cut to {a.cut} characters", a.cut)):
        documents = [text[:cut] for path in files for text in texts(path, a.each)]
        source = write("found.jsonl", documents)
        sizes = [len(text.encode()) for text in documents]
        means = [sum(sizes[n * a.each : (n + 1) * a.each]) // a.each for n in range(len(files))]
        print(f"{title}, {a.each} each; mean bytes {means}")
        # One run measures all; the first third by each measure is what a run with that one takes.
        by = [option for measure in MEASURES for option in ("--by", measure)]
        task, third = ["--to", a.target, "--model", a.model], ["--share", str(1 / len(files))]
        subprocess.run(command(source, "found.out.jsonl", *by, *task, *third), check=True, capture_output=True)
        all_fates = fates("found.out.jsonl")
        places = {}
        for measure in MEASURES:
            name = "class-entropy" if measure == "entropy" else measure
            order = sorted(range(len(documents)), key=lambda i: -all_fates[i].get(name, -1e9))
            places[measure] = {index: place for place, index in enumerate(order)}
            tell(measure, order[: a.each])
        both = {i: places["similarity"][i] + places["ngrams-mean"][i] for i in range(len(documents))}
        tell("similarity and ngrams-mean", sorted(both, key=both.get)[: a.each])
        tell("all six", [i for i, fate in enumerate(all_fates) if fate["kept"]])
        subprocess.run(command(source, "drawn.out.jsonl", "--sample", *third), check=True, capture_output=True)
        tell("all alike, drawn", [i for i, fate in enumerate(fates("drawn.out.jsonl")) if fate["kept"]])


for part in a.only.split(","):
    {"embeddings": embeddings, "found": found}[part]()
