"""The right side of the Features panel: health, the features that were found, the one that is open, and cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gradio as gr

from panels.features.markup import SORT, Row, feature_html, table_html, texts_html
from panels.features.replies_markup import group_html, group_name, replies_html
from steering.errors import SteeringError
from steering.recipes.recipe import Recipe
from steering.studies.drawn import drawn
from steering.studies.features.chosen import READ_ONLY
from steering.studies.features.replies import EVERYDAY
from steering.studies.features.tables import set_names
from steering.studies.steer import SteerSettings
from steering.studies.study import Result
from steering.texts.contrast import ContrastSet
from steering.vectors.vector import SteeringVector
from workbench.controls.default_view import SHELVE, wire_shelving
from workbench.page.answers import parted, selected
from workbench.page.blocks import event_of, html_block, streamed_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs
from workbench.page.markup import READY, card, empty_state, fold, heading, note
from workbench.page.picks import PICK_SCRIPT
from workbench.page.pictures import place_picture
from workbench.page.sending import Sendable


_EMPTY = card(
    empty_state(
        "No features yet",
        "Press Find. Features that tell the two sides of each contrast set apart stand in a table, with what each "
        "promotes and how sure that is, and above it what the model says without and with them changed, side by side.",
    )
)
_RUNNING = card(empty_state("Looking for features", "They stand here as soon as they are found."))
_FIGURES = 3
_HOW = {"feature_clamp": "Clamp", "feature_off": "Switch off", "feature_scale": "Scale × 2", "add": "Add"}
"""What a recipe that is sent does with a feature: clamped at, or added, are its typical maximum."""
_STRENGTHS = {"feature_scale": 2.0}
_PROMPT = "Write a short note to a neighbour."


@dataclass(frozen=True, eq=False)
class Shown:
    """What a page shows of a run."""

    result: Result
    run: str
    """Its id."""
    sets: Mapping[str, ContrastSet]
    """The contrast sets that were read, by name, those whose file is gone left out."""

    @classmethod
    def of(cls, result: Result, run: str) -> Shown:
        """With the contrast sets that were read."""
        found = []
        for source in filter(None, (result.settings.get("contrast"), result.settings.get("also"))):
            with suppress(SteeringError):  # its file is gone
                found.append(ContrastSet.load(str(source)))
        return cls(result, run, dict(zip(set_names(each.name for each in found), found, strict=True)))

    @property
    def read_only(self) -> str:
        """Why nothing is written by these features; "" where they can be steered with."""
        return next((said for said in self.result.notes if READ_ONLY in said), "")

    def contrast(self, row: Row) -> ContrastSet | None:
        """The set by which a feature was found."""
        return self.sets.get(str(row.get("set") or next(iter(self.sets), "")))

    def sides(self, row: Row) -> tuple[str, str]:
        """What the sides of that set are called."""
        found = self.contrast(row)
        return (found.positive_label, found.negative_label) if found else ("positive", "negative")

    @cached_property
    def groups(self) -> dict[str, tuple[SteeringVector, ...]]:
        """The features that were changed together in replies, those that became vectors all, by the group's name."""
        replies = self.result.tables.get("replies")
        changed = () if replies is None else replies[replies["features_of"] != ""].to_dict("records")
        numbers = {group_name(row["set"], row["features_of"]): row["features"].split(", ") for row in changed}
        return {
            name: tuple(self.vectors[each] for each in own)
            for name, own in numbers.items()
            if all(each in self.vectors for each in own)
        }

    def chosen(self, pick: str) -> tuple[SteeringVector, ...]:
        """One feature by its number, or several by their group's name; none where they are no vectors."""
        return (self.vectors[pick],) if pick in self.vectors else self.groups.get(pick, ())

    def strength(self, pick: str) -> float:
        """In typical maxima: 1 of a feature alone, what replies were made with of several."""
        return float(self.result.settings.get("replies_up", 0.5)) if pick in self.groups else 1.0

    def prompt(self, pick: str, *, own: bool) -> str:
        """What to steer on: a text of the side on which a pick is more active, or an everyday request."""
        name, _, label = pick.rpartition(", ") if pick in self.groups else ("", "", "")
        row = {"set": name} if name else self.rows.get(pick, {})
        found = self.contrast(row)
        if found is None:
            return str(self.result.settings.get("prompt") or _PROMPT)
        positive = label == found.positive_label if name else not float(row.get("difference", 0.0)) < 0
        if not own and (everyday := self._everyday(str(row.get("set") or found.name))):
            return everyday
        return (found.positive if positive == own else found.negative)[0].text

    def _everyday(self, name: str) -> str:
        """The first everyday request whose replies were changed by a set's features; "" for none."""
        replies = self.result.tables.get("replies")
        if replies is None:
            return ""
        asked = replies[(replies["set"] == name) & (replies["group"] == EVERYDAY)]
        return str(asked["prompt"].iloc[0]) if len(asked) else ""

    @cached_property
    def rows(self) -> dict[str, Row]:
        """Of the table, by the feature's number as text."""
        return {str(row["feature"]): row for row in self.result.tables["features"].to_dict("records")}

    @cached_property
    def vectors(self) -> Mapping[str, SteeringVector]:
        """By the feature's number, those that became vectors."""
        return {str(each.feature.index): each for each in self.result.vectors.values() if each.feature}


