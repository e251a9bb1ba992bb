"""Where in a decoder the residual stream can be read and written, block by block.

A block is one decoder layer, counted from 0. Its sites are, in the order in which a forward pass meets most of them:

| site | value |
|---|---|
| `block_input` | the residual stream entering the block |
| `attention_output` | what the block's mixer adds to the stream: attention, or what stands in its place in a hybrid |
| `mlp_output` | what the MLP or mixture of experts adds to the stream |
| `block_output` | the residual stream leaving the block, before any final norm |

so that `block_output = block_input + attention_output + mlp_output`, behind every post-norm and multiplier: a pass at
load shows it for every block (`steering.model.residual`), and a block where it cannot be shown has the first and the
last site only. A block has what it has: in Nemotron-H one block is a mixer and the next an MLP. One more place can be
read, never written: `mlp_input`, what enters the MLP, mostly normed (`steering.model.mlp_input`). Hugging Face
`hidden_states[l + 1]` equals `block_output[l]` except for the last block, which it normalises; the workbench never
reads the output tuple.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from steering.errors import SteeringError
from steering.model.block_sites import (
    READ_SITES,
    SITES,
    BlockSites,
    Part,
    Place,
    ReadPlace,
    ReadSite,
    Site,
    site_words,
)


__all__ = [
    "READ_SITES",
    "SITES",
    "BlockSites",
    "Part",
    "Place",
    "ReadPlace",
    "ReadSite",
    "Site",
    "Sites",
    "numbered",
    "site_words",
]


@dataclass(frozen=True)
class Sites:
    """The blocks of one model and where their sites are."""

    blocks_path: str
    """Dotted path of the list of blocks, such as `model.layers`."""
    blocks: tuple[BlockSites, ...]
    linked: bool = True
    """Whether every block's output is the next one's input, with nothing in between."""

    @property
    def n_blocks(self) -> int:
        return len(self.blocks)

    @cached_property
    def available(self) -> tuple[Site, ...]:
        """The sites that every block has, in forward order."""
        return tuple(site for site in SITES if len(self.having(site)) == self.n_blocks)

    def at(self, block: int) -> tuple[Site, ...]:
        """The sites of one block, in forward order."""
        return self.blocks[self.check_block(block)].available

    def having(self, site: Site) -> tuple[int, ...]:
        """The blocks that have a site."""
        return tuple(index for index, block in enumerate(self.blocks) if site in block.available)

    @property
    def inner_paths(self) -> tuple[str, ...]:
        """Every module whose output enters the stream, as a path inside its block, each once."""
        parts = [part for block in self.blocks for of_site in block.inner.values() for part in of_site]
        return tuple(dict.fromkeys(part.path for part in parts))

    @property
    def places(self) -> tuple[Place, ...]:
        """Every site of every block, in forward order."""
        return tuple((index, site) for index, block in enumerate(self.blocks) for site in block.available)

    def check(self, site: str, block: int | None = None) -> Site:
        """Return `site` typed.

        Args:
            site: What was asked for.
            block: Where; every block where None.

        Raises:
            SteeringError: No such site or block in this model, or not in every block that was asked for.
        """
        offered = self.available if block is None else self.at(block)
        if site in offered:
            return site
        having = self.having(site) if site in SITES else ()
        where = "in every block" if block is None and having else "" if block is None else f"in block {block}"
        only = f" Only {numbered(having)} of {self.n_blocks} {_have(having)} it." if having else ""
        gap = next((each.gap for each in self.blocks if each.gap), "") if site in SITES and not having else ""
        raise SteeringError(
            f"The site '{site}' was asked for{' ' + where if where else ''}.{only}{' ' + gap if gap else ''}",
            f"one of {', '.join(offered)}.",
            "Choose one of these sites." if not having else "Choose one of these sites, or a block that has it.",
        )

    def check_read(self, site: str, block: int | None = None) -> ReadSite:
        """Return what is to be read typed.

        Args:
            site: What was asked for.
            block: Where; every block where None.

        Raises:
            SteeringError: No such site or block in this model, or an MLP whose input was not found.
        """
        if site != "mlp_input":
            return self.check(site, block)
        for each in range(self.n_blocks) if block is None else [self.check_block(block)]:
            found = self.blocks[each]
            if found.mlp_input is None:
                raise SteeringError(
                    f"The input of the MLP was asked for in block {each}. {found.no_mlp_input}",
                    f"one of {', '.join(found.readable)}.",
                    "Read one of these, or a block whose MLP has one input.",
                )
        return "mlp_input"

    def check_block(self, block: int) -> int:
        """Return `block`, with negative numbers refused rather than counted from the end.

        Raises:
            SteeringError: The model has no such block.
        """
        if not 0 <= block < self.n_blocks:
            raise SteeringError(
                f"Block {block} was asked for.",
                f"a block from 0 to {self.n_blocks - 1}.",
                "Blocks are counted from 0; choose one of them.",
            )
        return block

    def everywhere(self) -> tuple[Place, ...]:
        """All that is written by "everywhere": every block's input, and what its mixer and its MLP add. What a block
        adds behind them (a per-layer input) is written at the block's output.

        Raises:
            SteeringError: Something enters the stream where no site reaches it.
        """
        if self.uncovered:
            raise SteeringError(
                f"Everywhere was asked for. {self.uncovered}",
                "a model in which every block's sites add up to what the block writes into the residual stream.",
                f"Write at single sites: {', '.join(self.available)}.",
            )
        return tuple(
            (index, site)
            for index, block in enumerate(self.blocks)
            for site in block.available
            if site != "block_output" or block.rest
        )

    @property
    def uncovered(self) -> str:
        """Why "everywhere" cannot be written, in a sentence; "" where it can."""
        gaps = [index for index, block in enumerate(self.blocks) if block.gap]
        if gaps:
            return self.blocks[gaps[0]].gap + ("" if len(gaps) == self.n_blocks else f" So in {numbered(gaps)}.")
        for index, block in enumerate(self.blocks):
            if not block.rest_is_last:
                names = " and ".join(part.path for part in block.rest)
                return f"In block {index}, {names} adds to the residual stream where no site reaches it."
            if block.interleaved:
                return (
                    f"In block {index} mixers and MLPs take turns, so that what one of them adds is read by the next "
                    "before the site is complete."
                )
        return ""

    @property
    def everywhere_words(self) -> str:
        """What `everywhere` writes, in words; the reason where it cannot."""
        if self.uncovered:
            return self.uncovered
        mixers, mlps = self.having("attention_output"), self.having("mlp_output")
        if len(mixers) == len(mlps) == self.n_blocks and self.mixers == "attention" and not self._rest:
            return "every block's input, attention and MLP output"
        said = [f"the input of all {self.n_blocks} blocks"]
        said += [f"what the mixer adds ({self.mixers}) in {_share(mixers, self.n_blocks)}"] if mixers else []
        said += [f"what the MLP adds in {_share(mlps, self.n_blocks)}"] if mlps else []
        if self._rest:
            names = " and ".join(dict.fromkeys(part.path for block in self.blocks for part in block.rest))
            said.append(f"the output of {_share(self._rest, self.n_blocks)}, behind {names}")
        return ", ".join(said[:-1]) + f" and {said[-1]}" if len(said) > 1 else said[0]

    @property
    def _rest(self) -> list[int]:
        return [index for index, block in enumerate(self.blocks) if block.rest]

    @property
    def mixers(self) -> str:
        """The kinds of mixers and which blocks have them, such as `attention in blocks 3 and 7, convolution in ...`."""
        kinds = dict.fromkeys(block.mixer for block in self.blocks if block.mixer)
        if len(kinds) == 1 and all(block.mixer for block in self.blocks):
            return next(iter(kinds))
        return ", ".join(
            f"{kind} in {numbered([index for index, block in enumerate(self.blocks) if block.mixer == kind])}"
            for kind in kinds
        )


def numbered(blocks: Sequence[int]) -> str:
    """Blocks as people write them: `block 3`, `blocks 0, 2-5`."""
    runs: list[list[int]] = []
    for block in sorted(blocks):
        if runs and block == runs[-1][-1] + 1:
            runs[-1].append(block)
        else:
            runs.append([block])
    said = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return f"block{'' if len(blocks) == 1 else 's'} {', '.join(said)}"


def _share(blocks: Sequence[int], n: int) -> str:
    return f"all {n} blocks" if len(blocks) == n else numbered(blocks)


def _have(blocks: Sequence[int]) -> str:
    return "has" if len(blocks) == 1 else "have"
