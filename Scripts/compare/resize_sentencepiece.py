"""Compares the tokenizer.model that `surgery resize-vocab` writes with its tokenizer.json: SentencePiece and tokenizers must encode alike.

usage: resize_sentencepiece.py SURGERY ENGLISH.jsonl CORPUS.jsonl HELD_OUT.jsonl FOLDER

A SentencePiece BPE with byte fallback is trained on ENGLISH, written as tokenizer.json as Llama 2 has it (a merge for every pair of pieces
that makes a piece, in the order of the pieces' scores), put beside a tiny random model, and given 500 tokens of CORPUS. Needs sentencepiece,
protobuf, tokenizers and safetensors; measured with sentencepiece 0.2.3 and tokenizers 0.23.3.
"""
import json, subprocess, sys
from pathlib import Path
import numpy, sentencepiece
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, normalizers

surgery, english, corpus, held_out, folder = (Path(a).resolve() for a in sys.argv[1:6])
base, grown = folder / "base", folder / "grown"
base.mkdir(parents=True, exist_ok=True)
texts = lambda path: [json.loads(line)["text"] for line in open(path)]

lines = [line for text in texts(english) for line in text.split("\n")]
sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_prefix=str(base / "tokenizer"), vocab_size=2000, model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
(base / "tokenizer.vocab").unlink()
old = sentencepiece.SentencePieceProcessor(model_file=str(base / "tokenizer.model"))
pieces = [old.id_to_piece(i) for i in range(old.get_piece_size())]
vocabulary = {piece: i for i, piece in enumerate(pieces)}
merges = []
for piece in sorted((p for i, p in enumerate(pieces) if not (old.is_byte(i) or old.is_control(i) or old.is_unknown(i))), key=lambda p: -old.get_score(vocabulary[p])):
    splits = [(piece[:k], piece[k:]) for k in range(1, len(piece)) if piece[:k] in vocabulary and piece[k:] in vocabulary]
    merges += sorted(splits, key=lambda s: (vocabulary[s[0]], vocabulary[s[1]]))
tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
tokenizer.save(str(base / "tokenizer.json"))
random = numpy.random.default_rng(0)
save_file({name: random.standard_normal((2000, 16), dtype=numpy.float32) for name in ("model.embed_tokens.weight", "lm_head.weight")}, base / "model.safetensors", {"format": "pt"})
(base / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 2000, "hidden_size": 16, "tie_word_embeddings": False}))

done = subprocess.run([surgery, "resize-vocab", base, "--learn", "500", "--corpus", corpus, "-o", grown, "--force", "--held-out", held_out], capture_output=True, text=True)
if done.returncode:
    sys.exit(done.stderr)
print(done.stderr)
new, fast = sentencepiece.SentencePieceProcessor(model_file=str(grown / "tokenizer.model")), Tokenizer.from_file(str(grown / "tokenizer.json"))
print(f"pieces {old.get_piece_size()} → {new.get_piece_size()}; alike: {[new.id_to_piece(i) for i in range(new.get_piece_size())] == [fast.id_to_token(i) for i in range(fast.get_vocab_size())]}")
for name, processor, reference in (("before", old, Tokenizer.from_file(str(base / "tokenizer.json"))), ("after", new, fast)):
    for path in (held_out, english):
        pairs = [(processor.encode(line), reference.encode(line, add_special_tokens=False).ids) for text in texts(path) for line in text.split("\n") if line]
        same = sum(a == b for a, b in pairs)
        print(f"{name}: {path.name}: {same} of {len(pairs)} lines encoded alike, {sum(len(a) for a, _ in pairs)} tokens")
