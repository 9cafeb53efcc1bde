"""Kills every writing command at random moments, runs it again, and compares the result with an undisturbed one.

usage: kills.py SURGERY FOLDER [--kills 20] [--seed 1] [--layers 6] [--only NAME]
       kills.py SURGERY FOLDER --trainer TRAINER [--kills 10] [--seed 1]
SURGERY, TRAINER: the built commands (release); FOLDER: where models are made and removed (about 2 GB)

Each command is killed (SIGKILL) at moments drawn evenly from the time that it usually takes, one to three times before it
may end. After each kill the source has to be as it was, and the output absent or whole: with --force, the older model
or the new one. Then the same command line runs to its end, and every file has to have the bytes of the undisturbed run;
nothing may be left beside it. (Where a kill came after the result had its name, it is run again with --force.) The table says of each command how often it was killed, how many kills found it writing
(the unfinished folder was there), how much was resumed instead of written again, and how many results differed.

With --trainer it is healing that is killed, a run of EEVE's seven stages on a grown model: in one `trainer heal --stages`,
once more with a guard so strict and a rate so low that the run goes back again and again, and step by step by `surgery run` of a
recipe. After each kill the same run goes on (--resume), so that the kills lie one after the other in it; when it comes to its
end before all kills, the next run begins. The table says how many runs there were, how many stages were killed in, how many
kills found a checkpoint or the result being written, and how often a run went back to a checkpoint of its own accord.
Needs Python alone. Exit code 1 where anything differed.
"""
import argparse, hashlib, json, os, random, shutil, signal, subprocess, sys, time
from pathlib import Path

parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("surgery", type=lambda path: Path(path).resolve())
parser.add_argument("folder", type=lambda path: Path(path).resolve())
parser.add_argument("--kills", type=int)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--layers", type=int, default=6)
parser.add_argument("--only")
parser.add_argument("--trainer", type=lambda path: Path(path).resolve())
options = parser.parse_args()
draw = random.Random(options.seed)
folder = options.folder
folder.mkdir(parents=True, exist_ok=True)
example = Path(__file__).resolve().parents[2] / "Examples" / "base"
HIDDEN, WIDE, LAYERS = 1024, 4096, options.layers
ROWS = json.loads((example / "config.json").read_text())["vocab_size"]


def write(path, tensors):
    """A safetensors file of tensors (name, type, shape) of random bytes; exponents are kept small."""
    sizes = {"BF16": 2, "F8_E4M3": 1, "F32": 4}
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, kind, shape in tensors:
        count = sizes[kind]
        for size in shape:
            count *= size
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + count]}
        offset += count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    table = bytes(byte & 0x3F | byte & 0x80 for byte in range(256))
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, kind, shape in tensors:
            begin, end = header[name]["data_offsets"]
            file.write(draw.randbytes(end - begin).translate(table))


