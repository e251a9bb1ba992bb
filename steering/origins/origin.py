"""What a file says of the run that it comes from: enough to run it again, as plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from steering.confines import UPLOAD
from steering.errors import SteeringError
from steering.guards import MOST_YAML_BYTES, check_size, check_value
from steering.loading.options import LoadOptions


FORMAT = "steering-workbench run"
VERSION = 1
PLACES = ("vectors", "kept", "states", "dictionaries")
"""Settings that name folders and files of one machine, on which no number depends."""
LEFT_OUT = (
    "user",
    "prompt",
    "effect_prompt",
    "system",
    "turns",
    "prompts",
    "text",
    "texts",
    "tokens",
    "instruction",
    "opposite",
    "question",
    "trigger",
)
"""Settings that hold prompts or replies."""
_DTYPES = ("float32", "bfloat16", "float16")
_LONGEST = 400


@dataclass(frozen=True)
class Origin:
    """One run, as its files tell of it."""

    study: str
    settings: Mapping[str, Any]
    """Those that were set."""
    model: Mapping[str, Any]
    """`name`, `load` (what `LoadOptions` takes, where it is no default), `chat`, and what tells whether it is the
    same: `revision`, `dtype`, `device`, `template_digest`, `weights_digest`.
    """
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """The other settings, as they were then."""
    vectors: Mapping[str, str] = field(default_factory=dict)
    """Digests of the vectors that it took, by name."""
    files: Mapping[str, str] = field(default_factory=dict)
    """By setting, the name of a file that has to lie beside."""
    data: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the files of data that settings name."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of packages."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """What it used of packages beside the library's own, such as "method mine", and the package with its version."""
    left_out: tuple[str, ...] = ()
    """Settings that this file leaves out, since they hold prompts or replies."""
    run: str = ""
    """Its id in the workspace where it was made."""
    made: str = ""
    """When, as ISO 8601 in UTC."""
    address: str = ""
    """Of its page, below the workbench's own address."""

    def plain(self) -> dict[str, Any]:
        """As JSON and YAML can hold it; what says nothing is left out."""
        said = {"format": FORMAT, "version": VERSION, **{each.name: getattr(self, each.name) for each in fields(self)}}
        return json.loads(json.dumps({name: _finite(value) for name, value in said.items() if value or name == _FIRST}))

    def to_json(self) -> str:
        """On one line, in ASCII."""
        return json.dumps(self.plain(), separators=(",", ":"))

    def without_texts(self) -> Self:
        """The same without prompts and replies."""
        kept = {name: value for name, value in self.settings.items() if not is_text(name, value)}
        gone = sorted({*self.left_out, *(set(self.settings) - set(kept))})
        said = {name: bare(value) for name, value in kept.items()}
        held = {name: value for name, value in self.defaults.items() if not is_text(name, value)}
        model = {**self.model, "chat": bare(self.model.get("chat"))}
        return replace(self, settings=said, defaults=held, model=model, left_out=tuple(gone))

    @property
    def load(self) -> dict[str, Any]:
        """What `LoadOptions` takes to load the model as it was loaded."""
        given = self.model.get("load")
        return dict(given) if isinstance(given, Mapping) else {}

    @property
    def title(self) -> str:
        """In a line: which run, of what, on which model."""
        run = f"run {self.run}" if self.run else "a run"
        return f"{run} of {self.study} on {self.model.get('name', '')}" + (f", {self.made[:10]}" if self.made else "")


_FIRST = "settings"
"""Said even where there is none."""


def origin_from(said: Any, name: str) -> Origin:
    """An origin from plain data, which anybody may have written.

    Args:
        said: As `Origin.plain` gives it.
        name: Of the file, for messages.

    Raises:
        SteeringError: It is none, of a newer version, or a field is wrong.
    """
    if not isinstance(said, Mapping) or said.get("format") != FORMAT:
        raise no_origin(name)
    check_value(name, said)
    version = said.get("version")
    if version != VERSION:
        raise SteeringError(
            f"{name} is of version {str(version)[:20]} of the format.",
            f"version {VERSION}.",
            "Update the workbench." if isinstance(version, int) and version > VERSION else "Export it again.",
        )
    known = {each.name for each in fields(Origin)}
    for key, value in said.items():
        if key in ("format", "version"):
            continue
        if key not in known:
            raise SteeringError(
                f"{name}, field {str(key)[:60]}: there is none.", f"one of {', '.join(sorted(known))}.", "Remove it."
            )
        _check_field(name, key, value)
    if not said.get("study") or not isinstance(said.get("model"), Mapping) or not said["model"].get("name"):
        raise SteeringError(f"{name} names no study or no model.", "fields study and model.name.", "Export it again.")
    given = {key: said[key] for key in known if key in said}
    given["left_out"] = tuple(given.get("left_out", ()))
    return Origin(**{"settings": {}, **given})


