"""Whatever JSON a visitor sends to an event of the page, in place of what its controls send: a change, or one message.

80 examples here; `make fuzz`, or STEERING_FUZZ=10000, sends that many and holds each against 5 s and 1 GB.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.utils import get_upload_folder
from hypothesis import given
from hypothesis import strategies as st

from steering.confines import Confines
from steering.errors import SteeringError
from steering.recipes.recipe import Intervention
from tests.fuzzing import HOSTILE, HOSTILE_NUMBERS, HOSTILE_TEXTS, LONG, examples, peak, worked
from tests.workbench.asking import Asker, tiny_bench
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.controls.fields import Fields
from workbench.controls.recipe_editor import RecipeEditor
from workbench.frame.shell import build
from workbench.page.inputs import check_input, number_of, text_of


OFTEN = st.sampled_from([{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"path": 5}, [], [None], "joy"])
FIELDS = st.sampled_from(["name", "pick", "first", "last", "x", "y", "column", "token", "other"])
CLICKS = st.one_of(HOSTILE, st.dictionaries(FIELDS, HOSTILE, max_size=4))
STEPS = 4
"""Answers of an event that are waited for at most; then its page goes away, as a closed tab does."""


class Tracebacks(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.seen.append(logging.Formatter().format(record))


class Visitor:
    """One who calls events as Gradio's own routes do."""

    def __init__(self, bench: Workbench, page: Any) -> None:
        self.bench = bench
        self.events = [event for event in page.fns.values() if event.fn is not None]
        self.tracebacks = Tracebacks()
        self.asker = Asker(page, gr.Request(session_hash="visitor"))

    def send(self, event: Any, values: list[Any], click: Any = None, steps: int = STEPS) -> str:
        """What the page shows of it if it fails, "" where it does not."""
        error: gr.Error | None = None
        try:
            asyncio.run(self._send(event, values, click, steps))
        except gr.Error as caught:
            error = caught
        finally:
            self._end()
        if error is None:
            return ""
        said = str(error)
        said.encode()
        assert not error.print_exception
        assert 10 < len(said) < 20_000
        return said

    def _end(self) -> None:
        for job in self.bench.lane.jobs():
            job.stop()
        began = worked()
        while self.bench.lane.jobs():
            time.sleep(0.01)
        assert not LONG or worked() - began < 5  # every job looks for a stop

    async def _send(self, event: Any, values: list[Any], click: Any, most: int) -> None:
        left = most
        async for _ in self.asker.answers(event, values, click):
            left -= 1
            if not left:
                return


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Iterator[Visitor]:
    bench = tiny_bench(tmp_path_factory.mktemp("home"), tokenizer)
    bench.workspace.put(vector(blocks=4, width=32))
    bench.confined_to = Confines(Path(get_upload_folder()), hub=False, models=frozenset())
    bench.visitors_load = frozenset()
    visitor = Visitor(bench, build(bench))
    logging.getLogger().addHandler(visitor.tracebacks)
    yield visitor
    logging.getLogger().removeHandler(visitor.tracebacks)
    bench.lane.close()


def shown(component: Any) -> Any:
    """What a control sends when nobody touched it."""
    value = getattr(component, "value", None)
    return None if callable(value) else value


def fitting(component: Any) -> st.SearchStrategy[Any]:
    """Hostile values of the kind that a control has, which get further."""
    if isinstance(component, gr.Number):
        return HOSTILE_NUMBERS
    if isinstance(component, RecipeEditor):
        fields = st.dictionaries(st.sampled_from([*Intervention.model_fields]), HOSTILE, max_size=3)
        return st.fixed_dictionaries({"interventions": st.lists(fields.map(lambda each: {"vector": "joy", **each}))})
    if isinstance(component, Fields):
        return st.dictionaries(st.sampled_from([*component.fields]), HOSTILE, max_size=3)
    choices = [value for _, value in getattr(component, "choices", None) or ()]
    return st.one_of(HOSTILE_TEXTS, st.sampled_from(choices)) if choices else HOSTILE_TEXTS


@examples(80)
@given(data=st.data())
def test_whatever_is_sent_is_answered(visitor: Visitor, data: st.DataObject) -> None:
    visitor.tracebacks.seen.clear()
    event = visitor.events[data.draw(st.integers(0, len(visitor.events) - 1))]
    values = [shown(component) for component in event.inputs]
    for _ in range(data.draw(st.integers(0, 3)) if values else 0):
        place = data.draw(st.integers(0, len(values) - 1))
        values[place] = data.draw(st.one_of(HOSTILE, OFTEN, fitting(event.inputs[place])))
    began, most = time.process_time(), peak()  # of this process alone: others may take the machine
    visitor.send(event, values[: data.draw(st.sampled_from([None, None, None, -1]))], data.draw(CLICKS))
    assert not visitor.tracebacks.seen, visitor.tracebacks.seen
    assert "joy" in visitor.bench.workspace.names()
    if LONG:
        assert time.process_time() - began < 5
        assert peak() - most < 1e9  # of one input: what was generated so far is remembered, too


