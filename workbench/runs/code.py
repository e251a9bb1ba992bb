"""A run of the workspace as files that run it again: script, notebook, YAML, with the vectors that they take."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

from steering.errors import SteeringError
from steering.origins.beside import FOLDER, vector_file
from steering.origins.origin import Origin
from steering.origins.run_file import run_file
from steering.origins.script import notebook, script
from steering.studies import STUDIES
from steering.studies.without_texts import vector_without_texts
from steering.texts.sources import SELECT, local_file
from steering.vectors.files import save_vector
from steering.vectors.vector import SteeringVector
from workbench.library.uploads import Uploads
from workbench.runs.origin import origin_of_run
from workbench.runs.run import Run
from workbench.workspace import Workspace


Kind = Literal["python", "yaml", "notebook"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_ENDINGS: Mapping[Kind, str] = {"python": ".py", "yaml": ".yaml", "notebook": ".ipynb"}
_WRITTEN = {"python": script, "yaml": run_file, "notebook": notebook}


def as_files(workspace: Workspace, id: str, kind: str, *, texts: bool = True) -> dict[str, bytes]:
    """A run as files that run it again, by their names: the script, notebook or YAML first, then what it reads.

    Args:
        workspace: Where the run is kept, with copies of the data that it read.
        id: Its id.
        kind: One of `KINDS`.
        texts: Whether prompts and replies are in them.

    Raises:
        SteeringError: There is no such run or kind, no study can run it again, or a vector or file of it is gone.
    """
    found = next((each for each in KINDS if each == kind), None)
    if found is None:
        raise SteeringError(f"A run as '{kind[:40]}' was asked for.", f"one of {', '.join(KINDS)}.")
    runs = workspace.runs
    run = runs.get(id)
    if run.kind not in STUDIES:
        raise SteeringError(
            f"The run '{run.title}' is of the panel '{run.kind}', which no installed package offers, so that code "
            "elsewhere could not find it; a file of --panels-dir is known to its own page alone.",
            f"a run of {', '.join(STUDIES)}.",
            "Run it again on its page, or put the panel into a package (workbench panels new).",
        )
    origin, data = _with_data(origin_of_run(run), run, workspace.uploads if texts else None)
    told = origin if texts else origin.without_texts()
    first = {f"{run.kind}-{run.id[:8]}{_ENDINGS[found]}": _WRITTEN[found](told).encode("utf-8", "backslashreplace")}
    return {**first, **_vector_files(runs.used(id), origin, texts=texts), **data}


def packed(files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Such files as one: the only one as it is, several as a ZIP of the first one's name; gives name and content."""
    first = next(iter(files))
    if len(files) == 1:
        return first, files[first]
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return f"{first.rpartition('.')[0]}.zip", whole.getvalue()


def write_files(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write such files into a folder; gives the path of the first one.

    Raises:
        SteeringError: One of them is there already, or the folder cannot be written.
    """
    for name in files:
        if (folder / name).exists() and (folder / name).read_bytes() != files[name]:
            raise SteeringError(f"'{folder / name}' is there already.", "a new or empty folder.", "Choose another.")
    try:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    except OSError as error:
        raise SteeringError(
            f"'{folder}' cannot be written: {error.strerror}.", "a folder that you may write to, with room on its disk."
        ) from error
    return folder / next(iter(files))


def _vector_files(used: Mapping[str, SteeringVector], origin: Origin, *, texts: bool) -> dict[str, bytes]:
    """The copies of the vectors that it took.

    Raises:
        SteeringError: One is not among them.
    """
    missing = [name for name in origin.vectors if name not in used]
    if missing:
        raise SteeringError(
            f"The run's copy of the vector '{missing[0]}' is gone or damaged.",
            "the vectors that the run took, beside it in the workspace.",
            "Run it again from its page.",
        )
    found = {}
    with TemporaryDirectory() as folder:
        for name in origin.vectors:
            vector = used[name] if texts else vector_without_texts(used[name])
            path = save_vector(vector.renamed(name), Path(folder) / vector_file(name))
            found[f"{FOLDER}/{path.name}"] = path.read_bytes()
    return found


def _with_data(origin: Origin, run: Run, uploads: Uploads | None) -> tuple[Origin, dict[str, bytes]]:
    """An origin whose settings name files beside it in place of files of this machine, and those files.

    Args:
        origin: Of the run.
        run: Which.
        uploads: Where copies are; None where the files, which are texts, are to be left out.

    Raises:
        SteeringError: One is gone, or another one by now.
    """
    known = run.about.get("data", {})
    named = {name: value for name, value in run.about["settings"].items() if isinstance(value, str) and value in known}
    beside, contents = {}, {}
    for setting, source in named.items():
        place, chosen = source.rpartition(SELECT)[::2] if SELECT in source else (source, "")
        name = f"{setting}-{place.replace(chr(92), '/').rpartition('/')[2]}"
        beside[setting] = f"{name}{SELECT}{chosen}" if chosen else name
        if uploads is not None:
            contents[name] = _copy(uploads, setting, place.strip(), known[source])
    kept = {name: value for name, value in origin.settings.items() if name not in beside}
    return replace(origin, settings=kept, files={**origin.files, **beside}), contents


def _copy(uploads: Uploads, setting: str, place: str, digest: str) -> bytes:
    """The data that a run read: the workspace's copy, or the file itself where it is still the same."""
    paths = []
    with suppress(SteeringError):
        paths.append(uploads.files / digest / uploads.get(digest).name)
    with suppress(SteeringError):
        paths.append(local_file(place))
    for path in paths:
        with suppress(OSError):
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == digest:
                return content
    raise SteeringError(
        f"The file '{place.rpartition('/')[2]}' of the setting '{setting}' is not here as it was when it was read.",
        "the file that was measured on.",
        "Upload it again on the page, or put it back.",
    )
