"""Compares `trainer tokenize --ids` with transformers' AutoTokenizer where tokenizer_config.json changes the ids.

usage: tokenizer_settings.py TRAINER FOLDER…     (folders that hold a tokenizer.json, as in Tests/FormatsTests/Fixtures/Tokenizers)
Each tokenizer is copied with `split_special_tokens` and `fix_mistral_regex`, beside a config.json of several models and versions;
for the latter its vocabulary is filled up to more than 100,000 tokens. Prints how many texts differ; exits with 1 where any does.
Written for transformers 5.24.
"""
import json, os, pathlib, random, subprocess, sys, tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoTokenizer

trainer, folders = sys.argv[1], sys.argv[2:]
number = random.Random(1)
letters = "abcXYZ 12'\n\t/.,éÉ한글<s></s>"
texts = [
    "HelloWorld camelCase XMLHttpRequest 12345 don't I'LL  \n\n x", "<s>a</s> [INST] hi [/INST]<unk>", "한국어ABC text 2024년",
    "<|begin_of_text|>x<|eot_id|><|endoftext|>y <s>", "l'été ÉTÉ/// \n\t x", "  lead",
] + ["".join(number.choice(letters) for _ in range(number.randrange(1, 60))) for _ in range(300)]
failures = 0


def compare(folder, settings, configuration, fill):
    global failures
    tokenizer = json.loads((pathlib.Path(folder) / "tokenizer.json").read_text())
    if fill:
        vocabulary = tokenizer["model"]["vocab"]
        # tokenizers gives added tokens outside the vocabulary other ids than the file when it grows.
        tokenizer["added_tokens"] = [t for t in tokenizer["added_tokens"] if t["content"] in vocabulary]
        for id in range(max(vocabulary.values()) + 1, 100_100):
            vocabulary[f"unused{id}"] = id
    with tempfile.TemporaryDirectory() as place:
        model = pathlib.Path(place)
        (model / "tokenizer.json").write_text(json.dumps(tokenizer))
        (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **settings}))
        if configuration is not None:
            (model / "config.json").write_text(json.dumps(configuration))
        (model / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        reference = AutoTokenizer.from_pretrained(place)
        wanted = [reference(t).input_ids for t in texts]
        run = subprocess.run([trainer, "tokenize", place, f"{place}/texts.jsonl", "--ids"], capture_output=True, text=True)
    ids = [[int(id) for id in line.split()] for line in run.stdout.split("\n")[:-1]]
    wrong = [text for text, a, b in zip(texts, wanted, ids) if a != b]
    failures += len(wrong) + (len(ids) != len(texts))
    print(f"{pathlib.Path(folder).name} {settings} {configuration}: {len(wrong)} of {len(ids)} differ", wrong[:1], run.stderr[:200] if not ids else "")


for folder in folders:
    for split in (True, False):
        compare(folder, {"split_special_tokens": split}, {"model_type": "llama"}, fill=False)
    for configuration in (
        {"model_type": "mistral", "transformers_version": "4.57.0"}, {"model_type": "mistral"},
        {"model_type": "mistral", "transformers_version": "5.0.0"}, {"model_type": "mistral3", "transformers_version": "5.0.0.dev0"},
        {"model_type": "llama", "transformers_version": "4.0"}, {"transformers_version": "4.57.0"}, None,
    ):
        compare(folder, {"fix_mistral_regex": True}, configuration, fill=True)
    compare(folder, {"fix_mistral_regex": True}, {"model_type": "mistral"}, fill=False)
    compare(folder, {"fix_mistral_regex": False}, {"model_type": "mistral"}, fill=True)
sys.exit(failures > 0)
