"""What every study is, and the files that its result becomes."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from pydantic import BaseModel

from steering.errors import SteeringError
from steering.extraction.provenance import versions
from steering.lane import Job
from steering.model.host import Host
from steering.model.model_info import DEMO_CAVEAT
from steering.model.outcome import marked, warnings
from steering.names import safe_name, short_name
from steering.origins.carriers import stamp, stamped
from steering.origins.origin import Origin, load_of, origin_of
from steering.own_files import foreign, typed_path
from steering.recipes.recipe import Recipe
from steering.studies.size import Size
from steering.validation import validated
from steering.vectors.files import is_vector_file, save_vector
from steering.vectors.vector import SteeringVector


RESULT = "result.json"
"""The file that says what a result is and which other files belong to it."""


@dataclass(frozen=True)
class Measure:
    """One number with its uncertainty."""

    name: str
    value: float
    low: float | None
    """Lower end of the 95 % interval, where there is one."""
    high: float | None
    n: int
    """Items behind the number."""
    unit: str = ""


@dataclass(frozen=True)
class Result:
    """What a study found. `write` gives the files; their keys are documented in docs/results.md."""

    study: str
    settings: dict[str, Any]
    """All settings, the defaults included."""
    given: tuple[str, ...]
    """Names of the settings that were set and not left at their default."""
    model: dict[str, Any]
    measures: tuple[Measure, ...]
    tables: Mapping[str, pd.DataFrame]
    headline: str
    """The table to show first."""
    notes: tuple[str, ...] = ()
    vectors: Mapping[str, SteeringVector] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files by their names, such as a recipe or a report."""
    warnings: tuple[str, ...] = ()
    """Of self-checks that the model fails and the result depends on; a table's file has them in a column `warning`."""
    run: Origin | None = field(default=None, compare=False)
    """The run that it is of, where it is kept as one."""

    @property
    def origin(self) -> Origin:
        """What its files say of where they come from."""
        if self.run is not None:
            return self.run
        said = {name: getattr(self, name) for name in ("study", "settings", "given", "model")}
        return origin_of(said, versions=versions())

    def write(self, folder: str | Path) -> Path:
        """Write result.json, one CSV a table, one safetensors a vector and what else there is, and return the folder.

        Files of an earlier result are written over; files that no study wrote are not. Each says where it comes from;
        see `steering.origins.carriers`.

        Raises:
            SteeringError: The folder cannot be written, or somebody else's file has the name of one.
        """
        folder, origin = typed_path(folder), self.origin
        texts = {f"{name}.csv": marked(table, self.warnings).to_csv(index=False) for name, table in self.tables.items()}
        texts |= {**self.files, RESULT: self.to_json()}
        vectors = {f"{safe_name(name)}.safetensors": vector for name, vector in self.vectors.items()}
        try:
            own = _files_of_study(folder)
            for name in (*texts, *vectors):
                path = folder / name
                if os.path.lexists(path) and (name not in own or (name in vectors and not is_vector_file(path))):
                    raise foreign(path)
            folder.mkdir(parents=True, exist_ok=True)
            # All of it is on the disk before any of it takes the place of an earlier result.
            with TemporaryDirectory(dir=folder, prefix=".new-") as new:
                for name, vector in vectors.items():
                    _save(vector, Path(new) / name)
                    stamp(Path(new) / name, origin)
                for name, content in texts.items():
                    data = content.encode("utf-8", "backslashreplace")
                    (Path(new) / name).write_bytes(stamped(name, data, origin))
                for name in (*vectors, *texts):  # the list of what is here comes last
                    os.replace(Path(new) / name, folder / name)
        except OSError as error:
            raise SteeringError(
                f"The results cannot be written to '{folder}': {error.strerror or error}.",
                "a folder that you may write to, with room on its disk.",
                "Free some space there, or choose another folder; what was there before is as it was.",
            ) from error
        return folder

    def archive(self, beside: Mapping[str, Path] | None = None) -> bytes:
        """The files of `write` as one ZIP file.

        Args:
            beside: By name, files that are put with them, such as those that a script of the result reads.

        Raises:
            SteeringError: As `write`, or a file to put with them that cannot be read.
        """
        whole = io.BytesIO()
        with TemporaryDirectory() as folder, zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as packed:
            own = self.write(Path(folder) / "result")
            for path in sorted(own.iterdir()):
                packed.write(path, path.name)
            try:
                for name, path in (beside or {}).items():
                    packed.write(path, name)
            except OSError as error:
                raise SteeringError(
                    f"The file '{name}' cannot be put with the results: {error.strerror or error}.",
                    "the file that was measured on.",
                    "Upload it again.",
                ) from error
        return whole.getvalue()

    def to_json(self) -> str:
        """The content of result.json. NaN and infinity become null."""
        content = {
            "study": self.study,
            "settings": self.settings,
            "given": list(self.given),
            "model": self.model,
            "measures": [asdict(measure) for measure in self.measures],
            "tables": {name: f"{name}.csv" for name in self.tables},
            "vectors": {name: f"{safe_name(name)}.safetensors" for name in self.vectors},
            "files": list(self.files),
            "notes": list(self.notes),
            "origin": self.origin.plain(),
        }
        return json.dumps(_finite(content), indent=2, ensure_ascii=False)


