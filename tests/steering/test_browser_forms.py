"""Outputs in a browser: light and dark as the page around them says, and nothing is asked for."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from steering.forms import markup


pytestmark = pytest.mark.browser

DARK = {
    "JupyterLab": ("", 'data-jp-theme-light="false"'),
    "Colab": ("theme=dark", ""),
    "VS Code": ("", "class=vscode-dark"),
    "VS Code, high contrast": ("", "class=vscode-high-contrast"),
    "a page of notebooks": ("data-theme=dark", ""),
}
LIGHT = {
    "JupyterLab": ("", 'data-jp-theme-light="true"'),
    "Colab": ("theme=light", ""),
    "VS Code": ("", "class=vscode-light"),
    "VS Code, high contrast": ("", 'class="vscode-high-contrast vscode-high-contrast-light"'),
    "a page of notebooks": ("data-theme=light", ""),
}
_COLOURS = """() => ['.swf', '.swf td', '.swf dd'].map(each => {
  const style = getComputedStyle(document.querySelector(each));
  return [style.backgroundColor, style.color];
})"""
_JUPYTER = (
    ".jp-RenderedHTMLCommon dt {float: left; width: 20%} .jp-RenderedHTMLCommon td {color: red; text-align: right}"
)
"""Two of its own rules for outputs."""


def _of(page: Any, html: str, body: str) -> tuple[str, str]:
    """Ground and ink, which all parts have alike."""
    shown = markup.output(
        markup.head("A", "thing"), markup.facts([("long name of a fact", 1)]), markup.table(pd.DataFrame({"a": ["x"]}))
    )
    page.set_content(
        f"<!doctype html><html {html}><style>{_JUPYTER}</style><body {body}>"
        f'<div class="jp-RenderedHTMLCommon">{shown}</div></body></html>'
    )
    (ground, ink), *others = page.evaluate(_COLOURS)
    assert {each for _, each in others} == {ink}
    assert page.evaluate("getComputedStyle(document.querySelector('.swf dt')).float") == "none"
    return ground, ink


def test_ground_and_ink_follow_the_page_and_else_the_reader(browser: Any) -> None:
    asked: list[str] = []
    found = {}
    for scheme in ("light", "dark"):
        page = browser.new_context(color_scheme=scheme).new_page()
        page.on("request", lambda request: asked.append(request.url))
        own = found[scheme] = _of(page, "", "")
        for name in DARK:
            assert _of(page, *DARK[name]) == ("rgb(27, 30, 35)", "rgb(232, 233, 234)"), f"{name} under {scheme}"
            assert _of(page, *LIGHT[name]) == ("rgb(255, 255, 255)", "rgb(29, 32, 36)"), f"{name} under {scheme}"
        assert own in (("rgb(27, 30, 35)", "rgb(232, 233, 234)"), ("rgb(255, 255, 255)", "rgb(29, 32, 36)"))
        page.context.close()
    assert found["light"] != found["dark"]
    assert asked == []
