"""New rows learn what a model makes of the same text in the tokens that it had before (arXiv:2505.20133).

B, T: snippets of a pass, and the tokens of one at most. P: places of a pass that are compared. R: targets of a pass.
C: hidden size. V: tokens of the vocabulary.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from losses import layer_list, layer_output, layers_of, streams, target_losses


def reading_losses(
    model: Any, forward: Any, rows: torch.Tensor, layer: int, predicts: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Reads snippets twice: rows (B, 6, T), tokens, targets, first visible positions; the tokens and the first visible
    positions of the old reading; with which place of that each is compared, negative for none.

    The mean square of the difference of both behind so many layers, over channels (P), has gradients of the embedding
    alone. Where the head predicts, the losses of the targets (R) have gradients of the head alone; else there are none.
    """
    places = torch.arange(rows.shape[2], device=rows.device)
    compared = (rows[:, 5] >= 0).flatten()
    theirs = (rows[:, 5] + len(places) * torch.arange(len(rows), device=rows.device)[:, None]).flatten()[compared]
    with torch.no_grad(), first_layers(model, layer), streams(model, [layer - 1]) as found:
        layer_output(model, rows[:, 3], places - rows[:, 4])
    old = found[layer - 1][theirs].float()
    with contextlib.ExitStack() as stack:
        if not predicts:
            stack.enter_context(first_layers(model, layer))
        found = stack.enter_context(streams(model, [layer - 1]))
        stack.enter_context(no_gradients_behind(model, layer - 1))
        output = layer_output(model, rows[:, 0], places - rows[:, 2])
    squares = (found[layer - 1][compared].float() - old).square().mean(-1)
    if not predicts:
        return squares, squares.new_zeros(0)
    hidden = output.last_hidden_state.detach().flatten(0, 1)
    losses, *_ = target_losses(model, forward, type(output), hidden, rows[:, 1].flatten())
    return squares, losses


@contextlib.contextmanager
def first_layers(model: Any, count: int) -> Iterator[None]:
    """Has a model go through its first layers alone."""
    base, name = getattr(model, model.base_model_prefix), layer_list(model) or ""
    whole = base._modules[name]
    base._modules[name] = torch.nn.ModuleList(list(whole)[:count])
    try:
        yield
    finally:
        base._modules[name] = whole


@contextlib.contextmanager
def no_gradients_behind(model: Any, layer: int) -> Iterator[None]:
    """Has a model remember nothing for a backward pass of what it computes behind a layer."""

    def stop(*_: Any) -> None:
        torch.set_grad_enabled(False)

    hook = layers_of(model)[layer].register_forward_hook(stop)
    try:
        with torch.enable_grad():
            yield
    finally:
        hook.remove()
