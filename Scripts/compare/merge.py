#!/usr/bin/env python3
"""Compares `surgery merge` with mergekit on the same configurations and models.

usage: merge.py SURGERY WORK [--speed]

Makes small random models of several families in WORK (Mistral, Llama with a tied head, Qwen2 with biases, Gemma; with
transformers), merges them by mergekit and by SURGERY, the built command, and compares every tensor: passthrough byte for
byte, sums in float32 within 2e-6. Of what is dropped at random it compares the share and the factor of the rest. With
--speed it measures time and memory at 1.4 GB out instead, in three alternating runs.

Needs mergekit 0.1.5, transformers 5.24, torch, safetensors (a virtual environment with mergekit in it has them all).
"""
import json, os, shutil, statistics, subprocess, sys, time
from pathlib import Path

import torch, yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

SURGERY, WORK = sys.argv[1], Path(sys.argv[2]).resolve()


# --- Models ---

def families():
    from transformers import GemmaConfig, LlamaConfig, MistralConfig, Qwen2Config
    common = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
                  num_key_value_heads=2, vocab_size=120, max_position_embeddings=64)
    return {
        "mistral": MistralConfig(**common, tie_word_embeddings=False, sliding_window=None),
        "llama": LlamaConfig(**common, tie_word_embeddings=True),
        "qwen2": Qwen2Config(**common, tie_word_embeddings=False),
        "gemma": GemmaConfig(**common, head_dim=16),
    }


def make_models():
    from transformers import AutoModelForCausalLM
    for name, config in families().items():
        torch.manual_seed(len(name))
        base = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for p in base.parameters():
                p.copy_(torch.randn_like(p) * 0.05)
        state = {k: v.clone() for k, v in base.state_dict().items()}
        for index in range(3):
            with torch.no_grad():
                for key, p in base.named_parameters():
                    p.copy_(state[key] + (torch.randn_like(p) * 0.01 * index if index else 0))
            for kind, dtype in (("", torch.float32), ("-bf16", torch.bfloat16)):
                folder = WORK / f"{name}-{index}{kind}"
                if not folder.exists():
                    import copy
                    copy.deepcopy(base).to(dtype).save_pretrained(folder)


