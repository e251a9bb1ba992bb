"""What every study is, and the files that its result becomes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ValidationError

from steering.errors import SteeringError
from steering.host import Host
from steering.lane import Job
from steering.model_info import DEMO_CAVEAT
from steering.names import safe_name, short_name
from steering.recipes import validation_error
from steering.vectors import SteeringVector


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

    def write(self, folder: str | Path) -> Path:
        """Write result.json, one CSV a table, one safetensors a vector and what else there is, and return the folder.

        Raises:
            SteeringError: The folder cannot be written.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, table in self.tables.items():
                table.to_csv(folder / f"{name}.csv", index=False)
            for name, vector in self.vectors.items():
                vector.save(folder / f"{safe_name(name)}.safetensors")
            for name, content in self.files.items():
                (folder / name).write_text(content, encoding="utf-8")
            (folder / "result.json").write_text(self.to_json(), encoding="utf-8")
        except OSError as error:
            raise SteeringError(
                f"The results cannot be written to '{folder}': {error.strerror}.",
                "a folder to write to.",
                "Choose another.",
            ) from error
        return folder

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
        }
        return json.dumps(_finite(content), indent=2, ensure_ascii=False)


def origin(study: str, host: Host, settings: BaseModel) -> dict[str, Any]:
    """The fields of a `Result` that say where it comes from."""
    return {
        "study": study,
        "settings": settings.model_dump(mode="json"),
        "given": tuple(sorted(settings.model_fields_set)),
        "model": {**asdict(host.info), "sites": list(host.info.sites)},
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


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

    def parse(self, given: Mapping[str, Any], *, quick: bool = False) -> BaseModel:
        """Settings from plain values; what is given wins over `quick`.

        Raises:
            SteeringError: Naming the first field that is wrong or unknown.
        """
        try:
            return self.settings.model_validate({**(self.quick if quick else {}), **given})
        except ValidationError as error:
            raise validation_error(f"Settings of {self.name}", error, known=self.settings.model_fields) from error

    def start(self, host: Host, settings: BaseModel) -> Job[Result]:
        """Queue a run on the model thread; a result on a demo model says so in its notes."""

        def work(job: Job[Result]) -> Result:
            result = self.run(host, settings, job)
            return replace(result, notes=(*result.notes, DEMO_CAVEAT)) if host.info.demo else result

        return host.submit(work, title=f"{self.title} on {short_name(host.name)}")
