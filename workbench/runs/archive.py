"""Runs as one ZIP file that can be read without the workbench, and taken in by another one (`arrivals.py`)."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from steering.errors import SteeringError
from steering.figures.drawing import is_figure, svg
from steering.figures.plain import plain
from steering.model.outcome import marked
from steering.names import safe_name
from steering.origins.carriers import stamped
from steering.studies.overlays import overlays
from steering.studies.study import RESULT, Measure, Result
from workbench.runs.bare import without_texts_of
from workbench.runs.contents import FORMAT, LIST, PLACES, VERSION, as_json, digest, members, told
from workbench.runs.run import Run
from workbench.runs.runs import Runs


_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file within, so that the same runs give the same archive."""
_LEGEND = """\
# Runs of Steering Workbench

Results of experiments on language models, as they were kept. Nothing is needed to read them: tables are CSV, figures
SVG, the rest is JSON and text. Steering Workbench takes the whole file in and shows each run as it was:
`workbench runs import FILE`, or on its page Runs.
"""
_PARTS = """\
## What is in a folder

| file | what |
|---|---|
| `result.json` | what was asked of which model, settings, versions, digests; measures with 95 % intervals; notes |
| `tables/*.csv` | every table |
| `tables/*.parquet` | the same with their types, for the workbench |
| `files/` | reports (HTML), recipes and code |
| `figures/*.svg` | figures that the page showed; of a run of the command line its curves, more in its report |
| `vectors/*.safetensors` | steering vectors that the run made |
| `used/*.safetensors` | those that it used |
| `dictionaries/NAME/` | sparse dictionaries that it trained, as sae-lens reads them |
| `view.json`, `details/*.json` | what the page showed and what clicks on it open, to show it again |
"""


def write_archive(runs: Runs, ids: Sequence[str], file: BinaryIO, *, texts: bool = True) -> None:
    """Write runs into a ZIP file.

    Args:
        runs: Of a workspace.
        ids: Which, in order.
        file: Where to.
        texts: Whether prompts and replies are in it, with reports and what the page showed.

    Raises:
        SteeringError: There is no such run, one goes on, or its files are damaged.
    """
    chosen = [runs.get(id) for id in dict.fromkeys(ids)]
    if not chosen:
        raise SteeringError("No run was chosen.", "one or several runs.", "Choose some in the list.")
    listed, about, told_runs = [], [], []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, run in enumerate(chosen, 1):
            with _told_whole(runs, run, texts=texts) as (told_run, place, result):
                folder = f"{number:02} {safe_name(told_run.title)}"
                sums = _put_run(archive, folder, told_run, place, result, (runs.view(run.id) or {}) if texts else {})
                about.append(_told(told_run, folder, result))
            told_runs.append(told_run)
            listed.append({"folder": folder, "id": run.id, "digest": digest(told_run, sums)})
        _put(archive, LIST, as_json({"format": FORMAT, "version": VERSION, "runs": listed}))
        _put(archive, "README.md", _readme(told_runs, listed, about).encode("utf-8", "backslashreplace"))


@contextmanager
def _told_whole(runs: Runs, run: Run, *, texts: bool) -> Iterator[tuple[Run, Path, Result | None]]:
    """A run with the folder of its files and its result; see `without_texts_of`."""
    result = _whole(runs, run)
    if texts:
        yield run, runs.folder / run.id, result
        return
    with without_texts_of(runs, run, result) as told:
        yield told


def _put_run(
    archive: zipfile.ZipFile, folder: str, run: Run, place: Path, result: Result | None, view: dict[str, object]
) -> dict[str, str]:
    """Put the files of a run into a folder; gives the digests of those that count."""
    sums, origin = {}, result.origin if result else None
    for name, content in _files(place, run, result, view):
        counts = not name.endswith((".csv", ".svg"))
        if counts:
            sums[name] = hashlib.sha256(content).hexdigest()
        content = content if counts or origin is None else stamped(name, content, origin)
        _put(archive, f"{folder}/{name}", _with_run(content, run) if name == RESULT else content)
    if RESULT not in sums:
        _put(archive, f"{folder}/{RESULT}", _with_run(b"{}", run))
    return sums


def archive_name(runs: Sequence[Run], *, texts: bool = True) -> str:
    """What such a file is called; titles quote prompts."""
    if len(runs) == 1 and not texts:
        return f"{safe_name(runs[0].kind)}-{runs[0].id[:8]}.zip"
    return f"{safe_name(runs[0].title)}.zip" if len(runs) == 1 else f"{len(runs)} runs.zip"


