"""What a page's events are given: values as the page itself sends them, or one clear message.

Whoever reaches the page can send any JSON in place of what a control would. Gradio hands most of it on as it is, so the
kinds of values are looked at once for all events, before any handler sees them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from copy import copy
from itertools import compress
from typing import Any

import gradio as gr
from gradio.blocks import convert_component_dict_to_list

from steering.bounds import check_prompt
from steering.errors import SteeringError
from workbench.doors.at_hand import limits_at_hand, take_up
from workbench.doors.door import Link
from workbench.page.descriptions import Described
from workbench.page.visits import visit_of
from workbench.places import without_places


MOST_TOKENS = 100_000
"""Of a place in a text or a table that is clicked."""

_LEFT = gr.skip()
"""What an output is given that stays as it is."""
_MARKUP = {"__type__", "value"}
_LONGEST = 4000
"""Characters of a message."""
_log = logging.getLogger(__name__)


class Page(Described):
    """Blocks whose events take what their controls can send, and answer everything else with a message."""

    link: Link
    """To the page, once it is served: with what lets one in."""

    async def process_api(self, block_fn: Any, inputs: list[Any], *given: Any, **options: Any) -> dict[str, Any]:
        """As Gradio's; any failure becomes a message that the page shows."""
        if getattr(block_fn, "fn", None) is None:
            raise _shown("This is done by the page itself, without the server. Load the page again.")
        request = options["request"] if "request" in options else given[1] if len(given) > 1 else None
        take_up(visit_of(request))  # the queue runs events outside of the request that sent them
        try:
            return await super().process_api(block_fn, inputs, *given, **options)
        except SteeringError as error:  # of an event that has no error card of its own
            raise _shown(without_places(str(error))) from error
        except gr.Error as error:
            error.print_exception = False  # a message for visitors
            error.message = str(error.message)[:_LONGEST]  # Gradio's own repeats what was sent, whole
            raise
        except Exception as error:
            _log.exception("an event of the page failed")
            raise _shown(f"This did not work ({type(error).__name__}). The log of the server says more.") from error

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *given: Any, **options: Any) -> Any:
        """As Gradio's, for values that the controls can send.

        Raises:
            SteeringError: Another number of values, or one that its control never has.
        """
        wanted = block_fn.inputs
        if not isinstance(inputs, list) or len(inputs) < len(wanted):
            raise SteeringError(
                "The page sent fewer values than this takes.", f"{len(wanted)} values.", "Load the page again."
            )
        for component, value in zip(wanted, inputs, strict=False):
            check_input(component, value)
        sent = [_as_chosen(part, value) for part, value in zip(wanted, inputs, strict=False)]
        try:
            return await super().preprocess_data(block_fn, sent, *given, **options)
        except gr.Error:
            raise
        except Exception as error:  # all that it works on is what was sent
            raise SteeringError(
                f"The page sent a value that its control cannot have ({type(error).__name__}).",
                "a value that the page offers, or a file that was uploaded on it.",
                "Load the page again.",
            ) from error

    async def postprocess_data(self, block_fn: Any, predictions: Any, *given: Any, **options: Any) -> list[Any]:
        """As Gradio's, for those outputs alone that change: of every other one it would make a component anew and
        describe it, at every step of a stream, which took four fifths of what a visitor's stream costs the server.

        For markup it takes an update's own mark for a property: a control of our own that is not laid out yet would
        lose all others, although nothing of it changes. And new markup alone makes no other component.
        """
        values = _values_of(block_fn, predictions)
        if values is None:
            return await super().postprocess_data(block_fn, predictions, *given, **options)
        state = options["state"] if "state" in options else given[0] if given else None
        markup = [_is_markup(part, value) for part, value in zip(block_fn.outputs, values, strict=True)]
        places = [place for place, value in enumerate(values) if not (markup[place] or _is_left(value))]
        changing = copy(block_fn)
        changing.outputs = [block_fn.outputs[place] for place in places]
        changed = [values[place] for place in places]
        output: list[Any] = [None if part.stateful else dict(_LEFT) for part in block_fn.outputs]
        for place in compress(range(len(values)), markup):
            output[place] = dict(values[place])
            if state is not None:  # as Gradio notes what stands on somebody's page
                state._update_value_in_config(block_fn.outputs[place]._id, values[place]["value"])
        if not places:
            return output
        found = await super().postprocess_data(changing, changed if len(changed) > 1 else changed[0], *given, **options)
        for place, change in zip(places, found, strict=True):
            output[place] = change
            if isinstance(change, dict) and isinstance(change.get("props"), dict):
                change["props"].pop("__type__", None)
                if not change["props"]:
                    del change["props"]
        return output


def _is_left(value: Any) -> bool:
    return isinstance(value, dict) and value == _LEFT


