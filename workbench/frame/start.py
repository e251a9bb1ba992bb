"""The start page: what this is, what is loaded, the steps of a first session, and what lies on the shelf."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from workbench.frame.navigation import Place
from workbench.page.blocks import html_block
from workbench.page.markup import escape, heading, note


STEPS = (
    (
        "vectors",
        "Extract a vector",
        "From texts that differ in one thing, such as formal and casual requests.",
    ),
    ("steer", "Steer with it", "Add it while a reply is written, beside the reply without it."),
    ("grid", "Vary what you did", "Prompts by strengths, or methods, or blocks: every cell a reply."),
    ("refusal", "Look for refusal", "The direction that refusals ride on: found, ablated, located."),
    ("tradeoff", "Count the cost", "What steering gains and what it takes from helpfulness, with intervals."),
)
"""Panel, title and sentence; a step whose panel is not there is left out."""


def place_start(places: Sequence[Place]) -> None:
    """Lay out the start page."""
    here = {place.panel.id: place for place in places if place.panel}
    with gr.Column(elem_classes="sw-card"):
        html_block(_about())
    html_block(_steps(here), elem_id="first-session")
    others = [place for place in places if place.panel and place.panel.id not in {step[0] for step in STEPS}]
    if others:
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("More panels") + "".join(map(_line, others)))


def _about() -> str:
    said = (
        "See what a language model represents, steer it, and measure what that does: every number says which token was "
        "read, which block was written, in which unit, and what a random direction would have done. The demo model is "
        "small and known inside; another one is loaded with “Switch model”."
    )
    return heading("What this is") + note(said)


def _steps(here: dict[str, Place]) -> str:
    cards = [
        f'<li><a href="./{escape(here[panel].path)}"><b>{escape(title)}</b><span>{escape(said)}</span></a></li>'
        for panel, title, said in STEPS
        if panel in here
    ]
    return f'{heading("A first session")}<ol class="sw-steps">{"".join(cards)}</ol>'


def _line(place: Place) -> str:
    summary = place.panel.summary if place.panel else ""
    return f'<p class="sw-note"><a href="./{escape(place.path)}">{escape(place.title)}</a>: {escape(summary)}</p>'
