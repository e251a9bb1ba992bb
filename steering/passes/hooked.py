"""Decoding steps by plain hooks: what a traced step does, without handing every value from one thread to another.

Nnsight defines what is right. The first step on a route is run both ways, and hooks are used on it from then on only if
they gave the traced step's logits to the bit. For `tracing.py` alone, which hands in the other engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from copy import deepcopy
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from steering.lane import Stopped
from steering.model.forwards import is_transformers_own
from steering.model.host import Host
from steering.passes.schedule import Schedule
from steering.passes.split_batches import Forward
from steering.passes.stops import Stop
from steering.passes.visitor import Route, Visitor


Ends = dict[str, Any]
"""What is kept of a pass: `logits`, float32, (batch, position, vocabulary), and `cache`."""
Proofs = dict[tuple[Any, bool], bool]
"""By the shape of a route, and whether a mask is given, whether hooks gave what tracing gives."""
Engine = Callable[[Host, dict[str, Tensor], dict[str, Any], Visitor], Ends]
"""Runs a pass: the model, what it takes, what it is asked beside that, and who goes along."""


def one_step(
    host: Host,
    taken: dict[str, Tensor],
    options: dict[str, Any],
    schedule: Schedule,
    traced: Engine,
    *,
    padded: bool,
) -> Forward:
    """One more token of every row. Call on the model thread.

    Args:
        host: The model.
        taken: Its inputs.
        options: Its further ones, the cache among them.
        schedule: The plans.
        traced: Runs a step by nnsight.
        padded: Whether any row has padding.
    """
    route, coverage, cache = _route_of(host, schedule), schedule.of_step(), str(host.abilities.cache)
    visitor = Visitor(route, coverage, len(taken["input_ids"]))
    proofs = _PROOFS.setdefault(host.base, {})
    way, holds = (None, False) if are_traced() else _way(proofs, route, taken, padded)
    if way is not None and holds:
        output = _hooked(host, way, options, visitor)
    else:
        own = None if way is None else _copied(options[cache])
        output = traced(host, taken, options, visitor)
        if way is not None and own is not None:
            again = Visitor(route, schedule.of_step(), visitor.n_rows)
            proofs[route.shape, _MASK in way] = _agrees(host, way, {**options, cache: own}, again, output)
    written = _WRITTEN[schedule]
    return Forward(output["logits"][:, 0], output["cache"], schedule.written(coverage) if written is None else written)


def by_hooks(host: Host, taken: dict[str, Tensor], options: dict[str, Any], schedule: Schedule) -> Tensor:
    """Logits of one more token of every row, (row, vocabulary), by hooks, whether or not they were shown to hold."""
    visitor = Visitor(_route_of(host, schedule), schedule.of_step(), len(taken["input_ids"]))
    return _hooked(host, taken, options, visitor)["logits"][:, 0]


def shape_of(host: Host, schedule: Schedule) -> tuple[Any, ...]:
    """Equal for schedules whose steps do the same to other tensors."""
    return _route_of(host, schedule).shape


def _route_of(host: Host, schedule: Schedule) -> Route:
    """Of a step."""
    if schedule not in _ROUTES:
        _ROUTES[schedule] = Route.of(host, schedule, schedule.of_step())
        # Where no gate decides, every step writes as much as any other.
        _WRITTEN[schedule] = None if schedule.gates else schedule.written(schedule.of_step())
    return _ROUTES[schedule]


def hooks_hold(host: Host, schedule: Schedule) -> bool | None:
    """Whether steps of a schedule run by hooks, since those gave the traced step's logits; None where no step was tried
    yet, or a model has none.
    """
    if schedule not in _ROUTES:
        return None
    proofs, shape = _PROOFS.get(host.base, {}), _ROUTES[schedule].shape
    found = [proofs[shape, masked] for masked in (False, True) if (shape, masked) in proofs]
    return any(found) if found else None


def _way(proofs: Proofs, route: Route, taken: dict[str, Tensor], padded: bool) -> tuple[dict[str, Tensor] | None, bool]:
    """On what hooks may run a step, and whether that was shown to be right: the quickest that was not shown to be
    wrong, and None where all were. A mask that hides nothing is worked out anew at every step; Hugging Face's own
    `generate` gives none, either.
    """
    ways = [taken]
    if not padded and _MASK in taken:
        ways.insert(0, {name: value for name, value in taken.items() if name != _MASK})
    for way in ways:
        holds = proofs.get((route.shape, _MASK in way))
        if holds is not False:
            return way, holds is True
    return None, False


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


def are_traced() -> bool:
    """Whether every step is, here."""
    return _TRACED.get()


def _hooked(host: Host, taken: dict[str, Tensor], options: dict[str, Any], visitor: Visitor) -> Ends:
    """A pass by hooks, which go with it, however it ends."""
    with _no_graph(host), _along(host, visitor):
        return ends(host, host.model._module(**taken, **options), 1)


def _no_graph(host: Host) -> AbstractContextManager[Any]:
    """Inference mode saves a small model's step 6 % of its time, but what is made in it cannot be changed in place or
    be trained through later. So it is for models that leave nothing behind but keys and values, which are put into
    longer tensors; a state that is written over, or what code from elsewhere may keep, is made without it.
    """
    lean = host.abilities.shares and is_transformers_own(host.model._module)
    return torch.inference_mode() if lean else torch.no_grad()


@contextmanager
def _along(host: Host, visitor: Visitor) -> Iterator[None]:
    """The modules' own code meanwhile, and the visitor where it stops.

    What nnsight has put around every module is aside, since outside of a trace it does nothing, at every call of each.
    The visitor is around a module's forward pass as nnsight would be: torch's own hooks cost as much as what most of
    them do. One thread alone touches the model.
    """
    if host.base not in _WRAPPED:
        _WRAPPED[host.base] = [vars(each) for each in host.model._module.modules() if _is_wrapped(each)]
    aside = [(own, own.pop("forward", None)) for own in _WRAPPED[host.base]]
    try:
        for stop in visitor.route.around:
            module = stop.module._module
            forward, own = module.forward, vars(module)
            aside.append((own, own.get("forward")))
            own["forward"] = partial(_given if stop.is_input else _gave, stop, visitor, forward)
        yield
    finally:
        for own, before in reversed(aside):
            if before is None:
                own.pop("forward", None)
            else:
                own["forward"] = before


def _is_wrapped(module: Any) -> bool:
    """Whether a module has a forward pass of nnsight's around that of its class, and nothing else."""
    own = vars(module)
    body = getattr(getattr(own.get("forward"), "state", None), "body", None)
    return body is type(module).forward and "_hf_hook" not in own


def _given(stop: Stop, visitor: Visitor, forward: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """States are the first argument, given by place or by name."""
    if args:
        new = visitor.meet(stop, args[0])
        return forward(*args, **named) if new is None else forward(new, *args[1:], **named)
    name = next(iter(named))
    new = visitor.meet(stop, named[name])
    return forward(**named) if new is None else forward(**{**named, name: new})


def _gave(stop: Stop, visitor: Visitor, forward: Callable[..., Any], *args: Any, **named: Any) -> Any:
    output = forward(*args, **named)
    new = visitor.meet(stop, output)
    return output if new is None else new


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
_MASK = "attention_mask"
_PROOFS: WeakKeyDictionary[Host, Proofs] = WeakKeyDictionary()
"""On which routes hooks give what tracing gives, with a mask and without, by model."""
_WRAPPED: WeakKeyDictionary[Host, list[dict[str, Any]]] = WeakKeyDictionary()
"""The attributes of the modules that nnsight has wrapped, by model."""
_TRACED: ContextVar[bool] = ContextVar("traced", default=False)
