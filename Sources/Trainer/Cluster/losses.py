"""What a model makes of sequences: the output of its layers, and the losses of its head by text and teacher.

B, T: sequences and tokens of a pass. R: targets of a pass. C: hidden size. V: tokens of the vocabulary.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

# Rows of logits that are there at once.
CHUNK = 1024


class Given(torch.nn.Module):
    """Stands for the layers of a model and hands out some of what they have made, in the same form."""

    def __init__(self, form: type, hidden: torch.Tensor) -> None:
        super().__init__()
        self.form, self.hidden = form, hidden

    def forward(self, *_: Any, **__: Any) -> Any:
        return self.form(last_hidden_state=self.hidden)


def computed(model: Any, forward: Any, what: Callable[..., Any], *values: Any) -> Any:
    """A forward pass of a model, for which FSDP gathers what belongs to no layer: computes what is asked for."""
    return what(model, forward, *values)


def layer_list(model: Any) -> str | None:
    """What the layers of a model are called in what lies under its head; nothing where no list of them is found."""
    parts = getattr(model, model.base_model_prefix, torch.nn.Module()).named_children()
    return next((name for name, part in parts if isinstance(part, torch.nn.ModuleList)), None)


def layers_of(model: Any) -> torch.nn.ModuleList:
    """The layers of a model that has a list of them."""
    return getattr(getattr(model, model.base_model_prefix), layer_list(model) or "")


@contextlib.contextmanager
def streams(model: Any, layers: Iterable[int]) -> Iterator[dict[int, torch.Tensor]]:
    """What leaves some layers of a model while it computes, by their number from 0: B · T rows each."""
    found: dict[int, torch.Tensor] = {}

    def keep(layer: int, _: Any, __: Any, result: Any) -> None:
        found[layer] = (result[0] if isinstance(result, tuple) else result).flatten(0, 1)

    blocks = layers_of(model)
    hooks = [blocks[layer].register_forward_hook(functools.partial(keep, layer)) for layer in set(layers)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def layer_output(model: Any, tokens: torch.Tensor, positions: torch.Tensor, **more: Any) -> Any:
    """What the layers of a model make of sequences: tokens, positions (B, T) -> their output, B · T rows of it."""
    if model.config._attn_implementation.startswith("flash"):
        # It finds the borders of documents by positions, and only in a single row.
        tokens, positions = tokens.reshape(1, -1), positions.reshape(1, -1)
    layers = getattr(model, model.base_model_prefix)
    return layers(input_ids=tokens, position_ids=positions, use_cache=False, **more)


def head_logits(model: Any, forward: Any, form: type, hidden: torch.Tensor) -> torch.Tensor:
    """What a family's own head makes of states, with its scales and caps: (R, C) -> (R, V), in float32."""
    layers = model.base_model_prefix
    own = model._modules[layers]
    model._modules[layers] = Given(form, hidden[None])
    try:
        tokens = torch.zeros(1, len(hidden), dtype=torch.int64, device=hidden.device)
        return forward(input_ids=tokens, use_cache=False).logits[0].float()
    finally:
        model._modules[layers] = own


def token_losses(
    model: Any,
    forward: Any,
    tokens: torch.Tensor,
    positions: torch.Tensor,
    targets: torch.Tensor,
    routed: bool = False,
    lesson: Any = None,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], list[torch.Tensor]]:
    """The loss of each target, in nats: tokens, positions, targets (B, T), negative for none -> (R).

    With `routed`, what each layer's router says of each token comes with them: (B·T, E) each. With a lesson of
    teacher.py, cross entropies and divergences, of which it makes the losses, do, and where it compares hidden states
    their squares: (R) each.

    The head is computed some rows at a time by the family's own forward, whose layers have then been exchanged for
    what they made. Without targets the loss is a zero that has gradients, for all processes must do the same.
    """
    with streams(model, lesson.layers if lesson else ()) as own:
        output = layer_output(model, tokens, positions, **({"output_router_logits": True} if routed else {}))
    hidden, routers = output.last_hidden_state.flatten(0, 1), output.router_logits if routed else ()
    losses, *figures = target_losses(model, forward, type(output), hidden, targets.flatten(), lesson)
    if lesson and lesson.layers and figures:
        rows = (targets.flatten() >= 0).nonzero().squeeze(1)[lesson.taught]
        squares = lesson.squares([own[layer][rows] for layer in lesson.layers])
        losses, figures = losses + lesson.hidden_weight * squares, [*figures, squares.detach()]
    return losses, routers, figures


def target_losses(
    model: Any, forward: Any, form: type, hidden: torch.Tensor, targets: torch.Tensor, lesson: Any = None
) -> list[torch.Tensor]:
    """The losses of those of some rows that have a target: hidden (B · T, C), targets (B · T) -> (R), and with a lesson
    cross entropies and divergences, (R) each. Without targets there is the zero that has gradients alone."""
    rows = (targets >= 0).nonzero().squeeze(1)
    if rows.numel() == 0:
        losses, *_ = head_losses(model, forward, form, hidden[:1], targets[:1].clamp(min=0))
        return [0 * losses]
    hidden, targets = hidden[rows], targets[rows]
    parts = [
        checkpoint(
            head_losses,
            model,
            forward,
            form,
            hidden[start : start + CHUNK],
            targets[start : start + CHUNK],
            lesson and lesson.part(start, start + CHUNK),
            use_reentrant=False,
        )
        for start in range(0, rows.numel(), CHUNK)
    ]
    return [torch.cat(column) for column in zip(*parts)]


def head_losses(
    model: Any, forward: Any, form: type, hidden: torch.Tensor, targets: torch.Tensor, lesson: Any = None
) -> tuple[torch.Tensor, ...]:
    """hidden (R, C), targets (R) -> losses (R), and with a lesson cross entropies and divergences, (R) each."""
    logits = head_logits(model, forward, form, hidden)
    entropies = F.cross_entropy(logits, targets.long(), reduction="none")
    if lesson is None:
        return (entropies,)
    losses, divergences = lesson.losses(logits, entropies)
    return losses, entropies.detach(), divergences.detach()
