"""A method at work on the training states, and on each half of them, so that its stability can be told."""

from __future__ import annotations

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.extraction.fitter import Fitter, Method, Side
from steering.extraction.moments import Moments
from steering.model.sites import Site
from steering.passes.pooling import Pooling
from steering.ranges import compact


_ALIKE = 1e-5
"""Share of the states' norm under which two mean states are one, but for rounding."""


class AlikeSidesError(SteeringError):
    """The two sides of a contrast set have the same states where they were read."""


class Fitting:
    """One method fitted three times at once: on all states, and on the even and the odd ones."""

    def __init__(self, method: Method, seed: int, counts: tuple[int, int], halves: bool = True) -> None:
        """
        Args:
            method: What to fit.
            seed: Of the method. The halves get others: what depends on the seed alone is not stable.
            counts: (positive, negative) training prompts; with too few for two halves only the whole is fitted.
            halves: Whether to fit the halves at all.
        """
        self.fitter, self._title = method.build(seed), method.title
        enough = halves and min(counts) // 2 >= method.min_train
        self._halves: list[Fitter] = [method.build(seed + 1), method.build(seed + 2)] if enough else []

    def update(self, side: Side, indices: Tensor, states: Tensor) -> None:
        """Take in a batch, as `Fitter.update`."""
        self.fitter.update(side, indices, states)
        for half, fitter in enumerate(self._halves):
            mine = indices % 2 == half  # a pair has one index, so both its sides fall into one half
            if mine.any():
                fitter.update(side, indices[mine] // 2, states[mine])

    def directions(self, blocks: int, width: int) -> Tensor:
        """What the method found, (block, width).

        Args:
            blocks: Of the model.
            width: Of its states.

        Raises:
            SteeringError: The states do not allow it, or a method of a package gives something else than directions.
        """
        found = self.fitter.directions()
        if not isinstance(found, Tensor) or found.shape != (blocks, width) or not torch.isfinite(found).all():
            is_tensor = isinstance(found, Tensor)
            said = f"a tensor of shape {tuple(found.shape)}" if is_tensor else f"a {type(found).__name__}"
            raise SteeringError(
                f"The method '{self._title}' gave {said}.",
                f"finite directions, a unit row a block: shape ({blocks}, {width}).",
                "Mend the method, or take another one.",
            )
        return found

    def split_half(self) -> Tensor | None:
        """Cosine of the directions from both halves, (block,); None with too few prompts for them."""
        if not self._halves:
            return None
        try:
            first, second = (fitter.directions() for fitter in self._halves)
        except SteeringError:
            return None
        return (first * second).sum(dim=-1)


class Scales:
    """How long the states are and how far apart the two sides lie, from the same training states for every method."""

    def __init__(self) -> None:
        self._moments: dict[Side, Moments] = {"positive": Moments(), "negative": Moments()}

    def update(self, side: Side, states: Tensor) -> None:
        """Take in a batch of one side, (batch, block, width)."""
        self._moments[side].update(states)

    def check_apart(self, site: Site, pooling: Pooling) -> None:
        """
        Args:
            site: Where the states were read, for the message.
            pooling: At which tokens, for the message.

        Raises:
            AlikeSidesError: Both sides have the same mean state at a block: what tells them apart has not come there.
        """
        positive, negative = self._moments["positive"], self._moments["negative"]
        apart = (positive.mean - negative.mean).norm(dim=-1)
        alike = (apart <= _ALIKE * torch.maximum(positive.norm, negative.norm)).nonzero().flatten().tolist()
        if alike and len(alike) < len(apart):  # everywhere: they are the same texts, which a vector refuses
            raise AlikeSidesError(
                f"Both sides of the contrast set look alike at block{'s' * (len(alike) > 1)} {compact(alike)}, {site}, "
                f"read at {pooling if isinstance(pooling, str) else compact(pooling)}: what tells them apart stands at "
                "other tokens, and has not come there yet.",
                "sides that differ where they are read (the input of block 0 is the token alone, and a short "
                "convolution sees a few tokens only).",
                "Read all tokens of the text (pooling mean_content)"
                + (", or block_output." if site == "block_input" else "."),
            )

    def along(self, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean differences, references and residual norms along directions (block, width), float64, (block,) each."""
        positive, negative = self._moments["positive"], self._moments["negative"]
        apart = ((positive.mean - negative.mean) * directions).sum(dim=-1)
        reference = (negative.mean * directions).sum(dim=-1)
        norms = (positive.norm * positive.n + negative.norm * negative.n) / (positive.n + negative.n)
        return apart, reference, norms


def check_finite(states: Tensor, site: str) -> None:
    """
    Args:
        states: (batch, block, width).
        site: Where they were read, for the message.

    Raises:
        SteeringError: Naming the first block whose states are not finite.
    """
    broken = ~torch.isfinite(states).all(dim=-1).all(dim=0)
    if broken.any():
        raise SteeringError(
            f"States at block {int(broken.int().argmax())}, {site}, are not finite.",
            "finite numbers; float16 overflows where states grow large.",
            "Load the model in bfloat16 or float32.",
        )
