"""How often Gradio's server of a page is made."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest
from gradio.routes import App

from workbench.page import server
from workbench.page.inputs import Page


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The servers that are made, in order."""
    servers: list[Any] = []
    gradios = server._GRADIOS

    def make(*given: Any, **options: Any) -> App:
        servers.append(gradios(*given, **options))
        return servers[-1]

    monkeypatch.setattr(server, "_GRADIOS", make)
    return servers


def test_a_page_gets_one_where_it_is_served_and_others_whenever_gradio_makes_them(made: list[Any]) -> None:
    with gr.Blocks():
        gr.Markdown("Another's.")
    others = len(made)
    assert others >= 2
    with Page() as page:
        gr.Markdown("Ours.")
    page.queue(max_size=7)
    assert page.config["components"]
    assert len(made) == others
    served, _, _ = page.launch(prevent_thread_lock=True, quiet=True, inline=False, ssr_mode=False)
    try:
        assert made[others:] == [served]
        assert page._queue.max_size == 7
    finally:
        page.close(verbose=False)


def test_a_layout_that_fails_leaves_others_with_theirs(made: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="no layout"), Page():
        raise RuntimeError("no layout")
    assert not made
    with gr.Blocks():
        pass
    assert made
