"""The self-check on the page: a button in the model bar, and its table below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from steering.selfcheck import CHECKS, Check, self_check
from workbench.page.blocks import html_block
from workbench.page.cards import verdict
from workbench.page.context import PanelContext
from workbench.page.jobs import Call
from workbench.page.markup import escape, heading, note


_ASK = "Self-check"
_MARKS = {"pass": "passed", "fail": "failed", "not applicable": "does not apply"}


def place_button() -> gr.Button:
    """The button, for the model bar."""
    return gr.Button(_ASK, size="sm", elem_classes="sw-switch", elem_id="selfcheck", min_width=0)


def place_results(context: PanelContext, button: gr.Button) -> None:
    """The results, hidden until the button is pressed, and gone when another model stands."""
    with gr.Column(visible=False, elem_classes="sw-card sw-loader") as results:
        found = html_block("", elem_id="selfcheck-results")
        hide = gr.Button("Hide", size="sm", elem_classes="sw-link")

    def run(call: Call) -> Iterator[dict[Any, Any]]:
        rows: list[Check] = []
        yield {results: gr.update(visible=True), found: checks_html(call.host.name, rows), button: "Checking…"}
        for check in self_check(call.host):
            rows.append(check)
            yield {found: checks_html(call.host.name, rows), button: f"Checking {len(rows)} of {len(CHECKS)}"}
        yield {button: verdict(rows)}

    context.on(button.click, run, outputs=[results, found, button], run=[button], title="the self-check")
    context.quick(hide.click, lambda: {results: gr.update(visible=False)}, outputs=[results])
    forget = {results: gr.update(visible=False), button: _ASK}
    context.watch("model", call=lambda: forget, outputs=[results, button])


def checks_html(model: str, rows: Sequence[Check]) -> str:
    """Every check with its outcome, what a pass means, and what was measured; a word on what follows from failures."""
    lines = "".join(
        f"<tr class='sw-check-{check.outcome.split()[0]}'><td>{escape(check.name)}</td>"
        f"<td><b>{_MARKS[check.outcome]}</b></td><td>{escape(check.meaning)}"
        f"<div class='sw-note'>{escape(check.detail)}</div></td></tr>"
        for check in rows
    )
    failed = ", ".join(check.name for check in rows if check.outcome == "fail")
    warning = f"{model} can be used, but do not trust what depends on: {failed}." if failed else ""
    ended = "" if len(rows) < len(CHECKS) else warning or f"{model} is read and written rightly."
    return f"{heading(f'Self-check of {model}')}<table class='sw-table'>{lines}</table>{note(ended)}"
