"""What the worker says of errors that are not its own: `make test-torch`. No process is started."""

import importlib.util
import pathlib
import sys
from types import ModuleType

import pytest
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Sources/Trainer/Cluster"))
PATH = pathlib.Path(__file__).resolve().parents[2] / "Sources/Trainer/Cluster/worker.py"


@pytest.fixture(scope="module")
def worker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("worker", PATH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_said(worker: ModuleType) -> None:
    """The text of NCCL's is one that PyTorch makes of ncclRemoteError; no GPU is here to make it."""
    nccl = RuntimeError(
        "NCCL error in: ProcessGroupNCCL.cpp:3356, remote process exited or there was a network error, NCCL 2.30.7\n"
        "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely."
    )
    said = worker.sentence(nccl)
    assert "\n" not in said and "ncclRemoteError" in said and "NCCL_SOCKET_IFNAME" in said
    gloo = RuntimeError("[gloo/transport/tcp/pair.cc:545] Read error [10.0.0.2]:62632: Connection reset by peer")
    assert worker.sentence(gloo).startswith("another process has ended, or can't be reached ([gloo/")
    assert "--recompute layer" in worker.sentence(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"))
    assert worker.sentence(KeyError("step")) == "KeyError: 'step'"


def test_all_know_what_is_wrong_with_one(worker: ModuleType) -> None:
    store = torch.distributed.HashStore()
    worker.agree(store, 0, 1, None, "sums")
    for rank, problem, sums in ((0, None, "sums"), (1, "no GPU", "sums"), (2, None, "others")):
        with pytest.raises(worker.Refusal, match="no GPU") as caught:
            store.set("checked/1", '["b", "no GPU", "sums"]')
            worker.agree(store, rank, 3, problem, sums)
        assert caught.value.rank == 1
    store.set("checked/1", '["b", null, "sums"]')
    with pytest.raises(worker.Refusal, match="another job") as caught:
        worker.agree(store, 2, 3, None, "others")
    assert caught.value.rank == 2


@pytest.mark.parametrize(("now", "is_healed"), [(1.2, True), (1.3, True), (1.300001, True), (1.30002, False)])
def test_as_good_as_the_parent_but_for_rounding(worker: ModuleType, now: float, is_healed: bool) -> None:
    rules = {"healed_by": ["en"], "until_healed": True, "patience": None}
    parent = {"sets": [{"name": "en", "result": {"bits_per_byte": 1.3}}]}
    evaluations = worker.Evaluations(rules, parent, 10)
    for step, value in ((0, 1.4), (1, now)):
        found = evaluations.hear(step, {"en": {"bits_per_byte": value, "loss": 1}}, is_mature=step > 0)
    assert found == is_healed and evaluations.end == ("healed" if is_healed else None)
