"""A button that uploads a file, names it in a field and shows what was understood: the page reads no other files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from steering.confines import UPLOAD
from steering.errors import SteeringError
from steering.texts.formats import TAKEN
from steering.texts.understanding import understand
from workbench.controls.file_preview import file_preview
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext


Named = dict[str, str]
"""Uploads of a page: what stands in a field, which is a file's own name perhaps with `::COLUMN`, and its source."""


def place_upload(
    ui: PanelContext,
    field: gr.Dropdown,
    label: str,
    kind: str,
    *,
    sets: Callable[[], Sequence[tuple[str, str]]] = list,
) -> gr.State:
    """Place the button for a field that takes the name of a set, and what was understood of the file beneath.

    A file that cannot be read as this kind is refused at once, and the field stays as it was. The field shows an upload
    by its own name; its value is the source, which only somebody knows who has the file (`steering.confines`).

    Args:
        ui: Of the panel.
        field: A drop-down list that takes values of one's own.
        label: What is uploaded, such as "Upload targets".
        kind: What the file must hold, a key of `steering.texts.understanding.KINDS`.
        sets: What else can be chosen, as (shown, value).

    Returns:
        The field's uploads so far, a `Named`.
    """
    button = gr.UploadButton(label, size="sm", file_types=list(TAKEN), elem_id=f"{field.elem_id}-upload")
    shown, uploads = html_block("", elem_id=f"{field.elem_id}-preview"), gr.State({})

    def show(source: str, names: Named) -> dict[Any, Any]:
        preview = _preview(source, kind)
        if not source.startswith(UPLOAD):
            return {shown: preview}
        known = {**names, source.removeprefix(UPLOAD).partition("/")[2]: source}
        return {shown: preview, uploads: known, field: gr.update(choices=[*sets(), *known.items()], value=source)}

    def take(path: str | None, names: Named) -> dict[Any, Any]:
        return show(uploaded(chosen(path)), names)

    def again(given: str | None, names: Named) -> dict[Any, Any]:
        return show(source_of(given or "", names), names)

    changed = [field, shown, uploads]
    ui.quick(button.upload, take, inputs={"path": button, "names": uploads}, outputs=changed)
    # What was typed behind `::` is read anew.
    ui.quick(field.input, again, inputs={"given": field, "names": uploads}, outputs=changed)
    return uploads


def source_of(given: str, names: Named) -> str:
    """What a field's text stands for, where somebody typed on behind the name of an upload."""
    name, mark, column = given.partition("::")
    return f"{names[name]}{mark}{column}" if name in names else given


def chosen(path: str | None) -> str:
    """The path of what a button uploaded.

    Raises:
        SteeringError: Nothing was.
    """
    if path is None:
        raise SteeringError("No file was chosen.", "a file.", "Choose one with the button.")
    return path


def _preview(source: str, kind: str) -> str:
    """What an uploaded file was understood as; nothing for other sources, which the run itself reads."""
    return file_preview(understand(source, kind)) if source.startswith(UPLOAD) else ""


def uploaded(path: str) -> str:
    """How an uploaded file is named: by the digest of its content and its own name, without the server's folders."""
    return UPLOAD + "/".join(Path(path).parts[-2:])
