"""The modules that a pass comes by where something is read or written, in the order in which it meets them."""

from __future__ import annotations

from functools import reduce
from typing import Any, NamedTuple

from steering.model.host import Host
from steering.model.outputs import inner
from steering.model.sites import Part, ReadPlace


class Stop(NamedTuple):
    """A module that a pass comes by."""

    place: ReadPlace
    module: Any
    part: Part
    last: bool
    """Whether the place's value is known behind it."""

    @property
    def is_input(self) -> bool:
        """Whether the place is what the module is given."""
        return self.place[1] in ("block_input", "mlp_input")


def in_forward_order(host: Host, places: set[ReadPlace]) -> list[Stop]:
    """Every module that makes up one of the places, in the order in which a pass meets them.

    Raises:
        SteeringError: The input of an MLP that has none to name.
    """
    blocks, stops = blocks_of(host), []
    for block, site in places:
        if site == "mlp_input":
            host.sites.check_read(site, block)
        parts = host.sites.blocks[block].parts(site)
        for part in parts:
            module = reduce(inner, part.path.split("."), blocks[block]) if part.path else blocks[block]
            stops.append(Stop((block, site), module, part, part is parts[-1]))
    # A block's input comes before all that is in it, its output behind.
    ends = {"block_input": 0, "block_output": 2}
    return sorted(
        stops, key=lambda stop: (stop.place[0], ends.get(stop.place[1], 1), stop.part.order, not stop.is_input)
    )


def blocks_of(host: Host) -> Any:
    """The decoder's blocks as nnsight serves them."""
    return reduce(getattr, host.sites.blocks_path.split("."), host.model)