def _whole(runs: Runs, run: Run) -> Result | None:
    if not run.over:
        raise SteeringError(f"The run “{run.title}” goes on.", "runs that have ended.", "Wait for it, or stop it.")
    return runs.result(run.id)


def _files(place: Path, run: Run, result: Result | None, view: dict[str, object]) -> Iterator[tuple[str, bytes]]:
    """All files of a run's folder in the archive."""
    try:
        yield from members(place)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, AttributeError) as error:
        raise SteeringError(
            f"The files of the run “{run.title}” are damaged: {error}.",
            "the files of a run as the workbench wrote them.",
            "Leave it out, or run it again with its settings.",
        ) from error
    if result is not None:
        names = json.loads((place / RESULT).read_text(encoding="utf-8"))["tables"]
        for name, table in result.tables.items():
            text = marked(table, result.warnings).to_csv(index=False)
            yield f"tables/{names[name]}.csv", text.encode("utf-8", "backslashreplace")
    yield from _drawn(_shown_figures(view) or (_own_figures(result) if result is not None else {}))


def _shown_figures(view: Mapping[str, object]) -> dict[str, Mapping[str, Any]]:
    """The figures that a page showed, by the names of their places."""
    shown = view.get("shown")
    parts = shown.items() if isinstance(shown, dict) else ()
    values = {name: part.get("value") for name, part in parts if isinstance(part, dict)}
    return {name: figure for name, figure in values.items() if is_figure(figure)}


def _own_figures(result: Result) -> dict[str, Mapping[str, Any]]:
    """The curves of a result that no page showed."""
    charts = overlays((result,), ("",))
    return {title: {**plain(figure), "title": title, "caption": caption} for title, figure, caption in charts}


def _drawn(figures: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, bytes]]:
    taken: set[str] = set()
    for name, figure in figures.items():
        called = safe_name(str(figure.get("title") or name))
        called = called if called.casefold() not in taken else safe_name(f"{name} {called}")
        taken.add(called.casefold())
        try:
            drawn = svg(figure)
        except ValueError:  # of somebody else's page; its data is in view.json
            continue
        yield f"figures/{called}.svg", drawn.encode("utf-8", "backslashreplace")


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    archive.writestr(entry, content)


def _with_run(result: bytes, run: Run) -> bytes:
    return as_json({"run": told(run), **json.loads(result)})


def _readme(chosen: Sequence[Run], listed: Sequence[dict[str, str]], about: Sequence[str]) -> str:
    rows = [
        f"| {each['folder']} | {_cell(run.title)} | {run.kind} | {_cell(run.model)} | {run.begun[:16]} | {run.state} |"
        for run, each in zip(chosen, listed, strict=True)
    ]
    head = "| folder | run | kind | model | begun (UTC) | state |\n|---|---|---|---|---|---|"
    return "\n".join([_LEGEND, head, *rows, "", _PARTS, *about])


def _told(run: Run, folder: str, result: Result | None) -> str:
    """What the README says of one run."""
    settings = run.about.get("settings", {})
    given = [
        f"- {_cell(name)}: {_cell(settings.get(name))}" for name in run.about.get("given", ()) if name not in PLACES
    ]
    parts = [f"## {folder}", *filter(None, (_cell(run.error), _cell(run.note)))]
    parts += ["Settings that were given:", "\n".join(given)] if given else []
    if result is not None:
        head = "| measure | value | 95 % interval | n | unit |\n|---|---|---|---|---|\n"
        parts += [head + "\n".join(map(_measure, result.measures))] if result.measures else []
        parts += ["\n".join(f"- {_cell(note)}" for note in result.notes)] if result.notes else []
    return "\n\n".join(parts) + "\n"


def _measure(measure: Measure) -> str:
    known = measure.low is not None and measure.high is not None
    interval = f"{measure.low:.4g} to {measure.high:.4g}" if known else ""
    return f"| {_cell(measure.name)} | {measure.value:.4g} | {interval} | {measure.n} | {_cell(measure.unit)} |"


def _cell(value: object) -> str:
    """A text in a table of Markdown: one line, and no markup of its own."""
    text = " ".join(str(value).split())[:500]
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>|#" else letter for letter in text)
