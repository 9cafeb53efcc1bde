"""The same jobs by the trainer's own engine and by torchrun: `make test-torch`. Needs torch, transformers and pytest.

Every test heals a small model twice with the same command, once with `--on torchrun`, and compares the losses of all
steps and how the weights have changed. TRAINER and SURGERY name the built commands.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Tests/TrainerTests/Fixtures"
EXAMPLES = ROOT / "Examples"
TRAINER = os.environ.get("TRAINER", str(ROOT / ".build/release/trainer"))
SURGERY = os.environ.get("SURGERY", str(ROOT / ".build/release/surgery"))
# Two runs of PyTorch itself differ by as much in their weights.
LOSSES, CHANGES = 1e-4, 1e-3


def command(*words: Any) -> list[str]:
    return [str(word) for word in words]


def on(processes: int) -> list[str]:
    return command("--on", f"torchrun:{processes}", "--device", "cpu", "--python", sys.executable)


def run(words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{words}\n{done.stderr}"
    return done


def lines(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(log: pathlib.Path) -> list[float]:
    """Of the steps that were taken, in order."""
    return [line["loss"] for line in lines(log)]


def weights(folder: pathlib.Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def learning(name: str, tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """What of a tensor has a gradient in exact arithmetic: the bias of keys has none, whatever the loss is."""
    if name.endswith("query_key_value.bias"):
        return tensor.view(heads, 3, -1)[:, [0, 2]]
    if name.endswith("c_attn.bias"):
        return tensor.view(3, -1)[[0, 2]]
    return tensor[:0] if name.endswith("k_proj.bias") else tensor


class Comparison:
    """A job in a folder of its own."""

    def __init__(self, folder: pathlib.Path, model: pathlib.Path, *words: Any) -> None:
        self.folder, self.model = folder, model
        self.words = command(TRAINER, "heal", model, *words, "--no-tensorboard")
        for option in ("--moments", "--gradients"):
            self.words += [] if option in self.words else [option, "f32"]
        run([*self.words, "-o", str(folder / "own"), "--log", str(folder / "own.jsonl")])
        self.own = losses(folder / "own.jsonl")

    def by_torchrun(self, processes: int) -> list[str]:
        return [
            *self.words,
            *on(processes),
            "-o",
            str(self.folder / "other"),
            "--log",
            str(self.folder / "other.jsonl"),
        ]

    def check(self) -> None:
        """Compares what both have made."""
        other = losses(self.folder / "other.jsonl")
        worst = max(abs(two - one) / one for one, two in zip(self.own, other, strict=True))
        before, one, two = (weights(path) for path in (self.model, self.folder / "own", self.folder / "other"))
        heads = json.loads((self.model / "config.json").read_text()).get("num_attention_heads", 1)
        moved = {}
        for name, old in before.items():
            assert one[name].dtype == two[name].dtype == old.dtype and one[name].shape == two[name].shape
            if torch.equal(one[name], old):
                assert torch.equal(two[name], old), f"{name} is frozen"
                continue
            start, own, other_own = (learning(name, tensor.double(), heads) for tensor in (old, one[name], two[name]))
            if own.numel():
                moved[name] = float((other_own - own).norm() / (own - start).norm())
        name = max(moved, key=lambda name: moved[name])
        print(f"losses of {len(other)} steps within {worst:.1e}, changes within {moved[name]:.1e} ({name})")
        assert worst < LOSSES
        assert moved[name] < CHANGES


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The golden Llama with layers 0, 1, 1, 2 and 40 more rows."""
    folder = tmp_path_factory.mktemp("grown") / "grown"
    steps = ("--step", "dus --to 4", "--step", "resize-vocab --size 251")
    run(command(SURGERY, "run", FIXTURES / "golden/llama", "-o", folder, *steps))
    return folder


GROUPS = ("old-output-rows: freeze", "new-rows: rate=2, decay=0", "old-input-rows: rate=0.1", "copied-layers: rate=0.5")
STAGES = (
    'name: rows, steps: 15, groups: ["new-rows: rate=2, decay=0", "rest: freeze"]',
    'name: old, steps: 10, groups: ["old-rows: freeze"]',
    "name: all, steps: 25, lr: 1e-3, groups: [" + ", ".join(f'"{group}"' for group in GROUPS) + "]",
)


def rows(*more: Any) -> tuple[Any, ...]:
    return ("--ids", FIXTURES / "groups/rows.safetensors", "--batch", 4, "--lr", 3e-3, "--embedding-lr", 3e-3, *more)


@pytest.mark.parametrize("processes", [2, 4])
def test_groups_and_stages(grown: pathlib.Path, tmp_path: pathlib.Path, processes: int) -> None:
    job = Comparison(tmp_path, grown, *rows("--stages", *STAGES))
    run(job.by_torchrun(processes))
    job.check()
    before, after = weights(grown)["lm_head.weight"], weights(tmp_path / "other")["lm_head.weight"]
    assert torch.equal(before[:211], after[:211]) and not torch.equal(before[211:], after[211:])
    assert not (tmp_path / "other.cluster").exists()


FAMILIES = ("gpt-neox", "gpt2", "phi3", "gemma2", "qwen2", "qwen3", "mistral", "olmo2", "cohere2", "starcoder2")
MIXTURES = ("mixtral", "mixtral-aux", "qwen2-moe", "qwen2-moe-aux", "qwen3-moe", "olmoe", "dots")


@pytest.mark.parametrize("family", [*FAMILIES, *MIXTURES])
def test_families(tmp_path: pathlib.Path, family: str) -> None:
    model = tmp_path / "model"
    run(command(SURGERY, "convert", FIXTURES / "golden" / family, "--dtype", "f32", "-o", model))
    rows = ("--ids", FIXTURES / "golden" / family / "golden.safetensors", "--batch", 2, "--steps", 50, "--lr", 1e-3)
    job = Comparison(tmp_path, model, *rows)
    run(job.by_torchrun(2))
    job.check()


