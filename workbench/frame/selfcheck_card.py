"""The self-check on the page: a button in the model bar, and its table below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from steering.selfcheck import Check, checks_of, self_check
from workbench.page.blocks import event_of, html_block
from workbench.page.cards import verdict
from workbench.page.context import PanelContext
from workbench.page.jobs import Call
from workbench.page.markup import escape, heading, note


_ASK = "Self-check"
_HIDE = '<button type="button" class="sw-do">Hide</button>'
_SCRIPT = "element.addEventListener('click', event => { if (event.target.closest('.sw-do')) trigger('hide'); });"
_MARKS = {"pass": "passed", "fail": "failed", "not applicable": "does not apply"}


def place_button(*, visible: bool) -> gr.Button:
    """The button, for the model bar."""
    return gr.Button(_ASK, size="sm", elem_classes="sw-switch", elem_id="selfcheck", min_width=0, visible=visible)


def place_results(context: PanelContext, button: gr.Button) -> None:
    """The results, not there until the button is pressed, and gone when another model stands."""
    classes = ["sw-card", "sw-loader"]
    found = html_block("", elem_id="selfcheck-results", elem_classes=classes, visible=False, js_on_load=_SCRIPT)

    def run(call: Call) -> Iterator[dict[Any, Any]]:
        rows: list[Check] = []
        n = len(checks_of(call.host))
        shown = gr.update(visible=True, value=checks_html(call.host.name, rows, n))
        yield {found: shown, button: "Checking…"}
        for check in self_check(call.host):
            rows.append(check)
            yield {found: checks_html(call.host.name, rows, n), button: f"Checking {len(rows)} of {n}"}
        yield {button: verdict(rows)}

    context.on(button.click, run, outputs=[found, button], run=[button], title="the self-check")
    hidden = gr.update(visible=False)
    context.quick(event_of(found, "hide"), lambda: {found: hidden}, outputs=[found])
    context.watch("model", call=lambda: {found: hidden, button: _ASK}, outputs=[found, button])


def checks_html(model: str, rows: Sequence[Check], n: int) -> str:
    """Every check so far, of `n`: its outcome, what a pass means, what was measured; and what follows from failures."""
    lines = "".join(
        f"<tr class='sw-check-{check.outcome.split()[0]}'><td>{escape(check.name)}</td>"
        f"<td><b>{_MARKS[check.outcome]}</b></td><td>{escape(check.meaning)}"
        f"<div class='sw-note'>{escape(check.detail)}</div></td></tr>"
        for check in rows
    )
    failed = ", ".join(check.name for check in rows if check.outcome == "fail")
    warning = f"{model} can be used, but do not trust what depends on: {failed}." if failed else ""
    ended = "" if len(rows) < n else warning or f"{model} is read and written rightly."
    return f"{heading(f'Self-check of {model}')}<table class='sw-table'>{lines}</table>{note(ended)}{_HIDE}"
