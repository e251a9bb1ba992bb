"""A run again, from what a file says of it: its study and settings, checked as if somebody had typed them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from steering.errors import SteeringError
from steering.origins.origin import PLACES, Origin
from steering.plugin_uses import require
from steering.studies import find_study


def given_by(origin: Origin, folder: Path | None = None, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What to give `Study.parse` for the same numbers: the settings that were set, and defaults that are others today.

    Args:
        origin: Of the run.
        folder: With the files that lie beside it; without one, settings that name such files stay at their default.
        given: What goes before it, such as settings that the file leaves out.

    Raises:
        SteeringError: A package that it used is not here, there is no such study, or the file leaves out a setting that
            nobody gives.
    """
    require(origin.plugins)
    study, given = find_study(origin.study), given or {}
    today = study.settings().model_dump(mode="json")
    changed = {name: value for name, value in origin.defaults.items() if name in today and value != today[name]}
    beside = {name: str(folder / file) for name, file in origin.files.items()} if folder else {}
    missing = [name for name in origin.left_out if name not in given]
    if missing:
        raise SteeringError(
            f"The file leaves out prompts and replies: {', '.join(missing)}.",
            "a value for each of them.",
            f"Give them, such as --set {missing[0]}=TEXT, or take a file with them.",
        )
    found = {**changed, **origin.settings, **beside, **given}
    return {name: value for name, value in found.items() if name in given or name not in PLACES}


def settings_of(origin: Origin) -> BaseModel:
    """Its settings, to be shown: what the file leaves out, and what names a file beside it, is at its default.

    Raises:
        SteeringError: There is no such study, or a setting is wrong.
    """
    return find_study(origin.study).parse(given_by(replace(origin, left_out=())))