MIXTURE_STAGES = (
    'name: rows, steps: 10, groups: ["new-rows: rate=2, decay=0", "experts: rate=0.5", "rest: freeze"]',
    'name: old, steps: 15, groups: ["old-rows: freeze", "layers=0: freeze", "router: freeze"]',
    'name: all, steps: 25, lr: 1e-3, groups: ["old-output-rows: freeze", "copied-layers: rate=0.5, decay=0"]',
)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("family", ["mixtral-aux", "qwen3-moe"])
def test_a_grown_mixture(tmp_path: pathlib.Path, family: str, processes: int) -> None:
    """Experts, of which transformers makes one parameter a layer: frozen by turns, at their own rate, with rows."""
    model, ids = tmp_path / "model", tmp_path / "ids.safetensors"
    steps = ("--step", "dus --to 3", "--step", "resize-vocab --size 80", "--step", "convert --dtype f32")
    run(command(SURGERY, "run", FIXTURES / "golden" / family, "-o", model, *steps))
    save_file({"input_ids": torch.randint(80, (12, 20), generator=torch.Generator().manual_seed(1))}, ids)
    more = ("--batch", 2, "--accumulate", 2, "--lr", 3e-3, "--recompute", "layer", "--stages", *MIXTURE_STAGES)
    job = Comparison(tmp_path, model, "--ids", ids, *more)
    run(job.by_torchrun(processes))
    job.check()
    before, after = weights(model), weights(tmp_path / "other")
    assert torch.equal(before["lm_head.weight"][:67], after["lm_head.weight"][:67])


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A Mistral with a window of 24 tokens, a tokenizer, and the weights of two steps from scratch."""
    folder = tmp_path_factory.mktemp("written")
    blank = folder / "blank"
    blank.mkdir()
    (blank / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["MistralForCausalLM"], "model_type": "mistral", "dtype": "float32", "hidden_size": 32,
                "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
                "head_dim": 16, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
                "sliding_window": 24, "tie_word_embeddings": False, "vocab_size": 1024, "eos_token_id": 2,
                "hidden_act": "silu",
            }
        )
    )  # fmt: skip
    (blank / "tokenizer.json").write_bytes((EXAMPLES / "blank/tokenizer.json").read_bytes())
    data = ("--data", EXAMPLES / "data/english.val.jsonl", "--steps", 2, "--batch", 2, "--length", 64)
    run(command(TRAINER, "heal", blank, "--from-scratch", *data, "-o", folder / "written"))
    return folder / "written"


SENTINELS = ("<PRE>", "<SUF>", "<MID>", "<EOT>")
TEXTS = (
    "--data", f"ko={EXAMPLES}/data/korean.val.jsonl:0.75", "--replay", f"en={EXAMPLES}/data/english.val.jsonl:0.25",
    "--eval", f"en={EXAMPLES}/data/english.val.jsonl", "--batch", 5, "--accumulate", 2, "--length", 64, "--lr", 3e-3,
)  # fmt: skip


def test_texts_and_sets(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Documents side by side, a mixture, a last step that takes what remains, sets, and an uneven number."""
    job = Comparison(tmp_path, written, *TEXTS, "--tokens", 20_000)
    run(job.by_torchrun(3))
    job.check()
    found = []
    for name in ("own", "other"):
        lines = [json.loads(line) for line in (tmp_path / f"{name}.run/record.jsonl").read_text().splitlines()]
        found.append([(line["step"], line["result"]) for line in lines if line.get("event") == "evaluated"])
    assert len(found[0]) > 4 and [step for step, _ in found[0]] == [step for step, _ in found[1]]
    for (_, one), (_, two) in zip(*found):
        assert (one["tokens"], one["bytes"]) == (two["tokens"], two["bytes"])
        assert one["bits_per_byte"] == pytest.approx(two["bits_per_byte"], rel=LOSSES)
        assert one["end_of_text"]["documents"] == two["end_of_text"]["documents"]
        assert one["end_of_text"]["loss"] == pytest.approx(two["end_of_text"]["loss"], rel=LOSSES)


def recorded(folder: pathlib.Path, name: str, event: str) -> list[dict[str, Any]]:
    """The events of a kind in the record of one of both runs."""
    lines = [json.loads(line) for line in (folder / f"{name}.run/record.jsonl").read_text().splitlines()]
    return [line for line in lines if line.get("event") == event]


