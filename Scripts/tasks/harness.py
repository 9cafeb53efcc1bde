"""Writes multiple-choice tasks of lm-evaluation-harness as files for `trainer eval --choices`.

usage: harness.py TASK… -o FOLDER [--fewshot N --limit N --include FOLDER] [--dataset PATH [--files SPLIT=FILE…]]
   as: harness.py kobest haerae hellaswag arc_easy kmmlu_law -o questions

The harness's own task objects make contexts, choices and answers, so its prompts, its few-shot examples (--fewshot, with its
seed 1234) and its splits are what is written: FOLDER/TASK.jsonl, a question a line. Names of groups and tags stand for their
tasks. Data sets are looked for where the task says, in the hub's cache or on the hub; --dataset takes the same data from
elsewhere: a folder that `datasets` loads, or `json` with --files test=questions.jsonl. --include has tasks of one's own.

What stands between context and choice (`target_delimiter`, a space) is put at the end of the context: the tokens are the same, as the
harness moves it to the choice, and acc_norm divides by the bare choice, as the harness does. Where there is no context it stays
before the choices. Refused by name: tasks that are not multiple choice, that have a context for each choice (as winogrande) or
several right choices.

Needs lm_eval (0.4.13 was used) and datasets.
"""
import argparse
import itertools
import json
import pathlib
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("tasks", nargs="+")
parser.add_argument("-o", type=pathlib.Path, required=True)
parser.add_argument("--fewshot", type=int)
parser.add_argument("--limit", type=int)
parser.add_argument("--include")
parser.add_argument("--dataset")
parser.add_argument("--files", nargs="+", default=[])
a = parser.parse_args()

from lm_eval.tasks import TaskManager


def question(task, instances):
    """A question as the file has it, of the requests that the harness makes of it."""
    doc, delimiter = instances[0].doc, task.config.target_delimiter
    choices, target = task.doc_to_choice(doc), task.doc_to_target(doc)
    if isinstance(target, str):
        target = choices.index(target)
    if not isinstance(target, int) or not 0 <= target < len(choices):
        sys.exit(f"{task.config.task}: its answer is {target!r}, and one of {len(choices)} choices is needed")
    requests = [instance.args for instance in instances[:len(choices)]]  # behind these may be those without a context
    context = requests[0][0]
    texts = [request[1] for request in requests]
    if context.strip() and delimiter and delimiter.isspace() and texts == [delimiter + choice for choice in choices]:
        context, texts = context + delimiter, choices
    return {"context": context, "choices": texts, "answer": target}


def write(name, task):
    if task.OUTPUT_TYPE != "multiple_choice" or not hasattr(task, "multiple_input"):
        sys.exit(f"{name}: it is a task of {task.OUTPUT_TYPE}, not of multiple choice")
    if task.multiple_input:
        sys.exit(f"{name}: each choice has a context of its own")
    if task.multiple_target:
        sys.exit(f"{name}: its questions have several right choices")
    if a.fewshot is not None:
        task.set_config("num_fewshot", a.fewshot)
    task.set_fewshot_seed(1234)
    task.build_all_requests(limit=a.limit)
    groups = itertools.groupby(task.instances, key=lambda instance: instance.doc_id)
    questions = [question(task, list(group)) for _, group in groups]
    path = a.o / f"{name}.jsonl"
    path.write_text("".join(json.dumps(q, ensure_ascii=False) + "\n" for q in questions), encoding="utf-8")
    print(f"{path}: {len(questions)} questions")


if a.dataset:
    import datasets

    files, load = dict(pair.split("=", 1) for pair in a.files), datasets.load_dataset
    # Whatever a task's own place is; its splits and columns have to be there.
    datasets.load_dataset = lambda path, name=None, **kwargs: (
        load(a.dataset, data_files=files) if files else load(a.dataset, name))
manager = TaskManager(include_path=a.include)
a.o.mkdir(parents=True, exist_ok=True)
for name, task in manager.load(a.tasks)["tasks"].items():
    write(name, task)
