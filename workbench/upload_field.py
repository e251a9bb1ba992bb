"""A button that uploads a file, names it in a field and shows what was understood: the page reads no other files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from steering.confines import UPLOAD
from steering.texts.formats import TAKEN
from steering.texts.understanding import understand
from workbench.blocks import html_block
from workbench.context import PanelContext
from workbench.file_preview import file_preview


def place_upload(ui: PanelContext, field: gr.components.Component, label: str, kind: str) -> None:
    """Place the button for a field that takes the name of a set, and what was understood of the file beneath.

    A file that cannot be read as this kind is refused at once, and the field stays as it was.

    Args:
        ui: Of the panel.
        field: A text box, or a drop-down list that takes values of one's own.
        label: What is uploaded, such as "Upload targets".
        kind: What the file must hold, a key of `steering.texts.understanding.KINDS`.
    """
    button = gr.UploadButton(label, size="sm", file_types=list(TAKEN), elem_id=f"{field.elem_id}-upload")
    shown = html_block("", elem_id=f"{field.elem_id}-preview")

    def take(path: str) -> dict[Any, Any]:
        source = uploaded(path)
        return {shown: _preview(source, kind), field: gr.update(value=source)}

    def again(source: str | None) -> dict[Any, Any]:
        return {shown: _preview(source or "", kind)}

    ui.quick(button.upload, take, inputs={"path": button}, outputs=[field, shown])
    # What was chosen behind `::` is read anew; a text box is read when it is left, not with every letter.
    changed = [field.input] if isinstance(field, gr.Dropdown) else [field.submit, field.blur]
    ui.quick(changed, again, inputs={"source": field}, outputs=[shown])


def _preview(source: str, kind: str) -> str:
    """What an uploaded file was understood as; nothing for other sources, which the run itself reads."""
    return file_preview(understand(source, kind)) if source.startswith(UPLOAD) else ""


def uploaded(path: str) -> str:
    """How an uploaded file is named: by the digest of its content and its own name, without the server's folders."""
    return UPLOAD + "/".join(Path(path).parts[-2:])