def test_what_is_told_at_the_end(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """How far the weights have moved, and how often new tokens were seen."""
    model = tmp_path / "model"
    learn = ("--learn", 40, "--corpus", EXAMPLES / "data/korean.val.jsonl")
    run(command(SURGERY, "resize-vocab", written, *learn, "-o", model))
    job = Comparison(tmp_path, model, "--data", EXAMPLES / "data/korean.val.jsonl", "--steps", 12, "--batch", 2)
    run(job.by_torchrun(2))
    job.check()
    ((own,), (other,)) = (recorded(tmp_path, name, "exposed") for name in ("own", "other"))
    assert own["tokens"] == other["tokens"] and own["tokens"]["tokens"] > 0
    ((own,), (other,)) = (recorded(tmp_path, name, "drifted") for name in ("own", "other"))
    assert len(own["parts"]) == len(other["parts"]) > 4
    for one, two in zip(own["parts"], other["parts"]):
        assert one.keys() == two.keys()
        for key, value in one.items():
            assert two[key] == (pytest.approx(value, rel=CHANGES) if isinstance(value, float) else value)


def operation(folder: pathlib.Path, name: str) -> dict[str, Any]:
    """What the manifest of one of both results says of the run."""
    done = json.loads((folder / name / "surgery.json").read_text())["operations"][-1]["parameters"]
    return {key: value for key, value in done.items() if key not in ("on", "device", "dtype")}


def evaluated(folder: pathlib.Path, name: str) -> dict[tuple[int, str], float]:
    found = recorded(folder, name, "evaluated")
    return {(line["step"], line["set"]): line["result"]["bits_per_byte"] for line in found}


# The set gets better while its own language is shown, and worse while the other one is.
TURN = (
    "--eval", f"en={EXAMPLES}/data/english.val.jsonl", "--batch", 2, "--length", 64, "--eval-every", 3,
    "--lr", 1e-2, "--embedding-lr", 1e-2, "--stages", f"steps: 12, data: [{EXAMPLES}/data/english.val.jsonl]",
    f"steps: 18, data: [{EXAMPLES}/data/korean.val.jsonl], schedule: constant",
)  # fmt: skip


@pytest.mark.parametrize(
    "more", ["--result best", "--result average --average-decay 0.8", "--patience 2", "--patience 2 --result best"]
)
def test_results_and_patience(written: pathlib.Path, tmp_path: pathlib.Path, more: str) -> None:
    job = Comparison(tmp_path, written, *TURN, *more.split())
    run(job.by_torchrun(2))
    job.check()
    own, other = operation(tmp_path, "own"), operation(tmp_path, "other")
    assert own == other
    assert ("ended" in own) == ("patience" in more) and ("result_step" in own) == ("best" in more)
    one, two = evaluated(tmp_path, "own"), evaluated(tmp_path, "other")
    assert one.keys() == two.keys() and len(one) > 4
    assert all(two[place] == pytest.approx(value, rel=LOSSES) for place, value in one.items())


def test_until_healed(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The run ends where the set is as good as the parent's, which the trainer evaluates when it plans."""
    data = ("--data", f"en={EXAMPLES}/data/english.val.jsonl", "--batch", 2, "--length", 64, "--lr", 3e-3)
    run(command(TRAINER, "heal", written, *data, "--steps", 8, "-o", tmp_path / "parent"))
    sets = ("--eval", data[1], "--eval-every", 2, "--healed-by", "en", "--until-healed")
    job = Comparison(tmp_path, written, *data, *sets, "--steps", 40, "--parent", tmp_path / "parent")
    run(job.by_torchrun(2))
    job.check()
    own, other = operation(tmp_path, "own"), operation(tmp_path, "other")
    assert own == other and own["ended"] == "healed" and own["steps"] < 40
    for event in ("parent", "healed"):
        (one,), (two,) = recorded(tmp_path, "own", event), recorded(tmp_path, "other", event)
        assert {**one, "time": ""} == {**two, "time": ""}


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Rows that are all alike, but for those of step 72."""
    path, random = tmp_path_factory.mktemp("broken") / "rows.safetensors", torch.Generator().manual_seed(2)
    rows = (5 + torch.arange(24) % 4).repeat(90 * 2, 1)
    rows[71 * 2 : 72 * 2] = torch.randint(211, (2, 24), generator=random)
    save_file({"input_ids": rows}, path)
    return path


@pytest.mark.parametrize("policy", ["skip", "rollback", "rollback with a teacher"])
def test_guards(grown: pathlib.Path, tmp_path: pathlib.Path, broken: pathlib.Path, policy: str) -> None:
    """A spike; the run goes back, on with what lies behind, and into a stage that goes on with the same rows."""
    policy, *teacher = policy.split(" with a ")
    teaches = ("--teacher", "parent", "--parent", FIXTURES / "golden/llama", "--teacher-weight", 0.1)
    more = (
        "--batch",
        2,
        "--lr",
        1e-3,
        "--embedding-lr",
        1e-3,
        "--checkpoint-every",
        10,
        "--guard",
        policy,
        "--guard-sigma",
        4,
        *(teaches if teacher else ()),
    )
    job = Comparison(tmp_path, grown, "--ids", broken, *more, "--stages", "steps: 78", "steps: 10, lr: 1e-4")
    run(job.by_torchrun(2))
    job.check()
    assert operation(tmp_path, "own") == operation(tmp_path, "other")
    event = "rolled_back" if policy == "rollback" else "skipped"
    (own,), (other,) = recorded(tmp_path, "own", event), recorded(tmp_path, "other", event)
    assert own["step"] == other["step"] and own["documents"] == other["documents"]
    assert own["mean"] == pytest.approx(other["mean"], rel=LOSSES)
    for one, two in zip(lines(tmp_path / "own.jsonl"), lines(tmp_path / "other.jsonl"), strict=True):
        assert (one["step"], one["tokens"], one["sources"]) == (two["step"], two["tokens"], two["sources"])


def test_going_on_from_an_earlier_checkpoint(grown: pathlib.Path, tmp_path: pathlib.Path) -> None:
    job = Comparison(tmp_path, grown, *rows("--stages", *STAGES, "--checkpoint-every", 5))
    words = [*job.by_torchrun(2), "--keep", "3"]
    stopped(words, tmp_path, 23, signal.SIGINT)
    cluster = tmp_path / "other.cluster"
    assert "no checkpoint of step 7 is kept" in refused([*words, "--resume", "--at-step", "7"])
    run([*words, "--resume", "--at-step", "20"])
    events = [line for line in lines(tmp_path / "other.run/record.jsonl") if line.get("event") == "resumed"]
    assert [line["step"] for line in events] == [20] and not cluster.exists()
    job.check()


def test_the_end_of_the_last_stage_stays(grown: pathlib.Path, tmp_path: pathlib.Path) -> None:
    job = Comparison(tmp_path, grown, *rows("--stages", "steps: 2", "steps: 3, keep-end: true"))
    run(job.by_torchrun(2))
    job.check()
    for name in ("own", "other"):
        assert [path.name for path in (tmp_path / f"{name}.run").glob("step-*")] == ["step-000005"]


def test_checkpoints_that_stay(grown: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """They are the trainer's own: exported, what another run begins with, and what its own engine goes on from."""
    words = rows("--steps", 20, "--schedule", "constant", "--checkpoint-every", 5, "--keep", 2, "--groups", *GROUPS)
    job = Comparison(tmp_path, grown, *words)
    run(job.by_torchrun(2))
    job.check()
    found = []
    for name in ("own", "other"):
        folders = sorted(path.name for path in (tmp_path / f"{name}.run").glob("step-*"))
        assert folders == ["step-000015", "step-000020"]
        last, next_one = tmp_path / f"{name}.run/step-000015", tmp_path / f"{name}-next"
        run(command(TRAINER, "export", last, "-o", tmp_path / f"{name}-15"))
        more = [*job.words[:3], *command(*rows("--steps", 10), "--moments", "f32", "--gradients", "f32")]
        run([*more, *command("--from", last, "-o", next_one, "--log", f"{next_one}.jsonl", "--no-tensorboard")])
        (tmp_path / name).rename(tmp_path / f"{name}-20")
        longer = [word if word != "20" else "30" for word in job.words]
        run([*longer, *command("-o", tmp_path / name, "--resume", "--log", tmp_path / f"{name}-30.jsonl")])
        found.append((losses(tmp_path / f"{name}-next.jsonl"), losses(tmp_path / f"{name}-30.jsonl")))
    for one, two in zip(*found):
        assert len(one) == 10 and one == pytest.approx(two, rel=LOSSES)
    one, two = weights(tmp_path / "own-15"), weights(tmp_path / "other-15")
    assert all(torch.allclose(one[name], two[name], rtol=1e-3, atol=1e-5) for name in one)


@pytest.mark.parametrize("more", ["--moments bf16", "--gradients bf16", "--moments bf16 --gradients bf16"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral"])
def test_fewer_bits(tmp_path: pathlib.Path, family: str, more: str) -> None:
    """Moments are rounded by the same chance as the trainer's, whatever process has them."""
    model, folder = tmp_path / "model", FIXTURES / "golden" / family
    run(command(SURGERY, "convert", folder, "--dtype", "f32", "-o", model))
    rows = ("--ids", folder / "golden.safetensors", "--batch", 2, "--steps", 30, "--lr", 1e-3)
    job = Comparison(tmp_path, model, *rows, *more.split())
    run(job.by_torchrun(2))
    job.check()


@pytest.fixture(scope="session")
def copied(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Models with a copy of layer 1."""
    models = {}
    for family in ("llama", "gpt-neox", "gemma2", "mixtral"):
        models[family] = tmp_path_factory.mktemp("copied") / family
        steps = ("--step", "layers --plan 0-1,1", "--step", "convert --dtype f32")
        run(command(SURGERY, "run", FIXTURES / "golden" / family, "-o", models[family], *steps))
    return models


@pytest.mark.parametrize("family", ["llama", "gpt-neox", "gemma2", "mixtral"])
def test_a_ramp(copied: dict[str, pathlib.Path], tmp_path: pathlib.Path, family: str) -> None:
    ids = ("--ids", FIXTURES / "ramp/rows.safetensors", "--batch", 2, "--lr", 2e-3)
    job = Comparison(tmp_path, copied[family], *ids, "--steps", 12, "--seam", "ramp", "--ramp-share", 0.5)
    run(job.by_torchrun(2))
    job.check()


def test_a_ramp_that_is_interrupted(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Sets while layers come in, of which none is the best, and a stop among them."""
    model = tmp_path / "model"
    run(command(SURGERY, "layers", written, "--plan", "0-1,1", "-o", model))
    more = ("--steps", 30, "--seam", "ramp", "--ramp-share", 0.6, "--eval-every", 4, "--result", "best")
    job = Comparison(tmp_path, model, *TEXTS, *more)
    stopped(job.by_torchrun(2), tmp_path, 7, signal.SIGINT)
    run([*job.by_torchrun(3), "--resume"])
    job.check()
    one, two = evaluated(tmp_path, "own"), evaluated(tmp_path, "other")
    assert one.keys() == two.keys()
    assert all(two[place] == pytest.approx(value, rel=LOSSES) for place, value in one.items())


def lessons(folder: pathlib.Path) -> int:
    """Compares what both runs say of their teacher, step by step; how many targets were taught."""
    own, other = ([line.get("teacher") for line in lines(folder / f"{name}.jsonl")] for name in ("own", "other"))
    for one, two in zip(own, other, strict=True):
        if one is None:
            assert two is None
            continue
        assert one.keys() == two.keys() and (one["taught"], one["targets"]) == (two["taught"], two["targets"])
        for key in one.keys() & {"cross_entropy", "kl", "hidden_mse"}:
            assert two[key] == pytest.approx(one[key], rel=LOSSES, abs=1e-6)
    return sum(one["taught"] for one in own if one)


GROWN = ("--step", "layers --plan 0-1,1", "--step", "resize-vocab --size 80", "--step", "convert --dtype f32")
TEACHERS = {
    # The model, the type of its teacher, which is named after it where it is another, and how that teaches.
    "llama-linear": ("bf16", "llama-linear", "--teacher-temperature 2"),
    "gemma2": ("f32", "gemma2", "--teacher-weight 0.8 --accumulate 2"),
    "gpt-neox": ("f16", "gemma2", "--teacher-weight 0.3 --teacher-temperature 3 --gradients bf16"),
    "mixtral-aux": ("bf16", "olmoe", "--teacher-weight 1 --recompute layer --moments bf16"),
}


@pytest.mark.parametrize("family", TEACHERS)
def test_a_teacher(tmp_path: pathlib.Path, family: str) -> None:
    """Teachers of each stored type and of other families, for models with a layer and tokens more."""
    model, teacher, (dtype, other, more) = tmp_path / "model", tmp_path / "teacher", TEACHERS[family]
    run(command(SURGERY, "run", FIXTURES / "golden" / family, "-o", model, *GROWN))
    run(command(SURGERY, "convert", FIXTURES / "golden" / other, "--dtype", dtype, "-o", teacher))
    ids = ("--ids", FIXTURES / "teacher/rows-grown.safetensors", "--batch", 2, "--steps", 30, "--lr", 1e-3)
    job = Comparison(tmp_path, model, *ids, "--teacher", teacher, *more.split())
    run(job.by_torchrun(2))
    job.check()
    said = operation(tmp_path, "other")["teacher"]
    assert operation(tmp_path, "own")["teacher"] == said and 0 < said["taught"] == lessons(tmp_path) < said["targets"]


def test_a_teacher_on_the_replay(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """By stage: on the replay, not at all, on all text; with new tokens, a stop, and checkpoints that stay."""
    model = tmp_path / "model"
    learn = ("--learn", 40, "--corpus", EXAMPLES / "data/korean.val.jsonl")
    run(command(SURGERY, "resize-vocab", written, *learn, "-o", model))
    stages = ("steps: 8", "steps: 6, teacher-weight: 0", "steps: 12, teacher-temperature: 2, teacher-on: all")
    more = ("--teacher", "parent", "--teacher-on", "replay", "--checkpoint-every", 5, "--keep", 1, "--stages", *stages)
    job = Comparison(tmp_path, model, *TEXTS, *more)
    stopped(job.by_torchrun(2), tmp_path, 17, signal.SIGINT)
    run([*job.by_torchrun(3), "--resume"])
    job.check()
    taught = lessons(tmp_path)
    said = operation(tmp_path, "other")["teacher"]
    assert operation(tmp_path, "own")["teacher"] == said and 0 < said["taught"] == taught < said["targets"]
    kept = [json.loads((tmp_path / f"{name}.run/step-000026/run.json").read_text()) for name in ("own", "other")]
    assert (
        kept[0]["progress"]["taught"] == kept[1]["progress"]["taught"] == {"taught": taught, "targets": said["targets"]}
    )


HIDDEN = {
    "llama": "--teacher-hidden 3:0.5 --teacher-temperature 2",
    "gemma2": "--teacher-hidden 0.5:0.5 --accumulate 2",
    "gpt-neox": "--teacher-hidden 0.2:0.5 --teacher-weight 1 --gradients bf16",
    "mixtral": "--teacher-hidden 1:0.5 --recompute layer",
}


@pytest.mark.parametrize("family", HIDDEN)
@pytest.mark.parametrize("processes", [1, 2])
def test_hidden_states_of_a_teacher(tmp_path: pathlib.Path, family: str, processes: int) -> None:
    """Layers twice, more tokens: behind each run of layers it is compared with its parent in half of the steps."""
    model, teacher = tmp_path / "model", tmp_path / "teacher"
    plan = "0-1,1-2" if family == "llama" else "0-1,1"
    grown = ("--step", f"layers --plan {plan}", "--step", "resize-vocab --size 251", "--step", "convert --dtype f32")
    run(command(SURGERY, "run", FIXTURES / "golden" / family, "-o", model, *grown))
    run(command(SURGERY, "convert", FIXTURES / "golden" / family, "--dtype", "bf16", "-o", teacher))
    ids = ("--ids", FIXTURES / "teacher-hidden/rows.safetensors", "--batch", 2, "--steps", 20, "--lr", 1e-3)
    job = Comparison(tmp_path, model, *ids, "--teacher", teacher, *HIDDEN[family].split())
    run(job.by_torchrun(processes))
    job.check()
    assert (
        0 < lessons(tmp_path) and sum("hidden_mse" in line["teacher"] for line in lines(tmp_path / "own.jsonl")) == 10
    )


def test_hidden_states_that_are_interrupted(tmp_path: pathlib.Path) -> None:
    """Layers that come in bit by bit, a stage that learns from predictions alone, a stop; 2 and then 3 processes."""
    model, golden = tmp_path / "model", FIXTURES / "golden/llama"
    steps = ("--step", "layers --plan 0-1,1-2", "--step", "convert --dtype f32")
    run(command(SURGERY, "run", golden, "-o", model, *steps))
    ids = ("--ids", FIXTURES / "teacher-hidden/rows.safetensors", "--batch", 4, "--lr", 1e-3, "--seam", "ramp")
    more = ("--teacher", golden, "--teacher-hidden", "2:0.6", "--ramp-share", 0.5, "--checkpoint-every", 4)
    job = Comparison(tmp_path, model, *ids, *more, "--stages", "steps: 20", "steps: 5, teacher-temperature: 3")
    stopped(job.by_torchrun(2), tmp_path, 7, signal.SIGINT)
    run([*job.by_torchrun(3), "--resume"])
    job.check()
    assert (
        0 < lessons(tmp_path) and sum("hidden_mse" in line["teacher"] for line in lines(tmp_path / "own.jsonl")) == 12
    )


def test_a_teacher_that_lies_elsewhere(tmp_path: pathlib.Path) -> None:
    """The worker is told where, and refuses another model and a job without one; the trainer needs none to adopt."""
    family, model, teacher = FIXTURES / "golden/gpt2", tmp_path / "model", tmp_path / "teacher"
    for folder in (model, teacher):
        run(command(SURGERY, "convert", family, "--dtype", "f32", "-o", folder))
    ids = ("--ids", family / "golden.safetensors", "--batch", 2, "--steps", 6, "--lr", 1e-3)
    job = Comparison(tmp_path, model, *ids, "--teacher", teacher)
    run([*job.by_torchrun(2), "--plan-only"])
    cluster, there = tmp_path / "other.cluster", teacher.rename(tmp_path / "there")
    assert f"{teacher}/model.safetensors: No such file" in alone(cluster)
    (tmp_path / "another").mkdir()
    save_file({"x": torch.zeros(1)}, tmp_path / "another/model.safetensors")
    assert "another/model.safetensors has the SHA-256" in alone(cluster, "--teacher", tmp_path / "another")
    start = command(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    run([*start, *command(cluster / "worker.py", cluster / "job.json", "--teacher", there)])
    run(command(TRAINER, "adopt", cluster))
    steps = [line for line in lines(tmp_path / "other.run/record.jsonl") if "event" not in line]
    (tmp_path / "other.jsonl").write_text("".join(json.dumps(line) + "\n" for line in steps))
    job.check()
    assert lessons(tmp_path) == operation(tmp_path, "other")["teacher"]["taught"] > 0
    other = command(TRAINER, "heal", model, *ids, *on(1), "-o", tmp_path / "plain", "--plan-only")
    run(other)
    assert "has no teacher; leave out --teacher" in alone(tmp_path / "plain.cluster", "--teacher", there)


def distilled(folder: pathlib.Path, predicts: bool) -> int:
    """Compares what both runs say of the readings of snippets, step by step; how many steps had some."""
    own, other = ([line.get("rows") for line in lines(folder / f"{name}.jsonl")] for name in ("own", "other"))
    for one, two in zip(own, other, strict=True):
        if one is None:
            assert two is None
            continue
        assert one.keys() == two.keys() == {"mse", "places"} | ({"cross_entropy"} if predicts else set())
        assert all(two[key] == pytest.approx(one[key], rel=LOSSES) for key in one) and one["places"] == two["places"]
    return sum(one is not None for one in own)


KOREAN = f"{EXAMPLES}/data/korean.val.jsonl"


def with_words(folder: pathlib.Path, model: pathlib.Path, dtype: str = "f32") -> pathlib.Path:
    """A model with 40 Korean tokens more."""
    grown = folder / "grown"
    steps = ("--step", f"resize-vocab --learn 40 --corpus {KOREAN}", "--step", f"convert --dtype {dtype}")
    run(command(SURGERY, "run", model, "-o", grown, *steps))
    return grown


def scratch(folder: pathlib.Path, family: str, **changes: Any) -> pathlib.Path:
    """A model of a family with the tokenizer of the examples, and the weights of two steps from scratch."""
    blank = folder / "blank"
    blank.mkdir()
    config = json.loads((FIXTURES / "golden" / family / "config.json").read_text())
    (blank / "config.json").write_text(json.dumps(config | {"vocab_size": 1024} | changes))
    (blank / "tokenizer.json").write_bytes((EXAMPLES / "blank/tokenizer.json").read_bytes())
    data = ("--data", EXAMPLES / "data/english.val.jsonl", "--steps", 2, "--batch", 2, "--length", 32)
    run(command(TRAINER, "heal", blank, "--from-scratch", *data, "-o", folder / "written"))
    return folder / "written"


READERS = {
    # How many layers both readings go through, of how many; whether the head has rows of its own.
    "base": ("layer=3", True),
    "gemma2": ("layer=1", False),
    "gpt2": ("layer=2", False),
    "gpt-neox": ("layer=2", True),
    "mixtral": ("layer=1", True),
}


@pytest.mark.parametrize("family", READERS)
@pytest.mark.parametrize("processes", [1, 2])
def test_distilled_rows(tmp_path: pathlib.Path, family: str, processes: int) -> None:
    """Heads of their own, tied ones; scaled embeddings, positions that are embedded, experts; a last step with less."""
    model = EXAMPLES / "base" if family == "base" else scratch(tmp_path, family)
    layer, predicts = READERS[family]
    rule = f"snippets=4 length=24 {layer} rate=2e-3 batch=7 epochs=2"
    more = ("--recompute", "layer") if family == "gemma2" else ()
    length = 30 if family == "gpt2" else 60
    job = Comparison(
        tmp_path, with_words(tmp_path, model), "--data", KOREAN, "--distil-rows", rule, "--length", length, *more
    )
    run(job.by_torchrun(processes))
    job.check()
    assert distilled(tmp_path, predicts) == len(job.own) > 8
    said = operation(tmp_path, "other")
    assert operation(tmp_path, "own") == said and said["distilled_rows"][0]["found"] > 10


def test_distilled_rows_among_stages(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Behind a stage of text and before one with a teacher, with moments in bfloat16; stopped within it, gone on with
    another number of processes; checkpoints stay, and the trainer's own engine goes on from one."""
    rows = "name: rows, distil-rows: snippets=2 length=20 batch=4 rate=2e-3, keep-end: true"
    stages = ("name: one, steps: 4, teacher-weight: 0", rows, "name: all, steps: 6")
    more = ("--teacher", "parent", "--checkpoint-every", 5, "--moments", "bf16", "--stages", *stages)
    job = Comparison(tmp_path, with_words(tmp_path, written), *TEXTS, *more)
    count = operation(tmp_path, "own")["steps"]
    assert count > 18
    stopped(job.by_torchrun(2), tmp_path, 7, signal.SIGINT)
    run([*job.by_torchrun(3), "--resume"])
    job.check()
    assert distilled(tmp_path, True) == count - 10 and lessons(tmp_path) > 0
    assert operation(tmp_path, "own") == operation(tmp_path, "other")
    ((own,), (other,)) = (recorded(tmp_path, name, "exposed") for name in ("own", "other"))
    assert own["tokens"] == other["tokens"] and own["tokens"]["tokens"] > 0
    one, two = evaluated(tmp_path, "own"), evaluated(tmp_path, "other")
    assert one.keys() == two.keys() and all(two[place] == pytest.approx(one[place], rel=LOSSES) for place in one)
    kept = [
        json.loads((tmp_path / f"{name}.run/step-{count - 6:06}/run.json").read_text()) for name in ("own", "other")
    ]
    for one in kept:
        for key in ("earlier", "sources"):
            one["progress"][key].sort(key=lambda source: source["name"])
    for key in ("stage", "earlier", "sources", "exposure"):
        assert kept[0]["progress"][key] == kept[1]["progress"][key]
    assert kept[0]["progress"]["inStage"]["data"] == kept[1]["progress"]["inStage"]["data"]
    (tmp_path / "other").rename(tmp_path / "other-before")
    run([*job.words, *command("-o", tmp_path / "other", "--resume", "--log", tmp_path / "again.jsonl")])
    assert losses(tmp_path / "again.jsonl") == pytest.approx(job.own[-6:], rel=LOSSES)


def test_more_processes_than_snippets(tmp_path: pathlib.Path) -> None:
    """Snippets are dealt out: no more processes than a step has of them, and some go without in the last step."""
    rule = "snippets=1 length=24 batch=3 rate=2e-3"
    job = Comparison(tmp_path, with_words(tmp_path, EXAMPLES / "base"), "--data", KOREAN, "--distil-rows", rule)
    said = refused(job.by_torchrun(4))
    assert "4 processes for 3 sequences a step" in said and "or a larger batch= in distil-rows" in said
    run(job.by_torchrun(3))
    job.check()
    assert distilled(tmp_path, True) == len(job.own)


def test_infilling(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Documents that are turned round, with four tokens that a surgery has added."""
    model, names, data = tmp_path / "model", tmp_path / "sentinels.txt", tmp_path / "data.jsonl"
    names.write_text("\n".join(SENTINELS) + "\n")
    run(command(SURGERY, "resize-vocab", written, "--tokens", names, "--tokens-as", "special", "-o", model))
    text = " ".join(line["text"] for line in lines(EXAMPLES / "data/english.val.jsonl"))
    texts = [text[start : start + 80] for start in range(0, len(text), 80)]
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    more = ("--steps", 20, "--batch", 3, "--length", 64, "--lr", 3e-3, "--infill", 0.9)
    job = Comparison(tmp_path, model, "--data", data, *more)
    words = job.by_torchrun(2)
    run([*words, "--plan-only"])
    shown = torch.from_file(str(tmp_path / "other.cluster/stage-1.tokens"), size=20 * 3 * 3 * 64, dtype=torch.int32)
    tokens = json.loads((model / "tokenizer.json").read_text())["added_tokens"]
    middle = next(one["id"] for one in tokens if one["content"] == SENTINELS[2])
    assert int((shown.view(-1, 3, 64)[:, 0] == middle).sum()) > 10
    run([*words, "--resume"])
    job.check()


def test_stages_of_their_own(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Another rotary base, longer sequences, layers that are computed again."""
    text = f"data: [{EXAMPLES}/data/korean.val.jsonl]"
    stages = (f"{text}, steps: 8", f"{text}, steps: 8, rope-theta: 50000, length: 96, recompute: layer", "steps: 6")
    more = ("--batch", 2, "--length", 48, "--lr", 3e-3, "--checkpoint-every", 5, "--stages", *stages)
    job = Comparison(tmp_path, written, "--data", EXAMPLES / "data/english.val.jsonl", *more)
    stopped(job.by_torchrun(2), tmp_path, 11, signal.SIGINT)
    run([*job.by_torchrun(2), "--resume"])
    job.check()
    one, two = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("own", "other"))
    assert one == two and "50000" in json.dumps(two)


@pytest.mark.parametrize("moments", ["f32", "bf16"])
def test_beginning_with_a_checkpoint(tmp_path: pathlib.Path, moments: str) -> None:
    """Weights and moments of the trainer's own run; of what is frozen now the weights alone."""
    model, family = tmp_path / "model", FIXTURES / "golden/gpt2"
    run(command(SURGERY, "convert", family, "--dtype", "f32", "-o", model))
    ids = ("--ids", family / "golden.safetensors", "--batch", 2, "--lr", 1e-3, "--moments", moments)
    first = command(TRAINER, "heal", model, *ids, "--gradients", "f32", "--steps", 12, "--keep", 1, "--no-tensorboard")
    run([*first, "-o", str(tmp_path / "first")])
    more = ("--from", tmp_path / "first.run/step-000012", "--groups", "layers=0: freeze", "--keep", 1)
    job = Comparison(tmp_path, model, *ids, "--steps", 15, *more)
    run(job.by_torchrun(2))
    job.check()
    assert operation(tmp_path, "own") == operation(tmp_path, "other")
    run(command(TRAINER, "export", tmp_path / "other.run/step-000015", "-o", tmp_path / "exported"))
    one, two = weights(tmp_path / "other"), weights(tmp_path / "exported")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_time_that_is_over(grown: pathlib.Path, tmp_path: pathlib.Path) -> None:
    words = command(TRAINER, "heal", grown, *rows("--steps", 20_000), "-o", tmp_path / "other", *on(2))
    done = subprocess.run([*words, "--max-time", "15s"], capture_output=True, text=True)
    assert done.returncode == 75, done.stderr
    assert "after 15s (--max-time); step" in done.stderr and "with --resume goes on" in done.stderr
    assert len(list((tmp_path / "other.cluster").glob("checkpoint-*"))) == 1


def stopped(words: list[str], folder: pathlib.Path, step: int, number: int) -> str:
    """Starts a run and sends it a signal when a step is taken; what it says."""
    events = folder / "other.cluster/events.jsonl"
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (events.exists() and f'"step": {step},' in events.read_text()):
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 128 + number, errors
    return errors


def test_other_numbers_of_processes(grown: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """4 processes, then 2, then 3, with a signal in between: the same tokens in the same order."""
    job = Comparison(tmp_path, grown, *rows("--stages", *STAGES, "--checkpoint-every", 0))
    assert "is kept" in stopped(job.by_torchrun(4), tmp_path, 9, signal.SIGINT)
    assert "is kept" in stopped([*job.by_torchrun(2), "--resume"], tmp_path, 30, signal.SIGTERM)
    run([*job.by_torchrun(3), "--resume"])
    job.check()


def test_a_killed_process(grown: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """One of the processes dies: the run ends, the last checkpoint is whole, and it goes on to the same end."""
    job = Comparison(tmp_path, grown, *rows("--stages", *STAGES, "--checkpoint-every", 5))
    events = tmp_path / "other.cluster/events.jsonl"
    process = subprocess.Popen(job.by_torchrun(2), stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (events.exists() and '"step": 12,' in events.read_text()):
        time.sleep(0.02)
    ranks = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().split(b"\0")
            # Of the workers, not of torchrun, whose words have theirs in them.
            if str(events.with_name("job.json")).encode() in line and b"torch.distributed.run" not in line:
                ranks.append(int(folder.name))
        except OSError:
            continue
    os.kill(max(ranks), signal.SIGKILL)
    start = time.monotonic()
    _, errors = process.communicate()
    assert process.returncode == 1 and time.monotonic() - start < 60
    assert "the last checkpoint" in errors
    run([*job.by_torchrun(3), "--resume"])
    job.check()


def test_adoption(grown: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A folder that is planned here, carried out elsewhere with the model somewhere else, and brought home."""
    job = Comparison(tmp_path, grown, *rows("--steps", 10, "--groups", *GROUPS))
    planned = [*job.words, *on(2), "-o", str(tmp_path / "other"), "--plan-only"]
    run(planned)
    cluster = (tmp_path / "other.cluster").rename(tmp_path / "elsewhere")
    start = command(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    run([*start, *command(cluster / "worker.py", cluster / "job.json", "--model", grown)])
    run(command(TRAINER, "adopt", cluster))
    lines = [json.loads(line) for line in (tmp_path / "other.run/record.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "event" not in line]
    (tmp_path / "other.jsonl").write_text("".join(json.dumps(line) + "\n" for line in steps))
    job.check()


def refused(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode not in (0, -signal.SIGKILL)
    return done.stderr


def test_refusals(grown: pathlib.Path, tmp_path: pathlib.Path) -> None:
    words = command(TRAINER, "heal", grown, *rows("--steps", 3), "-o", tmp_path / "other")
    assert "5 processes for 4 sequences a step" in refused([*words, *on(5)])
    if not torch.cuda.is_available():
        gpu = command("--on", "torchrun:1", "--device", "cuda", "--python", sys.executable)
        assert "finds no GPU here" in refused([*words, *gpu])
        assert "holds a run; add --resume" in refused([*words, *on(2)])
        assert "device is cpu, was cuda" in refused([*words, *on(2), "--resume"])
    run([*words, *on(2), "--force"])


FILES = ("job.json", "steps.jsonl", "stage-1.tokens", "config.json", "worker.py", "opening.py", "rules.py")


def alone(cluster: pathlib.Path, *more: Any) -> str:
    """What a worker says that refuses a folder, started as the only process."""
    alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    words = command(sys.executable, cluster / "worker.py", cluster / "job.json", *more)
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **alone, **meeting})
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("process 0: ")]
    assert len(said) == 1
    return said[0]


def test_folders_changed_by_hand(grown: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A byte of a file is another: the worker, and the trainer that would go on or adopt, name it in a sentence."""
    words = command(TRAINER, "heal", grown, *rows("--steps", 3), *on(1), "--moments", "f32", "-o", tmp_path / "other")
    run([*words, "--plan-only"])
    cluster = tmp_path / "other.cluster"
    for name in FILES:
        path = cluster / name
        before = path.read_bytes()
        place = next(place for place, byte in enumerate(before) if byte in b"02468" or path.suffix == ".tokens")
        path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
        assert f"{path} has the SHA-256" in alone(cluster)
        assert f"{name} is not what was" in refused([*words, "--resume"])
        assert f"{name} is not what was" in refused(command(TRAINER, "adopt", cluster))
        path.write_bytes(before)
    (cluster / "SHA256SUMS").rename(tmp_path / "sums")
    assert "copy the run folder as a whole" in alone(cluster)
    (tmp_path / "sums").rename(cluster / "SHA256SUMS")
    run([*words, "--resume"])


def test_checkpoints_of_another_job(grown: pathlib.Path, tmp_path: pathlib.Path) -> None:
    words = command(TRAINER, "heal", grown, *rows("--steps", 4000), *on(1), "--log", tmp_path / "log.jsonl")
    one, other = ([*words, "-o", str(tmp_path / name), "--seed", seed] for name, seed in (("other", "1"), ("two", "2")))
    stopped(one, tmp_path, 3, signal.SIGINT)
    run([*other, "--plan-only"])
    (path,) = (tmp_path / "other.cluster").glob("checkpoint-*")
    path.rename(tmp_path / "two.cluster" / path.name)
    assert "is of the run" in refused([*other, "--resume"])
    # And one whose pickled part is not what was written, which is not read.
    (tmp_path / "two.cluster" / path.name).rename(path)
    with (path / ".metadata").open("ab") as file:
        file.write(b"x")
    assert ".metadata is not what was written; remove the checkpoint" in refused([*one, "--resume"])


def test_documents_that_see_each_other_are_refused(tmp_path: pathlib.Path) -> None:
    model, family = tmp_path / "model", FIXTURES / "golden/gpt-oss"
    run(command(SURGERY, "convert", family, "--dtype", "f32", "-o", model))
    words = command(TRAINER, "heal", model, "--ids", family / "golden.safetensors", "--batch", 2, "--steps", 3)
    assert "lets the tokens of a document see" in refused([*words, *on(2), "-o", str(tmp_path / "other")])
    # Nor may a teacher be one.
    learner = tmp_path / "learner"
    run(command(SURGERY, "convert", FIXTURES / "golden/gpt2", "--dtype", "f32", "-o", learner))
    words = [*words[:2], *command(learner), *words[3:], *command("--teacher", model, *on(2), "-o", tmp_path / "two")]
    assert "lets the tokens of a document see" in refused(words)
