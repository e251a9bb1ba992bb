"""The right-hand side of Steer: the replies as they are written, their tokens, and the conversation going on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from panels.steer.replies import Columns, divergence_html, legend_html, panes_of, recipes_html, title_of, token_html
from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.model_info import DEMO_CAVEAT
from steering.passes.rows import Row
from steering.recipes.applied import applied
from steering.recipes.recipe import Recipe
from steering.studies.steer import (
    asked_of,
    cautions,
    measure_strengths,
    rows_for,
    steer,
    steer_result,
)
from steering.studies.steer.chat import Chat
from steering.vectors.token_readings import read_tokens, zero_of
from steering.vectors.vector import SteeringVector
from workbench.controls.offers import fitting, vector_named
from workbench.controls.panes import place_card_at, place_panes
from workbench.controls.token_markup import COLOURS
from workbench.generation import vectors_of
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.inputs import number_of
from workbench.page.jobs import Call, Outputs
from workbench.page.markup import card, heading, note
from workbench.runs.run import titled


_FIRST_COLOUR = "divergence"


class ReplyPanes:
    """Panes, colouring and follow-up; `answer` fills them. Its outputs are `outputs`."""

    def __init__(self, ui: PanelContext) -> None:
        """Place them, empty."""
        self._ui = ui
        self.columns = gr.State(Columns())
        """What the panes show."""
        self.chat = gr.State(Chat())
        self._rows = gr.State(())
        """Of the last run, with the model's description, to read them again."""
        self._panes = place_panes(panes_of(Columns(), state="empty"), elem_id="panes")
        self._token = place_card_at("#panes .sw-tok", elem_id="token")
        with gr.Column(elem_classes="sw-card", visible=False) as self._colouring:
            with gr.Row(elem_classes="sw-colouring"):
                self.colour = gr.Dropdown(
                    [(label, name) for name, label in COLOURS.items()],
                    value=_FIRST_COLOUR,
                    label="Colour the tokens by",
                    filterable=False,
                    elem_id="colour",
                    min_width=0,
                )
                self.along = gr.Dropdown(
                    fitting(ui), value=None, label="Read the projection on", elem_id="along", min_width=0
                )
            self._legend = html_block("")
        self._below = html_block("")
        with gr.Column(elem_classes="sw-card", visible=False) as self._going_on:
            html_block(heading("Go on with the conversation"))
            self.follow_up = gr.Textbox(
                label="Next user message; each column goes on from its own replies (Shift + Enter sends)",
                lines=1,
                max_lines=6,
                elem_id="follow-up",
            )
            with gr.Row(elem_classes="sw-actions"):
                self.send = gr.Button("Send", elem_id="send")
        # What else follows from the columns is drawn by an event of its own: every output of a stream costs the browser
        # work at every step.
        self.outputs = [self._panes, self.columns, self.chat, self._rows]
        self._wire()

    def answer(
        self, call: Call, chat: Chat, recipes: Mapping[str, Recipe], colour: Any, along: str | None
    ) -> Iterator[Outputs | None]:
        """Answer a conversation's open message, unsteered and under each recipe.

        Args:
            call: Of the handler.
            chat: With its last user message open.
            recipes: One to three, by their letters.
            colour: By what to colour the tokens.
            along: Name of the vector whose projection to read; the first recipe's where it is gone.
        """
        host = call.host
        recipes = {letter: each.stamped(host) for letter, each in recipes.items()}
        vectors = vectors_of(recipes.values(), call.workspace)
        yield from self._measure(call, recipes.values(), vectors)
        rows = rows_for(host, chat, recipes, vectors)
        along, vector = self._vector(along, recipes.values())
        settings = asked_of(chat, recipes)
        call.begins("steer", titled("Steer", chat.users[-1]), settings, recipes=settings.recipes, vectors=vectors)
        job = steer(host, rows, next(iter(recipes.values())).decode, vector)
        said = "".join(map(note, [*_applied(host, recipes, vectors), *cautions(host, vectors)]))
        shown = Columns(
            recipes=recipes,
            turns=[chat.turns(each) for each in ("", *recipes)],
            asked=chat.users[-1],
            vector=along or "",
            zero=zero_of(vector),
            measure=_measure(vector),
        )
        waiting = gr.update(value=panes_of(shown, state="waiting"), elem_classes="")
        yield {self._panes: waiting, self.columns: shown}
        for steps in call.follow(job):
            if steps:
                shown = replace(shown, replies=steps[-1].replies)
                yield {self._panes: panes_of(shown, state="writing")}
            else:
                yield {}
        done = job.state == "done"
        if shown.replies:
            call.ends(steer_result(host, settings, shown.replies, vectors))
            readings = job.result().readings if done else ()
            shown = replace(shown, readings=readings, notes=said + _caveat(host), open=host.info.chat_template)
            below = {self._legend: legend_html(shown, colour) if done else "", self._below: _below(shown)}
            call.shows({**below, self._colouring: gr.update(visible=done)})
            yield {
                self._panes: panes_of(shown, state="" if done else "stopped", colour=colour),
                self.columns: shown,
                self.chat: chat.answer(_answers(shown)),
                self._rows: (host.info, rows),
            }
        else:  # it ended before its first token
            yield {self._panes: panes_of(shown, state="stopped")}
        job.result()

    def _measure(
        self, call: Call, recipes: Iterable[Recipe], vectors: Mapping[str, SteeringVector]
    ) -> Iterator[Outputs | None]:
        """Find strengths in nats; until then the old replies stay, set back."""
        measuring = measure_strengths(call.host, recipes, vectors)
        if measuring is None:
            return
        yield self.set_back()
        yield from call.finish(measuring)
        yield {self._panes: gr.update(elem_classes="")}
        measuring.result()

    def set_back(self) -> dict[Any, Any]:
        """Grey the replies: the recipe on the page is no longer theirs."""
        return {self._panes: gr.update(elem_classes="sw-stale")}

    @property
    def greyed(self) -> list[Any]:
        """What `set_back` changes."""
        return [self._panes]

    def _vector(self, along: str | None, recipes: Iterable[Recipe]) -> tuple[str | None, SteeringVector | None]:
        named = [name for recipe in recipes for name in recipe.vectors]
        name = along if along in fitting(self._ui) else next(iter(named), None)
        return name, vector_named(self._ui, name)

    def _wire(self) -> None:
        columns = {"columns": self.columns}
        coloured = {**columns, "colour": self.colour}
        below = [self._token, self._legend, self._below, self.along, self._colouring, self._going_on, self._panes]
        self._ui.watch(self.columns.change, call=self._follow, inputs=coloured, outputs=below)
        self._ui.watch(self.chat.change, call=lambda: {self.follow_up: ""}, outputs=[self.follow_up])
        choices = self._ui.choices
        choices.on_select(
            "colour",
            [self.colour],
            lambda colour, columns: self._recolour(columns, colour),
            picks=lambda columns: COLOURS,
            states=[self.columns],
            outputs=[self._panes, self._legend],
        )
        choices.on_click(
            "token",
            self._panes.token,
            self._choose,
            pick=lambda event: _place(number_of(event, "column"), number_of(event, "token")),
            picks=_tokens,
            states=[self.columns],
            outputs=[self._token],
        )
        self._ui.on(
            self.along.input,
            self._read,
            inputs={**coloured, "kept": self._rows, "along": self.along},
            outputs=[self._panes, self.columns],
            title="reading the tokens",
        )

    def _recolour(self, columns: Columns, colour: Any) -> dict[Any, Any]:
        if not columns.readings:
            return {}
        return {self._panes: panes_of(columns, colour=colour), self._legend: legend_html(columns, colour)}

    def _follow(self, columns: Columns, colour: Any) -> dict[Any, Any]:
        """Draw what stands below the panes. A part that was shown once stays, emptied while a run goes on: Gradio loses
        a part that is hidden and shown again in one event.
        """
        if not columns.replies:
            return {self._token: "", self._legend: "", self._below: ""}
        names = fitting(self._ui)  # of the model in use, which may be another one by now
        along = gr.update(choices=names, value=columns.vector if columns.vector in names else None)
        shown = {self._token: "", self._legend: "", self._below: _below(columns), self.along: along}
        if columns.readings:  # the panes again, since the colour may have been chosen while the run went on
            shown |= {**self._recolour(columns, colour), self._colouring: gr.update(visible=True)}
        if columns.open:
            shown[self._going_on] = gr.update(visible=True)
        return shown

    def _choose(self, pick: str, columns: Columns) -> Outputs:
        column, token = map(int, pick.split(","))
        there = column < len(columns.readings) and token < len(columns.readings[column])
        return {self._token: token_html(columns, column, token) if there else ""}

    def _read(
        self, call: Call, columns: Columns, colour: Any, kept: tuple[Any, Sequence[Row]] | None, along: str | None
    ) -> Iterator[Outputs | None]:
        """Read the tokens again, along another vector."""
        if not kept or not columns.replies:  # of a run that goes on, none are whole yet
            raise SteeringError(
                "There are no replies here whose tokens can be read again.",
                "replies that were generated on this page, to their end; those of an earlier run are kept as they were "
                "shown.",
                "Run first, or wait until the run has ended.",
            )
        (info, rows), host = kept, call.host
        if info is not host.info:
            raise SteeringError("These replies are another model's.", remedy="Run again, then choose the vector.")
        vector = vector_named(self._ui, along)
        ids = [reply.ids for reply in columns.replies]
        job = host.submit(lambda job: read_tokens(host, rows, ids, vector=vector), title="Reading the tokens")
        yield from call.finish(job)
        read = replace(
            columns, readings=job.result(), vector=along or "", zero=zero_of(vector), measure=_measure(vector)
        )
        yield {self._panes: panes_of(read, colour=colour), self.columns: read}


