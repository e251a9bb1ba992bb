"""A run without prompts and replies, to be shown to others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from steering.origins.origin import bare, is_text
from steering.studies import STUDIES
from steering.studies.study import Result
from steering.studies.without_texts import vector_without_texts, without_texts
from workbench.runs import files
from workbench.runs.run import Run
from workbench.runs.runs import Runs


@contextmanager
def without_texts_of(runs: Runs, run: Run, result: Result | None) -> Iterator[tuple[Run, Path, Result | None]]:
    """A run, the folder of its files and its result as they are without prompts and replies: title, note and what the
    page showed go too. The folder is gone afterwards.

    Args:
        runs: Of the workspace.
        run: Which.
        result: What it found.

    Raises:
        SteeringError: Its files are damaged.
        OSError: There is no room for them.
    """
    told = result and without_texts(result)
    used = {name: vector_without_texts(vector) for name, vector in runs.used(run.id).items()}
    title = STUDIES[run.kind].title if run.kind in STUDIES else run.kind
    with TemporaryDirectory() as folder:
        place = Path(folder) / run.id
        files.begin(place, run, "", used)
        files.end(place, run, "", told, None)
        yield replace(run, title=title, note="", error="", about=_bare_about(run.about)), place, told


def _bare_about(about: Any) -> dict[str, Any]:
    """What is known of it, with the names of the settings that are left out."""
    settings = {name: bare(value) for name, value in about.get("settings", {}).items() if not is_text(name, value)}
    gone = [name for name in about.get("given", ()) if name not in settings]
    model = about.get("model", {})
    return {
        **{name: value for name, value in about.items() if name != "page"},  # what was typed into its form
        "settings": settings,
        "given": [name for name in about.get("given", ()) if name in settings],
        "left_out": gone,
        "recipes": bare(about.get("recipes", [])),
        "model": {**model, "chat": bare(model["chat"])} if "chat" in model else model,
    }
