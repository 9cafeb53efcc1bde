"""Generates with `trainer generate` and with transformers in turn, and compares tokens a second and the tokens.

usage: generation.py MODEL [--trainer .build/release/trainer] [--tokens 128 --runs 5 --threads 2 --prompts 1 --types bf16 f32]
       generation.py --make llama-135m FOLDER --tokenizer FOLDER
Needs torch, transformers, tokenizers and safetensors. Copies MODEL in each type, without ends of text, so that both sides
generate as many tokens, greedily and with a key-value cache. Rates are those of the tokens after the first, which comes of
the prompt's own pass; the load average is printed, for a machine that others use says little.
"""
import argparse, json, os, shutil, statistics, subprocess, tempfile, time

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--make")
parser.add_argument("--tokenizer")
parser.add_argument("--trainer", default=".build/release/trainer")
for name, default in (("tokens", 128), ("runs", 5), ("threads", 2), ("prompts", 1)):
    parser.add_argument("--" + name, type=int, default=default)
parser.add_argument("--types", nargs="+", default=["bf16", "f32"])
a = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(a.threads)
TEXT = "To see what a command does, type its name and ask for help. A file that is written once is read many times; "

if a.make:
    # SmolLM-135M's shape: hidden 576, 30 layers, 9 heads, 3 key-value heads, 49,152 tokens, tied.
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(a.model)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(f"{a.tokenizer}/{name}", a.model)
    raise SystemExit(f"{sum(p.numel() for p in model.parameters()):,} parameters in {a.model}")

tokenizer = PreTrainedTokenizerFast(tokenizer_file=a.model + "/tokenizer.json")
prompts = [TEXT[i:] for i in range(a.prompts)]


def copied(type, folder):
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype={"bf16": torch.bfloat16, "f32": torch.float32}[type])
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    config = json.load(open(folder + "/config.json"))
    config["eos_token_id"] = None
    json.dump(config, open(folder + "/config.json", "w"))
    os.remove(folder + "/generation_config.json")
    shutil.copy(a.model + "/tokenizer.json", folder)
    json.dump({}, open(folder + "/tokenizer_config.json", "w"))
    return model.eval()


def theirs(model):
    """Tokens a second after the first, and the tokens of the first prompt."""
    tokenizer.pad_token_id, tokenizer.padding_side = 0, "left"
    batch = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
    times = []

    class Clock:
        def put(self, _): times.append(time.perf_counter())
        def end(self): pass

    streamer = Clock() if a.prompts == 1 else None
    def generate(count):
        start = time.perf_counter()
        out = model.generate(**batch, do_sample=False, max_new_tokens=count, eos_token_id=None, pad_token_id=0,
                             streamer=streamer)
        return out, time.perf_counter() - start
    with torch.no_grad():
        first = generate(1)[1] if a.prompts > 1 else 0
        times.clear()
        out, total = generate(a.tokens)
    # A streamer is given the prompt, then each token.
    seconds = times[-1] - times[1] if a.prompts == 1 else total - first
    return a.prompts * (a.tokens - 1) / seconds, out[0, batch["input_ids"].shape[1]:].tolist()


def ours(folder):
    options = [option for prompt in prompts for option in ("--prompt", prompt)]
    run = subprocess.run([a.trainer, "generate", folder, *options, "--max-tokens", str(a.tokens), "--json", "--threads",
                          str(a.threads)], capture_output=True, text=True, check=True)
    result = json.loads(run.stdout)
    return result["tokens_per_second"], result["prompts"][0]["tokens"]


for type in a.types:
    with tempfile.TemporaryDirectory() as folder:
        model = copied(type, folder)
        theirs(model)
        rates = {"trainer": [], "transformers": []}
        for _ in range(a.runs):
            for name, rate, tokens in (("trainer", *ours(folder)), ("transformers", *theirs(model))):
                rates[name].append(rate)
                if name == "trainer":
                    found = tokens
        same = next((i for i, (x, y) in enumerate(zip(found, tokens)) if x != y), len(tokens))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        print(f"{type}, {a.prompts} prompts: " + ", ".join(
            f"{name} {medians[name]:.1f} ({min(values):.1f}-{max(values):.1f})" for name, values in rates.items())
            + f" tokens/s: {medians['trainer'] / medians['transformers']:.2f} times; the first {same} of {a.tokens} "
            f"tokens are the same; load {os.getloadavg()[0]:.1f}", flush=True)
