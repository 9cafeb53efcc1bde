"""Learning tokens beside Hugging Face's BpeTrainer with the same pre-tokenizer, in turn; prints medians and their ratio.

usage: learning_speed.py SURGERY MODEL CORPUS.jsonl [TOKENS] [ROUNDS]

Ours is the whole command: opening the model, reading the corpus, learning on top of its tokenizer, checking that every new token is
reached, planning the result (--dry-run). Theirs is train_from_iterator alone, from bytes on, the lines already parsed. Both use all
processors. Needs tokenizers.
"""
import json, resource, statistics, subprocess, sys, time
from tokenizers import Tokenizer, models, trainers, pre_tokenizers

surgery, model, corpus = sys.argv[1:4]
count, rounds = int(sys.argv[4] if len(sys.argv) > 4 else 8000), int(sys.argv[5] if len(sys.argv) > 5 else 3)
texts = [json.loads(line)["text"] for line in open(corpus)]
ours, theirs, memory = [], [], 0
for _ in range(rounds):
    start = time.monotonic()
    subprocess.run([surgery, "resize-vocab", model, "--learn", str(count), "--corpus", corpus, "--dry-run", "-o", "never-written"], check=True, capture_output=True)
    ours.append(time.monotonic() - start)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = Tokenizer.from_file(f"{model}/tokenizer.json").pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=256 + count, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    start = time.monotonic()
    tokenizer.train_from_iterator(texts, trainer)
    theirs.append(time.monotonic() - start)
size = sum(len(text.encode()) for text in texts)
print(f"{size / 1e6:.1f} MB of text, {count} tokens, {rounds} rounds in turn")
print("surgery    ", *(f"{t:.2f}" for t in ours), "s, median %.2f s, %.2f GB" % (statistics.median(ours), memory))
print("BpeTrainer ", *(f"{t:.2f}" for t in theirs), "s, median %.2f s" % statistics.median(theirs))
print("ratio %.2f" % (statistics.median(theirs) / statistics.median(ours)))