def make(name, quantized):
    """A Llama in two files, its matrices in bfloat16 or in 8 bits with scales of blocks."""
    model = folder / name
    model.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(example / file, model)
    settings = json.loads((example / "config.json").read_text()) | dict(
        hidden_size=HIDDEN, intermediate_size=WIDE, num_hidden_layers=LAYERS, num_attention_heads=8, num_key_value_heads=8,
        head_dim=HIDDEN // 8, dtype="bfloat16", tie_word_embeddings=False)
    settings.pop("torch_dtype", None)
    if quantized:
        settings["quantization_config"] = dict(quant_method="fp8", weight_block_size=[128, 128])
    (model / "config.json").write_text(json.dumps(settings, indent=2))
    tensors = [(key, "BF16", shape) for key, shape in [
        ("lm_head.weight", [ROWS, HIDDEN]), ("model.embed_tokens.weight", [ROWS, HIDDEN]), ("model.norm.weight", [HIDDEN])]]
    for layer in range(LAYERS):
        stem = f"model.layers.{layer}."
        tensors += [(stem + norm, "BF16", [HIDDEN]) for norm in ("input_layernorm.weight", "post_attention_layernorm.weight")]
        for key, height, width in [(f"self_attn.{one}_proj", HIDDEN, HIDDEN) for one in "qkvo"] + [
                ("mlp.gate_proj", WIDE, HIDDEN), ("mlp.up_proj", WIDE, HIDDEN), ("mlp.down_proj", HIDDEN, WIDE)]:
            tensors.append((f"{stem}{key}.weight", "F8_E4M3" if quantized else "BF16", [height, width]))
            if quantized:
                tensors.append((f"{stem}{key}.weight_scale_inv", "F32", [height // 128, width // 128]))
    half = len(tensors) // 2
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for file, part in zip(names, (tensors[:half], tensors[half:])):
        write(model / file, part)
    weights = {key: names[index >= half] for index, (key, _, _) in enumerate(tensors)}
    (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weights}))


def contents(name):
    """The SHA-256 of every file of a folder."""
    result = {}
    for path in sorted((folder / name).rglob("*")):
        if path.is_file():
            with open(path, "rb") as file:
                result[str(path.relative_to(folder / name))] = hashlib.file_digest(file, "sha256").hexdigest()
    return result


def versions(name):
    """What tells whether anyone has touched the files of a folder."""
    return {str(path): (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_mode)
            for path in sorted((folder / name).rglob("*"))}


def remove(name):
    shutil.rmtree(folder / name, ignore_errors=True)


def start(command):
    return subprocess.Popen(
        [options.surgery, *command, "-o", "out"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def finish(command):
    process = start(command)
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    return output


COMMANDS = {
    "dus": ["dus", "base", "--to", str(LAYERS * 3 // 2)],
    "layers": ["layers", "base", "--plan", f"0-{LAYERS - 1},{LAYERS - 1}-0"],
    "expand": ["expand", "base", "--to", str(LAYERS + 2)],
    "prune": ["prune", "base", "--to", str(LAYERS - 1), "--drop", "1"],
    "resize-vocab": ["resize-vocab", "base", "--size", str(ROWS + 1)],
    "convert": ["convert", "base", "--dtype", "f32"],
    "convert --dequantize": ["convert", "eight", "--dequantize"],
    "run": ["run", "base", "--step", f"dus --to {LAYERS + 2}", "--step", "convert --dtype f16"],
    "undo": ["undo", "made"],
    "dus --force": ["dus", "base", "--to", str(LAYERS + 2), "--force"],
}
SOURCES = ["base", "eight", "made"]


def trial(name, command, expected, older, usual, row):
    """Kills the command one to three times, lets it end, and looks at what is there."""
    if older:
        shutil.copytree(folder / "made", folder / "out")
    for _ in range(min(draw.randint(1, 3), options.kills - row["kills"])):
        while True:
            process = start(command)
            time.sleep(usual * draw.random())
            process.send_signal(signal.SIGKILL)
            process.communicate()
            if process.returncode == -signal.SIGKILL:
                break
            # It had come to its end: as if it had never run.
            row["late"] += 1
            remove("out")
            if older:
                shutil.copytree(folder / "made", folder / "out")
        row["kills"] += 1
        row["writing"] += (folder / ".out.partial").exists()
        row["touched"] += any(versions(source) != known for source, known in before.items())
        if (folder / "out").exists():
            found = contents("out")
            row["half"] += found != expected and not (older and found == older)
            if found == expected:
                # It has its name; the same command line would refuse without --force.
                row["published"] += 1
                break
    again = command if older or not (folder / "out").exists() else [*command, "--force"]
    finished = finish(again)
    result = json.loads(finished) if finished.startswith(b"{") else {}
    row["resumed"] += result.get("resumed_bytes", 0)
    row["differing"] += contents("out") != expected
    row["left"] += any(path.name not in {*SOURCES, "out"} for path in folder.iterdir())
    remove("out")


# EEVE's stages (arXiv 2402.14714, section 3): what is trained in each; everything in the sixth.
EEVE = {
    "new-input": ["new-input-rows: rate=1", "rest: freeze"],
    "new-output": ["new-output-rows: rate=1", "rest: freeze"],
    "new-rows": ["new-rows: rate=1", "rest: freeze"],
    "all-output": ["head: rate=1", "rest: freeze"],
    "new-input-all-output": ["new-input-rows: rate=1", "head: rate=1", "rest: freeze"],
    "all": [],
    "layers": ["embeddings: freeze", "head: freeze"],
}
EXAMPLES = example.parent / "data"
SETTINGS = {"batch": 2, "length": 64, "lr": 1e-3, "embedding-lr": 1e-3, "checkpoint-every": 3}


def stages(**all_of_them):
    """The stages as they are typed; what is named is other in the sixth."""
    return [json.dumps({"name": name, "groups": groups, "steps": 8} | (all_of_them if name == "all" else {}))[1:-1]
            for name, groups in EEVE.items()]


def healing_commands():
    """What is killed: the command, and what is added to it so that it goes on."""
    heal = [options.trainer, "heal", "grown", "--data", f"ko={EXAMPLES / 'korean.train.jsonl'}:0.75", "--replay",
            f"en={EXAMPLES / 'english.train.jsonl'}:0.25", "-o", "out",
            *(word for key, value in SETTINGS.items() for word in (f"--{key}", str(value)))]
    data = {"data": [f"ko={EXAMPLES / 'korean.train.jsonl'}"]}
    recipe = {"model": "grown", "steps": [
        {"name": name, "heal": SETTINGS | data | {"steps": 8} | ({"groups": groups} if groups else {})}
        for name, groups in EEVE.items()]}
    (folder / "eeve.yaml").write_text(json.dumps(recipe, indent=1))
    return {
        "heal --stages": ([*heal, "--stages", *stages()], ["--resume"]),
        "heal --guard rollback": (
            [*heal, "--guard", "rollback", "--guard-sigma", "1", "--stages",
             *stages(**{"steps": 90, "batch": 1, "length": 32, "lr": 1e-6, "embedding-lr": 1e-6})], ["--resume"]),
        "run eeve.yaml": ([options.surgery, "run", "eeve.yaml", "-o", "out"], []),
    }


def healing_start(command):
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def healing_finish(command):
    process = healing_start(command)
    _, messages = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{messages.decode()}")


def clear():
    for name in ("out", ".out.partial", "out.run", "out.steps"):
        remove(name)


def records():
    """The lines of all records that are there."""
    return [[json.loads(line) for line in path.read_text().splitlines()]
            for path in sorted(folder.glob("out*/**/record.jsonl"))]


def losses():
    """The loss of each step of each record, the last where it was taken twice."""
    return [{line["step"]: line["loss"] for line in lines if "loss" in line} for lines in records()]


def place():
    """In which stage a run stood that was killed, by its last checkpoint or the results that its steps have left."""
    kept = sorted(folder.glob("out.run/step-*/run.json"))
    if kept:
        return json.loads(kept[-1].read_text())["progress"]["stage"]
    return sum(1 for path in folder.glob("out.steps/*") if path.is_dir() and not path.name.endswith(".run"))


def heal_kills():
    """Kills healing; how much was found wrong."""
    clear()
    shutil.rmtree(folder / "grown", ignore_errors=True)
    subprocess.run([options.surgery, "resize-vocab", example, "--learn", "200", "--corpus", EXAMPLES / "korean.train.jsonl",
                    "-o", "grown"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    touched, sums, bad = versions("grown"), contents("grown"), 0
    print(f"seed {options.seed}; killed: in so many stages, of these writing; results: what went wrong")
    print(f"{'command':24}{'s':>7}{'killed':>8}{'stages':>8}{'writing':>9}{'runs':>6}{'back':>6}"
          f"{'differ':>8}{'half':>6}{'touched':>9}{'left':>6}", flush=True)
    for name, (command, more) in healing_commands().items():
        if options.only not in (None, name):
            continue
        clear()
        begin = time.monotonic()
        healing_finish(command)
        usual, expected = time.monotonic() - begin, contents("out")
        back = sum(line.get("event") == "rolled_back" for lines in records() for line in lines)
        told = losses()
        clear()
        row = dict.fromkeys(["kills", "writing", "runs", "differing", "half", "touched", "left"], 0)
        places = set()
        while row["kills"] < options.kills:
            row["runs"] += 1
            while True:
                process = healing_start([*command, *more])
                if row["kills"] < options.kills:
                    time.sleep(usual * draw.random() / 3)
                    process.send_signal(signal.SIGKILL)
                _, messages = process.communicate()
                if process.returncode == 0:
                    break
                if process.returncode != -signal.SIGKILL:
                    sys.exit(f"{name}: exit code {process.returncode}\n{messages.decode()}")
                row["kills"] += 1
                places.add(place())
                row["writing"] += any(folder.glob("out*/**/.*.partial")) or (folder / ".out.partial").exists()
                row["touched"] += versions("grown") != touched
                row["half"] += (folder / "out").exists() and contents("out") != expected
            row["differing"] += contents("out") != expected or losses() != told
            row["left"] += any(path.name not in {"grown", "eeve.yaml", "out", "out.run"} for path in folder.iterdir())
            row["left"] += any(folder.glob("out.run/**/*step-*"))
            clear()
        print(f"{name:24}{usual:7.2f}{row['kills']:8}{len(places):8}{row['writing']:9}{row['runs']:6}{back:6}"
              f"{row['differing']:8}{row['half']:6}{row['touched']:9}{row['left']:6}", flush=True)
        bad += row["differing"] + row["half"] + row["touched"] + row["left"]
    bad += contents("grown") != sums
    clear()
    shutil.rmtree(folder / "grown")
    (folder / "eeve.yaml").unlink()
    return bad


if options.trainer:
    options.kills = 10 if options.kills is None else options.kills
    sys.exit(1 if heal_kills() else 0)
options.kills = 20 if options.kills is None else options.kills
for name in [*SOURCES, "out", ".out.partial"]:
    remove(name)
make("base", quantized=False)
make("eight", quantized=True)
subprocess.run([options.surgery, "dus", "base", "--to", str(LAYERS * 3 // 2), "-o", "made"], cwd=folder, check=True,
               stderr=subprocess.DEVNULL)
before = {name: versions(name) for name in SOURCES}
sums = {name: contents(name) for name in SOURCES}
bad = 0
print(f"seed {options.seed}; killed: of these writing, after publishing; results: resumed, and what went wrong")
print(f"{'command':22}{'MB':>6}{'s':>7}{'killed':>8}{'writing':>9}{'published':>11}{'resumed MB':>12}"
      f"{'differ':>8}{'half':>6}{'touched':>9}{'left':>6}", flush=True)
for name, command in COMMANDS.items():
    if options.only not in (None, name):
        continue
    command = command + ["--json"]
    older = sums["made"] if "--force" in command else None
    usual = 1e9
    for _ in range(2):
        remove("out")
        begin = time.monotonic()
        finish(command)
        usual = min(usual, time.monotonic() - begin)
    expected = contents("out")
    size = sum(path.stat().st_size for path in (folder / "out").rglob("*"))
    remove("out")
    row = dict.fromkeys(["kills", "late", "writing", "published", "resumed", "differing", "half", "touched", "left"], 0)
    while row["kills"] < options.kills:
        trial(name, command, expected, older, usual, row)
    print(f"{name:22}{size / 1e6:6.0f}{usual:7.2f}{row['kills']:8}{row['writing']:9}{row['published']:11}"
          f"{row['resumed'] / 1e6:12.0f}{row['differing']:8}{row['half']:6}{row['touched']:9}{row['left']:6}", flush=True)
    bad += row["differing"] + row["half"] + row["touched"] + row["left"]
bad += any(contents(name) != known for name, known in sums.items())
for name in SOURCES:
    remove(name)
sys.exit(1 if bad else 0)
