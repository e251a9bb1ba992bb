"""What a kept view may give a page: the workbench's own markup as it is, and nothing that would run or fetch."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import gradio as gr
import pytest

from steering.errors import SteeringError
from workbench.controls.panes import Pane, Panes
from workbench.page.cleaning import clean, cleaned
from workbench.page.markup import card, error_card, fold, heading, job_line, note, pills, table


class _Form(HTMLParser):
    """Markup as what it says, in whatever order and quotes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Any] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, sorted((name, value or "") for name, value in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def _form(markup: str) -> list[Any]:
    form = _Form()
    form.feed(markup)
    form.close()
    return form.found


def test_the_own_markup_stays_as_it_is() -> None:
    own = [
        card(heading("Title") + pills(("x", "y")) + table(("m", "n"), [("a", "2")], words=(0,)) + note("Said.")),
        error_card(SteeringError("<b>", "&", "'\"")),
        fold("name", "Title", table(("a", "b"), [("x", "1\n0 to 2")], marked=0)),
        job_line("Title", "3 / 4", fraction=0.75, job_id=1),
        '<td data-x="1" data-y="2" title="a" style="--v:0.25">3</td>',
    ]
    own[-1] = f"<table><tbody><tr>{own[-1]}</tr></tbody></table>"
    for markup in own:
        assert _form(clean(markup)) == _form(markup)
        assert len(_form(markup)) > 3


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg onload=alert(1)></svg>",
        '<a href="javascript:alert(1)">x</a>',
        '<a href="data:text/html,x">x</a>',
        "<b onclick=alert(1)>x</b>",
        '<b style="background:url(https://example.org/x)">x</b>',
        '<b style="position:fixed;inset:0">x</b>',
        "<style>*{display:none}</style>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<form action=//example.org><input name=a></form>",
        "<b id=location>x</b>",
        "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
        "<template><script>alert(1)</script></template>",
    ],
)
def test_nothing_runs_fetches_or_covers(evil: str) -> None:
    found = clean(f"<p>before</p>{evil}").lower()
    assert "before" in found
    for sign in ("alert(", "javascript:", "data:", "onerror", "url(", "fixed", "example.org", "display:none", " id="):
        assert sign not in found
    (value,) = cleaned(gr.HTML(render=False), {"value": evil, "js_on_load": "alert(1)", "html_template": evil}).values()
    assert value == clean(evil)


def test_values_are_cleaned_by_what_the_part_makes_of_them() -> None:
    evil = "<b onclick=alert(1)>x</b>"
    panes = Panes([Pane("a")], render=False)
    kept = cleaned(panes, {"value": [{"title": evil, "before": evil, "now": evil}, 3], "elem_classes": ["panes"]})
    assert kept["value"] == [{"title": evil, "before": "<b>x</b>", "now": "<b>x</b>"}]  # a title is set as text
    assert cleaned(gr.Textbox(render=False), {"value": evil}) == {"value": evil}
    # What names a file of the server is no value, and what is no mapping says nothing.
    assert cleaned(gr.File(render=False), {"value": "/etc/passwd", "visible": True}) == {"visible": True}
    assert cleaned(gr.Textbox(render=False), [1]) == {}
    assert cleaned(panes, {"value": "x"}) == {"value": []}
