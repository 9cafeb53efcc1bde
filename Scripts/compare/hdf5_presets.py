"""KerasHub presets with their own results, and what transformers and KerasHub compute of a converted model.

usage:  hdf5_presets.py make OUT                      a small preset of each family, with golden.safetensors
        hdf5_presets.py big OUT                       a Mistral of 20 layers in bfloat16 with random bytes, 2 GB
        hdf5_presets.py transformers MODEL=GOLDEN…    the greatest difference of logits, a line each
        hdf5_presets.py keras PRESET=GOLDEN…          the same by keras-hub
        hdf5_presets.py loss PRESET=GOLDEN…           the loss of the golden file's rows by keras-hub, as trainer eval --ids
                                                      has it
        hdf5_presets.py deepen SURGERY PRESET…        each with 4 layers made 6 in HDF5, loaded and computed by keras-hub,
                                                      beside the one that was converted first and made 6 then

    surgery convert presets/NAME -o hf/NAME --to safetensors; surgery convert hf/NAME -o back/NAME --to hdf5

needs keras, keras-hub, torch, transformers, h5py and safetensors
"""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import numpy as np
from safetensors.numpy import load_file, save_file


def logits_of(backbone, ids):
    import keras

    hidden = backbone({"token_ids": ids, "padding_mask": np.ones_like(ids)})
    made = backbone.token_embedding(hidden, reverse=True)
    return keras.ops.convert_to_numpy(keras.ops.cast(made, "float32"))


def make(out):
    from keras_hub import models

    random = np.random.default_rng(3)
    common = dict(vocabulary_size=211, num_layers=4, hidden_dim=64)
    grouped = dict(common, num_query_heads=4, num_key_value_heads=2, intermediate_dim=176)
    wide = dict(common, num_heads=4, intermediate_dim=256)
    kinds = {
        "llama": lambda: models.LlamaBackbone(**grouped, tie_word_embeddings=True),
        "mistral": lambda: models.MistralBackbone(**grouped),
        "qwen": lambda: models.QwenBackbone(**grouped, tie_word_embeddings=False),
        "qwen3": lambda: models.Qwen3Backbone(**grouped, head_dim=32),
        "gemma": lambda: models.GemmaBackbone(**{**grouped, "num_key_value_heads": 1, "intermediate_dim": 352}, head_dim=32),
        "phi3": lambda: models.Phi3Backbone(**grouped),
        "gpt2": lambda: models.GPT2Backbone(**wide, max_sequence_length=128),
        "neox": lambda: models.GPTNeoXBackbone(**wide),
        "bloom": lambda: models.BloomBackbone(**wide),
    }
    for name, kind in kinds.items():
        backbone = kind()
        for weight in backbone.weights:
            scale = 0.1 if len(weight.shape) > 1 else 0.3
            weight.assign(random.standard_normal(weight.shape).astype("float32") * scale)
        os.makedirs(f"{out}/{name}")
        backbone.save_to_preset(f"{out}/{name}")
        ids = random.integers(0, 211, (2, 16))
        save_file({"input_ids": ids, "logits": logits_of(backbone, ids)}, f"{out}/{name}/golden.safetensors")


