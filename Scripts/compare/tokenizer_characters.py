"""Compares what each normalizer, pre-tokenizer and added token makes of every character with Hugging Face tokenizers.

    python Scripts/compare/tokenizer_characters.py .build/release/trainer [NAME…]

Each part is put into a tokenizer whose tokens are bytes, so that ids tell its result exactly; each character stands
between letters and beside a combining mark. Characters are those of the planes that have any. Needs tokenizers==0.23.3.
"""
import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import tokenizers

MARKS = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}
BERT = {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": False,
        "lowercase": False}
normalizers = {t: {"type": t} for t in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt")}
normalizers |= {f"Bert {k}": {**BERT, k: True} for k in BERT if k != "type"}
normalizers |= {"Strip": {"type": "Strip", "strip_left": True, "strip_right": True}}
pre_tokenizers = {t: {"type": t} for t in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts")}
pre_tokenizers |= {
    "Punctuation": {"type": "Punctuation", "behavior": "Isolated"},
    "Digits": {"type": "Digits", "individual_digits": False},
    "ByteLevel": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "Split": {"type": "Split", "pattern": {"Regex":
        r"(?i:'s)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"},
        "behavior": "Isolated", "invert": False},
}
CHARACTERS = [chr(c) for r in (range(1, 0xD800), range(0xE000, 0x323B0), range(0xE0000, 0xE0200)) for c in r]


def parts(name):
    if name in normalizers:
        return {"normalizer": normalizers[name]}
    if name in pre_tokenizers:
        # Characters of the byte alphabet are letters; the marks then show where pieces begin.
        return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [pre_tokenizers[name], MARKS]}}
    return {"added_tokens": [{"id": 257, "content": "<w>", "single_word": True, "lstrip": True, "rstrip": True,
                              "normalized": False, "special": False}]}


def tokenizer(name):
    vocab = {"<0x%02X>" % b: b for b in range(256)} | {"<unk>": 256}
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": True, "ignore_merges": False,
             "vocab": vocab, "merges": []}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model, **parts(name)}


def differences(trainer, name, texts):
    made = json.dumps(tokenizer(name))
    theirs = tokenizers.Tokenizer.from_str(made)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tokenizer.json").write_text(made)
        lines = "".join(json.dumps({"text": t}) + "\n" for t in texts)
        (Path(folder) / "texts.jsonl").write_text(lines)
        run = subprocess.run([trainer, "tokenize", folder, folder + "/texts.jsonl", "--ids"], capture_output=True,
                             text=True, check=True)
    ours = run.stdout.split("\n")[:-1]
    assert len(ours) == len(texts), (len(ours), len(texts))
    expected = theirs.encode_batch(texts)
    return [i for i, e in enumerate(expected) if ours[i] != " ".join(map(str, e.ids))]


def text(character):
    return f" a{character}<w>{character}a {character}\u0301 b{character} "


def main():
    trainer, names = sys.argv[1], sys.argv[2:] or [*normalizers, *pre_tokenizers, "added"]
    for name in names:
        groups = [CHARACTERS[i:i + 16] for i in range(0, len(CHARACTERS), 16)]
        bad = differences(trainer, name, ["".join(map(text, g)) for g in groups])
        suspects = [c for i in bad for c in groups[i]]
        found = [suspects[i] for i in differences(trainer, name, [text(c) for c in suspects])] if suspects else []
        print(f"{name}: {len(CHARACTERS)} characters, {len(found)} different",
              " ".join("%04X" % ord(c) for c in found[:400]), flush=True)


main()
