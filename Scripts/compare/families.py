"""Takes a model of every family through `surgery dus`, `surgery resize-vocab` and `trainer heal`, and compares what comes
out with transformers.

usage: families.py BIN_DIR OUT --tokenizer FOLDER --text FILE.jsonl [NAME...]

BIN_DIR has the built commands; OUT is where models are made (about 15 MB a family); FOLDER has a byte-level BPE tokenizer.
NAME is a golden of Scripts/fixtures/model_goldens.py, or llama or mistral; without any, one of each family and all wrappers.
For each a random model of four layers is made and saved; then

1. dus makes six layers: every tensor must be that of its source layer, byte for byte, and so must the layer's kind
   (gpt2-scaled must be refused, since a layer's number is part of what it computes);
2. resize-vocab learns 200 tokens: transformers' logits of the old tokens must be those of before;
3. verify proves each;
4. heal trains twenty steps, and must change the weights; what a trainer refuses is said below the table;
5. transformers loads the result, with nothing missing, unexpected or of another shape;
6. its loss on rows of tokens and that of `trainer eval` must agree to 1e-4;
7. what a wrapper has beside the text's model must be there byte for byte as before.

Ends with 1 when anything but a refusal of the trainer's (its exit code 2) went wrong. Needs torch, transformers, tokenizers and
safetensors; measured with torch 2.15.0 and transformers 5.24.0.
"""
import argparse
import copy
import json
import pathlib
import re
import shutil
import subprocess
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fixtures"))
import model_goldens as goldens
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

LAYERS, LEARNED, ROWS, LENGTH = 4, 200, 4, 64
LOWER = [0, 1, 2]  # of four layers to six, each copy has three
UPPER = [1, 2, 3]
MODELS = goldens.MODELS | {
    "llama": ("llama", goldens.BASE),
    "mistral": ("mistral", goldens.BASE | dict(sliding_window=5))}
FAMILIES = [
    "llama", "mistral", "mixtral", "qwen2", "qwen2-window", "qwen2-moe", "qwen3", "qwen3-moe", "gemma", "gemma2",
    "gemma3-text", "phi3", "gpt-neox", "gpt2", "bloom", "falcon-rotary", "falcon-alibi", "falcon-new", "olmo2", "olmo3",
    "stablelm", "starcoder2", "cohere2", "granite", "smollm3", "gpt-oss", "gemma3", "mistral3", "llava"]
NOT_DEEPENED = {"gpt2-scaled"}  # what a layer computes depends on its number
IMAGES = re.compile(r"^(model\.)?(vision_tower|multi_modal_projector)\.")
LAYER = re.compile(r"^((?:model\.|language_model\.|transformer\.|gpt_neox\.)*(?:layers|h)\.)(\d+)(\..*)$")
SIZES = dict(
    hidden_size=64, n_embd=64, num_attention_heads=4, n_head=4, intermediate_size=96, moe_intermediate_size=32,
    shared_expert_intermediate_size=48, ffn_hidden_size=96, head_dim=16, num_hidden_layers=LAYERS, n_layer=LAYERS,
    n_positions=256, sliding_window=16)


class Failure(Exception):
    pass


class Refusal(Failure):
    """The command ended with 2: it does not take this input."""


def enlarged(settings, vocabulary):
    """The settings with the sizes of this script, and lists of layers and of rotary factors as long as these need."""
    made = copy.deepcopy(settings)
    if "text_config" in made:
        made["text_config"] = enlarged(made["text_config"], vocabulary)
        ids = [key for key in made if key.endswith("token_index")]
        return made | {key: vocabulary - 1 - index for index, key in enumerate(ids)}
    for key in made:
        if key in SIZES and made[key] is not None:
            made[key] = SIZES[key]
        if key in ("layer_types", "no_rope_layers"):
            made[key] = [made[key][index % len(made[key])] for index in range(LAYERS)]
    if made.get("num_key_value_heads", 1) > 1:
        made["num_key_value_heads"] = 2
    if "max_position_embeddings" in made:
        made["max_position_embeddings"] = max(256, made["max_position_embeddings"])
    rope = made.get("rope_parameters", {})
    for key in ("short_factor", "long_factor"):
        if key in rope:
            rope[key] = [factor for factor in rope[key] for _ in range(2)]
    return made | dict(vocab_size=vocabulary)