def no_origin(name: str) -> SteeringError:
    """The refusal of a file that does not say which run it comes from."""
    return SteeringError(
        f"{name} does not say which run it comes from.",
        "a file that the workbench exported: a figure (PNG, SVG), a table (CSV), a report (HTML), a vector "
        "(safetensors), result.json, or a run as YAML or notebook.",
        "Export it from its run again, or put the settings in by hand.",
    )


def origin_of(said: Mapping[str, Any], **more: Any) -> Origin:
    """The origin of what was run.

    Args:
        said: `study`, `settings` (all), `given` (names) and `model`, as `steering.studies.study.origin` gives them.
        more: Further fields of `Origin`.
    """
    beside = {name: file for name, (file, _) in uploads_in(said["settings"]).items()}
    settings = {name: value for name, value in said["settings"].items() if name not in (*PLACES, *beside)}
    return Origin(
        study=said["study"],
        settings={name: value for name, value in settings.items() if name in said["given"]},
        defaults={name: value for name, value in settings.items() if name not in said["given"]},
        model=_model(said["model"]),
        files=beside,
        left_out=tuple(name for name in said["given"] if name not in said["settings"]),
        **more,
    )


def uploads_in(settings: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """By setting, an upload's name beside what is exported, with what is selected of it, and its source, which is
    known to the page alone.
    """
    return {
        name: (f"{name}-{value.removeprefix(UPLOAD).partition('/')[2]}", value)
        for name, value in settings.items()
        if isinstance(value, str) and value.startswith(UPLOAD)
    }


def load_of(options: LoadOptions, info: Any) -> dict[str, Any]:
    """What `LoadOptions` takes to load a model again as it stands: what was asked for, with what "auto" came to.

    Args:
        options: How it was loaded.
        info: The `ModelInfo`.
    """
    asked = {name: value for name, value in asdict(options).items() if value != getattr(LoadOptions(), name)}
    came_to = {"dtype": info.dtype} if info.dtype in _DTYPES and not info.quantisation else {}
    if not options.device_map and " " not in info.device:
        came_to["device"] = info.device
    if info.source == "hub" and info.revision:
        came_to["revision"] = info.revision
    return {**asked, **came_to}


def _model(said: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "revision", "dtype", "device", "quantisation", "template_digest", "weights_digest", "load", "chat")
    return {name: said[name] for name in names if said.get(name) not in (None, "", {})}


def _check_field(name: str, key: str, value: Any) -> None:
    """Refuse a value of the wrong kind.

    Raises:
        SteeringError: Naming the field.
    """
    if key in ("study", "run", "made", "address"):
        right, kind = isinstance(value, str) and len(value) <= _LONGEST, f"a text of at most {_LONGEST} characters"
    elif key == "left_out":
        right, kind = (
            isinstance(value, list | tuple) and all(isinstance(each, str) for each in value),
            "a list of names",
        )
    else:
        texts = key in ("vectors", "files", "data", "versions", "plugins")
        right = isinstance(value, Mapping) and all(isinstance(each, str) for each in value)
        right = right and (not texts or all(isinstance(each, str) for each in value.values()))
        kind = "texts by name" if texts else "values by name"
    if not right:
        raise SteeringError(f"{name}, field {key}: {str(value)[:80]!r}.", f"{kind}.", "Correct that field.")


def is_text(name: str, value: Any) -> bool:
    """Whether a setting holds prompts or replies; also an axis of a grid that lists prompts."""
    return name in LEFT_OUT or (name in ("x", "y") and isinstance(value, str) and value.strip().startswith("prompt"))


def bare(value: Any) -> Any:
    """Plain data without what replies begin with."""
    if isinstance(value, Mapping):
        return {name: bare(each) for name, each in value.items() if name != "prefill"}
    return [bare(each) for each in value] if isinstance(value, list | tuple) else value


def _finite(value: Any) -> Any:
    """As JSON has it; numbers that are none become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def check_origin_size(name: str, size: int) -> None:
    """Refuse what says too much, before it is parsed.

    Raises:
        SteeringError: It is too large.
    """
    check_size(name, size, MOST_YAML_BYTES)