def _place(column: int, token: int) -> str:
    return f"{column},{token}"


def _tokens(columns: Columns) -> Iterator[str]:
    """Every token that was read."""
    for column, readings in enumerate(columns.readings):
        yield from (_place(column, token) for token in range(len(readings)))


def _below(columns: Columns) -> str:
    return card(divergence_html(columns) + columns.notes + recipes_html(columns.recipes))


def _applied(host: Host, recipes: Mapping[str, Recipe], vectors: Mapping[str, SteeringVector]) -> list[str]:
    """What each recipe did, in words, under its name where there are several."""
    return [
        f"{title_of(letter)}: {line}" if len(recipes) > 1 else line
        for letter, recipe in recipes.items()
        for line in applied(host, recipe, vectors)
    ]


def _answers(shown: Columns) -> dict[str, str]:
    """What the conversation goes on from: thoughts are left behind, as templates leave them."""
    return {hue: reply.answer or reply.text for hue, reply in zip(shown.hues, shown.replies, strict=True)}


def _caveat(host: Host) -> str:
    return "".join(note(each) for each in (*host.warnings, *([DEMO_CAVEAT] if host.info.demo else [])))


def _measure(vector: SteeringVector | None) -> str:
    """What a strength of 1 of the vector is called whose projection is read."""
    return Columns.measure if vector is None else vector.measure
