"""From a contrast set and a model to a steering vector."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from torch import Tensor

from steering.activations import DEFAULT_TOKEN_BUDGET, stream_states
from steering.contrast import ContrastSet, Split
from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.extraction.fitter import Side
from steering.extraction.fitting import Fitting, check_finite
from steering.extraction.reading import REPLY_TOKENS, Reading
from steering.host import Host
from steering.lane import Job
from steering.pooling import Pooling, pooling_name
from steering.sites import Site
from steering.statistics import auroc, auroc_intervals
from steering.vectors import Provenance, SteeringVector


FEW_HELD_OUT = 10
"""Held-out prompts a side under which an AUROC's interval says little."""
FEW_NOTE = "Few held-out prompts: the interval says little, and 1.00 may be luck."
_NEAR_BEST = 0.01
_GROWN = 0.4
_SIDES: tuple[Side, Side] = ("positive", "negative")
_PACKAGES = ("steering-workbench", "torch", "transformers", "nnsight")


def extract(
    host: Host,
    contrast: ContrastSet,
    *,
    method: str = "mean_difference",
    site: Site = "block_output",
    pooling: Pooling = "last_token",
    system: str = "",
    generation_prompt: bool = True,
    reply_tokens: int = REPLY_TOKENS,
    name: str | None = None,
    seed: int = 0,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
) -> SteeringVector:
    """Fit a direction per block on the training prompts and measure it on the validation prompts.

    Args:
        host: The model.
        contrast: What to tell apart.
        method: A key of `METHODS`.
        site: Where in the blocks to read; the vector is later written there.
        pooling: Which token of a prompt to read. With `mean_reply`, prompts without a reply get the model's own.
        system: System prompt before every prompt; none where empty.
        generation_prompt: Whether the template opens the reply after a prompt.
        reply_tokens: The most tokens of the model's own replies.
        name: What to call the vector; the contrast set's name where None.
        seed: Of the bootstrap behind the AUROC intervals.
        token_budget: The most tokens, padding included, in one batch; lower it where memory is short.

    Raises:
        SteeringError: Too few training prompts, an unknown method, a method that needs pairs on an unpaired set, two
            sides whose states do not differ, states that are not finite, a system prompt for a set that has its own,
            or what `stream_states` raises.
    """
    _check(contrast, method)

    def work(job: Job[SteeringVector]) -> SteeringVector:
        read = partial(stream_states, host, site=site, pooling=pooling, token_budget=token_budget)
        reading = Reading(system, generation_prompt, reply_tokens if pooling == "mean_reply" else 0)
        prompts = {
            (side, split): reading.prompts(host, [each.messages for each in contrast.side(side, split)])
            for side in _SIDES
            for split in _USED
        }
        total = sum(map(len, prompts.values()))
        fitting = Fitting(METHODS[method], seed, contrast.counts["train"])
        done = 0
        for side in _SIDES:
            for indices, states in read(prompts[side, "train"]):
                fitting.update(side, indices, check_finite(states, site))
                done += len(indices)
                job.report(done, total, "prompts read")
        directions = fitting.fitter.directions()
        scores = {}
        for side in _SIDES:
            scores[side] = torch.zeros(len(prompts[side, "validation"]), host.info.blocks, dtype=torch.float64)
            for indices, states in read(prompts[side, "validation"]):
                scores[side][indices] = torch.einsum("nbd,bd->nb", states.double(), directions)
                done += len(indices)
                job.report(done, total, "prompts read")
        provenance = _provenance(host, contrast, method, pooling, reading, seed)
        return _vector(
            contrast, site, name, seed, fitting, directions, (scores["positive"], scores["negative"]), provenance
        )

    return host.run(work, title=f"Extracting {name or contrast.name}")


_USED: tuple[Split, Split] = ("train", "validation")


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


def _separation(positive: Tensor, negative: Tensor, paired: bool, seed: int) -> tuple[Tensor, Tensor, Tensor] | None:
    """Held-out AUROC per block with its interval, (block,) each; None where a side has no validation prompts."""
    if not len(positive) or not len(negative):
        return None
    scores = positive.numpy(), negative.numpy()
    low, high = auroc_intervals(*scores, paired=paired, seed=seed)
    return tuple(torch.from_numpy(np.asarray(x)).float() for x in (auroc(*scores), low, high))  # type: ignore[return-value]


