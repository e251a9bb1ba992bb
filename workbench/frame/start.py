"""The start page: what this is, what is loaded, the steps of a first session, and what lies on the shelf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from steering import plugins
from steering.errors import SteeringError
from steering.studies import STUDIES
from workbench.bench import Workbench
from workbench.doors.at_hand import limits_at_hand
from workbench.frame.navigation import Place
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.kept_view import RUN
from workbench.page.markup import card, error_card, escape, heading, note
from workbench.runs.query import Query
from workbench.runs.run import Run


_LATEST = 6
"""Runs that are listed."""


@dataclass(frozen=True)
class Step:
    """A step of a first session; left out where its panel is not there."""

    panel: str
    title: str
    said: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Id of a control on the panel's page -> value, which the link carries."""
    quick: tuple[str, ...] = ()
    """Settings of the panel's study that the link carries as the study's quick ones are."""

    @property
    def query(self) -> str:
        """Of the link."""
        quick = STUDIES[self.panel].quick if self.quick else {}
        named = {f"{self.panel}-{name.replace('_', '-')}": quick[name] for name in self.quick}
        given = urlencode({**self.settings, **named})
        return f"?{given}" if given else ""


STEPS = (
    Step(
        "vectors",
        "Extract a vector",
        "From texts that differ in one thing, such as formal and casual requests.",
        {"contrast": "formality"},
    ),
    Step("steer", "Steer with it", "Add it while a reply is written, beside the reply without it."),
    Step("grid", "Vary what you did", "Prompts by strengths, or methods, or blocks: every cell a reply."),
    Step(
        "refusal",
        "Look for refusal",
        "The direction that refusals ride on: found, ablated, located. Opens with the quick settings.",
        quick=("n_train", "n_validation", "n_test", "random", "reply_tokens", "questions"),
    ),
    Step(
        "tradeoff",
        "Count the cost",
        "What steering gains and what it takes from helpfulness, with intervals. Opens with the quick settings.",
        quick=("n", "n_replies", "random", "reply_tokens"),
    ),
)


def place_start(places: Sequence[Place], context: PanelContext) -> None:
    """Lay out the start page."""
    here = {place.panel.id: place for place in places if place.panel}
    if said := public_said(context.bench):
        html_block(f'<div class="sw-card">{heading("This page is public")}{said}</div>', elem_id="public")
    with gr.Column(elem_classes="sw-card"):
        html_block(_about(others=bool(context.bench.visitors_load)))
    html_block(_steps(here), elem_id="first-session")
    latest = html_block("", elem_id="latest-results", elem_classes="sw-latest")
    bench = context.bench
    context.watch(
        "model", call=lambda visitor: {latest: latest_html(here, bench, visitor)}, outputs=[latest], of_visitor=True
    )
    others = [place for place in places if place.panel and place.panel.id not in {step.panel for step in STEPS}]
    if others:
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("More panels") + "".join(map(_line, others)))
    if broken := plugins.problems():
        cards = "".join(error_card(problem.error) for problem in broken)
        html_block(card(heading("What packages add and cannot be used") + cards), elem_id="broken-plugins")


def public_said(bench: Workbench) -> str:
    """What everybody should know who comes here, as markup; "" where a page is not public."""
    limits = limits_at_hand()
    return "".join(map(note, (*limits.said(), *bench.notices))) if limits else ""


def latest_html(here: Mapping[str, Place], bench: Workbench, visitor: str) -> str:
    """The latest runs that a visitor may see, with links that open them again; "" where there are none."""
    try:
        found = bench.runs.find(Query(owner=bench.owner(visitor)), limit=_LATEST)
    except SteeringError:  # said where something is run
        return ""
    lines = [_latest(run, here) for run in found]
    return f'<div class="sw-card">{heading("Latest results")}{"".join(lines)}</div>' if lines else ""


def _latest(run: Run, here: Mapping[str, Place]) -> str:
    name, state = escape(run.title), "" if run.state == "done" else f", {run.state}"
    if run.panel in here:
        name = f'<a href="./{escape(here[run.panel].path)}?{RUN}={escape(run.id)}">{name}</a>'
    when = f"{datetime.fromisoformat(run.begun).astimezone():%d %b %H:%M}"
    return f'<p class="sw-note">{name} on {escape(run.model)}, {when}{state}</p>'


def _about(*, others: bool) -> str:
    """What the workbench is.

    Args:
        others: Whether visitors may load other models.
    """
    said = (
        "See what a language model represents, steer it, and measure what that does: every number says which token was "
        "read, which block was written, in which unit, and what a random direction would have done. The demo model is "
        "small and known inside"
    )
    return heading("What this is") + note(
        f"{said}; another one is loaded with “Switch model”." if others else f"{said}."
    )


def _steps(here: dict[str, Place]) -> str:
    cards = [
        f'<li><a href="./{escape(here[step.panel].path + step.query)}"><b>{escape(step.title)}</b>'
        f"<span>{escape(step.said)}</span></a></li>"
        for step in STEPS
        if step.panel in here
    ]
    return f'{heading("A first session")}<ol class="sw-steps">{"".join(cards)}</ol>'


def _line(place: Place) -> str:
    summary = place.panel.summary if place.panel else ""
    return f'<p class="sw-note"><a href="./{escape(place.path)}">{escape(place.title)}</a>: {escape(summary)}</p>'
