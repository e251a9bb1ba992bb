"""Where the shipped data lies: beside the packages in a checkout, inside `steering/data` in a wheel."""

from __future__ import annotations

from pathlib import Path

from steering.errors import SteeringError


_PACKAGE = Path(__file__).parent
_ROOTS = (_PACKAGE / "data", _PACKAGE.parent)


def resource(*parts: str) -> Path:
    """Path of a shipped file or folder, such as `resource("presets", "contrast", "sentiment.yaml")`.

    Raises:
        SteeringError: The installation carries no such file.
    """
    for root in _ROOTS:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise SteeringError(
        f"The shipped file {'/'.join(parts)} is missing from this installation.",
        remedy="Install the package again, or run from a full checkout.",
    )