def default_block(
    scores: Tensor | None, n_blocks: int, *, lowest: Tensor | None = None, shares: Tensor | None = None
) -> tuple[int, str]:
    """Which block to write at unless told otherwise, and why.

    A faint trace often separates the two sides already in the first blocks, where the concept is not yet what later
    blocks read: steering there does little. So of the blocks that separate as well as the best, those count in which
    the difference has grown to two fifths of its largest share of the state; of these, one near the middle leaves later
    blocks the most to do with what is written. Where even that block's interval reaches chance, the reason says so.

    Args:
        scores: AUROC of each block, (block,); None where it was not measured.
        n_blocks: Blocks of the model.
        lowest: Lower end of each AUROC's interval, (block,).
        shares: Mean difference as a share of the residual norm, (block,).
    """
    middle = (n_blocks - 1) / 2
    if scores is None:
        return round(middle), "the middle block: there were no validation prompts to choose by"
    best = float(scores.max())
    near = [block for block in range(n_blocks) if float(scores[block]) >= best - _NEAR_BEST]
    grown = near
    if shares is not None:
        sizes = shares.abs()  # a control's mean difference may lie to either side
        largest = max(float(sizes[block]) for block in near)
        grown = [block for block in near if float(sizes[block]) >= _GROWN * largest]
    chosen = min(grown, key=lambda block: (abs(block - middle), block))
    if lowest is not None and float(lowest[chosen]) <= 0.5:
        return chosen, (
            f"but no block is shown to tell the two sides apart: the best AUROC, {best:.2f}, has an interval that "
            "reaches 0.5, which is chance. Do not expect this vector to steer"
        )
    blocks = ", ".join(map(str, grown))
    reason = (
        f"nearest to the middle of the model among blocks {blocks}, within {_NEAR_BEST} of the best AUROC, {best:.2f}"
    )
    if len(grown) < len(near):
        reason += f", and with at least {_GROWN:.0%} of the largest share of the state"
    return chosen, reason


def _vector(
    contrast: ContrastSet,
    site: Site,
    name: str | None,
    seed: int,
    fitting: Fitting,
    directions: Tensor,
    held_out: tuple[Tensor, Tensor],
    provenance: Provenance,
) -> SteeringVector:
    apart, reference, norms = fitting.scales(directions)
    separation = _separation(*held_out, contrast.paired, seed)
    auroc_, low, high = separation or (None, None, None)
    block, reason = default_block(auroc_, len(directions), lowest=low, shares=apart / norms)
    return SteeringVector(
        name=name or contrast.name,
        directions=directions.float(),
        mean_differences=apart.float(),
        references=reference.float(),
        residual_norms=norms.float(),
        auroc=auroc_,
        auroc_low=low,
        auroc_high=high,
        accuracy=_accuracy(*held_out, reference + apart / 2) if separation else None,
        split_half=_float(fitting.split_half()),
        explained=_float(fitting.fitter.explained()),
        eraser=fitting.fitter.eraser(),
        site=site,
        default_block=block,
        default_block_reason=reason,
        suggested_strength=contrast.suggested_strength,
        provenance=provenance,
    )


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()


def _accuracy(positive: Tensor, negative: Tensor, threshold: Tensor) -> Tensor:
    """Mean over both sides of the share of held-out scores on their side of the training middle, (block,)."""
    shares = (positive > threshold).double().mean(dim=0), (negative < threshold).double().mean(dim=0)
    return ((shares[0] + shares[1]) / 2).float()


def _provenance(
    host: Host, contrast: ContrastSet, method: str, pooling: Pooling, reading: Reading, seed: int
) -> Provenance:
    return Provenance(
        method=method,
        pooling=pooling_name(pooling),
        contrast=contrast.name,
        contrast_digest=contrast.digest,
        positive_label=contrast.positive_label,
        negative_label=contrast.negative_label,
        n_train=contrast.counts["train"],
        n_validation=contrast.counts["validation"],
        seed=seed,
        model=host.name,
        model_source=host.info.source,
        revision=host.info.revision,
        architecture=host.info.architecture,
        dtype=host.info.dtype,
        template_digest=host.info.template_digest,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
        licence=contrast.licence,
        settings=asdict(reading),
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # the project itself, run from a checkout that was never installed
            continue
    return found
