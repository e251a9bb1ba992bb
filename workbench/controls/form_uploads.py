"""What a form's script is told of a file that somebody uploads into a field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from steering.confines import UPLOAD, named_file
from steering.errors import SteeringError
from steering.texts.understanding import understand
from workbench.controls.field import Field
from workbench.controls.file_preview import preview
from workbench.controls.upload_field import sent_file, uploaded
from workbench.library.uploads import Upload, Uploads
from workbench.places import without_places


Keep = Callable[[Path], tuple[str, str]]
"""Keeps an uploaded file that holds no rows; gives what names it from now on, and a sentence on it."""


def understood(
    fields: Mapping[str, Field], sent: Any, uploads: Uploads, owner: str | None, keeps: Mapping[str, Keep] | None = None
) -> dict[str, Any]:
    """What an uploaded file was understood as, and how a field names it; it is kept for other days.

    Args:
        fields: Of the form, by name.
        sent: `field`, and either the `path` of an upload or the `source` that stands in the field by now.
        uploads: Where it is kept.
        owner: The visitor; None for whoever is at the machine.
        keeps: By `upload_kind`, what keeps files of a kind that holds no rows.
    """
    said = dict(sent) if isinstance(sent, Mapping) and all(isinstance(each, str) for each in sent.values()) else {}
    field = fields.get(said.get("field", ""))
    if field is None:
        return {"said": "The page sent no upload. Load it again."}
    if keep := (keeps or {}).get(field.upload_kind):
        return _kept(keep, said)
    source = uploaded(said["path"]) if said.get("path") else said.get("source", "")
    if not source.startswith(UPLOAD):
        return {}
    try:
        found = understand(source, field.upload_kind)
    except SteeringError as error:
        return {"said": without_places(str(error))}
    said = {"value": source, "name": source.removeprefix(UPLOAD).partition("/")[2], "preview": preview(found)}
    if not sent.get("path"):
        return said
    try:
        kept = uploads.add(named_file(source), field.upload_kind, found.rows, owner=owner or "")
    except SteeringError as error:  # it can be used all the same, while the workbench runs
        return {**said, "said": without_places(str(error))}
    return {**said, "value": kept.source, "kept": offer(kept, field.upload_kind)}


def _kept(keep: Keep, said: Mapping[str, str]) -> dict[str, Any]:
    path = sent_file(said.get("path"))
    if path is None:
        return {}
    try:
        value, words = keep(path)
    except SteeringError as error:
        return {"said": without_places(str(error))}
    return {"value": value, "name": value, "preview": {"said": words, "sides": [], "notes": []}}


def offered(fields: Iterable[Field], uploads: Uploads, owner: str | None) -> dict[str, list[tuple[str, str, str]]]:
    """What was uploaded before, by the kind that a field asks for: (shown, source, name), the latest first."""
    kinds = {field.upload_kind for field in fields if field.upload_kind}
    return {kind: [offer(each, kind) for each in uploads.find(owner, kind)] for kind in kinds}


def offer(upload: Upload, kind: str) -> tuple[str, str, str]:
    """An upload as a field offers it."""
    rows = upload.kinds.get(kind, 0)
    return f"{upload.name} · {rows:,} row{'' if rows == 1 else 's'}", upload.source, upload.name
