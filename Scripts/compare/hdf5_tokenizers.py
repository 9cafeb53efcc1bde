"""Tokenizers of KerasHub presets, and what keras-hub and tokenizers make of them before and after conversion.

usage:  hdf5_tokenizers.py make OUT TEXT…             a small preset of each class, its tokenizer trained on TEXT (.jsonl)
        hdf5_tokenizers.py ids PRESETS HF BACK TEXT…  for each preset how many documents have the ids of HF/NAME/tokenizer.json:
                                                      by keras-hub of PRESETS/NAME and BACK/NAME, and in tf.data
        hdf5_tokenizers.py loads PRESET TOKEN…        loads a preset in keras-hub, says its vocabulary, what a TOKEN is
                                                      encoded as, and the shape of its logits

    surgery convert PRESETS/NAME -o HF/NAME --to safetensors; surgery convert HF/NAME -o BACK/NAME --to hdf5

needs keras, keras-hub, torch, tensorflow-text, tokenizers and sentencepiece
"""

import io
import json
import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import numpy as np


def documents(path):
    return [json.loads(line)["text"] for line in open(path)]


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"


def make(out, *paths):
    import sentencepiece
    import tokenizers
    from keras_hub import models
    from tokenizers import pre_tokenizers, trainers

    texts = [text for path in paths for text in documents(path)]

    def pairs(pattern, *special):
        made = tokenizers.Tokenizer(tokenizers.models.BPE())
        made.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        made.train_from_iterator(texts, trainers.BpeTrainer(
            vocab_size=3000, special_tokens=list(special), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False))
        return made.get_vocab(), [" ".join(merge) for merge in json.loads(made.to_str())["model"]["merges"]]

    def pieces(**options):
        model = io.BytesIO()
        settings = dict(
            vocab_size=2500, model_type="bpe", byte_fallback=True, character_coverage=0.9995,
            normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, unk_id=0, bos_id=1,
            eos_id=2, pad_id=-1, max_sentence_length=1 << 14, minloglevel=2)
        lines = (line for text in texts for line in text.split("\n") if line)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines, model_writer=model, **{**settings, **options})
        return model.getvalue()

    def save(name, tokenizer, kind, **settings):
        os.makedirs(f"{out}/{name}")
        kind(vocabulary_size=tokenizer.vocabulary_size(), num_layers=2, hidden_dim=32, **settings).save_to_preset(
            f"{out}/{name}")
        tokenizer.save_to_preset(f"{out}/{name}")

    grouped = dict(num_query_heads=4, num_key_value_heads=2, intermediate_dim=64)
    wide = dict(num_heads=4, intermediate_dim=128)
    end, named = "<|endoftext|>", [f"<|{n}|>" for n in
        ["begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id"]]
    save("gpt2", models.GPT2Tokenizer(*pairs(GPT2, end)), models.GPT2Backbone, **wide, max_sequence_length=128)
    save("neox", models.GPTNeoXTokenizer(*pairs(GPT2, end)), models.GPTNeoXBackbone, **wide)
    save("bloom", models.BloomTokenizer(*pairs(BLOOM, "<unk>", "<s>", "</s>", "<pad>")), models.BloomBackbone, **wide)
    chat = [end, "<|im_start|>", "<|im_end|>"]
    save("qwen", models.QwenTokenizer(*pairs(QWEN, *chat), unsplittable_tokens=chat), models.QwenBackbone, **grouped)
    save("qwen3", models.Qwen3Tokenizer(*pairs(QWEN, *chat)), models.Qwen3Backbone, **grouped, head_dim=16)
    save("llama3", models.Llama3Tokenizer(*pairs(LLAMA3, *named)), models.Llama3Backbone, **grouped)
    tekken = models.MistralTekkenTokenizer(*pairs(LLAMA3, "<unk>", "<s>", "</s>"), split_pattern=LLAMA3)
    save("tekken", tekken, models.MistralBackbone, **grouped)
    save("llama", models.LlamaTokenizer(pieces()), models.LlamaBackbone, **grouped)
    save("mistral", models.MistralTokenizer(pieces()), models.MistralBackbone, **grouped)
    gemma = pieces(
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", bos_piece="<bos>", eos_piece="<eos>",
        add_dummy_prefix=False, user_defined_symbols=["<start_of_turn>", "<end_of_turn>"])
    save("gemma", models.GemmaTokenizer(gemma), models.GemmaBackbone, **{**grouped, "num_key_value_heads": 1},
         head_dim=16)
    save("phi3", models.Phi3Tokenizer(pieces(control_symbols=[end, "<|user|>"])), models.Phi3Backbone, **grouped)
    nfkc = pieces(normalization_rule_name="nmt_nfkc", remove_extra_whitespaces=True, byte_fallback=False)
    save("mistral-nfkc", models.MistralTokenizer(nfkc), models.MistralBackbone, **grouped)


def ids(presets, converted, back, *paths):
    import tokenizers
    from keras_hub.models import Tokenizer

    for name in sorted(os.listdir(converted)):
        reference = tokenizers.Tokenizer.from_file(f"{converted}/{name}/tokenizer.json")

        def same(tokenizer, most=None):
            counts = []
            for path in paths:
                texts = documents(path)[:most]
                equal = sum(
                    [int(id) for id in tokenizer(text)] == reference.encode(text, add_special_tokens=False).ids
                    for text in texts)
                counts.append(f"{equal}/{len(texts)}")
            return " ".join(counts)

        print(name, "| preset", same(Tokenizer.from_preset(f"{presets}/{name}")),
              "| there and back", same(Tokenizer.from_preset(f"{back}/{name}")),
              "| tf.data", same(Tokenizer.from_preset(f"{presets}/{name}", _allow_python_workflow=False), 4), flush=True)


def loads(preset, *tokens):
    from keras_hub.models import Backbone, Tokenizer

    tokenizer, backbone = Tokenizer.from_preset(preset), Backbone.from_preset(preset)
    print(type(tokenizer).__name__, tokenizer.vocabulary_size(), type(backbone).__name__, backbone.vocabulary_size)
    for token in tokens:
        made = [int(id) for id in tokenizer(token)]
        print(repr(token), made, [tokenizer.id_to_token(id) for id in made])
    batch = np.array([[1, 2, 3, tokenizer.vocabulary_size() - 1]])
    hidden = backbone({"token_ids": batch, "padding_mask": np.ones_like(batch)})
    print("logits", tuple(backbone.token_embedding(hidden, reverse=True).shape))


what, *rest = sys.argv[1:]
{"make": make, "ids": ids, "loads": loads}[what](*rest)
