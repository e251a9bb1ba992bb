"""`workbench run FILE`: a run from what a file says of it; and `workbench runs code`, which writes such files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.console import ERR, OUT, reported
from workbench.cli.options import WithoutTexts, WorkspaceFolder, load_defaults, load_host


if TYPE_CHECKING:
    from steering.model.chat_settings import ChatSettings
    from steering.model.host import Host
    from steering.origins.origin import Origin
    from workbench.workspace import Workspace

RUNS_CODE = "trust_remote_code"
"""The option to run code that a model brings, which only who types it can give."""


@dataclass(frozen=True)
class RunFile:
    """What a file says of a run, and where it lies."""

    origin: Origin
    folder: Path
    trusts_code: bool
    """Whether the run's model was loaded with code of its own, which a file cannot ask for."""

    @property
    def chat(self) -> ChatSettings:
        """How the template was used."""
        from steering.model.chat_settings import ChatSettings
        from steering.validation import validated

        given = self.origin.model.get("chat") or {}
        return validated(ChatSettings, given, "Chat settings of the file")

    def given(self, typed: Mapping[str, Any], workspace: Workspace) -> dict[str, Any]:
        """What to give the study: the file's settings, with its vectors' folder, and the workspace's copies of data
        that is gone or has changed; what was typed goes before.

        Raises:
            SteeringError: A setting or a vector that is missing.
        """
        from steering.studies import find_study
        from steering.studies.again import given_by

        found = given_by(self.origin, self.folder, typed)
        found = {**from_copies(workspace, found, self.origin.data), **typed}
        if self.origin.vectors and "vectors" in find_study(self.origin.study).settings.model_fields:
            found.setdefault("vectors", _vectors(self.origin, self.folder, workspace))
        return found


def from_copies(workspace: Workspace, given: Mapping[str, Any], data: Mapping[str, str]) -> dict[str, Any]:
    """Settings of a run with the workspace's copies in place of files that are gone or have changed; says so."""
    from workbench.library.run_data import with_data

    found, said = with_data(workspace.uploads, given, data)
    for line in said:
        ERR.print(line, highlight=False, markup=False)
    return dict(found)


def run_file(named: str) -> RunFile | None:
    """The file, or folder of a result, that was named in place of a study; None where a study was.

    Raises:
        SteeringError: The file carries no run, or a wrong one.
    """
    from steering.origins.carriers import file_origin
    from steering.own_files import typed_path
    from steering.studies import STUDIES
    from steering.studies.study import RESULT

    path = typed_path(named)
    if named in STUDIES or not (path.suffix or path.exists()):
        return None
    path = path / RESULT if path.is_dir() else path
    origin = file_origin(path)
    return RunFile(origin, path.parent, bool(origin.load.get(RUNS_CODE)))


def host_of(file: RunFile, load: Mapping[str, Any]) -> Host:
    """The file's model, loaded as it was loaded where nothing else was typed; says where it is another one.

    Raises:
        SteeringError: As `Host.load`, or the file names an option that there is not.
    """
    from steering.model.fingerprint import fingerprint

    origin = file.origin
    host = load_host(origin.model["name"], _options(file, load, load_defaults()), file.chat)
    same = {"weights_digest": fingerprint(host), "template_digest": host.info.template_digest}
    other = [name.replace("_digest", "") for name, now in same.items() if origin.model.get(name, now) != now]
    if other:
        ERR.print(f"The model's {' and '.join(other)} are others than the run's: numbers will differ.", highlight=False)
    return host


def _options(file: RunFile, load: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    from steering.errors import SteeringError
    from steering.field_words import place_words

    options = {name: value for name, value in file.origin.load.items() if name != RUNS_CODE}
    for name, value in options.items():
        if name not in defaults or not isinstance(value, str | bool):
            raise SteeringError(
                f"{place_words('The file', ('model', 'load', name))}: {str(value)[:40]!r}.",
                f"one of {', '.join(defaults)}.",
                "Correct that field.",
            )
    if file.trusts_code and not load[RUNS_CODE]:
        ERR.print("The run's model brought code of its own; give --trust-remote-code to run it.", highlight=False)
    typed = {name: value for name, value in load.items() if name not in defaults or value != defaults[name]}
    return {**defaults, **options, **typed}


def code(
    id: Annotated[str, typer.Argument(help="The run's id, as `runs list` shows it.")],
    kind: Annotated[str, typer.Option("--as", help="python, yaml (for `workbench run FILE`) or notebook.")] = "python",
    out: Annotated[Path | None, typer.Option(help="Folder for it and the vectors that it takes.")] = None,
    bare: WithoutTexts = False,
    workspace: WorkspaceFolder = None,
) -> None:
    """Print a run as code that runs it again, or write it with the vectors that it takes into a folder."""
    with reported():
        from workbench.runs.code import as_files, write_files
        from workbench.workspace import Workspace

        files = as_files(Workspace(workspace), id, kind, texts=not bare)
        if out is not None:
            OUT.print(f"Written to {write_files(files, out)}", highlight=False)
            return
        first, *beside = files
        print(files[first].decode("utf-8", "backslashreplace"), end="")
        if beside:
            ERR.print(f"Beside it belong {', '.join(beside)}: give --out FOLDER to write them too.", highlight=False)


def _vectors(origin: Origin, folder: Path, workspace: Workspace) -> str:
    """The folder with the vectors that the run took: beside the file, the run's copies, or the shelf.

    Raises:
        SteeringError: None of these has all of them.
    """
    from steering.errors import SteeringError
    from steering.origins.beside import FOLDER, vectors_beside

    places = [folder / FOLDER, folder, workspace.runs.folder / _plain(origin.run) / "used", workspace.shelf]
    for place in places:
        try:
            return vectors_beside(place, origin.vectors)
        except SteeringError:
            continue
    raise SteeringError(
        f"The vectors that the run took are not here: {', '.join(origin.vectors)}.",
        f"their files in the folder '{FOLDER}' beside the file, or the run itself in this workspace.",
        "Export the run with its vectors: workbench runs code ID --as yaml --out FOLDER.",
    )


def _plain(id: str) -> str:
    """An id as a folder's name; anything else is none."""
    return id if id.isalnum() else "-"
