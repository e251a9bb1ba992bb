"""What a form's script is told of a file that somebody uploads into a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steering.confines import UPLOAD
from steering.errors import SteeringError
from steering.texts.understanding import understand
from workbench.controls.field import Field
from workbench.controls.file_preview import preview
from workbench.controls.upload_field import uploaded
from workbench.places import without_places


def understood(fields: Mapping[str, Field], sent: Any) -> dict[str, Any]:
    """What an uploaded file was understood as, and how a field names it.

    Args:
        fields: Of the form, by name.
        sent: `field`, and either the `path` of an upload or the `source` that stands in the field by now.
    """
    said = dict(sent) if isinstance(sent, Mapping) and all(isinstance(each, str) for each in sent.values()) else {}
    field = fields.get(said.get("field", ""))
    if field is None:
        return {"said": "The page sent no upload. Load it again."}
    source = uploaded(said["path"]) if said.get("path") else said.get("source", "")
    if not source.startswith(UPLOAD):
        return {}
    try:
        seen = preview(understand(source, field.upload_kind))
    except SteeringError as error:
        return {"said": without_places(str(error))}
    return {"value": source, "name": source.removeprefix(UPLOAD).partition("/")[2], "preview": seen}
