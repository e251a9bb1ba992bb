"""What one visitor's page knows, and what on it follows that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from pydantic import BaseModel

from steering.studies.steer import SteerSettings
from workbench.page.blocks import URGENT
from workbench.page.jobs import Outputs


class PageState:
    """What one visitor's page knows; each a `gr.State`."""

    def __init__(self) -> None:
        self.model_seen = gr.State(None)
        """Stamp of the model that this page last drew."""
        self.shelf_seen = gr.State(None)
        """What `Workbench.seen` was when this page last drew the shelf; another model is another shelf, too."""
        self.picked = gr.State(None)
        """Name of the vector picked on the shelf, None before one was."""
        self.drawn = gr.State(None)
        """(`model_seen`, `shelf_seen`, `picked`) that the page showed when it was opened; None once another vector was
        picked. What only follows these is not drawn twice.
        """
        self.followed = gr.State(None)
        """The picked vector that a recipe on this page took last, so that only another one changes it."""
        self.go = gr.Textbox("", visible="hidden", elem_classes="sw-go", show_label=False)
        """Address of another page of the workbench; the browser goes there as soon as there is one."""
        self.go.change(None, js="to => { if (to) window.location.assign(to); }", inputs=[self.go], **URGENT)


@dataclass(frozen=True, eq=False)
class Taker:
    """What changes when another panel sends something here, or a file brings settings."""

    take: Callable[[Any], Outputs]
    outputs: Sequence[Any]
    kind: type[BaseModel] = SteerSettings
    """Of the settings that it takes."""
