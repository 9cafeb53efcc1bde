"""What a run decides by numbers alone, as the trainer's own engine does: StepGuard, Patience, EvaluationProgress."""

import math
from typing import Any

# Up to which share of the parent's figure a difference is rounding: HealedShare.rounding.
ROUNDING = 1e-5


class Refusal(Exception):
    """What the user can do something about, in a sentence; of another process where that is named."""

    def __init__(self, message: str, rank: int | None = None, host: str | None = None) -> None:
        super().__init__(message if host is None else f"{message} (on {host})")
        self.rank = rank


class StepGuard:
    """Judges a step by the last ones that were taken, as the trainer's StepGuard does."""

    def __init__(self, settings: dict[str, Any], state: dict[str, Any] | None = None) -> None:
        self.settings = settings
        # `in_a_row` are findings since a step was taken for the first time; so many are still to be taken `again`.
        self.state = state or {"losses": [], "norms": [], "in_a_row": 0, "again": 0}

    def judge(self, loss: float, norm: float) -> dict[str, Any] | None:
        """What is wrong with a step, the worse of its two numbers; nothing where it may move the weights."""
        state = self.state
        found = [self.finding("loss", loss, state["losses"]), self.finding("gradient norm", norm, state["norms"])]
        findings = [finding for finding in found if finding]
        if findings:
            state["in_a_row"] += 1
            return max(findings, key=lambda finding: finding["deviations"])
        if state["again"] > 0:
            state["again"] -= 1
        else:
            state["in_a_row"] = 0
        if self.settings["policy"] != "off":
            for kind, value in (("losses", loss), ("norms", norm)):
                state[kind] = (state[kind] + [value])[-self.settings["window"] :]
        return None

    @property
    def policy(self) -> str:
        """What a finding leads to: stop, skip or rollback."""
        is_often = self.state["in_a_row"] > self.settings["most_in_a_row"]
        return "stop" if is_often or self.settings["policy"] == "off" else self.settings["policy"]

    def go_back(self, kept: "StepGuard", retaking: int) -> None:
        """Takes the window of a checkpoint; findings are counted on until the run is past the last one's step."""
        self.state |= {"losses": kept.state["losses"], "norms": kept.state["norms"]}
        self.state["again"] += retaking

    def finding(self, what: str, value: float, values: list[float]) -> dict[str, Any] | None:
        if not math.isfinite(value):
            return {"what": what, "value": None, "mean": None, "deviation": None, "deviations": math.inf}
        if len(values) < self.settings["fewest"]:
            return None
        mean = sum(values) / len(values)
        squares = sum((one - mean) ** 2 for one in values)
        deviation = max(math.sqrt(squares / (len(values) - 1)), self.settings["least_deviation"] * abs(mean))
        if deviation <= 0 or value - mean <= self.settings["sigma"] * deviation:
            return None
        deviations = (value - mean) / deviation
        return {"what": what, "value": value, "mean": mean, "deviation": deviation, "deviations": deviations}


class Evaluations:
    """What the sets have come to: when they were best, and whether that ends the run."""

    def __init__(self, rules: dict[str, Any], parent: dict[str, Any] | None, steps: int, state: Any = None) -> None:
        """`parent` is what it makes of the sets; `state` is what a checkpoint knows."""
        self.rules, self.steps = rules, steps
        sets = parent["sets"] if parent else []
        self.parent = {one["name"]: one["result"].get("bits_per_byte") for one in sets}
        self.state = state or {
            "first": None, "best": None, "last": None, "end": None, "healed_at": None,
            "patience": {"start": None, "best": None, "waited": 0},
        }  # fmt: skip

    @property
    def end(self) -> str | None:
        """What has ended the run before its last step."""
        return self.state["end"]

    @property
    def best(self) -> int | None:
        """The step of the best evaluation."""
        return self.state["best"] and self.state["best"]["step"]

    def is_after(self, kind: str, step: int) -> bool:
        """Whether the first, the best or the last evaluation was after a step."""
        return self.state[kind] is not None and self.state[kind]["step"] == step

    def hear(self, step: int, sets: dict[str, dict[str, Any]], is_mature: bool) -> bool:
        """Takes an evaluation; whether the run is healed by it, for the first time.

        Until steps were taken and what was trained is a model by itself, it is not mature: neither best nor healed.
        """
        if not sets:
            return False
        state, values = self.state, [one["bits_per_byte"] for one in sets.values() if one["bits_per_byte"] is not None]
        numbers = values or [one["loss"] for one in sets.values()]
        state["last"] = {"step": step, "mean": sum(numbers) / len(numbers), "sets": sets}
        if step == 0:
            state["first"] = state["last"]
        if is_mature and (state["best"] is None or state["last"]["mean"] < state["best"]["mean"]):
            state["best"] = state["last"]
        if self.rules.get("patience") and values and (step == 0 or is_mature) and self.is_patience_over(step):
            state["end"] = "patience"
        if not (is_mature and self.is_healed(sets)):
            return False
        if self.rules["until_healed"]:
            state["end"] = "healed"
        if state["healed_at"] is not None:
            return False
        state["healed_at"] = step
        return True

    def is_patience_over(self, step: int) -> bool:
        """Whether so many evaluations were no better than the best, since the sets are back at their start."""
        patience, mean = self.state["patience"], self.state["last"]["mean"]
        if patience["start"] is None:
            patience["start"] = mean
        elif patience["best"] is None:
            if mean <= patience["start"] or 2 * step >= self.steps:
                patience["best"] = mean
        elif mean < patience["best"]:
            patience["best"], patience["waited"] = mean, 0
        else:
            patience["waited"] += 1
        return patience["waited"] >= self.rules["patience"]

    def is_healed(self, sets: dict[str, dict[str, Any]]) -> bool:
        """Whether all sets that count are where the parent has them, but for rounding, and there is one."""
        first = (self.state["first"] or {"sets": {}})["sets"]
        found = []
        for name in self.rules["healed_by"]:
            known = [first.get(name, {}).get("bits_per_byte"), sets.get(name, {}).get("bits_per_byte")]
            if None not in [*known, self.parent.get(name)]:
                found.append(known[1] <= self.parent[name] * (1 + ROUNDING))
        return bool(found) and all(found)
