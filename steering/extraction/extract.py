"""From a contrast set and a model to steering vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.extraction.default_block import default_block
from steering.extraction.fitter import Side
from steering.extraction.fitting import Fitting, Scales, check_finite
from steering.extraction.provenance import provenance_of
from steering.extraction.reading import REPLY_TOKENS, Reading
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import Site
from steering.passes.activations import DEFAULT_TOKEN_BUDGET, shared_beginning, stream_states
from steering.passes.pooling import Pooling
from steering.passes.state_files import StateFiles
from steering.statistics import auroc, auroc_intervals, balanced_accuracy, balanced_accuracy_intervals
from steering.texts.contrast import ContrastSet, Split
from steering.vectors.vector import SteeringVector


_SIDES: tuple[Side, Side] = ("positive", "negative")
_USED: tuple[Split, Split] = ("train", "validation")
_Parts = Mapping[tuple[Side, Split], list[Prompt]]


def extract(host: Host, contrast: ContrastSet, *, method: str = "mean_difference", **options: Any) -> SteeringVector:
    """Fit a direction per block on the training prompts and measure it on the validation prompts.

    Args:
        host: The model.
        contrast: What to tell apart.
        method: A key of `METHODS`.
        options: As those of `extract_methods`; `name` defaults to the contrast set's.

    Raises:
        SteeringError: As `extract_methods`.
    """
    return extract_methods(host, contrast, [method], **options)[method]


def extract_methods(
    host: Host,
    contrast: ContrastSet,
    methods: Sequence[str],
    *,
    site: Site = "block_output",
    pooling: Pooling = "last_token",
    system: str = "",
    generation_prompt: bool = True,
    reply_tokens: int = REPLY_TOKENS,
    name: str | None = None,
    seed: int = 0,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    split_half: bool = True,
    states: str | Path | None = None,
) -> dict[str, SteeringVector]:
    """Several methods on the same states, which are read once.

    Args:
        host: The model.
        contrast: What to tell apart.
        methods: Keys of `METHODS`.
        site: Where in the blocks to read; a vector is later written there.
        pooling: Which token of a prompt to read. With `mean_reply`, prompts without a reply get the model's own.
        system: System prompt before every prompt; none where empty.
        generation_prompt: Whether the template opens the reply after a prompt.
        reply_tokens: The most tokens of the model's own replies.
        name: What to call the vectors; the contrast set's name where None.
        seed: Of the methods, and of the bootstraps behind the intervals.
        token_budget: The most tokens, padding included, in one batch; lower it where memory is short.
        split_half: Whether to fit each method on both halves of the training prompts too, for the split-half cosine:
            three fits instead of one, which takes long for LEACE on a wide model.
        states: A folder to keep the states in as float16 files; nothing is kept where None.

    Raises:
        SteeringError: Too few training prompts, an unknown method, a method that needs pairs on an unpaired set, two
            sides whose states do not differ, states that are not finite, a system prompt for a set that has its own,
            or what `stream_states` raises.
    """
    for method in methods:
        _check(contrast, method)
    reading = Reading(system, generation_prompt, reply_tokens if pooling == "mean_reply" else 0)

    def work(job: Job[dict[str, SteeringVector]]) -> dict[str, SteeringVector]:
        parts = _prompts(host, contrast, reading, pooling)
        others = {method: ContrastSet.load(METHODS[method].texts) for method in methods if METHODS[method].texts}
        reader = _Reader(job, host, site, pooling, token_budget, parts, StateFiles(states) if states else None)
        fittings = {
            method: Fitting(METHODS[method], seed, others.get(method, contrast).counts["train"], split_half)
            for method in methods
        }
        scales = reader.fit([fitting for method, fitting in fittings.items() if method not in others])
        scales.check_apart(site, pooling)
        for method, other in others.items():
            reader.of(_prompts(host, other, reading, pooling, ("train",))).fit([fittings[method]])
        directions = {
            method: fitting.directions(host.info.blocks, host.info.width) for method, fitting in fittings.items()
        }
        scores = _scores(reader, directions, host.info.blocks)
        return {
            method: _vector(
                fittings[method],
                directions[method],
                scales,
                scores[method],
                paired=contrast.paired,
                seed=seed,
                name=name or contrast.name,
                site=site,
                suggested_strength=contrast.suggested_strength,
                provenance=provenance_of(
                    host, contrast, method, pooling=pooling, reading=reading, seed=seed, texts=METHODS[method].texts
                ),
            )
            for method in methods
        }

    return host.run(work, title=f"Extracting {name or contrast.name}")


class _Reader:
    """Reads the prompts of a contrast set part by part, with progress over all of them."""

    def __init__(
        self,
        job: Job[Any],
        host: Host,
        site: Site,
        pooling: Pooling,
        token_budget: int,
        parts: _Parts,
        files: StateFiles | None = None,
    ) -> None:
        self._job, self._host, self._site, self._pooling = job, host, site, pooling
        self.parts, self._files, self._budget = parts, files, token_budget
        self._done, self._total = 0, sum(map(len, parts.values()))
        every = [prompt for prompts in parts.values() for prompt in prompts]
        self._stream = partial(
            stream_states,
            host,
            site=site,
            pooling=pooling,
            token_budget=token_budget,
            beginning=shared_beginning(host, every, pooling),
        )

    def of(self, parts: _Parts) -> _Reader:
        """The same for other prompts, of which nothing is kept."""
        return _Reader(self._job, self._host, self._site, self._pooling, self._budget, parts)

    def fit(self, fittings: Sequence[Fitting]) -> Scales:
        """Show the training prompts to methods; gives how far apart both sides are and how long states."""
        scales = Scales()
        for side, indices, states in self.read("train"):
            scales.update(side, states)
            for fitting in fittings:
                fitting.update(side, indices, states)
        return scales

    def read(self, split: Split) -> Iterator[tuple[Side, Tensor, Tensor]]:
        """(side, indices within the side, states (batch, block, width)), a batch at a time."""
        for side in _SIDES:
            prompts = self.parts[side, split]
            for indices, states in self._stream(prompts):
                check_finite(states, self._site)
                if self._files:
                    self._files.write(f"{side}_{split}", len(prompts), indices, states)
                yield side, indices, states
                self._done += len(indices)
                self._job.report(self._done, self._total, "prompts read")


def _prompts(
    host: Host, contrast: ContrastSet, reading: Reading, pooling: Pooling, splits: Sequence[Split] = _USED
) -> dict[tuple[Side, Split], list[Prompt]]:
    to_the_end = pooling == "last_token" or (isinstance(pooling, tuple) and min(pooling, default=0) < 0)
    return {
        (side, split): reading.prompts(
            host, [each.messages for each in contrast.side(side, split)], to_the_end=to_the_end
        )
        for side in _SIDES
        for split in splits
    }


def _scores(reader: _Reader, directions: Mapping[str, Tensor], n_blocks: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Projections of the held-out prompts on each method's directions, float64, (prompt, block) a side."""
    sizes = {side: (len(reader.parts[side, "validation"]), n_blocks) for side in _SIDES}
    scores = {
        method: {side: torch.zeros(size, dtype=torch.float64) for side, size in sizes.items()} for method in directions
    }
    for side, indices, states in reader.read("validation"):
        for method, rows in directions.items():
            scores[method][side][indices] = torch.einsum("nbd,bd->nb", states.double(), rows)
    return {method: (each["positive"], each["negative"]) for method, each in scores.items()}


