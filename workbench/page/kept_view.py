"""What a page showed of a run, as plain data: to be kept with the run and shown again without computing anything."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import gradio as gr

from steering.plugin_uses import missing
from workbench.memory import Properties
from workbench.page.blocks import plain_value
from workbench.page.markup import escape
from workbench.runs.run import Run


_log = logging.getLogger(__name__)
RUN = "run"
"""What names a run in a page's address."""
STATES = {
    "done": "",
    "stopped": ", stopped before its end",
    "failed": ", failed",
    "interrupted": ", interrupted: the program ended before it",
    "running": ", still running",
    "queued": ", waiting",
}
"""How a run ended, behind its name."""
RUN_AS = {
    "python": ("Python", "A script that gives the same numbers"),
    "yaml": ("YAML", "For workbench run FILE"),
    "notebook": ("Notebook", "For Jupyter"),
    "all": ("ZIP of all files", "Tables, figures, report and vectors; the page Runs takes it in elsewhere"),
}
"""As what a run is downloaded: what the button says, and its hint."""
_SHOWN = "Nothing was computed for it."
_FINISHED = ("done", "failed")


def named_parts(parts: Iterable[Any]) -> dict[str, Any]:
    """What a kept view can hold of a page, by name: its id, or its kind and place among those without one. Not what
    only this process has (states), nor files for download.
    """
    found: dict[str, Any] = {}
    unnamed: Counter[str] = Counter()
    for part in dict.fromkeys(parts):
        if part.stateful or isinstance(part, gr.DownloadButton):
            continue
        kind = type(part).__name__
        name = str(part.elem_id or f"{kind}-{unnamed[kind]}")
        unnamed[kind] += not part.elem_id
        found[name] = part
    return found


def shown_of(parts: Mapping[str, Any], view: Properties) -> dict[str, Any]:
    """What a page shows, as JSON can hold it: name -> properties as the browser gets them, which its controls take
    again. What JSON cannot hold, of a control of somebody else's, is left out.
    """
    found = {}
    for name, part in parts.items():
        known = view.get(part)
        if not known:
            continue
        try:
            sent = {**known, "value": plain_value(part, known["value"])} if "value" in known else known
            found[name] = json.loads(json.dumps(sent))
        except Exception:
            _log.exception("What %s showed is not kept", name)
    return found


def run_html(id: str, panel: str | None = None) -> str:
    """What can be done with a run: its address, and files that run it again or hold all of it; see `frame/exported.py`
    and `assets/look`.

    Args:
        id: Of the run.
        panel: The panel that shows it, where another page speaks of it: "" where none does. None on its own page.
    """
    kinds = "".join(
        f'<button type="button" class="sw-link" data-run-as="{kind}" title="{escape(told)}">{said}</button>'
        for kind, (said, told) in RUN_AS.items()
    )
    elsewhere = f' data-panel="{escape(panel)}"' if panel is not None else ""
    copy = (
        f'<button type="button" class="sw-link" data-copy-run="{escape(id)}">Copy the link to this run</button>'
        if panel != ""
        else ""
    )
    return (
        f'<p class="sw-run" data-run="{escape(id)}"{elsewhere}>{copy} <span>Download it as</span>{kinds}'
        '<label title="Of these files and of figures. Buttons that give files whole are hidden meanwhile.">'
        '<input type="checkbox" data-bare>without prompts and replies</label>'
        '<span class="sw-note" role="status"></span></p>'
    )


def reopened_html(run: Run, lost: Sequence[str], again: str = "", model: str = "") -> str:
    """What is said above a run that was opened from the list.

    Args:
        run: It.
        lost: Parts of what it showed that the page has no more.
        again: Id of the button that repeats it; "" where there is none.
        model: Name of the model in use; "" while there is none.
    """
    when = datetime.fromisoformat(run.begun).astimezone()
    said = f"<b>{escape(run.title)}</b> on {escape(run.model)}, {when:%d %b %Y %H:%M}{STATES[run.state]}. {_SHOWN}"
    gone = f" Parts that this page no longer has: {escape(', '.join(lost[:8]))}." if lost else ""
    gone += "".join(f" {escape(each)}" for each in missing(run.about.get("plugins", {})))
    error = f" {escape(run.error)}" if run.error else ""
    button = _again_html(run, again, model) if again and run.over else ""
    return f'<p class="sw-was" role="status">{said}{error}{gone}</p>{button}{run_html(run.id)}'


def vectors_html(id: str, missing: Sequence[str], others: Sequence[str]) -> str:
    """What is said of vectors that a run used and that the shelf does not have as they were.

    Args:
        id: Of the run.
        missing: Names that the shelf has no more; the run has copies.
        others: Names under which something else stands there by now.
    """
    said = ""
    if missing:
        names = escape(", ".join(missing[:8]))
        offer = f"Put back on the shelf: {names}"
        said += (
            f'<p class="sw-run"><button type="button" class="sw-link" data-vectors="{escape(id)}">{offer}</button>'
            '<span class="sw-note">The run has a copy.</span></p>'
        )
    if others:
        names = escape(", ".join(others[:8]))
        said += f'<p class="sw-was">On the shelf, {names} is another vector by now: a repetition uses that one.</p>'
    return said


def _again_html(run: Run, again: str, model: str) -> str:
    """The button that repeats a run with what stands in the form, or goes on with it."""
    other = bool(model) and model != run.model
    name = "Run again" if run.state in _FINISHED or other else "Go on"
    name += f" on {model}" if other else ""
    kept = "What was finished before is kept and not computed again. " if not other else ""
    return (
        f'<p class="sw-run"><button type="button" class="sw-link" data-press="{escape(again)}">{escape(name)}</button>'
        f'<span class="sw-note">{kept}Its settings stand in the form; it becomes a run of its own.</span></p>'
    )
