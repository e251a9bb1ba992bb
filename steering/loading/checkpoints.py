"""What a name names: a demo model, a folder, a GGUF file or a Hub id; and why a folder holds no model."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from steering.errors import SteeringError
from steering.loading.demo_models import CONFIG, demo_models
from steering.resources import resource


KINDS = "the name of a demo model ('demo'), a local folder, a GGUF file, or a Hub id such as 'Qwen/Qwen3-0.6B'"
ADAPTER = "adapter_config.json"
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""The files that transformers looks for, in its order."""
_HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)
_WEIGHTS_FILES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_OTHERS = {
    "*.gguf": "GGUF files",
    "*.onnx": "an ONNX export",
    "tf_model.h5": "TensorFlow weights",
    "flax_model.msgpack": "Flax weights",
    "consolidated*.pth": "weights in Meta's own layout",
    "consolidated*.safetensors": "weights in Mistral's own layout",
    "*.nemo": "a NeMo archive",
    "*.safetensors": "safetensors files under other names",
    "*.bin": "PyTorch files under other names",
}
"""What else a folder may hold, and what it is called."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a model lies."""

    path: str
    """A local folder or a Hub id."""
    source: str
    """demo, folder, file (GGUF) or hub."""
    gguf: str | None = None
    """Name of the GGUF file in the folder."""

    @property
    def folder(self) -> Path | None:
        """The local folder; None for a Hub id."""
        return None if self.source == "hub" else Path(self.path)


def locate(name: str) -> Checkpoint:
    """Where a model lies, demo models first.

    Raises:
        SteeringError: The name is empty, or names a folder or file that holds no model.
    """
    name = name.strip()
    if not name:
        raise SteeringError("No model was named.", f"{KINDS}.", "Type a name.")
    if name in demo_models():
        return Checkpoint(str(resource("assets", "models", name)), "demo")
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            return _in_folder(path)
        if path.is_file():
            return _of_file(path)
    except PermissionError as error:
        raise _not_readable(Path(name)) from error
    except (OSError, ValueError, RuntimeError) as error:  # a name that the file system does not take, or nobody's home
        raise _no_name(name) from error
    if Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or "\\" in name:
        raise SteeringError(f"There is no folder '{name}'.", f"{KINDS}.", "Check the path.")
    if not _HUB_ID.fullmatch(name) or "--" in name or ".." in name:
        raise _no_name(name)
    return Checkpoint(name, "hub")


def _no_name(name: str) -> SteeringError:
    shown = ascii(name)[1:-1] if not name.isprintable() else name
    return SteeringError(
        f"'{shown[:120]}' is no local folder or file, and the Hub knows no such names.",
        f"{KINDS}; a Hub id has letters, digits, '-', '_' and '.', with one '/' between owner and model.",
        "Check the spelling.",
    )


def _not_readable(path: Path) -> SteeringError:
    return SteeringError(
        f"'{path}' must not be read by this user.",
        "a folder or file with permission to read it.",
        "Ask its owner, or change its permissions.",
    )


def _of_file(path: Path) -> Checkpoint:
    if path.suffix.lower() == ".gguf":
        if not os.access(path, os.R_OK):
            raise _not_readable(path)
        return Checkpoint(str(path.parent), "file", path.name)
    kind = "holds weights alone" if path.suffix.lower() in _WEIGHTS_FILES else "is a file"
    raise SteeringError(
        f"'{path}' {kind}; a model is a folder with its configuration, tokenizer and weights.",
        f"{KINDS}.",
        f"Name the folder: {path.parent}",
    )


def _in_folder(folder: Path) -> Checkpoint:
    if not os.access(folder, os.R_OK | os.X_OK):
        raise _not_readable(folder)
    for known in (CONFIG, ADAPTER):
        if (folder / known).exists() and not os.access(folder / known, os.R_OK):
            raise _not_readable(folder / known)
    if (folder / "model_index.json").exists():
        raise SteeringError(
            f"'{folder}' is a pipeline of the diffusers library, which makes pictures, sound or video.",
            "a causal language model.",
            "If one of its subfolders is a language model, name that subfolder.",
        )
    if (folder / ADAPTER).exists():
        return Checkpoint(str(folder), "folder")
    ggufs = sorted(path.name for path in folder.glob("*.gguf"))
    if not any((folder / name).is_file() for name in WEIGHTS) and len(ggufs) == 1:
        return Checkpoint(str(folder), "folder", ggufs[0])
    if not (folder / CONFIG).exists():
        raise _no_configuration(folder, ggufs)
    return Checkpoint(str(folder), "folder")


def check_present(folder: Path) -> None:
    """Raise unless a folder holds weights. Called when its configuration was read: what a model is counts first.

    Raises:
        SteeringError: What it holds instead.
    """
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise _no_weights(folder, sorted(path.name for path in folder.glob("*.gguf")))


def _no_configuration(folder: Path, ggufs: list[str]) -> SteeringError:
    models = sorted(path.name for path in folder.iterdir() if path.is_dir() and _holds_a_model(path))
    if models:
        return SteeringError(
            f"The folder '{folder}' has no config.json; it holds {len(models)} folders with models: {_some(models)}.",
            "one model.",
            f"Name one of them, such as {folder / models[0]}",
        )
    if ggufs:
        return _several_ggufs(folder, ggufs)
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        said = "is empty"
    elif any(name.startswith(("tokenizer", "vocab", "spiece", "merges")) for name in names) and not any(
        name.endswith(_WEIGHTS_FILES) for name in names
    ):
        said = "holds a tokenizer and no model: it has no config.json"
    else:
        said = f"has no config.json; it holds {_some(names)}"
    return SteeringError(
        f"The folder '{folder}' {said}.",
        "a Hugging Face model folder (config.json, tokenizer files, *.safetensors).",
        "Point to the folder that holds config.json.",
    )


def _holds_a_model(path: Path) -> bool:
    try:
        return (path / CONFIG).exists() or (path / ADAPTER).exists()
    except OSError:
        return False


def _several_ggufs(folder: Path, ggufs: list[str]) -> SteeringError:
    return SteeringError(
        f"The folder '{folder}' holds {len(ggufs)} GGUF files: {_some(ggufs)}.",
        "one of them.",
        f"Name the file, such as {folder / ggufs[0]}",
    )


def _no_weights(folder: Path, ggufs: list[str]) -> SteeringError:
    if ggufs:
        return _several_ggufs(folder, ggufs)
    if broken := next((path for path in folder.iterdir() if path.is_symlink() and not path.exists()), None):
        raise SteeringError(
            f"'{broken}' is a link to a file that is not there: {os.readlink(broken)}",
            "the file itself.",
            "Copy the folder with its files (cp -L), or download it again.",
        )
    others = [said for pattern, said in _OTHERS.items() if any(folder.glob(pattern))]
    return SteeringError(
        f"The folder '{folder}' has no weights"
        + (f" that can be read; it holds {' and '.join(others)}." if others else "."),
        "a *.safetensors or pytorch_model*.bin file beside config.json: model.safetensors, pytorch_model.bin, or "
        "shards with their index.json.",
        "Convert or rename them first." if others else "Download the weights as well, or point to another folder.",
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