def add_tokenizers():
    """Mistral models with tokenizers of which the last has two tokens more, and one elsewhere."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    for index in range(3):
        source, folder = WORK / f"mistral-{index}", WORK / f"tokens-{index}"
        if folder.exists():
            continue
        shutil.copytree(source, folder)
        vocab = {f"w{i}": i for i in range(100)}
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="w0"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        for word in ["<s>", "</s>"] + (["<|im_start|>", "<|im_end|>"] if index == 2 else []):
            tokenizer.add_tokens([AddedToken(word, special=True, normalized=False)])
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
        path = folder / "config.json"
        config = json.loads(path.read_text())
        config |= {"bos_token_id": 100, "eos_token_id": 101}
        path.write_text(json.dumps(config, indent=2))
        (folder / "generation_config.json").unlink(missing_ok=True)


# --- Configurations ---

def model(name, **parameters):
    return {"model": name} | ({"parameters": parameters} if parameters else {})


def source(name, first, end, **parameters):
    return {"model": name, "layer_range": [first, end]} | ({"parameters": parameters} if parameters else {})


def whole(method, models, base=None, parameters=None, dtype="float32", **more):
    config = {"merge_method": method, "models": models, "dtype": dtype} | more
    if base: config["base_model"] = base
    if parameters: config["parameters"] = parameters
    return {k: v for k, v in config.items() if v is not None}


def sliced(method, slices, base=None, parameters=None, dtype="float32", **more):
    config = whole(method, None, base, parameters, dtype, **more)
    config["slices"] = [s if isinstance(s, dict) else {"sources": s} for s in slices]
    return config


CLASSIC = {"t": [{"filter": "self_attn", "value": [0, 0.5, 0.3, 0.7, 1]},
                 {"filter": "mlp", "value": [1, 0.5, 0.7, 0.3, 0]}, {"value": 0.5}]}
SCALED = {"scale": [{"filter": "o_proj", "value": 0.5}, {"filter": "down_proj", "value": [0.25, 0.75]}, {"value": 1.0}]}


def configurations():
    c = {}
    c["passthrough-stack"] = sliced("passthrough", [[source("mistral-0", 0, 3)], [source("mistral-1", 1, 4)]], dtype=None)
    c["passthrough-scale"] = sliced("passthrough", [[source("mistral-0", 0, 3)], [source("mistral-0", 1, 4, **SCALED)]], dtype=None)
    c["passthrough-half"] = whole("passthrough", [model("mistral-1")], dtype="float16")
    c["passthrough-two-types"] = whole("passthrough", [model("mistral-1")], dtype="bfloat16", out_dtype="float32")
    c["passthrough-biases"] = sliced("passthrough", [[source("qwen2-0", 0, 4)], [source("qwen2-1-bf16", 2, 4)]], dtype="bfloat16")
    c["passthrough-tied"] = sliced("passthrough", [[source("llama-0-bf16", 0, 4)], [source("llama-1-bf16", 0, 4)]], dtype=None)
    c["passthrough-gemma"] = sliced("passthrough", [[source("gemma-0", 0, 2)], [source("gemma-1", 0, 4)], [source("gemma-2", 3, 4)]])
    c["linear"] = whole("linear", [model("mistral-0", weight=0.3), model("mistral-1", weight=0.9)])
    c["linear-three"] = whole("linear", [
        model("gemma-0", weight=[0.1, 0.9]), model("gemma-1", weight=[{"filter": "mlp", "value": 0.7}, {"value": 0.2}]),
        model("gemma-2", weight=0.5)], parameters={"normalize": False})
    c["linear-biases"] = whole("linear", [model("qwen2-0", weight=1), model("qwen2-1", weight=2), model("qwen2-2", weight=1)])
    c["linear-slices"] = sliced("linear", [
        [source("llama-0", 0, 2, weight=0.5), source("llama-1", 0, 2, weight=0.5)],
        [source("llama-0", 1, 4, weight=0.2), source("llama-2", 1, 4, weight=[0.8, 0.1])]])
    c["slerp"] = sliced("slerp", [[source("mistral-0", 0, 4), source("mistral-1", 0, 4)]], "mistral-0", CLASSIC)
    c["slerp-tied"] = whole("slerp", [model("llama-1"), model("llama-2")], "llama-1", {"t": 0.35})
    c["slerp-biases"] = whole("slerp", [model("qwen2-0-bf16"), model("qwen2-2-bf16")], "qwen2-2-bf16", CLASSIC)
    c["slerp-gemma"] = sliced("slerp", [[source("gemma-0", 0, 4), source("gemma-2", 0, 4)]], "gemma-0", {"t": [0.2, 0.8]})
    c["task-arithmetic"] = whole("task_arithmetic", [model("mistral-1", weight=0.6), model("mistral-2", weight=-0.4)],
                                 "mistral-0", {"lambda": 1.3})
    c["task-arithmetic-normalized"] = whole("task_arithmetic", [model("llama-1", weight=[0.6, 0.1]), model("llama-2", weight=0.7)],
                                            "llama-0", {"normalize": True})
    c["ties"] = whole("ties", [model("mistral-1", weight=0.5, density=0.5), model("mistral-2", weight=0.3, density=0.7)], "mistral-0")
    c["ties-base-listed"] = whole("ties", [model("gemma-0"), model("gemma-1", weight=1, density=[0.1, 0.9]), model("gemma-2", weight=0.4)],
                                  "gemma-0", {"lambda": 0.7, "rescale": True, "int8_mask": True})
    c["ties-plain"] = whole("ties", [model("qwen2-1-bf16", weight=0.5, density=0.3), model("qwen2-2-bf16", weight=-0.3, density=0.6)],
                            "qwen2-0-bf16", {"normalize": False})
    c["ties-slices"] = sliced("ties", [
        {"sources": [source("llama-0", 0, 2), source("llama-1", 0, 2)], "base_model": "llama-0", "parameters": {"weight": 0.5, "density": 0.5}},
        {"sources": [source("llama-1", 2, 4), source("llama-2", 1, 3)], "base_model": "llama-1", "parameters": {"weight": 0.9, "density": 0.2}}])
    c["dare-linear"] = whole("dare_linear", [model("mistral-1", weight=1, density=0.3)], "mistral-0")
    c["dare-linear-plain"] = whole("dare_linear", [model("gemma-1", weight=0.5, density=0.8)], "gemma-0", {"rescale": False})
    c["dare-ties"] = whole("dare_ties", [model("qwen2-1", weight=1, density=0.6)], "qwen2-0", {"normalize": True})
    c["tokens-base"] = whole("linear", [model("tokens-0", weight=0.5), model("tokens-2", weight=0.5)], "tokens-0", tokenizer_source="base")
    c["tokens-union"] = whole("linear", [model("tokens-0", weight=0.5), model("tokens-1", weight=0.2), model("tokens-2", weight=0.5)], "tokens-0", tokenizer_source="union")
    c["tokens-model"] = whole("task_arithmetic", [model("tokens-1", weight=0.5), model("tokens-2", weight=0.5)], "tokens-0",
                              tokenizer={"source": "tokens-2", "pad_to_multiple_of": 16}, chat_template="{{ messages[0]['content'] }}")
    c["slerp-bf16"] = whole("slerp", [model("mistral-0"), model("mistral-1")], "mistral-0", {"t": 0.4}, dtype="bfloat16")
    c["ties-bf16"] = whole("ties", [model("mistral-1", weight=0.5, density=0.5), model("mistral-2", weight=0.3, density=0.7)],
                           "mistral-0", dtype="bfloat16")
    return c


# --- Comparing ---

def tensors(folder):
    result = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        result |= load_file(file)
    return result


def surgery(file, out):
    run = subprocess.run([SURGERY, "merge", file, "-o", out, "--force"], capture_output=True, text=True, cwd=WORK)
    if run.returncode: raise SystemExit(f"{file}: {run.stderr}")
    proof = subprocess.run([SURGERY, "verify", out], capture_output=True, text=True, cwd=WORK)
    if proof.returncode: raise SystemExit(f"{file}: {proof.stdout}{proof.stderr}")


def at_threshold(config, name):
    """Where a difference from the base has just the smallest magnitude that is kept."""
    base, tie = tensors(WORK / config["base_model"])[name].float(), False
    for entry in config["models"]:
        delta = (tensors(WORK / entry["model"])[name].float() - base).abs()
        kept = max(1, int(entry["parameters"]["density"] * delta.numel()))
        tie |= delta == delta.flatten().sort(descending=True).values[kept - 1]
    return tie


def dare(config, ours, theirs):
    base, other = (tensors(WORK / m) for m in (config["base_model"], config["models"][0]["model"]))
    parameters = config["models"][0]["parameters"]
    weight, density = parameters["weight"], parameters["density"]
    rescales = config.get("parameters", {}).get("rescale", True)
    worst, shares = 0.0, []
    for result in (ours, theirs):
        kept = count = 0
        for name, value in result.items():
            delta, found = other[name].double() - base[name].double(), value.double() - base[name].double()
            mask = found.abs() > delta.abs() * 0.01
            kept, count = kept + mask.sum().item(), count + mask.numel()
            factor = weight * (delta.abs().sum() / (delta * mask).abs().sum() if rescales else 1)
            if config["merge_method"] == "dare_ties": factor = factor / weight if config["parameters"]["normalize"] else factor
            worst = max(worst, ((found - delta * factor) * mask).abs().max().item())
        shares.append(kept / count)
    ok = all(abs(s - density) < 0.005 for s in shares) and worst < 2e-6
    return ok, f"kept {shares[0]:.4f} and {shares[1]:.4f} of {density}, the rest's factor within {worst:.1e}"


def compare():
    from mergekit.config import MergeConfiguration
    from mergekit.merge import MergeOptions, run_merge
    from transformers import AutoModelForCausalLM
    make_models(); add_tokenizers()
    os.chdir(WORK)
    for name in ("out-ours", "out-mergekit"): (WORK / name).mkdir(exist_ok=True)
    rows, failures = [], 0
    for name, config in configurations().items():
        file = WORK / f"{name}.yml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        mine, other = WORK / "out-ours" / name, WORK / "out-mergekit" / name
        surgery(str(file), str(mine))
        if not other.exists():
            try:
                run_merge(MergeConfiguration.model_validate(config), str(other),
                          MergeOptions(quiet=True, copy_tokenizer=True, write_model_card=False))
            except Exception as error:
                # Its tensors are written before it fails over the configuration.
                print(f"{name}: mergekit ends with {type(error).__name__}", file=sys.stderr)
        ours, theirs = tensors(mine), tensors(other)
        ok = set(ours) == set(theirs) and all(ours[n].shape == theirs[n].shape and ours[n].dtype == theirs[n].dtype for n in theirs)
        if not ok:
            text = f"names {set(ours) ^ set(theirs)}, shapes {[(n, ours[n].shape, theirs[n].shape) for n in set(ours) & set(theirs) if ours[n].shape != theirs[n].shape or ours[n].dtype != theirs[n].dtype]}"
        elif name.startswith("passthrough"):
            ok = all(torch.equal(ours[n].view(torch.uint8), theirs[n].view(torch.uint8)) for n in theirs)
            text = "the same bytes"
        elif name.startswith("dare"):
            ok, text = dare(config, ours, theirs)
        elif config["dtype"] == "bfloat16":
            exact = WORK / "out-ours" / f"{name}-exact"
            (WORK / f"{name}-exact.yml").write_text(yaml.safe_dump(config | {"dtype": "float32"}, sort_keys=False))
            surgery(str(WORK / f"{name}-exact.yml"), str(exact))
            exact = tensors(exact)
            ok = all(torch.equal(ours[n], exact[n].bfloat16()) for n in ours)
            errors = [max((r[n].float() - exact[n]).abs().max().item() for n in r) for r in (ours, theirs)]
            text = f"float32 rounded once; largest error {errors[0]:.1e}, mergekit's {errors[1]:.1e}"
        else:
            difference = torch.cat([(ours[n].double() - theirs[n].double()).abs().flatten() for n in theirs])
            apart = difference > 2e-6
            if apart.any() and name == "ties-plain":
                tie = torch.cat([at_threshold(config, n).flatten() for n in theirs])
                ok, apart = not (apart & ~tie).any(), (apart & tie).sum().item()
            else:
                ok, apart = not apart.any(), 0
            text = f"largest difference {difference[difference <= 2e-6].max().item():.1e}" + (f"; {apart} of {len(difference)} numbers differ, all of which tie at a threshold" if apart else "")
        loads = []
        for folder in (mine, other):
            try:
                AutoModelForCausalLM.from_pretrained(folder); loads.append("yes")
            except Exception as error: loads.append(f"no ({type(error).__name__})")
        ok = ok and loads[0] == "yes"
        failures += not ok
        rows.append((name, "yes" if ok else "NO", text, *loads))
        print("| " + " | ".join(rows[-1]) + " |", flush=True)
    print(f"{len(rows)} configurations, {failures} failures")
    return failures


# --- Speed ---

def large(index):
    folder = WORK / f"large-{index}"
    if folder.exists(): return
    folder.mkdir(parents=True)
    C, F, L, V, KV = 2048, 5632, 13, 32000, 512
    (folder / "config.json").write_text(json.dumps(dict(
        architectures=["MistralForCausalLM"], model_type="mistral", hidden_size=C, intermediate_size=F, num_hidden_layers=L,
        num_attention_heads=16, num_key_value_heads=4, vocab_size=V, torch_dtype="bfloat16", tie_word_embeddings=False,
        rms_norm_eps=1e-5, hidden_act="silu", max_position_embeddings=4096, sliding_window=None), indent=2))
    def numbers(seed, *shape):
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.02
    state, seed = {}, 0
    def add(name, *shape):
        nonlocal seed
        seed += 1
        value = numbers(seed, *shape)
        if index: value += numbers(seed + 1000 * index, *shape) * 0.05
        state[name] = value.bfloat16()
    add("model.embed_tokens.weight", V, C); add("lm_head.weight", V, C); add("model.norm.weight", C)
    for l in range(L):
        p = f"model.layers.{l}."
        for name, shape in (("self_attn.q_proj", (C, C)), ("self_attn.k_proj", (KV, C)), ("self_attn.v_proj", (KV, C)),
                            ("self_attn.o_proj", (C, C)), ("mlp.gate_proj", (F, C)), ("mlp.up_proj", (F, C)), ("mlp.down_proj", (C, F))):
            add(p + name + ".weight", *shape)
        for name in ("input_layernorm", "post_attention_layernorm"): add(p + name + ".weight", C)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


# A process counts the memory of the one that it was forked from, so a small one starts it.
LAUNCHER = """import json, os, sys, time
start = time.time()
process = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(process, 0)
print(json.dumps([status, time.time() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))"""


def measured(command):
    run = subprocess.run([sys.executable, "-S", "-c", LAUNCHER, *command], cwd=WORK, capture_output=True, text=True)
    status, *figures = json.loads(run.stdout.splitlines()[-1])
    if status: raise SystemExit(f"{command}: {run.stderr[-2000:]}")
    return figures


def speed(names):
    for index in range(3): large(index)
    two = [model("large-1", weight=0.5, density=0.5), model("large-2", weight=0.3, density=0.5)]
    both = {
        "linear": whole("linear", [model("large-0", weight=0.5), model("large-1", weight=0.5)], dtype="bfloat16"),
        "slerp": whole("slerp", [model("large-0"), model("large-1")], "large-0", {"t": 0.4}, dtype="bfloat16"),
        "ties": whole("ties", two, "large-0", dtype="bfloat16"),
        "dare_ties": whole("dare_ties", two, "large-0", dtype="bfloat16"),
        "passthrough": sliced("passthrough", [[source("large-0", 0, 7)], [source("large-1", 7, 13)]], dtype="bfloat16"),
    }
    mergekit = str(Path(sys.executable).parent / "mergekit-yaml")
    print("| method | ours: s, CPU s, MiB | mergekit: s, CPU s, MiB | times |")
    for name in names or both:
        file = WORK / f"speed-{name}.yml"
        file.write_text(yaml.safe_dump(both[name], sort_keys=False))
        figures = {"ours": [], "mergekit": []}
        for _ in range(3):
            for who, command in (("ours", [SURGERY, "merge", file, "-o", "speed-out"]), ("mergekit", [mergekit, file, "speed-out", "--quiet", "--no-write-model-card"])):
                shutil.rmtree(WORK / "speed-out", ignore_errors=True)
                figures[who].append(measured([str(c) for c in command]))
        shutil.rmtree(WORK / "speed-out", ignore_errors=True)
        medians = {w: [statistics.median(column) for column in zip(*f)] for w, f in figures.items()}
        text = {w: "{:.1f}, {:.1f}, {:.0f}".format(*m) for w, m in medians.items()}
        print(f"| {name} | {text['ours']} | {text['mergekit']} | {medians['mergekit'][0] / medians['ours'][0]:.1f} |", flush=True)


if "--speed" in sys.argv:
    speed(sys.argv[sys.argv.index("--speed") + 1:])
else:
    WORK.mkdir(parents=True, exist_ok=True)
    sys.exit(1 if compare() else 0)
