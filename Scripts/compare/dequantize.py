"""Compares `surgery convert --dequantize` with what transformers has in memory when it dequantises, over several shapes.

usage: dequantize.py SURGERY FOLDER        SURGERY: the built command; FOLDER: where models are made (about 50 MB)

Quantised models are made as Scripts/fixtures/quantized_models.py makes them, wider and with shapes of their own: scales of
blocks, of rows and of the whole; in float32 and bfloat16; experts. Each is dequantised to bf16 and to f32 by both. Every
parameter has to have the same bytes in memory when transformers reads our result, and ours has to pass `surgery verify`.
Needs torch, transformers, accelerate and compressed-tensors; measured with torch 2.15.0, transformers 5.24.0 and
compressed-tensors 0.20.0.
"""
import importlib.util, shutil, subprocess, sys
from pathlib import Path

spec = importlib.util.spec_from_file_location(
    "quantized_models", Path(__file__).resolve().parents[1] / "fixtures" / "quantized_models.py")
fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixtures)
import torch
from transformers import AutoModelForCausalLM, CompressedTensorsConfig, FineGrainedFP8Config, Mxfp4Config

surgery, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)


def exponents(tensors, key, weight):
    """MXFP8: blocks of 1 × 32, their scales exponents in a byte."""
    height, width = weight.shape
    blocks = weight.float().reshape(height, width // 32, 32)
    powers = torch.ceil(torch.log2(blocks.abs().amax(dim=-1) / 448))
    tensors[key] = (blocks / torch.exp2(powers)[..., None]).reshape(height, width).to(torch.float8_e4m3fn)
    tensors[key + "_scale_inv"] = (powers + 127).to(torch.uint8)


def brain(tensors, key, weight):
    """Scales of blocks in bfloat16."""
    fixtures.blocks(tensors, key, weight)
    tensors[key + "_scale_inv"] = tensors[key + "_scale_inv"].to(torch.bfloat16)


def tensor(tensors, key, weight):
    """compressed-tensors' weight_scale of the whole, in bfloat16."""
    values, scales = fixtures.float8(weight, (1, 1))
    tensors[key], tensors[key + "_scale"] = values, scales.reshape(1).to(torch.bfloat16)


def float32(tensors, key, weight):
    """compressed-tensors' weight_scale of rows in float32."""
    tensors[key], tensors[key + "_scale"] = fixtures.float8(weight, (weight.shape[0], 1))


def half(tensors, key, weight):
    """compressed-tensors' weight_scale of rows in float16."""
    values, scales = fixtures.float8(weight, (weight.shape[0], 1))
    tensors[key], tensors[key + "_scale"] = values, scales.to(torch.float16)


wide = fixtures.BASE | dict(hidden_size=64, intermediate_size=160, num_attention_heads=8, head_dim=16)
strategy = lambda name: fixtures.COMPRESSED | dict(config_groups=dict(group_0=fixtures.COMPRESSED["config_groups"]["group_0"] | dict(
    weights=dict(num_bits=8, type="float", symmetric=True, strategy=name, dynamic=False))))
fp8, compressed = fixtures.FP8, CompressedTensorsConfig(dequantize=True)
asked = lambda size: FineGrainedFP8Config(weight_block_size=size, dequantize=True)
models = fixtures.MODELS | {
    "fp8-wide": ("llama", wide, fixtures.linear, fixtures.blocks, fp8, asked((16, 16))),
    "fp8-bf16-scales": ("qwen2", fixtures.BASE, fixtures.linear, brain, fp8, asked((16, 16))),
    "mxfp8": ("qwen3", wide, fixtures.linear, exponents,
              dict(quant_method="mxfp8", weight_block_size=[1, 32], scale_fmt="ue8m0"), asked((1, 32))),
    "compressed-tensor": ("llama", wide, fixtures.linear, tensor, strategy("tensor"), compressed),
    "compressed-f32": ("llama", wide, fixtures.linear, float32, strategy("channel"), compressed),
    "compressed-f16": ("llama", wide, fixtures.linear, half, strategy("channel"), compressed),
    "gpt-oss-wide": ("gpt_oss", fixtures.GPT_OSS | dict(hidden_size=64, intermediate_size=96), fixtures.packed,
                     fixtures.microscaled, dict(quant_method="mxfp4"), Mxfp4Config(dequantize=True)),
}
fixtures.MODELS = models
bad = 0
for name, (*_, config) in models.items():
    source = folder / name
    source.mkdir(exist_ok=True)
    fixtures.make(name, source)
    for typed, dtype in (("bf16", torch.bfloat16), ("f32", torch.float32)):
        out = folder / f"{name}-{typed}"
        shutil.rmtree(out, ignore_errors=True)
        subprocess.run([surgery, "convert", source, "-o", out, "--dequantize", "--dtype", typed], check=True,
                       stderr=subprocess.DEVNULL)
        verified = subprocess.run([surgery, "verify", out], capture_output=True).returncode == 0
        theirs = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, quantization_config=config)
        ours, info = AutoModelForCausalLM.from_pretrained(out, dtype=dtype, output_loading_info=True)
        odd = [key for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[key]]
        expected = dict(theirs.named_parameters())
        found = dict(ours.named_parameters())
        differing = [key for key in expected if key not in found or expected[key].dtype != found[key].dtype
                     or not torch.equal(expected[key], found[key])]
        bad += bool(differing or odd or not verified or len(found) != len(expected))
        print(f"{name:22} {typed:5} {len(expected):3} parameters, {len(differing)} differ {differing[:1]} {odd}"
              f"{'' if verified else ' not verified'}", flush=True)
sys.exit(1 if bad else 0)
