"""The right side of the Train panel: curves while it trains, methods at equal KL, and the vector that is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gradio as gr
import pandas as pd

from panels.train.markup import TRAINED, Row, methods_html, ordered, texts_html, vector_html
from steering.errors import SteeringError
from steering.numbers import counted
from steering.recipes.recipe import Recipe
from steering.studies.preferences.making import FILE
from steering.studies.steer import SteerSettings
from steering.studies.study import Result
from steering.studies.training.figures import CURVES, curve_figures, gains_figure
from steering.studies.training.recipes import recipe_of
from steering.vectors.vector import SteeringVector
from workbench.controls.default_view import SHELVE, on_shelf, wire_shelving
from workbench.page.blocks import html_block, streamed_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs
from workbench.page.markup import READY, card, empty_state, fold, heading, note
from workbench.page.picks import PICK_SCRIPT
from workbench.page.pictures import place_picture
from workbench.page.sending import Sendable


_EMPTY = card(
    empty_state(
        "Nothing trained yet",
        "Press Train. A vector begins at the mean difference and is trained on pairs of replies, the model itself "
        "frozen, at a cost that you set in nats. It then stands beside the mean difference, random directions and one "
        "trained on shuffled labels, all at the same cost, on requests that nothing was fitted to.",
    )
)
_LEAD = 6
"""Sentences that stand open."""
_PROMPT = "Write a short note to a neighbour."
_ONE_OF_THEM = " Steps and time left, in the bar at the bottom, are of the one at hand."


@dataclass(frozen=True, eq=False)
class Shown:
    """What a page shows of a run."""

    result: Result
    run: str
    """Its id; "" while it goes on."""

    @cached_property
    def rows(self) -> dict[str, Row]:
        """Of the table of methods, by key, trained ones first."""
        return {str(row["method"]): row for row in ordered(self.result.tables["methods"].to_dict("records"))}

    @cached_property
    def vectors(self) -> Mapping[str, tuple[SteeringVector, ...]]:
        """Those that were trained, by the key of their row."""
        found: dict[str, tuple[SteeringVector, ...]] = {}
        for vector in self.result.vectors.values():
            loss = str(vector.provenance.settings.get("loss"))
            found[loss] = (*found.get(loss, ()), vector)
        return {key: found[key] for key in self.rows if key in found and self.rows[key]["kind"] == TRAINED}

    @property
    def budget(self) -> float | None:
        """What each may cost, in nats."""
        return self.result.settings.get("budget")

    @property
    def data(self) -> str:
        """What the preferences are called."""
        first = next(iter(self.result.vectors.values()), None)
        return first.provenance.contrast if first is not None else ""

    @property
    def best(self) -> SteeringVector | None:
        """The vector of the best loss; None before there is any."""
        return next((vectors[0] for vectors in self.vectors.values()), None)

    @property
    def prompt(self) -> str:
        """What to steer on: the first held-out request."""
        replies = self.result.tables["replies"]
        return str(replies["prompt"].iloc[0]) if len(replies) else _PROMPT


class TrainView:
    """Places the cards; `following`, `part` and `shown` fill them."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay out everything, hidden until there is something to show."""
        self._ui = ui
        self.state = gr.State(None)
        """A `Shown`, None before anything was."""
        self._found = streamed_block(_EMPTY, elem_id="train-found", elem_classes="sw-results")
        with gr.Column(elem_classes="sw-card sw-until", min_width=0):
            self._compared = html_block("", elem_classes="sw-flag")
            self._methods = streamed_block("", elem_id="train-methods", script=PICK_SCRIPT)
        self._place_vector()
        self._texts = streamed_block("", elem_id="train-texts")
        self._place_curves()
        self._gains = place_picture("train-gains", title="What each gains", card=True)
        self.outputs = [self.state, self._found, self._compared, self._methods, self._opened, self._vector, self.which]
        self.outputs += [self._texts, self._drawn, *self._curves.values(), self._gains, self._shelved]
        self._wire()
        self._ui.reveal(self._methods.choose, "train-vector", always=True)

    def begun(self) -> Outputs:
        """A run has begun: what an earlier one showed goes, since curves take its place."""
        said = card(empty_state("Training", "Texts are read, and the budget is measured; then the curves begin."))
        texts = (self._compared, self._methods, self._opened, self._vector, self._shelved, self._texts, self._drawn)
        figures = (*self._curves.values(), self._gains)
        return {self.state: None, self._found: said, **dict.fromkeys(texts, ""), **dict.fromkeys(figures)}

    def ended(self, before: Shown | None) -> Outputs:
        """A run ended before it came to anything: what an earlier one found stands again."""
        return {**self.begun(), self._found: _EMPTY} if before is None else self.shown(before)

    def opened(self, trainings: int) -> Outputs:
        """There are curves to show; to be sent before them, since a hidden figure has no size.

        Args:
            trainings: How many there will be.
        """
        said = "One after the other; each draws its curves below, and is compared when its last step is done."
        said += _ONE_OF_THEM if trainings > 1 else ""
        return {self._drawn: READY, self._found: card(empty_state(f"Training, {counted(trainings, 'vector')}", said))}

    def following(self, curve: pd.DataFrame, budget: float | None) -> Outputs:
        """The curves of trainings, perhaps of some that go on.

        Args:
            curve: The steps so far, as in the study's table.
            budget: What each may cost, in nats.
        """
        drawn = {title: (figure, caption) for title, figure, caption in curve_figures(curve, budget)}
        return {picture: drawn.get(title) for title, picture in self._curves.items()}

    def made(self, result: Result) -> Outputs:
        """What a run says that made pairs."""
        kept = len(result.files[FILE].splitlines())
        said = f"{kept} of {counted(result.measures[0].n, 'request')} gave a pair. "
        said += "They stand under Preferences now." if kept else "Choose another judge, set or side."
        return {self._found: card(heading("Pairs") + "".join(map(note, (said, *result.notes))))}

    def part(self, found: Shown, trainings: int = 0) -> Outputs:
        """What was compared so far.

        Args:
            found: It.
            trainings: How many there will be; 0 where no more goes on.
        """
        return {
            self._found: _notes(
                found.result, f"{len(found.vectors)} of {trainings} trainings are done" if trainings else ""
            ),
            self._compared: READY,
            self._methods: methods_html(list(found.rows.values()), found.budget),
        }

    def shown(self, found: Shown) -> dict[Any, Any]:
        """Everything that was found."""
        tables, rows = found.result.tables, found.rows
        keys = [(str(rows[key]["title"]), key) for key in found.vectors]
        first = next(iter(found.vectors), "")
        _, gains, caption = gains_figure(tables["methods"])
        return {
            self.state: found,
            **self.part(found),
            self._gains: (gains, caption),
            self._drawn: READY,
            **self.following(tables["curve"], found.budget),
            self._opened: READY if keys else "",
            self.which: gr.update(choices=keys, value=first or None, visible=len(keys) > 1),
            **self._open(first, found),
        }

    def shelved(self, name: str) -> Outputs:
        """The vector that is open was put on the shelf.

        Args:
            name: What it is called there.
        """
        return {self._shelved: on_shelf(name)}

    def _place_curves(self) -> None:
        with gr.Column(elem_classes="sw-stack sw-until", min_width=0):
            self._drawn = html_block("", elem_classes="sw-flag")
            with gr.Row(elem_classes="sw-two"):
                self._curves = {
                    title: place_picture(f"train-{name}", title=title, card=True) for name, title in CURVES.items()
                }

    def _place_vector(self) -> None:
        with gr.Column(elem_classes="sw-card sw-until", min_width=0):
            self._opened = html_block("", elem_classes="sw-flag")
            self.which = gr.Dropdown([], label="Trained by", visible=False, elem_id="train-which")
            self._vector = streamed_block("", elem_id="train-vector", script=SHELVE)
            self._shelved = wire_shelving(self._ui, self._vector)
            with gr.Row(elem_classes="sw-actions"):
                self._ui.sending.place_found(
                    self._sent, [self.state], selects=[self.which], picks=lambda shown: list(shown.vectors)
                )

    def _wire(self) -> None:
        opened = [self._vector, self._shelved, self._texts, self.which]
        self._ui.choices.on_click(
            "vector",
            self._methods.choose,
            lambda pick, found: {**self._open(pick, found), self.which: pick} if found else {},
            pick=lambda event: text_of(event, "pick"),
            picks=lambda shown: list(shown.vectors),
            states=[self.state],
            outputs=opened,
        )
        self._ui.choices.on_select(
            "which",
            [self.which],
            lambda which, found: self._open(which, found) if found else {},
            picks=lambda shown: list(shown.vectors),
            states=[self.state],
            outputs=opened[:3],
        )

    def _open(self, pick: str, found: Shown) -> dict[Any, Any]:
        vectors = found.vectors.get(pick)
        if not vectors:
            return {self._vector: "", self._shelved: "", self._texts: ""}
        return {
            self._vector: vector_html(found.rows[pick], vectors, found.run),
            self._shelved: "",
            self._texts: texts_html(found.result.tables["replies"], pick, found.data),
        }

    def _sent(self, pick: str, found: Shown | None) -> Sendable:
        vectors = found.vectors.get(pick) if found is not None else None
        if found is None or not vectors:
            raise SteeringError("There is no trained vector to send yet.", remedy="Press Train first.")
        recipe: Recipe = recipe_of(found.result, pick)
        return Sendable(SteerSettings(user=found.prompt, recipes=(recipe,)), {each.name: each for each in vectors})


def _notes(result: Result, going: str = "") -> str:
    """What a result says; `going`: how far it is, while trainings go on."""
    said, more = result.notes[:_LEAD], result.notes[_LEAD:]
    title = f"So far: {going}" if going else "What was found"
    lead = [f"Trainings go on.{_ONE_OF_THEM}"] if going else []
    shown = card(heading(title) + "".join(map(note, (*lead, *said)))) if said else ""
    return shown + (fold("train-more", "How it was trained", "".join(map(note, more))) if more else "")
