"""How a model is to be loaded."""

from __future__ import annotations

from dataclasses import dataclass


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
    max_memory: str | None = None
    """With `device_map`: the most memory by device, such as "0=20GB,cpu=60GB"; what fits nowhere lies on the disk and
    is fetched for every pass. What accelerate finds free where None.
    """
    tensor_parallel: int = 1
    """Processes among which each matrix is divided, all started together by torchrun; see `docs/big-models.md`."""
    revision: str | None = None
    """Branch, tag or commit on the Hub."""
    quantisation: str | None = None
    """8bit or 4bit, by bitsandbytes (the `quantisation` extra)."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Leave off unless you have read that code."""
    blocks: str | None = None
    """Dotted path of the list of decoder blocks, for an architecture that the workbench does not find its way in."""
    base: str | None = None
    """The base of a LoRA adapter, where the one that it names is not there."""
    allow_missing: bool = False
    """Load although weights are missing or of other shapes. What is missing is made anew, at random."""
