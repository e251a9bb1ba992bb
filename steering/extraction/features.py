"""From a feature of a sparse dictionary to a steering vector: its decoder row, and how active it typically becomes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.normed import on_model
from steering.errors import SteeringError
from steering.extraction.provenance import made_here
from steering.lane import Job
from steering.model.host import Host
from steering.model.sites import ReadPlace
from steering.passes.activations import DEFAULT_TOKEN_BUDGET, batches_by_length
from steering.passes.forced import Replied
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.recipes.nats import calibration_prompts, own_replies
from steering.vectors.feature import PERCENTILE, Feature
from steering.vectors.vector import Provenance, SteeringVector


EVERYDAY = "the model's own replies to everyday requests"
"""What a typical maximum is read on where no texts are given."""


def vector_of_feature(
    host: Host,
    dictionary: Dictionary,
    index: int,
    *,
    maximum: float | None = None,
    read_on: str = "",
    name: str | None = None,
) -> SteeringVector:
    """A feature as a vector of one block: its decoder row, as long as what the feature adds at its typical maximum.

    Args:
        host: The model.
        dictionary: Of that model; its place must be one of the model's.
        index: Which feature, from 0.
        maximum: Its typical maximum (`typical_maxima`), in the dictionary's units; read on the model's own replies to
            everyday requests where None.
        read_on: On which texts `maximum` was read, in words.
        name: Of the vector; the dictionary's and the feature's where None.

    Raises:
        SteeringError: A dictionary of another width or place, or whose features cannot be changed; no such feature; one
            that is never active on the texts that are read, or whose decoder row is zero.
    """
    block, site = dictionary.gives
    host.sites.check(site, block)
    if dictionary.width_out != host.info.width:
        raise SteeringError(
            f"The dictionary '{dictionary.name}' gives states of width {dictionary.width_out}.",
            f"width {host.info.width}, as {host.name} has.",
            "Load the model that it was trained on, or choose another dictionary.",
        )
    dictionary.check_edited(f"Feature {index} of '{dictionary.name}' was to be a vector.")
    row = dictionary.decoder([index])[0].cpu()
    length = float(row.norm())
    if not length > 0:
        raise SteeringError(f"The decoder row of feature {index} is zero.", "a feature that writes something.")
    if maximum is None:
        maximum, read_on = _read_maximum(host, dictionary, index), EVERYDAY
    lengths = torch.zeros(host.info.blocks)
    lengths[block] = length * maximum
    return SteeringVector(
        name=name or f"{dictionary.name} {index}",
        directions=(row / length).repeat(host.info.blocks, 1),
        mean_differences=lengths,
        residual_norms=torch.zeros(host.info.blocks),
        auroc=None,
        auroc_low=None,
        auroc_high=None,
        site=site,
        default_block=block,
        default_block_reason="where its dictionary gives its states",
        suggested_strength=1.0,
        provenance=_provenance(host, dictionary),
        feature=Feature(dictionary.source, dictionary.digest, index, maximum, read_on),
    )


def typical_maxima(
    host: Host, dictionary: Dictionary, features: Sequence[int], replied: Sequence[Replied]
) -> tuple[Tensor, Tensor]:
    """How active features typically become on texts: the 99.5th percentile of what is above 0, and on how many tokens.

    The first token of every text is left out, as in the training of most dictionaries.

    Args:
        host: The model, which is read unsteered.
        dictionary: Of that model.
        features: Which.
        replied: Prompts and the token ids that follow each; an empty reply reads the prompt alone.

    Returns:
        (feature,) each; the maximum is NaN where a feature is active nowhere.
    """
    dictionary.check_edited(f"Typical maxima of '{dictionary.name}' were asked for, to write by its features.")
    dictionary = on_model(dictionary, host)
    place: ReadPlace = (dictionary.reads[0], host.sites.check_read(dictionary.reads[1], dictionary.reads[0]))

    def work(job: Job[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        parts, lengths = [], [len(prompt) + len(ids) for prompt, ids in replied]
        for indices in batches_by_length(lengths, DEFAULT_TOKEN_BUDGET):
            job.check()
            some = [replied[index] for index in indices]
            batch = Batch.of(host, [prompt for prompt, _ in some], replies=[ids for _, ids in some])
            read = batch.real.index_put((torch.arange(len(some)), batch.first), torch.tensor(False))
            found: list[Tensor] = []
            schedule = Schedule(host, [()] * len(some))
            read_prompts(host, batch, schedule, read=lambda _, states, to=found: to.append(states), places=[place])  # type: ignore[misc]
            parts.append(dictionary.activations(found[0][read.to(found[0].device)], features).cpu())
        activations = torch.cat(parts)
        active = activations > 0
        counts = active.sum(dim=0)
        above = [activations[active[:, n], n] for n in range(len(features))]
        maxima = [each.quantile(PERCENTILE / 100) if len(each) else torch.tensor(float("nan")) for each in above]
        return torch.stack(maxima), counts

    return host.run(work, title="Reading how active features become")


def _read_maximum(host: Host, dictionary: Dictionary, index: int) -> float:
    def work(job: Job[float]) -> float:
        maxima, counts = typical_maxima(host, dictionary, [index], own_replies(host, calibration_prompts()))
        if not int(counts[0]):
            raise SteeringError(
                f"Feature {index} of '{dictionary.name}' is active nowhere in {EVERYDAY}.",
                "texts on which it is active, to know how active it typically becomes.",
                "Give `maximum`, as read on texts where it is active.",
            )
        return float(maxima[0])

    return host.run(work, title="Reading how active a feature becomes")


def _provenance(host: Host, dictionary: Dictionary) -> Provenance:
    made = made_here(host)
    return Provenance.made_elsewhere(
        method="feature of a dictionary",
        settings={"architecture": dictionary.architecture, "trained_on": dictionary.model},
        **{**made, "warnings": (*made["warnings"], *dictionary.notes)},
    )
