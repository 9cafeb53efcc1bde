"""Compares `surgery dus` with the same layers rearranged by hand in transformers, over many families.

usage: dus.py SURGERY FOLDER        SURGERY: the built command; FOLDER: where models are made (about 100 MB)

For each family a small random model is made, deepened by half, verified, and loaded in transformers, where nothing may be
missing, unexpected or of another shape. Its logits must be those, to the bit (but for tolerance below), of the source's own layers in the new order.
Models called -old have the lists left out of their configuration which older versions of transformers left out.
Needs torch and transformers; measured with torch 2.15.0 and transformers 5.23.0.
"""
import copy, json, logging, shutil, subprocess, sys, warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import torch, transformers as tf

logging.disable(logging.CRITICAL)
surgery, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)

small = dict(vocab_size=128, hidden_size=64, num_attention_heads=4)
llama = dict(**small, intermediate_size=96, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
experts = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32)
gemma3 = tf.Gemma3TextConfig(**llama, num_hidden_layers=7, head_dim=16)
sight = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=7, num_attention_heads=2, image_size=28, patch_size=14)
models = {
    "mistral": (tf.MistralConfig(**llama, num_hidden_layers=16), tf.MistralForCausalLM),
    "qwen2": (tf.Qwen2Config(**llama, num_hidden_layers=8, use_sliding_window=True, sliding_window=8, max_window_layers=4), tf.Qwen2ForCausalLM),
    "qwen3": (tf.Qwen3Config(**llama, num_hidden_layers=8, head_dim=32), tf.Qwen3ForCausalLM),
    "gemma2": (tf.Gemma2Config(**llama, num_hidden_layers=7, head_dim=16, sliding_window=8), tf.Gemma2ForCausalLM),
    "gemma3": (tf.Gemma3TextConfig(**llama, num_hidden_layers=13, head_dim=16, sliding_window=8), tf.Gemma3ForCausalLM),
    "gemma3-vision": (tf.Gemma3Config(text_config=gemma3, vision_config=sight, mm_tokens_per_image=4), tf.Gemma3ForConditionalGeneration),
    "phi3": (tf.Phi3Config(**llama, num_hidden_layers=6), tf.Phi3ForCausalLM),
    "smollm3": (tf.SmolLM3Config(**llama, num_hidden_layers=9), tf.SmolLM3ForCausalLM),
    "llama4": (tf.Llama4TextConfig(**llama, intermediate_size_mlp=96, num_hidden_layers=7, num_local_experts=2, interleave_moe_layer_step=2, head_dim=16, attention_chunk_size=8), tf.Llama4ForCausalLM),
    "cohere2": (tf.Cohere2Config(**llama, num_hidden_layers=7, sliding_window=8), tf.Cohere2ForCausalLM),
    "qwen2-moe": (tf.Qwen2MoeConfig(**llama, **experts, num_hidden_layers=7, decoder_sparse_step=3, mlp_only_layers=[5]), tf.Qwen2MoeForCausalLM),
    "qwen3-next": (tf.Qwen3NextConfig(**llama, **experts, num_hidden_layers=7, head_dim=16, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=16, linear_value_head_dim=16), tf.Qwen3NextForCausalLM),
    "deepseek-v3": (tf.DeepseekV3Config(**{**llama, "num_key_value_heads": 4}, moe_intermediate_size=32, num_hidden_layers=6, n_routed_experts=8, n_group=2, topk_group=1, num_experts_per_tok=2, kv_lora_rank=16, q_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=8, first_k_dense_replace=1), tf.DeepseekV3ForCausalLM),
    "minicpm3": (tf.MiniCPM3Config(**{**llama, "num_key_value_heads": 4}, num_hidden_layers=6, q_lora_rank=16, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8), tf.MiniCPM3ForCausalLM),
    "lfm2": (tf.Lfm2Config(**llama, num_hidden_layers=6, full_attn_idxs=[2, 5]), tf.Lfm2ForCausalLM),
    "gpt2": (tf.GPT2Config(vocab_size=128, n_embd=64, n_layer=6, n_head=4, n_positions=64), tf.GPT2LMHeadModel),
    "gpt-neox": (tf.GPTNeoXConfig(**small, intermediate_size=96, num_hidden_layers=6, max_position_embeddings=64), tf.GPTNeoXForCausalLM),
    "bloom": (tf.BloomConfig(vocab_size=128, hidden_size=64, n_layer=6, n_head=4), tf.BloomForCausalLM),
    "opt": (tf.OPTConfig(**small, ffn_dim=96, num_hidden_layers=6, word_embed_proj_dim=64, max_position_embeddings=64), tf.OPTForCausalLM),
    "falcon": (tf.FalconConfig(**small, num_hidden_layers=6), tf.FalconForCausalLM),
    "gpt-neo": (tf.GPTNeoConfig(vocab_size=128, hidden_size=64, num_layers=6, num_heads=4, window_size=4, attention_types=[[["global", "local"], 3]], max_position_embeddings=64), tf.GPTNeoForCausalLM),
}
# What older configurations do not have, and what they have instead.
old = {
    "qwen2": (["layer_types"], {}),
    "gemma2": (["layer_types"], {}),
    "gemma3": (["layer_types", "_sliding_window_pattern"], {"sliding_window_pattern": 6}),
    "smollm3": (["layer_types", "no_rope_layers"], {}),
    "llama4": (["layer_types", "no_rope_layers", "moe_layers"], {}),
    "cohere2": (["layer_types", "_sliding_window_pattern"], {"sliding_window_pattern": 4}),
    "lfm2": (["layer_types"], {}),
    "qwen3-next": (["layer_types"], {"full_attention_interval": 4}),
}