def _is_markup(part: Any, value: Any) -> bool:
    """Whether an update gives a control of markup other markup, and nothing else."""
    if not (isinstance(value, dict) and value.keys() == _MARKUP and value["__type__"] == "update"):
        return False
    return isinstance(value["value"], str) and type(part).postprocess is gr.HTML.postprocess


def _values_of(block_fn: Any, predictions: Any) -> Sequence[Any] | None:
    """What an event gives each of its outputs; None where Gradio has something to say of it."""
    if isinstance(predictions, dict) and predictions and predictions != _LEFT:
        predictions = convert_component_dict_to_list(block_fn.outputs, predictions)
    if len(block_fn.outputs) == 1:
        return [predictions]
    if isinstance(predictions, dict) and predictions == _LEFT:
        return [_LEFT] * len(block_fn.outputs)
    fits = isinstance(predictions, list | tuple) and len(predictions) == len(block_fn.outputs)
    return predictions if fits else None


def check_input(component: Any, value: Any) -> None:
    """Raise unless a control can have a value.

    Raises:
        SteeringError: It cannot.
    """
    if value is None and not (isinstance(component, gr.Radio) and component.value is not None):
        return
    for kinds, (fits, expected) in _KINDS.items():
        if isinstance(component, kinds) and not fits(component, value):
            label = getattr(component, "label", None) or type(component).__name__
            raise SteeringError(f"{label}: {_words(value)} was given.", expected, "Correct it, or load the page again.")
    if isinstance(value, str) and not component.stateful:
        check_prompt(value)
        check_length(value)


def check_length(text: str) -> None:
    """Raise where a text is longer than whoever is at hand may send.

    Raises:
        SteeringError: It is.
    """
    if limits := limits_at_hand():
        limits.check_text(text)


def text_of(event: gr.EventData, name: str) -> str:
    """What a click says under a name.

    Raises:
        SteeringError: Nothing, or no text.
    """
    value = _detail(event, name)
    if not isinstance(value, str):
        raise _unclear(name)
    check_prompt(value)
    return value


def number_of(event: gr.EventData, name: str) -> int:
    """The place that a click says under a name: a number from 0, sent as one or as digits.

    Raises:
        SteeringError: Nothing, no number, or one beyond every text and table.
    """
    value = _detail(event, name)
    digits = (
        str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS else value
    )
    if not (isinstance(digits, str) and digits.isascii() and digits.isdigit() and len(digits) < 6):
        raise _unclear(name)
    return int(digits)


def _detail(event: gr.EventData, name: str) -> Any:
    return event._data.get(name) if isinstance(event._data, dict) else None


def _unclear(name: str) -> SteeringError:
    return SteeringError(f"The click does not say where it was ({name}).", remedy="Load the page again.")


def _number(component: Any, value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _choice(component: Any, value: Any) -> bool:
    if _single(component):
        return value == [] or isinstance(value, str) or _offered(component, value)
    return _texts(component, value)


def _as_chosen(component: Any, value: Any) -> Any:
    """A value, or where nothing is chosen, sent as either: None of one choice, [] of several."""
    if value is not None and value != []:
        return value
    if _single(component):
        return None
    return [] if isinstance(component, gr.Dropdown | gr.CheckboxGroup) else value


def _single(component: Any) -> bool:
    return isinstance(component, gr.Dropdown) and not component.multiselect


def _offered(component: Any, value: Any) -> bool:
    return not isinstance(value, list | dict) and any(value == choice for _, choice in component.choices)


def _texts(component: Any, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _file(component: Any, value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("path"), str)


_KINDS: dict[Any, tuple[Callable[[Any, Any], bool], str]] = {
    (gr.Number, gr.Slider): (_number, "a finite number."),
    gr.Textbox: (lambda component, value: isinstance(value, str), "a text."),
    gr.Checkbox: (lambda component, value: isinstance(value, bool), "true or false."),
    gr.Radio: (lambda component, value: isinstance(value, str | int), "one of its choices."),
    gr.CheckboxGroup: (_texts, "a list of its choices."),
    gr.Dropdown: (_choice, "one of its choices, or several where it takes several."),
    gr.UploadButton: (_file, "a file that was uploaded on this page."),
}
"""Kinds of controls -> whether one can have a value, and what it takes in words."""


def _words(value: Any) -> str:
    """A value by what it is, since it may be of any size."""
    if isinstance(value, str | list | dict):
        size = "characters" if isinstance(value, str) else "values"
        return f"a {type(value).__name__} of {len(value)} {size}"
    return f"a number that is none ({type(value).__name__})" if isinstance(value, int | float) else "nothing"


def _shown(text: str) -> gr.Error:
    return gr.Error(text, print_exception=False)
