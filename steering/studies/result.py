"""What a study found, and the files that it becomes."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pandas as pd
from pydantic import BaseModel

from steering.errors import SteeringError
from steering.extraction.provenance import versions
from steering.forms.shown import Shown
from steering.model.host import Host
from steering.model.model_info import DEMO_CAVEAT
from steering.model.outcome import marked, warnings
from steering.names import safe_name
from steering.origins.carriers import stamp, stamped
from steering.origins.origin import Origin, load_of, origin_of
from steering.own_files import foreign, typed_path
from steering.plugin_uses import used_by
from steering.studies.measure import Measure
from steering.studies.result_files import RESULT, files_of_study
from steering.studies.result_shown import result_html, result_line, result_text
from steering.studies.setting_kinds import NoSettings
from steering.vectors.files import is_vector_file, save_vector
from steering.vectors.vector import SteeringVector


@dataclass(frozen=True, repr=False)
class Result(Shown):
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
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Plotly figures by what they show, with units on their axes; `write` gives each as a Plotly JSON file."""
    warnings: tuple[str, ...] = ()
    """Of self-checks that the model fails and the result depends on; a table's file has them in a column `warning`."""
    dictionaries: Mapping[str, Path] = field(default_factory=dict, compare=False)
    """Folders of dictionaries that a training wrote, by name; a run keeps a copy of each."""
    run: Origin | None = field(default=None, compare=False)
    """The run that it is of, where it is kept as one."""

    def __repr__(self) -> str:
        return result_line(self)

    def __str__(self) -> str:
        return result_text(self)

    def _repr_html_(self) -> str:
        return result_html(self)

    @classmethod
    def of(
        cls,
        study: str,
        host: Host,
        settings: BaseModel | None,
        *,
        measures: Iterable[Measure] = (),
        tables: Mapping[str, pd.DataFrame] | None = None,
        **more: Any,
    ) -> Self:
        """A result that says where it comes from.

        Args:
            study: Name of the study, or id of the panel.
            host: The model.
            settings: Of the run; None where there is nothing to set.
            measures: Numbers with their uncertainty.
            tables: By name; the first is shown first.
            more: Further fields.
        """
        tables = tables or {}
        said = {"headline": next(iter(tables), ""), **more, "measures": tuple(measures), "tables": tables}
        return cls(**origin(study, host, settings or NoSettings()), **said)

    @property
    def main(self) -> pd.DataFrame:
        """The table to show first; the measures as one where there is no table."""
        measures = pd.DataFrame([asdict(measure) for measure in self.measures])
        return self.tables.get(self.headline, measures)

    @property
    def all_files(self) -> dict[str, str]:
        """Further files, and every figure as one that Plotly reads, by their names."""
        drawn = {f"{safe_name(title)}.plotly.json": figure.to_json() for title, figure in self.figures.items()}
        return {**self.files, **drawn}

    @property
    def origin(self) -> Origin:
        """What its files say of where they come from."""
        if self.run is not None:
            return self.run
        said = {name: getattr(self, name) for name in ("study", "settings", "given", "model")}
        return origin_of(said, versions=versions(), plugins=used_by(self.settings, self.study))

    def write(self, folder: str | Path) -> Path:
        """Write result.json, one CSV a table, one safetensors a vector and what else there is, and return the folder.

        Files of an earlier result are written over; files that no study wrote are not. Each says where it comes from;
        see `steering.origins.carriers`.

        Raises:
            SteeringError: The folder cannot be written, or somebody else's file has the name of one.
        """
        folder, origin = typed_path(folder), self.origin
        texts = {f"{name}.csv": marked(table, self.warnings).to_csv(index=False) for name, table in self.tables.items()}
        texts |= {**self.all_files, RESULT: self.to_json()}
        vectors = {f"{safe_name(name)}.safetensors": vector for name, vector in self.vectors.items()}
        try:
            own = files_of_study(folder)
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
            "files": list(self.all_files),
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
