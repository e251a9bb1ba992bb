"""A run as a Python script and as a notebook: the same settings, model and vectors through the public library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pprint import pformat
from typing import Any

from steering.model.chat_settings import ChatSettings
from steering.names import safe_name
from steering.origins.beside import FOLDER
from steering.origins.origin import Origin


_SHOW = "print(result.main.to_string())"


def script(origin: Origin, *, folder: str = FOLDER, out: str = "again") -> str:
    """A Python script that runs it again and writes the result.

    Args:
        origin: Of the run.
        folder: Where the vectors lie, beside the script.
        out: Where the result is written, beside the script.
    """
    parts = [f'"""{_heading(origin)}"""', *_steps(_named(origin), "Path(__file__).parent", folder, out)]
    return "\n\n".join(parts) + "\n"


def notebook(origin: Origin, *, folder: str = FOLDER, out: str = "again") -> str:
    """The same as a Jupyter notebook (nbformat 4.5), with a cell a step.

    Args:
        origin: Of the run.
        folder: Where the vectors lie, beside the notebook.
        out: Where the result is written, beside the notebook.
    """
    steps = list(_steps(_named(origin), "Path.cwd()", folder, out))
    cells = [_cell(0, "markdown", _heading(origin)), *(_cell(n, "code", step) for n, step in enumerate(steps, start=1))]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "origin": origin.plain()}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _heading(origin: Origin) -> str:
    """What it is, in words that no quote ends."""
    version = origin.versions.get("steering-workbench")
    made = f"Made by Steering Workbench {version}. " if version else ""
    beside = f" The vectors that it took lie in the folder `{FOLDER}` beside it." if origin.vectors else ""
    said = (
        f"{origin.title[:1].upper()}{origin.title[1:]}, to be run again.\n\n{made}Needs the library `steering`.{beside}"
    )
    return said.replace("\\", "/").replace('"', "'") + "\n"


def _steps(origin: Origin, here: str, folder: str, out: str) -> Iterable[str]:
    """What the script does, a step a text."""
    place = f'HERE / "{folder}"' if folder else "HERE"
    chat = _chat(origin)
    names = ["Host", "LoadOptions"] if origin.load else ["Host"]
    lines = [f"from steering import {', '.join(names)}"]
    lines += ["from steering.model.chat_settings import ChatSettings"] if chat else []
    lines += ["from steering.origins.beside import vectors_beside"] if origin.vectors else []
    lines += ["from steering.plugin_uses import require"] if origin.plugins else []
    yield "\n".join(["from pathlib import Path", "", *lines, "from steering.studies import find_study"])
    needed = f"require({pformat(dict(origin.plugins), width=100)})\n" if origin.plugins else ""
    yield f"{needed}HERE = {here}\nSETTINGS = {_settings(origin)}"
    options = ", ".join(f"{name}={value!r}" for name, value in sorted(origin.load.items()))
    load = f"host = Host.load({origin.model['name']!r}{f', options=LoadOptions({options})' if options else ''})"
    under = f"\nhost = host.under(ChatSettings(**{pformat(chat, width=100, sort_dicts=False)}))" if chat else ""
    yield load + under
    beside = [f"{name!r}: str(HERE / SETTINGS[{name!r}])" for name in origin.files]
    beside += [f'"vectors": vectors_beside({place}, {dict(origin.vectors)!r})'] if origin.vectors else []
    given = f"{{**SETTINGS, {', '.join(beside)}}}" if beside else "SETTINGS"
    yield f"study = find_study({origin.study!r})\nresult = study.start(host, study.parse({given})).result()"
    yield f'result.write(HERE / "{out}")\n{_SHOW}'


def _settings(origin: Origin) -> str:
    """Those that were set, as Python; what is left out stands there as `...`, which no setting takes."""
    lines = [f"    {name!r}: {_indented(value)}," for name, value in {**origin.settings, **origin.files}.items()]
    lines += [f"    {name!r}: ...,  # left out of this file: put it here" for name in origin.left_out]
    return "{\n" + "\n".join(lines) + "\n}" if lines else "{}"


def _indented(value: Any) -> str:
    return pformat(value, width=100, sort_dicts=False).replace("\n", "\n    ")


def _chat(origin: Origin) -> dict[str, Any]:
    """Chat settings of the model that are no default."""
    given = origin.model.get("chat")
    known = ChatSettings().model_dump(mode="json")
    return {name: value for name, value in (given or {}).items() if value != known.get(name)}


def _named(origin: Origin) -> Origin:
    """With vectors called as their files are, so that studies find them; names of a shelf stay as they are."""
    names = {name: safe_name(name) for name in origin.vectors if safe_name(name) != name}
    if not names:
        return origin
    settings = {name: _renamed(value, names) for name, value in origin.settings.items()}
    return replace(origin, settings=settings, vectors={safe_name(name): each for name, each in origin.vectors.items()})


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Recipes among settings, with other names for their vectors."""
    if isinstance(value, Mapping):
        return {
            key: [names.get(name, name) for name in each]
            if key == "others" and isinstance(each, list)
            else names.get(each, each)
            if key == "vector" and isinstance(each, str)
            else _renamed(each, names)
            for key, each in value.items()
        }
    return [_renamed(each, names) for each in value] if isinstance(value, list | tuple) else value


def _cell(number: int, kind: str, source: str) -> dict[str, Any]:
    code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source, **code}
