"""What every block adds to the residual stream, found by a pass and shown by a second one.

No list of names knows where a decoder's sub-layers end: behind a post-norm (Gemma 2, GLM 4), before a multiplier
(Granite), inside a module that adds the residual itself (Bloom, MPT, Falcon), two levels down (DBRX), in two mixers
side by side (Falcon-H1). So the modules of a block are asked: of those whose output has the stream's shape, which ones,
times which numbers, add up to the block's output less its input? The fewest that do are its sites. In the second pass
something random is added to each of them, and the sum must still hold: then what is written there is what enters the
stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D  # GPT-2's name for a matrix, no convolution

from steering.loading.block_list import ROWS, TOKENS, entering, find_blocks, first_tensor, hooked, run
from steering.model.mlp_input import FEED_FORWARD, IS_MLP, Call, find_mlp_input, gives_mlp_input, is_states
from steering.model.residual_sum import Sum, find_sum, holds
from steering.model.sites import BlockSites, Part, Site, Sites


def find_sites(model: nn.Module, n_blocks: int | None, blocks_path: str | None = None) -> Sites:
    """Find the blocks of a causal language model and the sites of each, in three passes over a few tokens.

    Args:
        model: The Hugging Face model.
        n_blocks: Number of decoder layers according to its configuration; None where it does not say.
        blocks_path: Dotted path of the list of blocks, for an architecture that the search gets wrong.

    Raises:
        SteeringError: As `steering.loading.block_list.find_blocks`.
    """
    path = find_blocks(model, n_blocks, blocks_path)
    blocks = list(model.get_submodule(path))  # type: ignore[call-overload]
    seen = _Watch(model, blocks)
    return Sites(path, tuple(_shown(model, blocks, seen.found)), linked=seen.linked)


@dataclass
class _Seen:
    """What a pass showed of one block."""

    total: Sum | None = None
    """The modules that add up to what it writes; None where none do."""
    calls: Mapping[str, Call] = field(default_factory=dict)
    """What its modules were given and gave, in the order in which they gave it."""
    entries: int = 0


class _Watch:
    """A pass that records, of every block, what its modules give; a block's states are let go when it ends."""

    def __init__(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        self.found = [BlockSites({}) for _ in blocks]
        self.linked = True
        self._entered: Tensor | None = None
        self._left: Tensor | None = None
        self._calls: dict[str, Call] = {}
        inner = [dict(inner_modules(block)) for block in blocks]
        uses: dict[int, int] = {}
        for modules in inner:
            for module in modules.values():
                uses[id(module)] = uses.get(id(module), 0) + 1
        before = [block.register_forward_pre_hook(self._enter, with_kwargs=True) for block in blocks]
        after: list[tuple[nn.Module, Callable[..., Any]]] = []
        for modules in inner:  # a module that several blocks share would answer for all of them
            after += [(module, self._inside(path)) for path, module in modules.items() if uses[id(module)] == 1]
        after += [(block, self._leave(index)) for index, block in enumerate(blocks)]
        try:
            with hooked(after):
                run(model)
        finally:
            for handle in before:
                handle.remove()

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._calls = {}
        states = first_tensor(entering(args, kwargs))
        assert states is not None  # find_blocks has looked
        self._entered = states.clone()
        if self._left is not None and not torch.equal(self._left, self._entered):
            self.linked = False

    def _inside(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            if self._entered is not None and path in self._calls:
                self._calls[path].times += 1
            elif self._entered is not None:
                # Clones: Falcon adds to its MLP's output in place.
                gave, first = first_tensor(output), entering(args, kwargs)
                states = None if gave is None else as_stream(gave, self._entered)
                given = [as_stream(each, self._entered) for each in (*args, *kwargs.values()) if is_states(each)]
                self._calls[path] = Call(
                    given=tuple(each.clone() for each in given if each is not None),
                    first=first.clone() if is_states(first) else None,
                    gave=None if gave is None else gave.clone(),
                    states=None if states is None else states.clone(),
                )

        return hook

    def _leave(self, index: int) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            left = first_tensor(output)
            assert left is not None
            assert self._entered is not None
            once = {
                path: call.states for path, call in self._calls.items() if call.states is not None and call.times == 1
            }
            total = find_sum(self._entered, left, once)
            entries = len(output) if isinstance(output, tuple | list) else 0
            self.found[index] = _block_sites(module, index, _Seen(total, self._calls, entries))
            self._left, self._calls = left.clone(), {}

        return hook


def inner_modules(block: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules inside a block that may add to the stream, by path; experts see some of the tokens only."""
    return [(path, module) for path, module in block.named_modules() if path and "experts." not in path]


def as_stream(states: Tensor, stream: Tensor) -> Tensor | None:
    """A module's output laid out as the stream (row, token, width), or None where it is something else."""
    if states.shape == stream.shape:
        return states
    flat = (ROWS * TOKENS, stream.shape[-1])  # OPT runs its MLP on all rows' tokens in one list
    return states.reshape(stream.shape) if states.shape == flat else None


_MIXERS = {
    "state space": r"mamba|ssm|ssd",
    "linear attention": r"deltanet|deltaattention|linearattention|lightning|kda|rwkv|retention|gla\b",
    "convolution": r"conv",
    "recurrence": r"recurrent|rglru|lstm",
    "attention": r"attention|attn|mla\b",
}
_IS_MIXER = re.compile("|".join([*_MIXERS.values(), "mixer", "temporal", "self_att"]), re.IGNORECASE)
_IS_OTHER = re.compile(r"per_layer|altup|laurel", re.IGNORECASE)


_INNER: tuple[Site, ...] = ("attention_output", "mlp_output")


def _block_sites(block: nn.Module, index: int, seen: _Seen) -> BlockSites:
    if seen.total is None:
        gap = (
            f"In block {index} no modules were found whose outputs add up to what the block writes into the residual "
            "stream, so that attention and MLP output are not offered there."
        )
        return BlockSites({}, mixer_kind(block), gap=gap, entries=seen.entries)
    order = {path: place for place, path in enumerate(seen.calls)}
    parts = [Part(path, scale, order[path]) for path, scale in seen.total.terms.items()]
    parts.sort(key=lambda part: part.order)
    sorts = _sorted_out([_kind(block, part.path) for part in parts])
    inner: dict[Site, tuple[Part, ...]] = {}
    for site in _INNER:
        of_site = tuple(part for part, kind in zip(parts, sorts, strict=True) if kind == site)
        if of_site:
            inner[site] = of_site
    rest = tuple(part for part, kind in zip(parts, sorts, strict=True) if kind is None)
    mixer = mixer_kind(block) if "attention_output" in inner else ""
    entering, why = find_mlp_input(block, index, inner.get("mlp_output", ()), seen.calls)
    norm = gives_mlp_input(entering, seen.calls)
    return BlockSites(inner, mixer, seen.total.carry, rest, "", seen.entries, entering, why, norm)


def _kind(block: nn.Module, path: str) -> str | None:
    """Whether a module belongs to the mixer or the MLP, by the names of its class and of what it lies in."""
    steps = path.split(".")
    for depth in range(len(steps), 0, -1):
        name, module = steps[depth - 1], block.get_submodule(".".join(steps[:depth]))
        kind = type(module).__name__
        if _IS_OTHER.search(name):
            return "other"
        if FEED_FORWARD.search(kind) or IS_MLP.search(name):
            return "mlp_output"
        if _IS_MIXER.search(kind) or _IS_MIXER.search(name):
            return "attention_output"
    return None


def _sorted_out(kinds: list[str | None]) -> list[str | None]:
    """Kinds of a block's parts in forward order; what the names left open goes by the order, the mixer first."""
    for place, kind in enumerate(kinds):
        if kind is None and "attention_output" not in kinds and (len(kinds) > 1 or "mlp_output" in kinds):
            kinds[place] = "attention_output"
        elif kind is None and "mlp_output" not in kinds:
            kinds[place] = "mlp_output" if "attention_output" in kinds else "attention_output"
    return [None if kind == "other" else kind for kind in kinds]


def mixer_kind(block: nn.Module) -> str:
    """What mixes tokens in a block, by the names of its modules' classes; "mixer" where they do not say."""
    found: list[tuple[str, str]] = []
    for path, module in block.named_modules():
        kind, steps = type(module).__name__, path.count(".")
        if not path or steps > 1 or FEED_FORWARD.search(kind) or isinstance(module, nn.Conv1d | nn.Linear | Conv1D):
            continue
        own = _without_family(kind, type(block).__name__)
        said = _mixer_word(own)
        if kind.startswith("Rwkv") and said:  # what it calls attention is a sum that decays
            said = "linear attention"
        if not said and "mixer" in own.lower():  # as in `FalconMambaMixer`, or `mamba` in Falcon-H1
            said = _mixer_word(path.split(".")[-1]) or _mixer_word(kind)
        if said and not any(path.startswith(f"{other}.") for other, _ in found):
            found.append((path, said))
    return " + ".join(dict.fromkeys(said for _, said in found)) or "mixer"


def _without_family(kind: str, beside: str) -> str:
    """A class's name without the words that it shares with another's: families are named after mixers, too, so that
    what `KimiLinearAttention` adds to `KimiLinearDecoderLayer` is attention.
    """
    words, others = (re.findall(r"[A-Z]*[^A-Z]+|[A-Z]+$", name) for name in (kind, beside))
    shared = next((place for place, (a, b) in enumerate(zip(words, others, strict=False)) if a != b), 0)
    return "".join(words[shared:])


def _mixer_word(name: str) -> str:
    return next((kind for kind, words in _MIXERS.items() if re.search(words, name, re.IGNORECASE)), "")


def _shown(model: nn.Module, blocks: Sequence[nn.Module], found: list[BlockSites]) -> list[BlockSites]:
    """The sites for which the sum still holds when something random is added to each."""
    checks = [_Check(block, sites) for block, sites in zip(blocks, found, strict=True)]
    before = [check.block.register_forward_pre_hook(check.enter, with_kwargs=True) for check in checks]
    try:
        with hooked([hook for check in checks for hook in check.hooks()]):
            run(model)
    finally:
        for handle in before:
            handle.remove()
    return [
        sites if check.passed else BlockSites({}, mixer_kind(check.block), gap=_unmoved(index), entries=sites.entries)
        for index, (check, sites) in enumerate(zip(checks, found, strict=True))
    ]


def _unmoved(index: int) -> str:
    return (
        f"In block {index} what is written at the modules that add up to its output does not come out of the block, so "
        "that attention and MLP output are not offered there."
    )


@dataclass
class _Check:
    block: nn.Module
    sites: BlockSites
    passed: bool = True
    _entered: Tensor | None = None
    _values: dict[str, Tensor] = field(default_factory=dict)
    _seeds: Any = field(default_factory=count)

    @property
    def terms(self) -> Mapping[str, float]:
        parts = [part for each in self.sites.inner.values() for part in each]
        return {part.path: part.scale for part in (*parts, *self.sites.rest)}

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        states = first_tensor(entering(args, kwargs))
        self._entered = None if states is None else states.clone()

    def hooks(self) -> list[tuple[nn.Module, Callable[..., Any]]]:
        inside = [(self.block.get_submodule(path), self._disturb(path)) for path in self.terms]
        return [*inside, (self.block, self._leave)]

    def _disturb(self, path: str) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            states = first_tensor(output)
            assert states is not None
            assert self._entered is not None
            noise = torch.randn(states.shape, generator=torch.Generator().manual_seed(next(self._seeds)))
            size = states.float().square().mean().sqrt().clamp(min=1e-3)
            new = (states.float() + size * noise.to(states.device)).to(states.dtype)
            self._values[path] = new.reshape(self._entered.shape).clone()
            return type(output)([new, *output[1:]]) if isinstance(output, tuple | list) else new

        return hook

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        left = first_tensor(output)
        assert left is not None
        assert self._entered is not None
        if self.terms:
            total = Sum(dict(self.terms), self.sites.carry)
            self.passed = holds(total, self._entered, left, self._values)
        self._values = {}