def tensors(folder):
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    return found


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(
        a.contiguous().view(-1).view(torch.uint8), b.contiguous().view(-1).view(torch.uint8))


def run(command, *arguments):
    done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line]
        kind = Refusal if done.returncode == 2 else Failure
        raise kind(f"ended with {done.returncode}: {lines[0] if lines else 'nothing said'}")
    return done.stdout


def load(kind, folder):
    model, info = goldens.loader(kind).from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
    wrong = {key: sorted(map(str, value)) for key, value in info.items() if value}
    if wrong:
        raise Failure(f"transformers: {wrong}")
    return model.eval()


def logits_and_loss(model, ids):
    with torch.no_grad():
        logits, loss, _ = goldens.losses(model, ids, None)
    return logits, loss.item()


def check_deepened(source, deepened):
    before, after = tensors(source), tensors(deepened)
    expected = {}
    for name, tensor in before.items():
        match = LAYER.match(name)
        for index, layer in enumerate(LOWER + UPPER):
            if match and int(match[2]) == layer:
                expected[f"{match[1]}{index}{match[3]}"] = tensor
        if not match:
            expected[name] = tensor
    if expected.keys() != after.keys():
        raise Failure(f"tensors differ: {sorted(expected.keys() ^ after.keys())[:4]}")
    changed = [name for name in expected if not same(expected[name], after[name])]
    if changed:
        raise Failure(f"other bytes: {changed[:4]}")
    configs = [json.loads((folder / "config.json").read_text()) for folder in (source, deepened)]
    old, new = (config.get("text_config", config) for config in configs)
    for key in ("layer_types", "no_rope_layers"):
        if key in old and new[key] != [old[key][layer] for layer in LOWER + UPPER]:
            raise Failure(f"{key} is {new[key]}")
    dense = [old.get("mlp_only_layers") or [], new.get("mlp_only_layers") or []]
    if dense[1] != [index for index, layer in enumerate(LOWER + UPPER) if layer in dense[0]]:
        raise Failure(f"mlp_only_layers is {dense[1]}")


