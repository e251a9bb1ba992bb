"""What a model can do with a batch, found by a few short passes when it is loaded, before anything relies on it.

A list of architectures would be out of date; so each ability is tried on one short text, and counts only where it gives
the logits of reading that text alone and whole. What a model cannot do costs time, never a wrong number: rows of
different lengths are read apart, and a reply is decoded by reading the whole text again at every token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from steering.errors import SteeringError
from steering.loading.block_list import first_tensor
from steering.loading.missing_weights import check_logits
from steering.loading.placement import entrance
from steering.model.caches import repeated
from steering.model.forwards import ARGUMENTS, CACHES, KEEP, arguments


Side = Literal["left", "right"]
Keeping = Literal["number", "columns"]
TOLERANCE = {torch.float32: 2e-3, torch.float16: 0.05, torch.bfloat16: 0.2}
"""How far logits may lie apart, in their own standard deviations: rounding, carried through all blocks."""
_PLAIN = (DynamicLayer, DynamicSlidingWindowLayer)
_TEXT = "A quiet village lies by the river, where people bake bread, mend boats and tell each other stories at night."
_SHORT, _PADDING = 12, 6


@dataclass(frozen=True)
class Abilities:
    """What a model's forward pass takes, and what may be asked of it."""

    accepts: frozenset[str]
    """Which of `attention_mask`, `position_ids` and `use_cache` it takes."""
    cache: str | None
    """The argument and the output by which it goes on from what it read; None where it cannot, or does it wrongly."""
    masks_steps: bool
    """Whether a step after the first pass is told where padding stands (Mamba would take it for more tokens)."""
    pads: frozenset[Side]
    """The sides on which padding leaves a row's logits alone."""
    shares: bool
    """Whether one reading of a beginning can be gone on from by several rows, padded on the right."""
    alone: bool = False
    """Whether rows must be read one by one: RWKV's own code mixes up the states of several."""
    causal: bool = True
    """Whether what stands behind a token leaves that token's logits alone."""
    keeps: Keeping | None = None
    """How it is asked for the logits of the last positions alone, which bounds memory: by their number, or by their
    columns where a number would cut states short, too (Gemma 4). None where a pass gives logits at every token.
    """

    def takes(self, real: Tensor) -> bool:
        """Whether a batch with this padding, boolean, (row, position), can be read in one pass."""
        if self.alone and len(real) > 1:
            return False
        left, right = bool(real[:, -1].all()), bool(real[:, 0].all())
        return (left and right) or (left and "left" in self.pads) or (right and "right" in self.pads)

    @property
    def limits(self) -> tuple[str, ...]:
        """What follows from what is missing, a sentence each."""
        found = []
        if not self.causal:
            found.append("What stands behind a token changes what this model makes of it, so it is no plain decoder.")
        if self.cache is None:
            found.append(
                "Each new token is a pass over the whole text, since this model keeps nothing that it could rightly go "
                "on from: slow, but right."
            )
        if self.alone:
            found.append(
                "Rows are read one by one, since this model mixes up what it keeps of several: slow, but right."
            )
        elif "left" not in self.pads:
            found.append(
                "Rows of different lengths are read apart, since padding changes its logits: slower, but right."
            )
        return tuple(found)


def find_abilities(model: PreTrainedModel, tokenizer: Any, blocks: Sequence[nn.Module]) -> Abilities:
    """Try out a model: eight short passes where it can do everything. Call on the model thread.

    Args:
        model: The bare Hugging Face model.
        tokenizer: Its own.
        blocks: Its decoder blocks.
    """
    with torch.no_grad():
        return _Probe(model, _tokens(model, tokenizer), blocks).abilities()


