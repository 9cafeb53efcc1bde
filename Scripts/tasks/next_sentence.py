"""Makes questions for `trainer eval --choices` of documents: the next sentence among three others.

usage: next_sentence.py TEXTS.jsonl -o QUESTIONS.jsonl [--items 100 --seed 1 --shortest 30 --longest 200]

TEXTS.jsonl has a document a line ({"text": …}). The context is up to five sentences of a document, the right choice the one that
follows, the others are sentences of other documents, as near to it in length as there are. A space that stands between two
sentences is at the end of the context, so that the choices are bare and acc_norm divides by their own characters. The same
files, options and seed make the same questions. Standard library only.
"""
import argparse
import json
import random
import re

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("texts")
parser.add_argument("-o", required=True)
for name, default in (("items", 100), ("seed", 1), ("shortest", 30), ("longest", 200)):
    parser.add_argument("--" + name, type=int, default=default)
a = parser.parse_args()

# A sentence ends at a line's end, or at a full stop, question or exclamation mark before a space.
END = re.compile(r"(?<=[.!?。])\s+|\n+")


def sentences(text):
    """The sentences of a document, each with what stands before it."""
    result, start, gap = [], 0, ""
    for match in list(END.finditer(text)) + [None]:
        end = match.start() if match else len(text)
        if text[start:end].strip():
            result.append((gap, text[start:end]))
        if match:
            start, gap = match.end(), match.group()
    return result


documents = [sentences(json.loads(line)["text"]) for line in open(a.texts, encoding="utf-8") if line.strip()]
usable = [
    (d, s) for d, document in enumerate(documents) for s, (gap, text) in enumerate(document)
    if s >= 2 and a.shortest <= len(text) <= a.longest and text.strip() == text]
chance = random.Random(a.seed)
chance.shuffle(usable)
seen, questions = set(), []
for d, s in usable:
    if len(questions) == a.items:
        break
    gap, right = documents[d][s]
    if right in seen:
        continue
    others = []
    for e, t in sorted(usable, key=lambda place: abs(len(documents[place[0]][place[1]][1]) - len(right))):
        text = documents[e][t][1]
        if e != d and text != right and text not in others:
            others.append(text)
        if len(others) == 12:
            break
    if len(others) < 3:
        continue
    seen.add(right)
    choices = [right] + chance.sample(others, 3)
    order = chance.sample(range(4), 4)
    before = documents[d][max(0, s - 5):s]
    context = "".join((g if k else "") + text for k, (g, text) in enumerate(before)) + gap
    questions.append({"context": context, "choices": [choices[k] for k in order], "answer": order.index(0)})

with open(a.o, "w", encoding="utf-8") as file:
    for question in questions:
        file.write(json.dumps(question, ensure_ascii=False) + "\n")
print(f"{a.o}: {len(questions)} questions from {len(documents)} documents")