def family(name, arguments, ids, vocabulary):
    """The cells of one line, and notes."""
    kind, settings = MODELS[name]
    folder = arguments.out / name
    shutil.rmtree(folder, ignore_errors=True)
    base, deep, grown, healed = (folder / part for part in ("base", "deep", "grown", "healed"))
    folder.mkdir(parents=True)
    model = goldens.make(
        kind, enlarged(settings, vocabulary), torch.Generator().manual_seed(zlib.crc32(name.encode())))
    model.save_pretrained(base)
    for path in arguments.tokenizer.glob("*token*"):
        shutil.copy(path, base)
    cells = {key: "–" for key in COLUMNS[1:]} | {"family": name}
    notes = []

    def step(key, work):
        try:
            cells[key] = work() or "ok"
            return True
        except Exception as failure:  # whatever a library throws is a result here
            cells[key] = "**failed**"
            notes.append(f"{name}, {key}: {str(failure).strip().splitlines()[0] if str(failure) else repr(failure)}")
            return False

    def deepen():
        nonlocal source
        try:
            run(arguments.surgery, "dus", base, "--from", LAYERS, "--to", LAYERS * 3 // 2, "-o", deep)
        except Refusal as refusal:
            if name not in NOT_DEEPENED:
                raise
            notes.append(f"{name}, dus refused, as it must: {refusal}")
            return "refused"
        if name in NOT_DEEPENED:
            raise Failure("a model whose layers depend on their number was deepened")
        check_deepened(base, deep)
        source = deep

    def resize():
        run(arguments.surgery, "resize-vocab", source, "--learn", LEARNED, "--corpus", arguments.text, "-o", grown)
        old, new = (logits_and_loss(load(kind, path), ids)[0] for path in (source, grown))
        if new.shape[-1] != vocabulary + LEARNED:
            raise Failure(f"transformers has {new.shape[-1]} rows and not {vocabulary + LEARNED}")
        difference = (old - new[..., :vocabulary]).abs().max().item()
        if not difference < 1e-5:
            raise Failure(f"the old tokens' logits differ by {difference:.1e}")
        size = Tokenizer.from_file(str(grown / "tokenizer.json")).get_vocab_size()
        if size != vocabulary + LEARNED:
            raise Failure(f"the tokenizer has {size} tokens and not {vocabulary + LEARNED}")

    def verify():
        for path in (deep, grown):
            if path.exists():
                run(arguments.surgery, "verify", path)

    def heal():
        try:
            run(arguments.trainer, "heal", grown, "--data", arguments.text, "--steps", 20, "--batch", 4, "--length",
                LENGTH, "--lr", 1e-3, "--threads", arguments.threads, "-o", healed)
        except Refusal as refusal:
            notes.append(f"{name}, heal refused: {refusal}")
            return "refused"
        before, after = tensors(grown), tensors(healed)
        if before.keys() != after.keys():
            raise Failure(f"tensors differ: {sorted(before.keys() ^ after.keys())[:4]}")
        # A router's correction has no gradient.
        still = [key for key in before if not IMAGES.match(key) and not key.endswith("e_score_correction_bias")
                 and same(before[key], after[key])]
        if still:
            raise Failure(f"not trained: {still[:4]}")

    def reload():
        nonlocal loss
        loss = logits_and_loss(load(kind, last), ids)[1]

    def evaluate():
        nonlocal found
        try:
            found = json.loads(run(
                arguments.trainer, "eval", last, "--ids", arguments.out / "ids.safetensors", "--json", "--threads",
                arguments.threads))["loss"]
        except Refusal as refusal:
            if not any(note.endswith(f": {refusal}") for note in notes):
                notes.append(f"{name}, eval refused: {refusal}")
            return "refused"
        return f"{found:.5f}"

    def compare():
        relative = abs(found - loss) / loss
        if not relative < 1e-4:
            raise Failure(f"{found} is not transformers' {loss}: {relative:.1e} of it")
        return f"{relative:.1e}"

    def images():
        before, after = tensors(base), tensors(last)
        changed = [key for key in before if IMAGES.match(key) and not (key in after and same(before[key], after[key]))]
        if changed:
            raise Failure(f"other bytes: {changed[:4]}")
        return f"{sum(1 for key in before if IMAGES.match(key))} same"

    source, loss, found = base, None, None
    if not step("dus", deepen) or not step("resize-vocab", resize):
        return cells, notes
    step("verify", verify)
    step("heal", heal)
    last = healed if healed.exists() else grown
    if step("transformers", reload):
        cells["transformers"] = f"{loss:.5f}"
        if step("trainer eval", evaluate) and found is not None:
            step("difference", compare)
    if kind in goldens.WRAPPERS:
        step("image tensors", images)
    if not arguments.keep:
        shutil.rmtree(folder)
    return cells, notes


COLUMNS = ["family", "dus", "resize-vocab", "verify", "heal", "transformers", "trainer eval", "difference",
           "image tensors"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of " + ", ".join(MODELS))
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the models in OUT")
    arguments = parser.parse_intermixed_args()
    unknown = [name for name in arguments.names if name not in MODELS]
    if unknown:
        parser.error(f"no model is called {unknown[0]}: there are {', '.join(MODELS)}")
    arguments.surgery, arguments.trainer = arguments.bin / "surgery", arguments.bin / "trainer"
    arguments.out.mkdir(parents=True, exist_ok=True)

    tokenizer = Tokenizer.from_file(str(arguments.tokenizer / "tokenizer.json"))
    vocabulary = tokenizer.get_vocab_size()
    ids = []
    for line in open(arguments.text):
        # The last tokens stand for images in wrappers.
        ids += [id for id in tokenizer.encode(json.loads(line)["text"]).ids if id < vocabulary - 3]
        if len(ids) >= ROWS * LENGTH:
            break
    ids = torch.tensor(ids[: ROWS * LENGTH], dtype=torch.int64).reshape(ROWS, LENGTH)
    save_file({"input_ids": ids}, arguments.out / "ids.safetensors")

    notes, failed = [], False
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS), flush=True)
    for name in arguments.names or FAMILIES:
        cells, more = family(name, arguments, ids, vocabulary)
        notes += more
        failed = failed or "**failed**" in cells.values()
        print("| " + " | ".join(cells[column] for column in COLUMNS) + " |", flush=True)
    if notes:
        print("\n" + "\n".join(f"- {note}" for note in notes))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