def _save(vector: SteeringVector, path: Path) -> None:
    """A vector's file; what the system says against it is told of the result as a whole."""
    try:
        save_vector(vector, path)
    except SteeringError as error:
        cause = error.__cause__
        raise (cause if isinstance(cause, OSError) else OSError(" ".join(str(cause).split()))) from error


def check_folder(folder: str | Path) -> None:
    """Say before a study runs whether its files can be written to a folder.

    Raises:
        SteeringError: It is no folder, or holds files and none of them is the result of a study.
    """
    folder = typed_path(folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise foreign(folder)
    if any(folder.iterdir()) and not _files_of_study(folder):
        raise SteeringError(
            f"The folder '{folder}' holds files, and no study of the workbench wrote them.",
            f"a new or empty folder, or one with the {RESULT} of a study, whose files are written over.",
            "Choose another folder.",
        )


def _files_of_study(folder: Path) -> set[str]:
    """The names of the files of the result that a folder holds; none where it holds none."""
    try:
        said = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        if not {"study", "settings", "measures", "tables"} <= said.keys():
            return set()
        parts = (*said["tables"].values(), *said["vectors"].values(), *said.get("files", ()))
        return {RESULT, *map(str, parts)}
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return set()


def origin(study: str, host: Host, settings: BaseModel) -> dict[str, Any]:
    """The fields of a `Result` that say where it comes from."""
    return {
        "study": study,
        "settings": settings.model_dump(mode="json"),
        "given": tuple(sorted(settings.model_fields_set)),
        "model": {
            **asdict(host.info),
            "sites": list(host.info.sites),
            "load": load_of(host.options, host.info),
            "chat": host.chat.model_dump(mode="json"),
            "warnings": list(host.warnings),
        },
    }


def told(result: Result, host: Host, notes: Iterable[str] = (), *, without: frozenset[str] = frozenset()) -> Result:
    """A result that says what its reader should know of the model: that it is a demo model, or failed a self-check.

    Args:
        result: As the study gave it.
        host: The model.
        notes: What was said while the study ran.
        without: Self-checks on which the result does not depend.
    """
    caveat = (DEMO_CAVEAT,) if host.info.demo else ()
    failed = warnings(host.name, host.check, without=without)
    said = dict.fromkeys((*result.notes, *notes, *failed, *caveat))
    return replace(result, notes=tuple(said), warnings=failed)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def named_vectors(settings: BaseModel) -> set[str]:
    """The vectors that the recipes among settings name."""
    return {name for recipe in recipes_of(settings) for name in recipe.vectors}


def recipes_of(settings: BaseModel) -> tuple[Recipe, ...]:
    """The recipes among settings."""
    values = [each for _, value in settings for each in (value if isinstance(value, tuple | list) else (value,))]
    return tuple(each for each in values if isinstance(each, Recipe))


@dataclass(frozen=True)
class Study:
    """An experiment: what it is called, what can be set, and how it runs."""

    name: str
    title: str
    summary: str
    settings: type[BaseModel]
    run: Callable[[Host, Any, Job[Result]], Result]
    """Called on the model thread."""
    quick: Mapping[str, Any] = field(default_factory=dict)
    """Settings that make it short, for a first look."""
    size: Callable[[Host, Any], Size] | None = None
    """Counts from the settings what a run will do, at most, without touching the model; None where nobody counts."""
    without: frozenset[str] = frozenset()
    """Self-checks on which its results do not depend."""
    uses: Callable[[Any], Collection[str] | None] = named_vectors
    """Names of the vectors that a run with these settings looks for; None where it takes all that there are."""

    def parse(self, given: Mapping[str, Any], *, quick: bool = False) -> BaseModel:
        """Settings from plain values; what is given wins over `quick`.

        Raises:
            SteeringError: Naming the first field that is wrong or unknown.
        """
        known = self.settings.model_fields
        all_given = {**(self.quick if quick else {}), **given}
        return validated(self.settings, all_given, f"Settings of {self.name}", known=known)

    def start(self, host: Host, settings: BaseModel) -> Job[Result]:
        """Queue a run on the model thread; the notes say that a model is a demo model, or failed a self-check."""

        def work(job: Job[Result]) -> Result:
            return told(self.run(host, settings, job), host, job.notes, without=self.without)

        return host.submit(work, title=f"{self.title} on {short_name(host.name)}")
