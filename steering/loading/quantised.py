"""Weights that are stored quantised, or are quantised while they are loaded: which library reads them."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec
from typing import Any

import torch
from packaging.version import Version

from steering.errors import SteeringError


QUANTISATIONS = ("8bit", "4bit")
_LIBRARIES: dict[str, tuple[tuple[str, ...], str]] = {
    "bitsandbytes": (("bitsandbytes",), "'steering-workbench[quantisation]'"),
    "gptq": (("gptqmodel", "optimum"), "'steering-workbench[gptq]'"),
    "awq": (("gptqmodel", "optimum"), "'steering-workbench[gptq]'"),
    "compressed-tensors": (("compressed_tensors",), "'steering-workbench[compressed-tensors]'"),
    "aqlm": (("aqlm",), "aqlm"),
    "quanto": (("optimum.quanto",), "optimum-quanto"),
    "hqq": (("hqq",), "hqq"),
    "torchao": (("torchao",), "torchao"),
    "auto-round": (("auto_round",), "auto-round"),
    "vptq": (("vptq",), "vptq"),
    "quark": (("quark",), "amd-quark"),
    "spqr": (("spqr_quant",), "spqr_quant"),
    "eetq": (("kernels",), "kernels"),
    "sinq": (("sinq",), "sinq"),
    "fp_quant": (("fp_quant",), "fp_quant"),
    "fbgemm_fp8": (("fbgemm_gpu",), "fbgemm-gpu"),
    "fouroversix": (("fouroversix",), "fouroversix --no-build-isolation"),
    "higgs": (("flute", "fast_hadamard_transform"), "flute-kernel fast_hadamard_transform"),
}
"""By the name of a method: the packages that read it, and what to install."""
_BY_TRANSFORMERS = ("fp8", "mxfp8", "mxfp4", "bitnet", "gguf", "gemma", "metal")
"""Need no package: where the device has no operation for them, transformers unpacks the weights. It knows nvfp4, but
not as weights are stored."""
_ON_A_GPU = ("eetq", "fbgemm_fp8", "fp_quant", "higgs", "spqr", "vptq")
"""Which transformers' quantizers refuse to read where there is none (its `validate_environment`, 5.23)."""
_FIRST = {
    "auto_round": "0.5.0",
    "bitsandbytes": "0.46.1",
    "compressed_tensors": "0.15.0",
    "gptqmodel": "1.4.3",
    "hqq": "0.2.1",
    "kernels": "0.18.2",
    "optimum": "1.24.0",
    "torchao": "0.15.0",
    "vptq": "0.0.4",
}
"""The first version of a package that transformers 5.23 takes."""


def stored_quantisation(name: str, written: dict[str, Any]) -> str | None:
    """The method by which weights are stored quantised, in words; None where they are not.

    Args:
        name: What the user typed, for messages.
        written: The configuration as it is written.

    Raises:
        SteeringError: A method that needs a package which is not installed, or that nothing here reads.
    """
    text = written.get("text_config")
    said = written.get("quantization_config") or (text.get("quantization_config") if isinstance(text, dict) else None)
    if not isinstance(said, dict):
        if isinstance(written.get("quantization"), dict) and "group_size" in written["quantization"]:
            raise _unreadable(name, "MLX, for Apple's own library")
        return None
    method = str(said.get("quant_method") or ("bitsandbytes" if _bitsandbytes(said) else "")).lower()
    method = {"bitsandbytes_4bit": "bitsandbytes", "bitsandbytes_8bit": "bitsandbytes"}.get(method, method)
    if method not in _LIBRARIES and method not in _BY_TRANSFORMERS:
        raise _unreadable(name, f"the method '{method}'" if method else "a method that its configuration does not name")
    check_library(name, method)
    bits = said.get("bits") or (4 if said.get("load_in_4bit") else 8 if said.get("load_in_8bit") else None)
    return f"{method}, {bits} bits" if isinstance(bits, int) else method


def _bitsandbytes(said: dict[str, Any]) -> bool:
    return bool(said.get("load_in_4bit") or said.get("load_in_8bit"))


def _unreadable(name: str, how: str) -> SteeringError:
    known = ", ".join([*_LIBRARIES, *_BY_TRANSFORMERS])
    return SteeringError(
        f"The weights of '{name}' are quantised by {how}, which transformers does not read.",
        f"weights that are not quantised, or by one of: {known}.",
        "Load the model that it was made from, or a copy in another format.",
    )


def check_library(name: str, method: str) -> None:
    """Raise where a package that a method needs is not installed, naming it.

    Raises:
        SteeringError: It is not.
    """
    if method in _ON_A_GPU and not (torch.cuda.is_available() or torch.xpu.is_available()):
        raise SteeringError(
            f"The weights of '{name}' are quantised by {method}, which runs on a GPU alone; this machine has none.",
            "a machine with a GPU, or other weights.",
            "Load the model that it was made from, or a copy in another format.",
        )
    packages, install = _LIBRARIES.get(method, ((), ""))
    if wanted := [said for package in packages if (said := _lacking(package))]:
        raise SteeringError(
            f"The weights of '{name}' are stored quantised ({method}). To read them, {' and '.join(wanted)}.",
            remedy=f"Install what is missing: pip install -U {install}",
        )


def _lacking(package: str) -> str:
    """What is wrong with a package, "" where nothing is."""
    if not _installed(package):
        return f"the package {package} is needed, which is not installed"
    first = _FIRST.get(package)
    try:
        there = metadata.version(package)
    except metadata.PackageNotFoundError:  # installed under another name, or by hand
        return ""
    old = first is not None and Version(there) < Version(first)
    return f"the package {package} is needed in version {first} or newer, and {there} is installed" if old else ""


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def on_load(kind: str) -> Any:
    """What tells transformers to quantise the weights while it reads them.

    Raises:
        SteeringError: No such kind, or bitsandbytes is not installed.
    """
    if kind not in QUANTISATIONS:
        raise SteeringError(
            f"The quantisation '{kind}' was asked for.", f"{' or '.join(QUANTISATIONS)}.", "Choose one."
        )
    if wanted := _lacking("bitsandbytes"):
        raise SteeringError(
            f"To quantise a model to {kind} while it is loaded, {wanted}.",
            remedy="Install it: pip install 'steering-workbench[quantisation]'",
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=kind == "8bit", load_in_4bit=kind == "4bit")
