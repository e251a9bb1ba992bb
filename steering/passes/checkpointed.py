"""Passes that keep less for the way back: of a module its input alone, whose inside is worked out anew there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Literal, TypeVar

from torch import nn
from torch.utils.checkpoint import checkpoint

from steering.model.device_memory import NoRoom, if_it_fits
from steering.model.host import Host
from steering.passes.frozen import frozen


Back = bool | Literal["checkpointed"]
"""Whether one can go back through a pass: not at all, with all that it was made of kept, or with little kept."""
T = TypeVar("T")


@contextmanager
def checkpointed(blocks: Iterable[nn.Module], met: Collection[nn.Module], back: Back) -> Iterator[None]:
    """Have the blocks' modules keep their inputs alone meanwhile (Chen et al. 2016, arXiv 1604.06174).

    What is written in a pass is not written when a module is run again, so a module at which or in which the pass stops
    keeps what it had; those in it at which it does not are taken one by one.

    Args:
        blocks: Whose modules; those that run.
        met: Modules at which something is read or written.
        back: Nothing happens unless it is "checkpointed".
    """
    chosen = [part for block in blocks for part in _unmet(block, met)] if back == "checkpointed" else []
    own = [module.__dict__.get("forward") for module in chosen]
    try:
        for module in chosen:
            module.forward = partial(_again, module, module.forward)
        yield
    finally:
        for module, forward in zip(chosen, own, strict=True):
            module.__dict__.pop("forward")
            if forward is not None:
                module.forward = forward


def _unmet(module: nn.Module, met: Collection[nn.Module]) -> list[nn.Module]:
    """The largest modules of one, itself perhaps, that are called and hold none that is met."""
    called = not isinstance(module, nn.ModuleList | nn.ModuleDict)
    if called and not any(part in met for part in module.modules()):
        return [module]
    return [part for child in module.children() for part in _unmet(child, met)]


def _again(module: nn.Module, forward: Callable[..., Any], *args: Any, **given: Any) -> Any:
    """Run it, and once more on the way back, when its weights must be frozen as they are now."""
    run = partial(forward, **given)  # whose names might be the checkpoint's own
    contexts = partial(_contexts, module)
    return checkpoint(run, *args, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)


def _contexts(module: nn.Module) -> tuple[Any, Any]:
    return nullcontext(), frozen(module)


def as_many_as_fit(
    host: Host,
    parts: Iterable[Sequence[int]],
    do: Callable[[Sequence[int], Back], T],
    tokens: Callable[[Sequence[int]], int],
) -> Iterator[tuple[Sequence[int], T]]:
    """Go back through passes over some rows at once, half of them where there is no room for all, and with checkpoints
    where there is none for one.

    Args:
        host: The model.
        parts: Rows of a pass each.
        do: The pass and the way back.
        tokens: Of the longest row.

    Raises:
        NoRoom: One row does not fit with checkpoints.
    """
    left = [*parts]
    while left:
        part = left.pop(0)
        found = if_it_fits(partial(do, part, True))
        if found is None and len(part) > 1:
            left[:0] = part[: len(part) // 2], part[len(part) // 2 :]
            continue
        if found is None:
            found = if_it_fits(partial(do, part, "checkpointed"))
        if found is None:
            raise NoRoom(host, tokens(part))
        yield part, found
