"""What a Space shows, as its `app.py` says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Space:
    """One Space."""

    model: str = "demo"
    """A demo model, or an id on the Hub."""
    revision: str | None = None
    """Branch, tag or commit of the model; its main branch where None."""
    dtype: str = "auto"
    """Precision. auto on ZeroGPU: bfloat16, for demo models float32; elsewhere as `LoadOptions` has it."""
    panels: tuple[str, ...] = ()
    """Ids of the panels that are there; all where empty."""
    secrets: tuple[str, ...] = ()
    """Names of the secrets that the Space must have, such as HF_TOKEN for a gated model."""
    limits: tuple[str, ...] = ()
    """What every visitor may ask for, as NAME=NUMBER; see `workbench.doors.limits`."""
    gpu_seconds: int = 120
    """Seconds of a GPU that one job may take at most, on ZeroGPU: what a visitor without an account has in a day."""
