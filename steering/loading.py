"""Loading a causal language model and its tokenizer, with one clear error for everything that can go wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from steering.errors import SteeringError
from steering.resources import resource


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
QUANTISATIONS = ("8bit", "4bit")


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How to load a model; the defaults suit most."""

    dtype: str = "auto"
    """float32, bfloat16, float16, or auto: as stored on an accelerator, float32 on a CPU (where half precision is
    slow).
    """
    device: str = "auto"
    """A torch device, or auto: CUDA, then Apple's MPS, then the CPU."""
    device_map: str | None = None
    """Accelerate's placement over several devices, such as "auto"; overrides `device`."""
    revision: str | None = None
    """Branch, tag or commit on the Hub."""
    quantisation: str | None = None
    """8bit or 4bit, by bitsandbytes (the `quantisation` extra)."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Leave off unless you have read that code."""
    blocks: str | None = None
    """Dotted path of the list of decoder blocks, for an architecture that the workbench does not find its way in."""


def demo_models() -> tuple[str, ...]:
    """Names of the models that ship with the project."""
    folder = resource("assets", "models")
    found = (path for path in folder.iterdir() if (path / "config.json").exists())
    # A hidden folder is a training run on its way.
    return tuple(sorted(path.name for path in found if not path.name.startswith(".")))


def demo_card(name: str) -> dict[str, Any]:
    """The card of a model that ships with the project: what it is, how it was made, what it scores."""
    return json.loads(resource("assets", "models", name, "card.json").read_text(encoding="utf-8"))


def locate(name: str) -> tuple[str, str]:
    """Resolve a model name to (path or Hub id, source), demo models first.

    Raises:
        SteeringError: The name is empty, or names a folder that holds no model.
    """
    if not name.strip():
        raise SteeringError("No model was named.", f"{_KINDS}.", "Type a name.")
    if name in demo_models():
        return str(resource("assets", "models", name)), "demo"
    folder = Path(name).expanduser()
    if folder.is_dir():
        _check_folder(folder)
        return str(folder), "folder"
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise SteeringError(f"There is no folder '{name}'.", f"{_KINDS}.", "Check the path.")
    return name, "hub"


_KINDS = "the name of a demo model ('demo'), a local folder, or a Hub id such as 'Qwen/Qwen3-0.6B'"


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").exists():
        raise SteeringError(
            f"The folder '{folder}' has no config.json.",
            "a Hugging Face model folder (config.json, tokenizer files, *.safetensors).",
            "Point to the folder that holds config.json.",
        )
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        raise SteeringError(
            f"The folder '{folder}' has no weights.",
            "at least one *.safetensors (or pytorch_model*.bin) file beside config.json.",
            "Download the weights as well, or point to another folder.",
        )


def load_config_and_tokenizer(name: str, path: str, options: LoadOptions) -> tuple[Any, Any]:
    """What a model is, before its weights are read.

    Args:
        name: What the user typed, for the message.
        path: A local folder or a Hub id, from `locate`.
        options: Revision and trust.

    Raises:
        SteeringError: No such model, no network, foreign code without trust.
    """
    shared = {"revision": options.revision, "trust_remote_code": options.trust_remote_code}
    try:
        return AutoConfig.from_pretrained(path, **shared), AutoTokenizer.from_pretrained(path, **shared)
    except Exception as error:  # transformers and the Hub raise OSError, ValueError, KeyError and their own
        raise _load_error(name, error) from error


def load_weights(name: str, path: str, options: LoadOptions) -> PreTrainedModel:
    """The model itself, on its device.

    Raises:
        SteeringError: As `load_config_and_tokenizer`; also a dtype, device or quantisation that is not to be had.
    """
    device = _device(options.device)
    keywords: dict[str, Any] = {
        "revision": options.revision,
        "trust_remote_code": options.trust_remote_code,
        "dtype": _dtype(options.dtype, device),
    }
    if options.quantisation:
        keywords["quantization_config"] = _quantisation(options.quantisation)
    if options.device_map or options.quantisation:
        keywords["device_map"] = options.device_map or {"": device}
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # the job says how far it is
    try:
        model = AutoModelForCausalLM.from_pretrained(path, **keywords)
        return model if "device_map" in keywords else model.to(device)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # see load_config_and_tokenizer
        raise _load_error(name, error) from error
    finally:
        if bars:
            logging.enable_progress_bar()


def _load_error(name: str, error: Exception) -> SteeringError:
    reason = str(error).strip().split("\n")[0][:300]
    if "trust_remote_code" in str(error):
        return SteeringError(
            f"The model '{name}' comes with its own Python code, which was not run.",
            "a model that transformers knows, or your explicit trust.",
            "Read that code, then load again with trust_remote_code (--trust-remote-code).",
        )
    return SteeringError(
        f"The model '{name}' could not be loaded: {reason}",
        f"{_KINDS}.",
        "Check the spelling, your network and, for a gated model, your Hugging Face login (`hf auth login`).",
    )


def _dtype(name: str, device: torch.device) -> Any:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if name not in DTYPES:
        raise SteeringError(f"The dtype '{name}' was asked for.", f"auto, {', '.join(DTYPES)}.", "Choose one of these.")
    return DTYPES[name]


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        return device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SteeringError(
            f"The device '{name}' cannot be used: {str(error).splitlines()[0]}",
            "auto, cpu, cuda, cuda:1, mps, …, as far as this machine has them.",
            "Choose another device.",
        ) from error


def _quantisation(kind: str) -> Any:
    if kind not in QUANTISATIONS:
        raise SteeringError(
            f"The quantisation '{kind}' was asked for.", f"{' or '.join(QUANTISATIONS)}.", "Choose one."
        )
    try:
        import bitsandbytes  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise SteeringError(
            f"The quantisation '{kind}' needs bitsandbytes, which is not installed.",
            remedy="Install it: pip install 'steering-workbench[quantisation]'.",
        ) from error
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=kind == "8bit", load_in_4bit=kind == "4bit")
