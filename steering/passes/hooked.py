"""Decoding steps by plain hooks: what a traced step does, without handing every value from one thread to another.

Nnsight defines what is right. The first step on a route is run both ways, and hooks are used on it from then on only if
they gave the traced step's logits to the bit. For `tracing.py` alone, which hands in the other engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from steering.lane import Stopped
from steering.model.host import Host
from steering.passes.schedule import Schedule
from steering.passes.split_batches import Forward
from steering.passes.stops import Stop
from steering.passes.visitor import Route, Visitor


Ends = dict[str, Any]
"""What is kept of a pass: `logits`, float32, (batch, position, vocabulary), and `cache`."""
Engine = Callable[[Host, dict[str, Tensor], dict[str, Any], Visitor], Ends]
"""Runs a pass: the model, what it takes, what it is asked beside that, and who goes along."""


def one_step(
    host: Host, taken: dict[str, Tensor], options: dict[str, Any], schedule: Schedule, traced: Engine
) -> Forward:
    """One more token of every row. Call on the model thread.

    Args:
        host: The model.
        taken: Its inputs.
        options: Its further ones, the cache among them.
        schedule: The plans.
        traced: Runs a step by nnsight.
    """
    if schedule not in _ROUTES:
        _ROUTES[schedule] = Route.of(host, schedule, schedule.of_step())
        # Where no gate decides, every step writes as much as any other.
        _WRITTEN[schedule] = None if schedule.gates else schedule.written(schedule.of_step())
    route, coverage, cache = _ROUTES[schedule], schedule.of_step(), str(host.abilities.cache)
    visitor = Visitor(route, coverage, len(taken["input_ids"]))
    proofs = _PROOFS.setdefault(host.base, {})
    holds = False if _TRACED.get() else proofs.get(route.shape)
    if holds:
        output = _hooked(host, taken, options, visitor)
    else:
        own = _copied(options[cache]) if holds is None else None
        output = traced(host, taken, options, visitor)
        if own is not None:
            again = Visitor(route, schedule.of_step(), visitor.n_rows)
            proofs[route.shape] = _agrees(host, taken, {**options, cache: own}, again, output)
    written = _WRITTEN[schedule]
    return Forward(output["logits"][:, 0], output["cache"], schedule.written(coverage) if written is None else written)


def hooks_hold(host: Host, schedule: Schedule) -> bool | None:
    """Whether steps of a schedule run by hooks, since those gave the traced step's logits; None where no step was tried
    yet, or a model has none.
    """
    return _PROOFS.get(host.base, {}).get(_ROUTES[schedule].shape) if schedule in _ROUTES else None


def ends(host: Host, output: Any, n_kept: int) -> Ends:
    """What is kept of a model's output: logits at the last `n_kept` positions, and its cache."""
    # A copy where there are more, which a view would hold in memory.
    more, cache = output.logits.shape[1] > n_kept, host.abilities.cache
    return {
        "logits": output.logits[:, -n_kept:].to(torch.float32, copy=more),
        "cache": getattr(output, cache, None) if cache else None,
    }


@contextmanager
def traced_steps() -> Iterator[None]:
    """Every step within is traced, such as those against which others are held."""
    token = _TRACED.set(True)
    try:
        yield
    finally:
        _TRACED.reset(token)


def _hooked(host: Host, taken: dict[str, Tensor], options: dict[str, Any], visitor: Visitor) -> Ends:
    """A pass by hooks, which go with it, however it ends."""
    handles = [_hook(stop, visitor) for stop in visitor.route.stops]
    try:
        with torch.no_grad(), _bare(host):
            return ends(host, host.model._module(**taken, **options), 1)
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _bare(host: Host) -> Iterator[None]:
    """The modules' own code meanwhile, without what nnsight has put around each of them: outside of a trace it does
    nothing, at every call of each. One thread alone touches the model.
    """
    if host.base not in _WRAPPED:
        _WRAPPED[host.base] = [vars(each) for each in host.model._module.modules() if _is_wrapped(each)]
    aside = [(own, own.pop("forward", None)) for own in _WRAPPED[host.base]]
    try:
        yield
    finally:
        for own, forward in aside:
            if forward is not None:
                own["forward"] = forward


def _is_wrapped(module: Any) -> bool:
    """Whether a module has a forward pass of nnsight's around that of its class, and nothing else."""
    own = vars(module)
    body = getattr(getattr(own.get("forward"), "state", None), "body", None)
    return body is type(module).forward and "_hf_hook" not in own


def _hook(stop: Stop, visitor: Visitor) -> Any:
    module = stop.module._module
    if stop.is_input:
        return module.register_forward_pre_hook(partial(_given, stop, visitor), with_kwargs=True)
    return module.register_forward_hook(partial(_gave, stop, visitor))


def _given(stop: Stop, visitor: Visitor, module: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """States are the first argument, given by place or by name."""
    if args:
        new = visitor.meet(stop, args[0])
        return None if new is None else ((new, *args[1:]), named)
    name = next(iter(named))
    new = visitor.meet(stop, named[name])
    return None if new is None else (args, {**named, name: new})


def _gave(stop: Stop, visitor: Visitor, module: Any, args: Any, output: Any) -> Any:
    return visitor.meet(stop, output)


def _copied(cache: Any) -> Any:
    """A cache that a trial may write into; None where it cannot be copied."""
    try:
        return deepcopy(cache)
    except Exception:  # whatever a model's own cache raises, or no memory for two: it goes on being traced
        return None


def _agrees(host: Host, taken: dict[str, Tensor], options: dict[str, Any], visitor: Visitor, traced: Ends) -> bool:
    """Whether a step by hooks gives what the traced one gave."""
    try:
        logits = _hooked(host, taken, options, visitor)["logits"]
    except (torch.OutOfMemoryError, Stopped):
        raise
    except Exception:  # whatever a model's code raises where it is called from outside of a trace
        return False
    return torch.equal(logits, traced["logits"])


_ROUTES: WeakKeyDictionary[Schedule, Route] = WeakKeyDictionary()
_WRITTEN: WeakKeyDictionary[Schedule, list[int] | None] = WeakKeyDictionary()
_PROOFS: WeakKeyDictionary[Host, dict[tuple[Any, ...], bool]] = WeakKeyDictionary()
"""On which routes hooks give what tracing gives, by model."""
_WRAPPED: WeakKeyDictionary[Host, list[dict[str, Any]]] = WeakKeyDictionary()
"""The attributes of the modules that nnsight has wrapped, by model."""
_TRACED: ContextVar[bool] = ContextVar("traced", default=False)
