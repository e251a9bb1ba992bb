"""Gradio's server of a page, made once: where the page is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import gradio as gr
from gradio.routes import App


class ServedOnce(gr.Blocks):
    """Blocks whose server is made by `launch`.

    Gradio makes three before it, each a tenth of a second for all pages here: of blocks that are begun, of blocks that
    are laid out, and of each queue that they get.
    """

    def __init__(self, **options: Any) -> None:
        with _without_server():
            super().__init__(**options)

    def __exit__(self, *given: Any) -> None:
        with _without_server():
            super().__exit__(*given)

    def queue(self, *given: Any, **options: Any) -> Any:
        """As Gradio's."""
        with _without_server():
            return super().queue(*given, **options)


@contextmanager
def _without_server() -> Iterator[None]:
    token = _LEFT_OUT.set(True)
    try:
        yield
    finally:
        _LEFT_OUT.reset(token)


def _create(*given: Any, **options: Any) -> Any:
    return None if _LEFT_OUT.get() else _GRADIOS(*given, **options)


_LEFT_OUT: ContextVar[bool] = ContextVar("server left out", default=False)
_GRADIOS = App.create_app
App.create_app = staticmethod(_create)
