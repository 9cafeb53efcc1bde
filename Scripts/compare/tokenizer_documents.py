"""Compares the ids and the decoded text of every document with Hugging Face tokenizers.

    python Scripts/compare/tokenizer_documents.py .build/release/trainer TOKENIZER… -- FILE.jsonl…

TOKENIZER is a folder with tokenizer.json. Besides those given, six are trained on the files' own text with the peer library
and compared, too: Unigram (with Metaspace; with bytes for the unknown and SentencePiece's normalisation; byte-level), WordPiece
(as BERT's), and BPE with affixes and of single words. Needs tokenizers==0.23.3 and, for the normalisation, sentencepiece==0.2.3.
"""
import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers


def texts_of(path):
    return [t for t in (json.loads(line)["text"] for line in open(path, encoding="utf-8") if line.strip()) if t]


def charsmap():
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d e f g h"] * 9), model_prefix=folder + "/m", vocab_size=14,
            normalization_rule_name="nmt_nfkc", minloglevel=2, hard_vocab_limit=False)
        model = sentencepiece_model_pb2.ModelProto()
        model.ParseFromString(open(folder + "/m.model", "rb").read())
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def trained(texts):
    def make(model, trainer, pre, decoder, normalizer=None):
        made = tokenizers.Tokenizer(model)
        made.pre_tokenizer, made.decoder = pre, decoder
        if normalizer:
            made.normalizer = normalizer
        made.train_from_iterator(texts, trainer)
        return made

    unigram = dict(vocab_size=8000, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    yield "unigram", make(models.Unigram(), trainers.UnigramTrainer(**unigram), pre_tokenizers.Metaspace(),
                          decoders.Metaspace())
    special = ["<unk>"] + ["<0x%02X>" % b for b in range(256)]
    made = make(models.Unigram(), trainers.UnigramTrainer(**{**unigram, "special_tokens": special}),
                pre_tokenizers.Metaspace(), decoders.Sequence(
                    [decoders.ByteFallback(), decoders.Metaspace()]), normalizers.NFKC())
    parts = json.loads(made.to_str())
    parts["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": charsmap()}
    parts["model"]["byte_fallback"] = True
    # Fewer pieces, so that characters are missing; the bytes are no added tokens.
    parts["model"]["vocab"] = parts["model"]["vocab"][:3000]
    parts["added_tokens"] = parts["added_tokens"][:1]
    yield "unigram-bytes", tokenizers.Tokenizer.from_str(json.dumps(parts))
    yield "unigram-byte-level", make(
        models.Unigram(), trainers.UnigramTrainer(**unigram, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
        pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel())
    yield "word-piece", make(
        models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer(vocab_size=8000, special_tokens=["[UNK]"], limit_alphabet=600, show_progress=False),
        pre_tokenizers.BertPreTokenizer(), decoders.WordPiece(), normalizers.BertNormalizer())
    yield "bpe-affixes", make(
        models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>", fuse_unk=True),
        trainers.BpeTrainer(vocab_size=6000, special_tokens=["<unk>"], continuing_subword_prefix="##",
                            end_of_word_suffix="</w>", limit_alphabet=600, show_progress=False),
        pre_tokenizers.Whitespace(), decoders.BPEDecoder(), normalizers.Lowercase())
    yield "word-level", make(
        models.WordLevel(unk_token="<unk>"),
        trainers.WordLevelTrainer(vocab_size=6000, special_tokens=["<unk>"], show_progress=False),
        pre_tokenizers.Sequence([pre_tokenizers.UnicodeScripts(), pre_tokenizers.Whitespace()]), decoders.Fuse(),
        normalizers.NFKC())


def ours(trainer, tokenizer, path, option):
    return subprocess.run([trainer, "tokenize", tokenizer, path, option], capture_output=True, text=True,
                          check=True).stdout.split("\n")[:-1]


def compare(trainer, name, folder, files):
    theirs = tokenizers.Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    documents, tokens, unlike = 0, 0, 0
    for path in files:
        texts = texts_of(path)
        ids = ours(trainer, folder, path, "--ids")
        said = ours(trainer, folder, path, "--text")
        assert len(ids) == len(said) == len(texts), (path, len(ids), len(said), len(texts))
        for index, expected in enumerate(theirs.encode_batch(texts)):
            documents += 1
            tokens += len(expected.ids)
            if ids[index] != " ".join(map(str, expected.ids)) or json.loads(said[index]) != theirs.decode(expected.ids):
                unlike += 1
                if unlike == 1:
                    print("  first unlike:", path, "document", index)
    print(f"{name}: {documents} documents, {tokens} tokens, {unlike} unlike", flush=True)
    return unlike


def main():
    trainer, rest = sys.argv[1], sys.argv[2:]
    given, files = rest[:rest.index("--")], rest[rest.index("--") + 1:]
    unlike = sum(compare(trainer, Path(folder).name, folder, files) for folder in given)
    texts = [text for path in files for text in texts_of(path)[:600]]
    for name, made in trained(texts):
        with tempfile.TemporaryDirectory() as folder:
            made.save(folder + "/tokenizer.json")
            unlike += compare(trainer, name, folder, files)
    sys.exit(1 if unlike else 0)


main()