class _Probe:
    """One text, read alone and whole, and in every other way that is to be tried."""

    def __init__(self, model: PreTrainedModel, ids: list[int], blocks: Sequence[nn.Module]) -> None:
        self._model, self._blocks = model, blocks
        self._named = arguments(model)
        self._short, self._next = ids[:_SHORT], ids[_SHORT : _SHORT + 2]
        self._other = ids[_SHORT : 2 * _SHORT + _PADDING]
        self._padded = ([[0] * _PADDING + self._short, self._other], (_PADDING, 0))
        self._whole = self._run([[*self._short, *self._next]], use_cache=False).logits[0]
        self._keeps: Keeping | None = None
        check_logits(model, self._whole)
        self._check_positions()

    def _check_positions(self) -> None:
        """Refuse a model that counts otherwise by itself than from 0: what it says of a text would hang on who asks."""
        if "position_ids" not in self._named:
            return
        device = entrance(self._model)
        by_itself = self._try_by_itself(torch.tensor([[*self._short, *self._next]], device=device))
        if by_itself is not None and not self._same(by_itself, self._whole):
            raise SteeringError(
                f"{type(self._model).__name__} reads a text otherwise when it is told the tokens' positions, 0, 1, 2, "
                "…, as its own `generate` tells them, than by itself: RoBERTa and its kin count from another number.",
                "a decoder that counts positions from 0.",
                "Load another model: of two different readings, none could be said to be the model's own.",
            )

    def _try_by_itself(self, ids: Tensor) -> Tensor | None:
        try:
            logits: Tensor = self._model(input_ids=ids).logits[0]
        except torch.OutOfMemoryError:
            raise
        except Exception:  # a model that has to be told them
            return None
        return logits

    def abilities(self) -> Abilities:
        left = self._left()
        way = self._way_on(*self._padded) if left else None
        pads: set[Side] = {"left"} if way is not None else set()
        causal = left or self._causal()
        alone = False
        if way is None:
            way = self._way_on([self._short, self._other[:_SHORT]], (0, 0))
            if way is None:
                way = self._way_on([self._short], (0,))
                alone = way is not None
            pads = {"left"} if left and way is None else set()
        name, masked = way or (None, False)
        # What gives logits at every token is read a few rows at a time, which going on from one reading would undo.
        shares = "left" in pads and name == "past_key_values" and self._keeps is not None and self._shares()
        if shares or self._right():
            pads.add("right")
        accepts = self._named & set(ARGUMENTS)
        return Abilities(accepts, name, masked, frozenset(pads), shares, alone, causal, self._keeps)

    def _left(self) -> bool:
        """Whether a short row is read rightly beside a longer one with padding in front."""
        ways: Sequence[Keeping] = ("number", "columns") if KEEP in self._named else ()
        output = next((found for found in map(self._keeping, ways) if found is not None), None)
        if output is None:
            rows, padding = self._padded
            output = self._try(rows, padding=padding, use_cache=False)
        return output is not None and self._same(output.logits[0, -1], self._whole[_SHORT - 1])

    def _keeping(self, way: Keeping) -> Any:
        """What the padded pass gives when it is asked for the last position's logits alone; None where it gives others
        or cuts states short: blocks that read another block's keys and values may be given the last position alone.
        """
        rows, padding = self._padded
        lengths: list[int] = []

        def measure(module: nn.Module, inputs: Any, output: Any) -> None:
            states = first_tensor(output)
            lengths.append(0 if states is None else states.shape[-2])

        handle = self._blocks[-1].register_forward_hook(measure)
        try:
            output = self._try(rows, padding=padding, keep=way, use_cache=False)
        finally:
            handle.remove()
        if output is None or lengths != [len(self._other)] or output.logits.shape[1] != 1:
            return None
        self._keeps = way
        return output

    def _causal(self) -> bool:
        output = self._try([self._short], use_cache=False)
        return output is not None and self._same(output.logits[0, -1], self._whole[_SHORT - 1])

    def _way_on(self, rows: list[list[int]], padding: Sequence[int]) -> tuple[str, bool] | None:
        """How to go on from what was read so that the next tokens get the logits of the whole text: by which argument,
        and whether with a mask; None where there is no way.
        """
        for masked in (True, False):
            output = self._try(rows, padding=padding)
            name = next((n for n in CACHES if n in self._named and getattr(output, n, None) is not None), None)
            if name is None:
                return None
            right = []
            for index, token in enumerate(self._next):
                known, tokens = len(rows[0]) + index, [[token]] * len(rows)
                cache = {name: getattr(output, name, None)}
                output = self._try(tokens, padding=padding, known=known, cache=cache, masked=masked)
                expected = self._whole[_SHORT + index]
                right.append(output is not None and self._same(output.logits[0, -1], expected))
            if all(right):
                return name, masked
        return None

    def _shares(self) -> bool:
        """Whether two rows may go on from one reading, the shorter padded behind."""
        half = _SHORT // 2
        cache: Any = getattr(self._try([self._short[:half]]), "past_key_values", None)
        if type(cache) is not DynamicCache or not all(type(layer) in _PLAIN for layer in cache.layers):
            return False
        rests = [self._short[half:] + [0] * _PADDING, self._other[:half] + self._other[:_PADDING]]
        ends = (-_PADDING, 0)
        output = self._try(rests, padding=ends, known=half, cache={"past_key_values": repeated(cache, 2)})
        return output is not None and self._same(output.logits[0, half - 1], self._whole[_SHORT - 1])

    def _right(self) -> bool:
        rows = [self._short + [0] * _PADDING, self._other]
        output = self._try(rows, padding=(-_PADDING, 0), use_cache=False)
        return output is not None and self._same(output.logits[0, _SHORT - 1], self._whole[_SHORT - 1])

    def _try(self, rows: list[list[int]], **options: Any) -> Any:
        """What a pass gives, or None where the model's code cannot do it."""
        try:
            return self._run(rows, **options)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # whatever the model's code raises says that it cannot
            return None

    def _run(
        self,
        rows: list[list[int]],
        *,
        padding: Sequence[int] | None = None,
        known: int = 0,
        cache: dict[str, Any] | None = None,
        keep: Keeping | None = None,
        use_cache: bool = True,
        masked: bool = True,
    ) -> Any:
        """A pass over rows behind `known` positions.

        Args:
            rows: Token ids, equally many.
            padding: Tokens of padding in front of each row, or, negative, behind it.
            known: Positions read before, padding included.
            cache: What was remembered of them, by the argument's name.
            keep: How to ask for the last position's logits alone; for all where None.
            use_cache: Whether to ask for something to go on from.
            masked: Whether to say where padding stands.
        """
        device = entrance(self._model)
        ids = torch.tensor(rows)
        mask = torch.ones(len(rows), known + ids.shape[1], dtype=torch.long)
        for row, n in enumerate(padding or ()):
            mask[row, : max(0, n)] = 0
            mask[row, mask.shape[1] - max(0, -n) :] = 0
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, known:]
        given = {"attention_mask": mask.to(device), "position_ids": positions.to(device), "use_cache": use_cache}
        options = {k: v for k, v in given.items() if k in self._named and (masked or k != "attention_mask")}
        if keep is not None:
            options[KEEP] = last_columns(keep, 1, ids.shape[1], device)
        return self._model(input_ids=ids.to(device), **options, **(cache or {}))

    def _same(self, found: Tensor, expected: Tensor) -> bool:
        return alike(found, expected, self._model.dtype)


def alike(found: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    """Whether two sets of logits differ by no more than a model's precision explains."""
    apart = (found.float() - expected.to(found.device).float()).abs().max()
    return float(apart) <= float(expected.float().std()) * TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16])


def last_columns(keeping: Keeping, n: int, length: int, device: torch.device) -> int | Tensor:
    """What asks for the logits of the last `n` of `length` positions."""
    return n if keeping == "number" else torch.arange(max(0, length - n), length, device=device)


def _tokens(model: PreTrainedModel, tokenizer: Any) -> list[int]:
    """Enough tokens of a plain text, inside the model's vocabulary."""
    wanted, size = 2 * _SHORT + _PADDING, model.get_input_embeddings().weight.shape[0]
    ids = [token % size for token in tokenizer(_TEXT, add_special_tokens=False)["input_ids"]]
    ids = ids or list(range(size))
    return (ids * (wanted // len(ids) + 1))[:wanted]
