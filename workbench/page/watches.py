"""What a part of the page draws anew by itself, and the listeners that see to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import gradio as gr

from steering.confines import confined
from workbench.bench import Workbench
from workbench.page.blocks import LAST, unique
from workbench.page.jobs import Outputs
from workbench.page.state import PageState
from workbench.page.visits import visitor_of


_log = logging.getLogger(__name__)
Noted = Callable[[str, Outputs], Mapping[Any, Any]]
"""`noted(visitor, changes)` keeps what is worth it and gives the changes."""


@dataclass(frozen=True, eq=False)
class Watch:
    """Something that is drawn anew whenever another model stands, the shelf changes, a vector is picked or an event
    fires.
    """

    call: Callable[..., Outputs]
    inputs: Mapping[str, Any]
    outputs: Sequence[Any]
    events: Sequence[Any]
    """Bound events, such as `textbox.change`."""
    follows: bool
    """Whether it follows the model, the shelf or the picked vector, and so is drawn when the page opens."""
    of_visitor: bool = False
    """Whether `call` gets the visitor's number too."""


def wire_watches(bench: Workbench, page: PageState, watches: Sequence[Watch], noted: Noted) -> None:
    """Listen for what they watch: call once all of them are known.

    Of several calls the last one counts (`always_last`). Watches that share an event share a listener: Gradio fires an
    event that had to wait again for *all* its listeners, so that two of them that wait for one another never come to
    an end.
    """
    for group in grouped(watches):
        _listen(bench, page, group, noted)


def _listen(bench: Workbench, page: PageState, group: Sequence[Watch], noted: Noted) -> None:
    components = unique([part for watch in group for part in watch.inputs.values()])
    events = list({_key(event): event for watch in group for event in watch.events}.values())
    states = (page.model_seen, page.shelf_seen, page.picked)
    # Nothing else is watched: what was drawn when the page was opened is not drawn twice.
    seen = [*states, page.drawn] if all(event.__self__ in states for event in events) else []

    def handle(request: gr.Request, *values: Any) -> Any:
        given, known = values[: len(components)], values[len(components) :]
        if seen and tuple(known[:-1]) == known[-1]:
            return gr.skip()
        visitor, at = visitor_of(request), dict(zip(components, given, strict=True))
        changes: dict[Any, Any] = {}
        with confined(bench.confines):
            for watch in group:
                changes |= noted(visitor, _called(watch, at, visitor, alone=len(group) == 1))
        return changes or gr.skip()  # Gradio takes an empty mapping for a missing value of every output

    outputs = unique([part for watch in group for part in watch.outputs])
    gr.on(events, handle, inputs=[*components, *seen], outputs=outputs, **LAST)


def _called(watch: Watch, at: Mapping[Any, Any], visitor: str, *, alone: bool) -> Outputs:
    given = {name: at[part] for name, part in watch.inputs.items()} | ({"visitor": visitor} if watch.of_visitor else {})
    try:
        return watch.call(**given)
    except Exception:
        if alone:
            raise
        _log.exception("a part of the page could not be drawn")  # the others are
        return {}


class _Listens(Protocol):
    @property
    def events(self) -> Sequence[Any]: ...


T = TypeVar("T", bound=_Listens)


def grouped(watches: Iterable[T]) -> list[list[T]]:
    """Those that share an event of a component, directly or through others. A state's change is told to each of its
    listeners alone, so it ties nothing together.
    """
    groups: list[tuple[set[Any], list[T]]] = []
    for watch in watches:
        keys, members = {_key(event) for event in watch.events if not isinstance(event.__self__, gr.State)}, [watch]
        apart = []
        for others, group in groups:
            if keys.isdisjoint(others):
                apart.append((others, group))
            else:
                keys, members = keys | others, [*group, *members]
        groups = [*apart, (keys, members)]
    return [group for _, group in groups]


def _key(event: Any) -> tuple[int, str]:
    return event.__self__._id, event.event_name
