"""The versions that a Space installs: what ZeroGPU takes, and what was tested together on it.

ZeroGPU has Python 3.10.13 or 3.12.12 and torch 2.8 to 2.11; the workbench itself is tested on later ones too. Gradio,
spaces and huggingface_hub are installed by the platform, Gradio in the version that the README names, with its extras
oauth and mcp, which want a pydantic before 2.13.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata


PYTHONS = ("3.10.13", "3.12.12")
TORCHES = ("2.8", "2.9", "2.10", "2.11")
LONGEST = 60
"""Characters of a Space's short description."""
PLATFORM = ("gradio", "spaces", "huggingface-hub")
"""What the platform installs."""
PINS = {
    "torch": "2.11.0",
    "transformers": "5.23.0",
    "accelerate": "1.15.0",
    "tokenizers": "0.23.3",
    "nnsight": "0.8.1",
    "starlette": "1.10.0",
    "python-multipart": "0.0.34",
    "httpx": "0.28.1",
    "nh3": "0.3.8",
    "numpy": "2.4.6",
    "pandas": "3.1.1",
    "plotly": "7.1.0",
    "scipy": "1.17.1",
    "scikit-learn": "1.9.1",
    "safetensors": "0.8.0",
    "pydantic": "2.12.5",
    "pyyaml": "6.0.3",
    "typer": "0.29.2",
    "rich": "15.0.0",
    "packaging": "26.4",
    "platformdirs": "4.14.5",
    "sae-lens": "6.54.12",
    "concept-erasure": "0.2.4",
    "gguf": "0.19.0",
    "peft": "0.21.2",
    "pyarrow": "26.0.1",
    "filelock": "4.3.1",
    "cloudpickle": "3.1.3",
}


def requirements() -> str:
    """The content of a Space's requirements.txt: each package that the workbench needs, pinned."""
    return "".join(f"{name}=={version}\n" for name, version in PINS.items())


def needed() -> set[str]:
    """Names of what the installed workbench needs; none where it is not installed but run from a checkout.

    What only an extra needs is left out.
    """
    try:
        given = metadata("steering-workbench").get_all("Requires-Dist") or []
    except PackageNotFoundError:
        return set()
    return set(_names(given))


def _names(given: list[str]) -> Iterator[str]:
    for line in given:
        if "extra ==" not in line and (found := re.match(r"[\w.-]+", line)):
            yield re.sub(r"[-_.]+", "-", found[0]).lower()