def big(out):
    import h5py

    os.makedirs(out)
    random = np.random.default_rng(0)
    block = random.integers(0, 2**16, 1 << 24, dtype=np.uint16)
    width, inner, heads, size, groups, words, layers = 2048, 5632, 32, 64, 8, 32000, 20
    with h5py.File(f"{out}/model.weights.h5", "w") as file:

        def variables(path, name, *shapes):
            group = file.create_group(path + "/vars")
            group.attrs["name"] = name
            for index, shape in enumerate(shapes):
                data = np.resize(block[random.integers(0, 1000):], int(np.prod(shape))).reshape(shape)
                group.create_dataset(str(index), data=data.view("V2")).attrs["dtype"] = "bfloat16"

        variables("layers/reversible_embedding", "token_embedding", (words, width), (width, words))
        for index in range(layers):
            layer = "layers/mistral_transformer_decoder" + (f"_{index}" if index else "")
            attention = layer + "/_self_attention_layer/"
            variables(layer, f"transformer_layer_{index}")
            variables(attention + "_query_dense", "query", (width, heads, size))
            variables(attention + "_key_dense", "key", (width, groups, size))
            variables(attention + "_value_dense", "value", (width, groups, size))
            variables(attention + "_output_dense", "attention_output", (heads, size, width))
            for name in ["self_attention_layernorm", "feedforward_layernorm"]:
                variables(f"{layer}/_{name}", name, (width,))
            for name in ["gate", "intermediate"]:
                variables(f"{layer}/_feedforward_{name}_dense", f"feedforward_{name}_dense", (width, inner))
            variables(layer + "/_feedforward_output_dense", "feedforward_output_dense", (inner, width))
        variables("layers/mistral_layer_normalization", "sequence_output_layernorm", (width,))
    settings = dict(
        vocabulary_size=words, num_layers=layers, num_query_heads=heads, num_key_value_heads=groups, hidden_dim=width,
        intermediate_dim=inner, rope_max_wavelength=10000, layer_norm_epsilon=1e-6, sliding_window=512)
    json.dump({"class_name": "MistralBackbone", "config": settings}, open(f"{out}/config.json", "w"), indent=4)


def compare(pairs, compute):
    for pair in pairs:
        model, golden = pair.split("=")
        golden = load_file(golden)
        difference = np.abs(compute(model, golden["input_ids"].astype("int64")) - golden["logits"]).max()
        print(f"{model}: greatest difference {difference:.3g} of {np.abs(golden['logits']).max():.3g}")


def by_transformers(model, ids):
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model, torch_dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        return loaded(torch.from_numpy(ids)).logits.float().numpy()


def by_keras(model, ids):
    from keras_hub.models import Backbone

    try:
        backbone = Backbone.from_preset(model)
    except ValueError:
        # keras-hub 0.32 does not write down that a Llama is tied, and can't load its own preset then.
        import keras

        settings = json.load(open(f"{model}/config.json"))
        settings["config"]["tie_word_embeddings"] = True
        backbone = keras.saving.deserialize_keras_object(settings)
        name = "model.weights.json" if os.path.exists(f"{model}/model.weights.json") else "model.weights.h5"
        backbone.load_weights(f"{model}/{name}")
    return logits_of(backbone, ids)


def losses(pairs):
    for pair in pairs:
        model, golden = pair.split("=")
        ids = load_file(golden)["input_ids"].astype("int64")
        logits = by_keras(model, ids)[:, :-1].astype("float64")
        top = logits.max(-1, keepdims=True)
        logs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
        print(f"{model}: {-np.take_along_axis(logs, ids[:, 1:, None], -1).mean():.6f}")


def deepen(surgery, presets):
    import subprocess
    import tempfile

    folder = tempfile.mkdtemp()
    run = lambda *arguments: subprocess.run([surgery, *arguments], check=True, capture_output=True)
    for index, preset in enumerate(presets):
        deep, model, other = (f"{folder}/{index}-{name}" for name in ["deep", "model", "other"])
        run("dus", preset, "--to", "6", "-o", deep)
        run("verify", deep)
        run("convert", preset, "--to", "safetensors", "-o", model)
        run("dus", model, "--to", "6", "-o", other)
        ids = load_file(f"{preset}/golden.safetensors")["input_ids"].astype("int64")
        one, two = by_keras(deep, ids), by_transformers(other, ids)
        print(f"{preset}: greatest difference {np.abs(one - two).max():.3g} of {np.abs(two).max():.3g}")
        run("convert", deep, "--to", "safetensors", "-o", f"{folder}/{index}-converted")
        a, b = (open(f"{path}/model.safetensors", "rb").read() for path in [f"{folder}/{index}-converted", other])
        print(f"{preset}: deepened first or converted first: {'the same bytes' if a == b else 'DIFFERENT'}")


what, *rest = sys.argv[1:]
if what in ("make", "big"):
    {"make": make, "big": big}[what](rest[0])
elif what == "loss":
    losses(rest)
elif what == "deepen":
    deepen(rest[0], rest[1:])
else:
    compare(rest, {"transformers": by_transformers, "keras": by_keras}[what])
