"""What a plan writes, in words: where, on which tokens and under which condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steering.model.sites import SITES, Site, site_words
from steering.writes.scopes import SCOPES, Scope
from steering.writes.words import blocks_words, operation_words, told


if TYPE_CHECKING:
    from steering.writes.interventions import Gate, Plan, Write


def plan_words(plan: Plan) -> list[str]:
    """A sentence for each kind of write, in the order of the plan; none for a plan that writes nothing."""
    alike: dict[tuple[str, Scope, Gate | None], list[Write]] = {}
    for write in plan:
        alike.setdefault((told(write.operation)[0], write.scope, write.gate), []).append(write)
    return [_sentence(writes) for writes in alike.values()]


def _sentence(writes: list[Write]) -> str:
    first = writes[0]
    at = _places({write.block for write in writes}, {write.site for write in writes})
    what = operation_words(write.operation for write in writes)
    return f"{what} at {at}, on {scope_words(first.scope)}{_gate_words(first.gate)}"


def _places(blocks: set[int], sites: set[Site]) -> str:
    named = [site_words(site) for site in SITES if site in sites]
    return f"{blocks_words(blocks)} ({', '.join(named)})"


def scope_words(scope: Scope) -> str:
    """The tokens that are written."""
    if isinstance(scope, tuple):
        return f"token{'s' * (len(scope) > 1)} {', '.join(map(str, scope))} of the prompt"
    return SCOPES[scope]


def _gate_words(gate: Gate | None) -> str:
    if gate is None:
        return ""
    where = _places({gate.block}, {gate.site})
    decided = "decided once, at the last prompt token" if gate.per == "prompt" else "decided at every token"
    return f", where the projection at {where} is {gate.side} {gate.threshold:.3g} raw ({decided})"
