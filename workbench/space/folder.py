"""A Space's folder: everything that is pushed to the Hub, the workbench's own code included."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio
import yaml

import steering
from steering.errors import SteeringError
from steering.loading.demo_models import demo_models
from steering.resources import resource
from workbench.discovery import Catalogue, discover
from workbench.doors.limits import Limits
from workbench.space import pins
from workbench.space.settings import Space


_PACKAGES = ("steering", "workbench", "panels")
_BESIDE = Path(str(steering.__file__)).parent.parent
"""Where all of them lie."""
_DATA = Path("steering", "data")
"""Where the packages look for what ships with them, before anywhere else."""
_LEFT_OUT = ("screenshots", "models")
"""Of the assets: models are copied one by one."""
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


@dataclass(frozen=True)
class Card:
    """How the Hub shows a Space."""

    title: str = "Steering Workbench"
    emoji: str = "🧭"
    colours: tuple[str, str] = ("blue", "yellow")


def write_space(folder: Path, space: Space, card: Card | None = None) -> list[str]:
    """Write a Space; gives the names of what lies in the folder.

    Args:
        folder: A new or empty folder, or one that this wrote before, whose files are written anew.
        space: What it shows.
        card: How the Hub shows it.

    Raises:
        SteeringError: A model that a Space cannot load, a panel that does not exist, or a folder with other files.
    """
    _check_model(space.model)
    _check_panels(discover(), space.panels)
    _check_folder(folder)
    Limits.of(space.limits)
    files = {
        "app.py": _app(space),
        "README.md": _readme(space, card or Card()),
        "requirements.txt": pins.requirements(),
        ".gitattributes": _LARGE_FILES,
        _MARK: "",
    }
    try:
        for package in _PACKAGES:
            _copy_package(_BESIDE / package, folder / package)
        for source, target in _data(space):
            shutil.copytree(source, folder / _DATA / target, dirs_exist_ok=True, ignore=_ignored)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SteeringError(
            f"The Space cannot be written to '{folder}': {error.strerror or error}.",
            "a folder that you may write to, with room on its disk.",
        ) from error
    return sorted(each.name for each in folder.iterdir())


def _check_model(name: str) -> None:
    if name in demo_models() or _HUB_ID.fullmatch(name):
        return
    raise SteeringError(
        f"A Space cannot load '{name}'.",
        f"an id on the Hub, such as Qwen/Qwen3-0.6B, or one of {', '.join(demo_models())}: a folder of this machine "
        "is not there.",
        "Put the model on the Hub first, if need be for yourself alone.",
    )


def _check_panels(known: Catalogue, asked: Sequence[str]) -> None:
    for name in asked:
        source = known.sources[known.get(name).id]
        if not source.startswith("panels."):
            raise SteeringError(
                f"The panel '{name}' comes from {source}, which is not written into the Space.",
                "panels that come with the workbench.",
                "Leave it out here, add its package to the Space's requirements.txt and its id to app.py.",
            )


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise SteeringError(f"'{folder}' is a file.", "a folder.", "Choose another name.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise SteeringError(
            f"The folder '{folder}' holds files, and no Space of the workbench is among them.",
            "a new or empty folder, or one that `workbench space new` wrote.",
            "Choose another folder.",
        )
    folder.mkdir(parents=True, exist_ok=True)


def _copy_package(source: Path, target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target, ignore=_ignored)


def _ignored(folder: str, names: list[str]) -> set[str]:
    left_out = {"__pycache__", *(_LEFT_OUT if Path(folder).name == "assets" else ())}
    if Path(folder).name == "steering":
        left_out.add("data")
    return {name for name in names if name in left_out or name.endswith(".pyc")}


def _data(space: Space) -> Iterator[tuple[Path, Path]]:
    yield resource("presets"), Path("presets")
    yield resource("assets"), Path("assets")
    if space.model in demo_models():
        yield resource("assets", "models", space.model), Path("assets", "models", space.model)


def _app(space: Space) -> str:
    default = Space()
    given = {each.name: getattr(space, each.name) for each in fields(Space)}
    lines = "".join(
        f"    {name}={value!r},\n"
        for name, value in given.items()
        if name == "model" or value != getattr(default, name)
    )
    return f'''"""The Space's page. What it can be told stands in workbench/space/settings.py."""

import spaces  # noqa: F401 - before anything that may look for a GPU

from workbench.space.app import start
from workbench.space.settings import Space


SPACE = Space(
{lines})

if __name__ == "__main__":
    start(SPACE)
'''


def _readme(space: Space, card: Card) -> str:
    hub = space.model not in demo_models()
    head: dict[str, Any] = {
        "title": card.title,
        "emoji": card.emoji,
        "colorFrom": card.colours[0],
        "colorTo": card.colours[1],
        "sdk": "gradio",
        "sdk_version": gradio.__version__,
        "python_version": pins.PYTHONS[-1],
        "app_file": "app.py",
        "short_description": f"See and steer what {space.model.rpartition('/')[2]} represents"[: pins.LONGEST],
        "suggested_hardware": "zero-a10g" if hub else "cpu-basic",
        "startup_duration_timeout": "1h" if hub else "30m",
        "fullWidth": True,
        "header": "mini",
        "tags": ["interpretability", "steering-vectors"],
        **({"models": [space.model], "preload_from_hub": [_preloaded(space)]} if hub else {}),
    }
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{_ABOUT.format(title=card.title, model=space.model, secrets=_secrets(space))}"


def _preloaded(space: Space) -> str:
    return space.model if space.revision is None else f"{space.model} config.json,*.safetensors,*.json {space.revision}"


def _secrets(space: Space) -> str:
    if not space.secrets:
        return ""
    named = ", ".join(f"`{name}`" for name in space.secrets)
    return f"\nThe Space needs the secrets {named} (Settings, Variables and secrets); without them its page says so.\n"


_MARK = ".steering-workbench-space"
"""The file that says that a folder is a Space of the workbench."""
_LARGE_FILES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
_ABOUT = """# {title}

Extract a direction from contrasting prompts, add or remove it while `{model}` writes, and read the steered text beside
the unsteered one.

What a visitor makes lies in a workspace of their own that is cleared an hour after their last visit; nothing of it is
published, and no weights are saved. What the page shows says how much each visitor may ask for.
{secrets}
Written by `workbench space new`; `workbench space check .` tries it before it is pushed. Where gradio, spaces and what
requirements.txt names are installed, `python app.py` serves the page here, at port 7860 for whoever reaches this
machine; `GRADIO_SERVER_NAME=127.0.0.1 python app.py` serves it for this machine alone.
"""
