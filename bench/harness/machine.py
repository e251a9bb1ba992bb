"""What the figures were measured on, without names of hosts or paths."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


LIBRARIES = ("torch", "transformers", "nnsight", "gradio", "numpy", "sae-lens")


def load() -> float | None:
    """Programs that ran or wanted to over the last minute, on average."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def describe() -> dict[str, str]:
    """The machine and the versions, by what the table calls them."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} logical cores",
        "memory": _memory(),
        "GPU": _gpu(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
        "Python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "threads": "one in each process",
        "load at the start": f"{load()} (programs that wanted a core over the last minute)",
    }


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return "unknown"
    return f"{size / 2**30:.0f} GiB"


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none"
    return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
