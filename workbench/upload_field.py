"""A button that uploads a file and names it in a field: the page reads no other files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from steering.confines import UPLOAD
from steering.texts.formats import ENDINGS
from workbench.context import PanelContext


def place_upload(ui: PanelContext, field: gr.components.Component, label: str) -> None:
    """Place the button for a field that takes the name of a set.

    Args:
        ui: Of the panel.
        field: A text box, or a drop-down list that takes values of one's own.
        label: What is uploaded, such as "Upload targets".
    """
    button = gr.UploadButton(label, size="sm", file_types=list(ENDINGS), elem_id=f"{field.elem_id}-upload")

    def take(path: str) -> dict[Any, Any]:
        return {field: gr.update(value=uploaded(path))}

    ui.quick(button.upload, take, inputs={"path": button}, outputs=[field])


def uploaded(path: str) -> str:
    """How an uploaded file is named: by the digest of its content and its own name, without the server's folders."""
    return UPLOAD + "/".join(Path(path).parts[-2:])
