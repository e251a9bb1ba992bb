"""The vectors that lie beside a script, a notebook or a YAML file: the ones that its run took, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from steering.errors import SteeringError
from steering.names import safe_name
from steering.paths import is_file
from steering.vectors.files import load_vector


FOLDER = "vectors"
"""Where they lie beside it."""


def vectors_beside(folder: str | Path, digests: Mapping[str, str]) -> str:
    """The folder, once every vector in it is known to be the one that the run took.

    Args:
        folder: With a safetensors file a vector.
        digests: By the vector's name.

    Raises:
        SteeringError: One is missing, damaged, or another one.
    """
    folder = Path(folder)
    for name, digest in digests.items():
        path = folder / vector_file(name)
        if not is_file(path):
            raise SteeringError(
                f"The vector '{name}' is not there: '{path}'.",
                f"the vectors that the run took, in '{folder}'.",
                "Export the run as a ZIP file, with its vectors, or with `workbench runs code ID --out FOLDER`.",
            )
        found = load_vector(path).digest
        if found != digest:
            raise SteeringError(
                f"'{path}' is another vector than the run took: its digest is {found}.",
                f"the vector with the digest {digest}.",
                "Take the one that was exported with the run.",
            )
    return str(folder)


def vector_file(name: str) -> str:
    """The name of a vector's file, as studies look for it."""
    return f"{safe_name(name)}.safetensors"