def _check(contrast: ContrastSet, method: str) -> None:
    if method not in METHODS:
        raise SteeringError(
            f"The method '{method}' was asked for.", f"one of {', '.join(METHODS)}.", "Choose one of these."
        )
    if METHODS[method].needs_pairs and not contrast.paired:
        raise SteeringError(
            f"{METHODS[method].title} was asked for on '{contrast.name}', which is two unpaired lists.",
            "a contrast set of pairs.",
            "Choose the mean difference, or bring the texts into pairs.",
        )
    positive, negative = contrast.counts["train"]
    least = METHODS[method].min_train
    if min(positive, negative) < least:
        raise SteeringError(
            f"'{contrast.name}' has {positive} positive and {negative} negative training prompts.",
            f"at least {least} of each for this method (60 % of a set are for training).",
            "Add prompts to the contrast set.",
        )


def _vector(
    fitting: Fitting,
    directions: Tensor,
    scales: Scales,
    held_out: tuple[Tensor, Tensor],
    *,
    paired: bool,
    seed: int,
    **known: Any,
) -> SteeringVector:
    apart, reference, norms = scales.along(directions)
    measured = _measured(*held_out, reference + apart / 2, paired=paired, seed=seed)
    block, reason = default_block(
        measured.get("auroc"), len(directions), lowest=measured.get("auroc_low"), shares=apart / norms
    )
    empty = dict.fromkeys(("auroc", "auroc_low", "auroc_high"))
    return SteeringVector(
        directions=directions.float(),
        mean_differences=apart.float(),
        references=reference.float(),
        residual_norms=norms.float(),
        split_half=_float(fitting.split_half()),
        explained=_float(fitting.fitter.explained()),
        eraser=fitting.fitter.eraser(),
        default_block=block,
        default_block_reason=reason,
        **{**empty, **measured},  # type: ignore[arg-type]
        **known,
    )


def _measured(positive: Tensor, negative: Tensor, middle: Tensor, *, paired: bool, seed: int) -> dict[str, Tensor]:
    """Held-out AUROC and accuracy with their intervals, (block,) each; nothing where a side has no prompts."""
    if not len(positive) or not len(negative):
        return {}
    scores, threshold = (positive.numpy(), negative.numpy()), middle.numpy()
    low, high = auroc_intervals(*scores, paired=paired, seed=seed)
    worst, best = balanced_accuracy_intervals(*scores, threshold, paired=paired, seed=seed)
    found = {
        "auroc": auroc(*scores),
        "auroc_low": low,
        "auroc_high": high,
        "accuracy": balanced_accuracy(*scores, threshold),
        "accuracy_low": worst,
        "accuracy_high": best,
    }
    return {name: torch.from_numpy(np.asarray(values)).float() for name, values in found.items()}


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()
