"""The sites of one block: which there are, and the modules that make up each. What a site is, `sites` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args


Site = Literal["block_input", "attention_output", "mlp_output", "block_output"]
SITES: tuple[Site, ...] = get_args(Site)
Place = tuple[int, Site]
"""A block and a site in it."""
ReadSite = Site | Literal["mlp_input"]
READ_SITES: tuple[ReadSite, ...] = ("block_input", "attention_output", "mlp_input", "mlp_output", "block_output")
"""All that can be read, in the order in which a pass meets most of them."""
ReadPlace = tuple[int, ReadSite]
"""A block and what can be read in it."""


def site_words(site: ReadSite) -> str:
    """A site as people say it, such as `MLP output`."""
    return site.replace("_", " ").replace("mlp", "MLP")


@dataclass(frozen=True)
class Part:
    """A module whose output, times a number, enters the residual stream; or whose input is read."""

    path: str
    """Inside the block; "" is the block itself."""
    scale: float = 1.0
    """What the model multiplies it by on the way (Granite's residual multiplier)."""
    order: int = 0
    """When a pass meets it, counted within the block: of an input, before what has the same number."""


_WHOLE = (Part(""),)
_INNER: tuple[Site, Site] = ("attention_output", "mlp_output")


@dataclass(frozen=True)
class BlockSites:
    """The sites of one block."""

    inner: Mapping[Site, tuple[Part, ...]]
    """What `attention_output` and `mlp_output` are the sum of; a site that the block lacks is not there."""
    mixer: str = ""
    """What mixes tokens in it: attention, state space, linear attention, convolution, recurrence, several joined by
    " + ", or nothing.
    """
    carry: float = 1.0
    """What the block's input is multiplied by on its way to the block's output (Gemma 4's layer scalars)."""
    rest: tuple[Part, ...] = ()
    """What else it adds to the stream (per-layer inputs of Gemma 4)."""
    gap: str = ""
    """Why neither is offered; "" where the sum was shown."""
    entries: int = 0
    """How many entries the block's output tuple has; 0 where it gives a bare tensor."""
    mlp_input: Part | None = None
    """The module whose input enters the MLP; None where it was not found."""
    no_mlp_input: str = ""
    """Why it was not, in a sentence."""
    mlp_norm: str = ""
    """The module that gives what enters the MLP, mostly a norm; "" where none was found."""

    @property
    def available(self) -> tuple[Site, ...]:
        """The sites of this block, in forward order."""
        return tuple(site for site in SITES if site in self.inner or site in ("block_input", "block_output"))

    @property
    def readable(self) -> tuple[ReadSite, ...]:
        """What can be read in this block, in forward order."""
        here = {*self.available, *(["mlp_input"] if self.mlp_input else [])}
        return tuple(site for site in READ_SITES if site in here)

    def parts(self, site: ReadSite) -> tuple[Part, ...]:
        """The modules that make up a site, in the order in which a pass meets them."""
        if site == "mlp_input":
            return (self.mlp_input,) if self.mlp_input else ()
        return self.inner.get(site, _WHOLE)

    @property
    def rest_is_last(self) -> bool:
        """Whether nothing in the block reads the stream behind what no site names, so that it can be written at the
        block's output.
        """
        last = max((part.order for parts in self.inner.values() for part in parts), default=-1)
        return all(part.order > last for part in self.rest)

    @property
    def interleaved(self) -> bool:
        """Whether a part of one site lies between two of another (Longcat), which its sum does not separate."""
        mixer, mlp = ([part.order for part in self.inner.get(site, ())] for site in _INNER)
        return bool(mixer and mlp) and not (max(mixer) < min(mlp) or max(mlp) < min(mixer))