class FoundView:
    """Places the table, the figures and the card of one feature; `shown` fills them."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay out everything; the card is hidden until there is something to show."""
        self._ui = ui
        self.state = gr.State(None)
        """A `Shown`, None before anything was."""
        self._notes = streamed_block(_EMPTY, script=PICK_SCRIPT, elem_id="features-notes", elem_classes="sw-results")
        with gr.Column(elem_classes="sw-stack sw-until", min_width=0):
            self._ready = html_block("", elem_classes="sw-flag")
            with gr.Column(elem_classes="sw-card", min_width=0):
                # Anew each time: a sorted table is not the one that was sent.
                self._table = html_block("", elem_id="features-table", js_on_load=PICK_SCRIPT + SORT)
            self._place_feature()
            self._pictures = [place_picture(f"features-figure-{n + 1}", card=True) for n in range(_FIGURES)]
        self.outputs = [self.state, self._notes, self._ready, self._table, self._feature, self._texts, self.chosen]
        self.outputs += [*self._pictures, self._shelved]
        ui.reveal(self._table.choose, "features-feature", always=True)
        ui.reveal(event_of(self._notes, "choose"), "features-feature", always=True)
        opened = [self._feature, self._shelved, self._texts, self.chosen]
        ui.choices.on_click(
            "group",
            event_of(self._notes, "choose"),
            self._together,
            pick=lambda event: text_of(event, "pick"),
            picks=lambda shown: list(shown.groups),
            states=[self.state],
            outputs=opened,
        )
        ui.choices.on_click(
            "feature",
            self._table.choose,
            self._opened,
            pick=lambda event: text_of(event, "pick"),
            picks=lambda shown: list(shown.rows),
            states=[self.state],
            outputs=opened,
        )

    def begun(self) -> Outputs:
        """A run has begun."""
        return {self._notes: _RUNNING, self._ready: ""}

    def ended(self, before: Shown | None) -> Outputs:
        """It ended before it found anything: what an earlier one found stands again."""
        return {self._notes: _EMPTY} if before is None else self.shown(before)

    def shown(self, found: Shown) -> dict[Any, Any]:
        """Everything that was found."""
        result, rows = found.result, found.rows
        figures = dict.fromkeys(self._pictures) | dict(zip(self._pictures, map(_figure, drawn(result)), strict=False))
        first = next(iter(found.vectors), next(iter(rows), ""))
        lead = max(3, 2 * len(found.sets))
        said, more = result.notes[:lead], result.notes[lead:]
        notes = card(heading("What was found") + "".join(map(note, said)))
        notes += replies_html(result.tables.get("replies"))
        notes += fold("features-more", "How it was read", "".join(map(note, more))) if more else ""
        return {
            self.state: found,
            self._notes: notes if rows else card(empty_state("No feature was found", " ".join(said))),
            self._ready: READY if rows else "",
            self._table: table_html(list(rows.values())),
            **self._opened(first, found),
            **figures,
        }

    def _place_feature(self) -> None:
        with gr.Column(elem_classes="sw-card", min_width=0):
            self._feature = streamed_block("", elem_id="features-feature", script=SHELVE)
            self._shelved = wire_shelving(self._ui, self._feature)
            with gr.Row(elem_classes="sw-pair"):
                self.chosen = gr.Textbox(
                    "", label="Steer with", interactive=False, elem_id="features-picked", min_width=0
                )
                how = [(said, mode) for mode, said in _HOW.items()]
                self.how = gr.Dropdown(how, value="feature_clamp", label="How", elem_id="features-how", min_width=0)
            with gr.Row(elem_classes="sw-actions"):
                self._ui.sending.place_found(
                    self._sent,
                    [self.state],
                    selects=[self.chosen, self.how],
                    picks=lambda shown: (
                        selected(pick, mode) for pick in (*shown.vectors, *shown.groups) for mode in _HOW
                    ),
                )
        self._texts = streamed_block("", elem_id="features-snippets")

    def _opened(self, pick: str, found: Shown | None) -> dict[Any, Any]:
        row = found.rows.get(pick) if found is not None else None
        if found is None or row is None:
            return {}
        vector = found.vectors.get(pick)
        shelve = (vector.name, found.run) if vector is not None else ("", "")
        tables, only = found.result.tables, note(found.read_only) if found.read_only else ""
        return {
            self._feature: feature_html(row, tables, found.sides(row), shelve) + only,
            self._shelved: "",
            self._texts: texts_html(row["feature"], tables),
            self.chosen: pick if vector is not None else "",
        }

    def _together(self, pick: str, found: Shown | None) -> dict[Any, Any]:
        vectors = found.groups.get(pick) if found is not None else None
        if not vectors:
            return {}
        numbers = ", ".join(str(each.feature.index) for each in vectors if each.feature)
        return {self._feature: group_html(pick, numbers), self._shelved: "", self._texts: "", self.chosen: pick}

    def _sent(self, pick: str, found: Shown | None) -> Sendable:
        chosen, mode = parted(pick)
        vectors = found.chosen(chosen) if found is not None else ()
        if found is not None and found.read_only:
            raise SteeringError(
                f"There is nothing to steer with. {found.read_only}",
                "features of a dictionary of one state: an autoencoder, or a transcoder of one MLP.",
                "Choose another dictionary above, and press Find.",
            )
        if found is None or not vectors or mode not in _HOW:
            raise SteeringError(
                "There is no such feature to steer with.",
                "a feature that became a vector: one of the first of the table, active on the texts that were read.",
                "Click another row of the table.",
            )
        prompt = found.prompt(chosen, own=mode == "feature_off")
        recipe = _recipe([each.name for each in vectors], mode, found.strength(chosen))
        return Sendable(SteerSettings(user=prompt, recipes=(recipe,)), {each.name: each for each in vectors})


def _recipe(names: Sequence[str], mode: str, strength: float) -> Recipe:
    """What is done with some features; several are changed by what the state was before any of them was."""
    first, *others = names
    how = {"mode": mode, "strength": _STRENGTHS.get(mode, strength)}
    steps = [{"vector": first, **how, "others": others}]
    if mode == "add":
        steps = [{"vector": name, **how} for name in names]
    return Recipe.model_validate({"interventions": steps})


def _figure(each: Any) -> tuple[Any, str]:
    title, figure, caption = each
    return type(figure)(figure).update_layout(title_text=title), caption
