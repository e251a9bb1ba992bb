"""Where a dictionary lies, and which reader its files ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from steering.confines import UPLOAD, dictionary_homes, named_dictionary
from steering.dictionaries import cross_layer, crosscoder_files
from steering.dictionaries.files import CFG, WEIGHTS, Content, check_tensor_file, read_json, read_sae_lens
from steering.dictionaries.other_files import (
    CONFIG,
    SPARSIFY,
    check_kind,
    files_of_set,
    is_of_set,
    read_set,
    read_sparsify,
    read_transcoder_of_set,
)
from steering.errors import SteeringError
from steering.own_files import typed_path
from steering.paths import is_file, is_folder
from steering.resources import resource


def dictionaries_at_hand() -> tuple[str, ...]:
    """Names of the dictionaries that ship with the project, such as `demo/block-3-sae`, and behind them of those that
    were trained and lie in the workspace.
    """
    return (*_shipped(), *sorted(_trained()))


def _shipped() -> tuple[str, ...]:
    home = resource("assets", "dictionaries")
    return tuple(sorted(str(path.parent.relative_to(home)) for path in home.glob(f"*/*/{CFG}")))


def _trained() -> dict[str, Path]:
    """By name, the folders of dictionaries in the workspace; what an earlier workspace has under a name gives way."""
    found: dict[str, Path] = {}
    for home in dictionary_homes():
        for path in home.glob(f"*/{CFG}"):
            if not path.parent.name.startswith("."):
                found.setdefault(path.parent.name, path.parent)
    return found


def why_read_only(path: Path) -> str:
    """Why what lies there can be looked at only, as far as names and configuration tell; "" where they do not."""
    if cross_layer.is_layer(path) or cross_layer.has_layers(path):
        return cross_layer.READ_ONLY
    folder, file = (path, path / crosscoder_files.MODEL) if path.is_dir() else (path.parent, path)
    if _is_crosscoder(folder) or crosscoder_files.is_dictionary_learning(file):
        return crosscoder_files.READ_ONLY
    return ""


def _is_crosscoder(folder: Path) -> bool:
    """Whether a folder holds what the study crosscoder writes."""
    try:
        said = read_json(folder / CFG) if is_file(folder / CFG) else {}
    except SteeringError:  # damaged: whoever reads it says so
        return False
    return said.get("architecture") == crosscoder_files.CROSSCODER and "n_models" in said


def placed(source: str) -> tuple[Path, str] | None:
    """The file or folder that a source names, and what names it from anywhere; None where there is none.

    Raises:
        SteeringError: It may not be read here, or can be no path.
    """
    if source in _shipped():
        return resource("assets", "dictionaries", *source.split("/")), source
    if source in (own := _trained()):
        return own[source], source
    path = named_dictionary(typed_path(source) if not source.startswith(UPLOAD) else source)
    if not (is_folder(path) or is_file(path)):
        return None
    return path.resolve(), source if source.startswith(UPLOAD) else str(path.resolve())


def read(path: Path) -> Content:
    """What a file or folder holds.

    Raises:
        SteeringError: No dictionary, several at once, or damaged files.
    """
    content = _read_folder(path) if path.is_dir() else _read_file(path)
    if shipped := next((name for name in _shipped() if path == _home(name)), ""):
        return replace(content, name=shipped)
    return content


def stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a dictionary's files do: names, times and sizes."""
    files = sorted(path.iterdir()) if path.is_dir() else [path, *path.parent.glob("*.json"), path.parent / CONFIG]
    if cross_layer.is_layer(path):
        files = sorted(path.parent.iterdir())
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file())


def _home(name: str) -> Path:
    return resource("assets", "dictionaries", *name.split("/")).resolve()


def _read_folder(folder: Path) -> Content:
    if is_file(folder / CFG) and is_file(folder / SPARSIFY):
        return read_sparsify(folder)
    if _is_crosscoder(folder):
        return crosscoder_files.read_trained(folder)
    if cross_layer.has_layers(folder):
        raise cross_layer.choose_layer(folder)
    if crosscoder_files.is_dictionary_learning(folder / crosscoder_files.MODEL):
        return crosscoder_files.read_dictionary_learning(folder / crosscoder_files.MODEL)
    if is_file(folder / CONFIG) and not is_file(folder / CFG):
        check_kind(read_set(folder / CONFIG), folder)
        files = files_of_set(folder)
        raise SteeringError(
            f"{folder} is a set of {len(files)} transcoders.",
            f"one of them, such as {folder / files[0]}." if files else "their files, layer_0.safetensors and so on.",
            "Name the file of one block." if files else "Fetch the set again.",
        )
    if is_file(folder / "config.json") and not is_file(folder / CFG):  # dictionary_learning has no other kind of file
        check_tensor_file(folder / WEIGHTS)
    return read_sae_lens(folder, folder / WEIGHTS)


def _read_file(path: Path) -> Content:
    if cross_layer.is_layer(path):
        return cross_layer.read_layer(path)
    if is_of_set(path):
        return read_transcoder_of_set(path)
    check_tensor_file(path)
    if path.suffix.lower() != ".safetensors":
        read_json(path.parent / CFG)
        return _read_folder(path.parent)
    if path.name == SPARSIFY and is_file(path.parent / CFG):
        return read_sparsify(path.parent)
    if _is_crosscoder(path.parent):
        return crosscoder_files.read_trained(path.parent)
    if crosscoder_files.is_dictionary_learning(path):
        return crosscoder_files.read_dictionary_learning(path)
    return read_sae_lens(path.parent, path)
