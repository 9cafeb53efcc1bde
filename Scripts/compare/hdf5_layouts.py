"""Models in the older HDF5 layouts, deepened, as Keras and Hugging Face's TensorFlow code read them; and round trips.

usage: hdf5_layouts.py SURGERY [MODEL]

SURGERY is the command. Checks, a line each, and fails where one does not hold:
  Keras 1/2 files of weights and of whole models, names counted by Keras and given by hand: 4 layers become 6, Keras's
    own loader for those files takes the result, and the deeper model computes what one with copied layers does
  a TensorFlow model of Hugging Face, in one file and in three: 4 layers become 6, and what its loader looks for is there
  MODEL (a folder of Hugging Face) to HDF5 and back to the same bytes, in one file and in many

needs keras, torch, h5py and safetensors
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile

os.environ["KERAS_BACKEND"] = "torch"

import h5py
import keras
import numpy as np
from keras.src.legacy.saving import legacy_h5_format as legacy

surgery, *models = sys.argv[1:]
random = np.random.default_rng(9)
folder = tempfile.mkdtemp()
failed = False
ORIGINS = [0, 1, 2, 1, 2, 3]


def check(what, holds):
    global failed
    failed = failed or not holds
    print(("ok      " if holds else "FAILED  ") + what)


def run(*arguments):
    done = subprocess.run([surgery, *arguments], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr)
    return done.returncode == 0


@keras.saving.register_keras_serializable()
class Block(keras.layers.Layer):
    def build(self, shape):
        self.norm = keras.layers.LayerNormalization(name="norm")
        self.inner = keras.layers.Dense(24, activation="relu", name="inner")
        self.outer = keras.layers.Dense(shape[-1], name="outer")
        self.norm.build(shape)
        self.inner.build(shape)
        self.outer.build((*shape[:-1], 24))
        self.built = True

    def call(self, x):
        return x + self.outer(self.inner(self.norm(x)))


def network(layers, named):
    keras.utils.clear_session()
    ids = keras.Input((7,), dtype="int32")
    x = keras.layers.Embedding(31, 16, name="words")(ids)
    x = keras.layers.Dropout(0.1)(x)
    for index in range(layers):
        x = Block(name=f"block_{index}" if named else None)(x)
    return keras.Model(ids, keras.layers.Dense(31, name="head")(keras.layers.LayerNormalization(name="end")(x)))


def keras2(named, whole):
    kind = ("model" if whole else "weights") + (", names given" if named else ", names counted")
    model = network(4, named)
    for weight in model.weights:
        weight.assign(random.standard_normal(weight.shape).astype("float32") * 0.3)
    path, out = f"{folder}/{len(os.listdir(folder))}.h5", f"{folder}/out{len(os.listdir(folder))}"
    if whole:
        legacy.save_model_to_hdf5(model, path)
    else:
        with h5py.File(path, "w") as file:
            legacy.save_weights_to_hdf5_group(file, model)
    ids = random.integers(0, 31, (3, 7))
    blocks = [layer for layer in model.layers if isinstance(layer, Block)]
    ends = [layer for layer in model.layers if layer.weights and not isinstance(layer, Block)]
    values = lambda layers: [layer.get_weights() for layer in layers]
    blocks, ends = values(blocks), values(ends)
    if not run("dus", path, "--to", "6", "-o", out):
        return check(f"Keras 2 {kind}: dus", False)
    expected, found = network(6, named), network(6, named)
    for layer, value in zip([l for l in expected.layers if isinstance(l, Block)], [blocks[i] for i in ORIGINS]):
        layer.set_weights(value)
    for layer, value in zip([l for l in expected.layers if l.weights and not isinstance(l, Block)], ends):
        layer.set_weights(value)
    made = [name for name in os.listdir(out) if name.endswith(".h5")][0]
    for by_name in [False, True]:
        with h5py.File(f"{out}/{made}", "r") as file:
            group = file["model_weights"] if "layer_names" not in file.attrs else file
            (legacy.load_weights_from_hdf5_group_by_name if by_name else legacy.load_weights_from_hdf5_group)(group, found)
        difference = float(np.abs(expected.predict(ids, verbose=0) - found.predict(ids, verbose=0)).max())
        check(f"Keras 2 {kind}, loaded by {'name' if by_name else 'order'}: difference {difference:.3g}", difference == 0)
        found = network(6, named)
    check(f"Keras 2 {kind}: verify", run("verify", out))


def tensorflow(shards):
    """What TFPreTrainedModel.save_pretrained of transformers 4 writes for a GPT-2, and its loaders look for."""
    top = "tfgp_t2lm_head_model"
    shapes = {"attn/c_attn/weight": (8, 24), "attn/c_attn/bias": (1, 24), "ln_1/gamma": (8,), "mlp/c_fc/weight": (8, 32)}
    names = ["wte/weight", *[f"h_._{i}/{part}" for i in range(4) for part in shapes], "ln_f/gamma"]
    names = [f"transformer/{name}:0" for name in names]
    shape = lambda name: next((s for part, s in shapes.items() if part + ":0" in name), (11, 8) if "wte" in name else (8,))
    weights = {name: random.standard_normal(shape(name)).astype("float32") for name in names}
    source, out = f"{folder}/tf{shards}", f"{folder}/tf{shards}-out"
    os.makedirs(source)
    json.dump({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 4, "n_embd": 8, "n_head": 2,
               "vocab_size": 11, "n_positions": 16}, open(f"{source}/config.json", "w"))
    if shards == 1:
        with h5py.File(f"{source}/tf_model.h5", "w") as file:
            file.attrs["layer_names"] = [b"transformer"]
            group = file.create_group("transformer")
            group.attrs["weight_names"] = [f"{top}/{name}".encode() for name in weights]
            for name, value in weights.items():
                group[f"{top}/{name}"] = value
    else:
        places = {name: f"tf_model-{index % shards + 1:05d}-of-{shards:05d}.h5" for index, name in enumerate(weights)}
        for place in set(places.values()):
            with h5py.File(f"{source}/{place}", "w") as file:
                mine = sorted(name for name in weights if places[name] == place)
                for name in mine:
                    file[name] = weights[name]
                file.attrs["layer_names"] = [name.encode() for name in mine]
        index = {"metadata": {"total_size": 1}, "weight_map": {f"{top}/{name}": place for name, place in places.items()}}
        json.dump(index, open(f"{source}/tf_model.h5.index.json", "w"))
    if not run("dus", source, "--to", "6", "-o", out, *(["--shard-size", "2000"] if shards > 1 else [])):
        return check(f"TensorFlow in {shards}: dus", False)
    found = {}
    if shards == 1:
        with h5py.File(f"{out}/tf_model.h5") as file:
            for layer in file.attrs["layer_names"]:
                for name in file[layer].attrs["weight_names"]:
                    name = name.decode() if isinstance(name, bytes) else name
                    found["/".join(name.split("/")[1:])] = np.asarray(file[layer][name])
    else:
        map = json.load(open(f"{out}/tf_model.h5.index.json"))["weight_map"]
        check(f"TensorFlow in {shards}: the index names what there is", {n.removeprefix(top + "/") for n in map} == {
            name for place in set(map.values()) for name in _listed(f"{out}/{place}")})
        for place in sorted(set(map.values())):
            with h5py.File(f"{out}/{place}") as file:
                for name in _listed(f"{out}/{place}"):
                    found[name] = np.asarray(file[name])
        check(f"TensorFlow in {shards}: {len(set(map.values()))} files", len(set(map.values())) > 1)
    expected = {name: value for name, value in weights.items() if "h_._" not in name}
    for layer, origin in enumerate(ORIGINS):
        for part in shapes:
            expected[f"transformer/h_._{layer}/{part}:0"] = weights[f"transformer/h_._{origin}/{part}:0"]
    same = found.keys() == expected.keys() and all(np.array_equal(found[n], expected[n]) for n in found)
    check(f"TensorFlow in {shards}: every weight is where the loader looks", same)
    check(f"TensorFlow in {shards}: n_layer", json.load(open(f"{out}/config.json"))["n_layer"] == 6)
    check(f"TensorFlow in {shards}: verify", run("verify", out))


def _listed(path):
    with h5py.File(path) as file:
        return [name.decode() if isinstance(name, bytes) else name for name in file.attrs["layer_names"]]


def hashes(path):
    names = [name for name in sorted(os.listdir(path)) if name != "surgery.json"]
    return {name: hashlib.sha256(open(f"{path}/{name}", "rb").read()).hexdigest() for name in names
            if os.path.isfile(f"{path}/{name}")}


def round_trip(model, size):
    """One format to the other and back, twice, so that both are compared with what the command itself writes."""
    steps = ["safetensors", "hdf5", "safetensors", "hdf5"]
    paths, last = [], model
    for index, step in enumerate(steps):
        paths.append(f"{folder}/trip{size}-{index}")
        if not run("convert", last, "--to", step, "--shard-size", size, "-o", paths[-1]):
            return check(f"round trip at {size}: {step}", False)
        last = paths[-1]
    weights = lambda path: {n: h for n, h in hashes(path).items() if ".safetensors" in n or ".h5" in n or n.endswith("weights.json")}
    first, other = weights(paths[0]), weights(paths[1])
    check(f"round trip at {size}: {len(first)} files of safetensors the same", first == weights(paths[2]))
    check(f"round trip at {size}: {len(other)} files of HDF5 the same", other == weights(paths[3]))
    before, after = hashes(model), hashes(paths[2])
    same = [name for name in before if before[name] == after.get(name)]
    check(f"round trip at {size}: as in the model itself: {' '.join(same)}", "config.json" in same)


for named in [False, True]:
    for whole in [False, True]:
        keras2(named, whole)
for shards in [1, 3]:
    tensorflow(shards)
for model in models:
    round_trip(model, "5GB")
    round_trip(model, "8MB")
sys.exit(failed)