# MiniCPM's configuration has a factor that follows the root of the number of layers, which rounds.
tolerance = {"minicpm3": 1e-6}


def make(name, config, kind):
    torch.manual_seed(0)
    model = kind(config).to(torch.bfloat16)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.05)
    model.save_pretrained(folder / name, max_shard_size="500KB" if name == "mistral" else "1GB")


def make_old(name, missing, instead):
    shutil.rmtree(folder / f"{name}-old", ignore_errors=True)
    shutil.copytree(folder / name, folder / f"{name}-old")
    path = folder / f"{name}-old" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in config.items() if k not in missing} | instead, indent=2))


def load(path, kind):
    model, info = kind.from_pretrained(path, dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
    return model.eval(), {k: sorted(info[k]) for k in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[k]}


def rearrange(model, origins):
    """The source's own layers in the new order, in the same class; each layer keeps what it was made with."""
    text, count = model.config.get_text_config(), model.config.get_text_config().num_hidden_layers
    name, layers = next((n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count and "vision" not in n and "expert" not in n)
    layers = torch.nn.ModuleList(copy.deepcopy(layers[i]) for i in origins)
    for index, layer in enumerate(layers):
        for module in layer.modules():
            for key in ("layer_idx", "layer_id"):
                if hasattr(module, key):
                    setattr(module, key, index)
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layers)
    for key in ("layer_types", "mlp_layer_types", "no_rope_layers"):
        if isinstance(entries := getattr(text, key, None), list) and key in vars(text):
            setattr(text, key, [entries[i] for i in origins])
    for config in {id(m.config): m.config for m in model.modules() if hasattr(m, "config")}.values():
        if "vision" not in type(config).__name__.lower() and getattr(config, "num_hidden_layers", None) == count:
            config.num_hidden_layers = len(origins)
    return model


def run(*arguments):
    return subprocess.run([surgery, *map(str, arguments)], capture_output=True, text=True)


def check(name, kind):
    source, result = folder / name, folder / f"{name}-dus"
    shutil.rmtree(result, ignore_errors=True)
    model, _ = load(source, kind)
    count = model.config.get_text_config().num_hidden_layers
    done = run("dus", source, "--to", count + (count + 1) // 2, "-o", result, "--json")
    if done.returncode:
        return print(f"{name:15} REFUSED {done.stderr}") or False
    report = json.loads(done.stdout)
    deep, keys = load(result, kind)
    torch.manual_seed(1)
    ids = torch.randint(3, 100, (2, 24))
    with torch.no_grad():
        expected = rearrange(copy.deepcopy(model), report["layers"]["origins"])(input_ids=ids, use_cache=False).logits
        found = deep(input_ids=ids, use_cache=False).logits
    difference = (expected - found).abs().max().item()
    codes = run("inspect", source).returncode, run("inspect", result).returncode, run("verify", result).returncode
    right = codes == (0, 0, 0) and not keys and difference <= tolerance.get(name, 0)
    changes = [change["key"] for change in report["configuration"]]
    print(f"{name:15} {count} -> {report['layers']['after']}  {'ok' if right else 'WRONG'}  logits differ by {difference:.1e}  {keys or ''}  {', '.join(changes)}", flush=True)
    return right


for name, (config, kind) in models.items():
    make(name, config, kind)
for name, change in old.items():
    make_old(name, *change)
results = [check(name, kind) for name, (_, kind) in models.items()] + [check(f"{name}-old", models[name][1]) for name in old]
print(f"{sum(results)} of {len(results)} as expected")
sys.exit(0 if all(results) else 1)