WRONG: dict[type, list[Any]] = {
    gr.Textbox: [5, ["a"], {"a": "b"}, "half \ud800", "x" * 2_000_000],
    gr.Dropdown: [10**20, {"a": 1}, [[1]], [None] * 1000, "x" * 2_000_000],
    gr.UploadButton: ["/etc/passwd", [], {}, {"path": "/etc/passwd"}, {"path": "/etc/passwd", "meta": 1}],
}
"""Of the controls that the page's own panels have."""


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_no_control_sends_what_it_cannot_have(visitor: Visitor, kind: type) -> None:
    events = [event for event in visitor.events if any(type(part) is kind for part in event.inputs)]
    assert events
    for event in events[:: max(1, len(events) // 4)]:
        place = next(place for place, part in enumerate(event.inputs) if type(part) is kind)
        values = [shown(component) for component in event.inputs]
        for wrong in WRONG[kind]:
            if wrong is not None or values[place] is not None:  # else nothing was chosen there yet
                assert visitor.send(event, [*values[:place], wrong, *values[place + 1 :]]), (event.name, wrong)
    assert not visitor.tracebacks.seen


ELSEWHERE: list[tuple[Any, str, list[Any]]] = [
    (gr.Number(5), "a finite number", ["5", [1], float("nan"), float("inf"), 10**400, {}, True]),
    (gr.Slider(0, 1), "a finite number", ["5", [1], float("-inf"), 10**400]),
    (gr.Checkbox(True), "true or false", ["true", 1, [True]]),
    (gr.Radio(["one", "other"], value="one"), "one of its choices", [None, [], {}, 1.5]),
    (gr.CheckboxGroup(["all"]), "a list of its choices", ["all", [1], [["a"]], {"a": 1}]),
]
"""Controls that a panel from elsewhere may place, what each takes, and what it cannot have."""


@pytest.mark.parametrize(("control", "takes", "wrong"), ELSEWHERE, ids=[type(each).__name__ for each, *_ in ELSEWHERE])
def test_no_control_of_any_panel_sends_what_it_cannot_have(control: Any, takes: str, wrong: list[Any]) -> None:
    check_input(control, control.value)
    for each in wrong:
        with pytest.raises(SteeringError, match=takes):
            check_input(control, each)


def test_a_field_of_a_form_that_has_a_value_of_another_kind_is_named(visitor: Visitor) -> None:
    forms = {part.elem_id: part for event in visitor.events for part in event.inputs if isinstance(part, Fields)}
    kinds = set()
    for form in forms.values():
        assert not form.preprocess({}).problems
        for name, field in form.fields.items():
            kinds.add(field.kind)
            for wrong in ({"a": 1}, [[1]]):
                assert [each.field for each in form.preprocess({name: wrong}).problems] == [name], (name, wrong)
    assert {"number", "text", "switch", "choice"} <= kinds


def test_events_whose_recipes_or_whose_controls_are_all_empty_are_answered(visitor: Visitor) -> None:
    """A run that begins all the same, on its defaults, is followed until it has read its settings and said so; what has
    no controls cannot be sent any empty.
    """
    visitor.tracebacks.seen.clear()
    with_recipes = [event for event in visitor.events if any(isinstance(each, RecipeEditor) for each in event.inputs)]
    assert len(with_recipes) > 5
    for event in with_recipes:
        visitor.send(event, [None if isinstance(each, RecipeEditor) else shown(each) for each in event.inputs], steps=2)
        assert not visitor.tracebacks.seen, event
    for event in filter(lambda each: each.inputs, visitor.events):
        visitor.send(event, [None] * len(event.inputs), steps=2)
        assert not visitor.tracebacks.seen, event


def test_too_few_values_are_said(visitor: Visitor) -> None:
    event = max(visitor.events, key=lambda each: len(each.inputs))
    assert "fewer values" in visitor.send(event, [])
    assert not visitor.tracebacks.seen


def test_a_failure_of_our_own_is_a_message_too_and_is_logged(visitor: Visitor, monkeypatch: Any) -> None:
    def broken(bench: Workbench) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("workbench.frame.shelf.shelf_cards", broken)
    redraws = [event for event in visitor.events if event.name == "handle" and len(event.inputs) == 5]
    failed = [said for event in redraws if "did not work" in (said := visitor.send(event, [None] * 5))]
    assert failed
    assert "secret" not in failed[0]
    assert "secret" in visitor.tracebacks.seen[-1]
    visitor.tracebacks.seen.clear()


@pytest.mark.parametrize("sent", [None, 5, "first", [], {}, {"first": None}, {"first": [1]}, {"last": 5}])
def test_a_click_that_says_nothing_is_told(sent: Any) -> None:
    for read in (text_of, number_of):
        with pytest.raises(SteeringError, match="does not say where"):
            read(gr.EventData(None, sent), "first")


@pytest.mark.parametrize("place", [-1, "-1", 10**12, "9" * 5000, "٣", "²", 1.0, True, "", " 1"])
def test_a_place_is_a_number_within_a_text_or_table(place: Any) -> None:
    with pytest.raises(SteeringError, match="does not say where"):
        number_of(gr.EventData(None, {"first": place}), "first")
    assert [number_of(gr.EventData(None, {"first": good}), "first") for good in (12, "12", "007")] == [12, 12, 7]


def test_a_long_value_that_is_no_choice_is_not_repeated_whole(visitor: Visitor) -> None:
    event, place = next(
        (event, place)
        for event in visitor.events
        for place, part in enumerate(event.inputs)
        if isinstance(part, gr.Dropdown) and part.choices and not part.allow_custom_value and not part.multiselect
    )
    values = [shown(component) for component in event.inputs]
    values[place] = "a" * 50_000
    assert 10 < len(visitor.send(event, values)) < 5000
