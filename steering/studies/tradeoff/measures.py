"""What is measured: each a registered measure, which says what is asked and gives one value an item.

To add one, make a `Measure` and `register` it: it can then be named in the settings. A package offers a `Measure`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from steering.errors import SteeringError
from steering.model.host import Host
from steering.plugins import Registry, of_class
from steering.studies.tradeoff.items import Item, Seen
from steering.studies.tradeoff.settings import TradeoffSettings
from steering.texts.system_prompts import needs_system, takes_system


Axis = Literal["alignment", "helpfulness", "further"]
Score = Callable[[Item, Seen], float]


@dataclass(frozen=True, eq=False)
class Measure:
    """One measure."""

    name: str
    axis: Axis
    title: str
    label: str
    """Of a chart's axis, with the unit."""
    items: Callable[[Host, TradeoffSettings], Sequence[Item]]
    """What is asked. Raises a SteeringError where it cannot be asked of this model."""
    scorer: Callable[[Host, TradeoffSettings], Score]
    """Gives the function from an item and what was read of it to its value."""
    worse: Literal[-1, 0, 1] = 0
    """Of a further measure that is a share: 1 where more of it than unsteered is worse, -1 where less is. A strength at
    which it is worse by much is not recommended. 0 where neither can be said; then it limits nothing.
    """
    says: str = ""
    """For captions: how it is judged."""
    counts_refusals: Callable[[TradeoffSettings], bool] = lambda settings: False
    """Whether its texts are judged for whether they refuse, so that a second judge can be asked the same."""


def _read(name: str, offered: Any) -> Measure:
    """What a package offers as a measure.

    Raises:
        SteeringError: It is none, or has another name than its entry point.
    """
    measure = of_class("measure", Measure)(name, offered)
    if measure.name != name or measure.axis not in get_args(Axis):
        raise SteeringError(
            f"The measure of the entry point '{name}' is named '{measure.name}', on the axis '{measure.axis}'.",
            f"the same name, and an axis: {', '.join(get_args(Axis))}.",
            "Mend the package, or remove it.",
        )
    return measure


MEASURES: Registry[Measure] = Registry("measure", _read)
"""By name, in the order in which they are offered."""


def register(measure: Measure) -> Measure:
    """Offer a measure under its name."""
    return MEASURES.add(measure.name, measure)


def fixed(score: Score) -> Callable[[Host, TradeoffSettings], Score]:
    """The scorer of a measure that scores every model alike."""
    return lambda host, settings: score


def find_measure(name: str, axis: Axis) -> Measure:
    """A measure by its name.

    Raises:
        SteeringError: None of this name on this axis.
    """
    found = MEASURES.get(name)
    if found is None or (axis != "further" and found.axis != axis):
        known = [each.name for each in MEASURES.values() if axis in (each.axis, "further")]
        raise SteeringError(f"The {axis} measure '{name}' was asked for.", f"one of {', '.join(known)}.", "Correct it.")
    return found


def checked_items(measure: Measure, host: Host, settings: TradeoffSettings) -> tuple[Item, ...]:
    """The items of a measure that the model's template has a place for, if anything can be said from them.

    Raises:
        SteeringError: One item only, or the same right answer to all.
    """
    items = tuple(measure.items(host, settings))
    if any(needs_system(item.messages) for item in items) and not takes_system(host):
        items = tuple(item for item in items if not needs_system(item.messages))
    if len(items) < 2:
        raise SteeringError(
            f"{measure.title}: {len(items)} item{'' if len(items) == 1 else 's'}.",
            "at least 2, better 100: an interval needs several.",
            "Add items, or take another set.",
        )
    answers = {item.answer for item in items if item.kind == "words"}
    if len(answers) == 1:
        raise SteeringError(
            f"{measure.title}: the right answer to all {len(items)} items is '{answers.pop()}'.",
            "right answers that differ: a model that always says the same would look perfect.",
            "Shuffle the options.",
        )
    return items


def mass(seen: Seen) -> float:
    """Probability that a reply begins with any of the words."""
    return float(sum(seen["chances"]))
