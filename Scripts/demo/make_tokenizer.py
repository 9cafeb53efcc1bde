"""Makes the tokenizer of the demonstration's base model: a byte-level BPE of 1,024 tokens, learned from the English sample.

usage: make_tokenizer.py Examples/data/english.train.jsonl Examples/blank
Made with tokenizers 0.23.3. The split pattern is the one that Llama 3 and Qwen use.
"""
import json, sys
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
corpus, folder = sys.argv[1:]
pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
tokenizer.decoder = decoders.ByteLevel()
special = ["<unk>", "<s>", "</s>"]
tokenizer.train_from_iterator(
    (json.loads(line)["text"] for line in open(corpus)),
    trainers.BpeTrainer(vocab_size=1024, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
tokenizer.post_processor = processors.TemplateProcessing("<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
tokenizer.save(folder + "/tokenizer.json")
json.dump({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "PreTrainedTokenizerFast"},
          open(folder + "/tokenizer_config.json", "w"), indent=2)
