"""Where refusal lives: along the direction by block and token, as two probes, in the model's own decisions, and how far
a fine-tune has drifted from its base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from steering.confines import check_model
from steering.errors import SteeringError
from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import ReadPlace
from steering.passes.activations import read_states
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.statistics import Estimate, auroc, auroc_intervals, f1_interval
from steering.studies.refusal.requests import Messages, read_prompts_of
from steering.vectors.vector import SteeringVector


FOLDS = 5
GOOD_F1 = 0.8
_MOST_STEPS = 2000


@dataclass(frozen=True, eq=False)
class Projection:
    """One prompt along the direction."""

    prompt: Prompt
    cosine: Tensor
    """Cosine of the state at every block's input with the direction, (token, block)."""
    raw: Tensor
    """u·x there, raw units, (token, block)."""


def projections(host: Host, prompts: Sequence[Prompt], vector: SteeringVector) -> list[Projection]:
    """The direction of the vector's own block, read at every token and block of some prompts."""
    direction = vector.directions[vector.default_block]
    return [host.run(lambda job, each=each: _project(host, each, direction), title="Projecting") for each in prompts]  # type: ignore[misc]


def _project(host: Host, prompt: Prompt, direction: Tensor) -> Projection:
    kept: list[tuple[Tensor, Tensor]] = []

    def read(place: ReadPlace, states: Tensor) -> None:
        own = states[0].float()
        along = own @ direction.to(own.device)
        kept.append((along / own.norm(dim=-1).clamp(min=1e-12), along))

    places = [(block, "block_input") for block in range(host.info.blocks)]
    read_prompts(host, Batch.of(host, [prompt]), Schedule(host, [()]), read=read, places=places)  # type: ignore[arg-type]
    cosine, raw = (torch.stack(each, dim=1).cpu() for each in zip(*kept, strict=True))
    return Projection(prompt, cosine, raw)


@dataclass(frozen=True, eq=False)
class TwoProbes:
    """Harmfulness at the last instruction token and refusal at the last template token (Zhao et al. 2025, arXiv
    2507.11878): both by mean difference, 0 where control requests lie on average and 1 where target ones do.
    """

    block: int
    """Where harmfulness is read: the block of its best AUROC on validation requests."""
    auroc: Estimate
    """There on test requests, target against control, with a bootstrap interval."""
    harmfulness: tuple[float, ...]
    """Of every test request."""
    refusal: tuple[float, ...]


def two_probes(
    host: Host,
    train: tuple[Sequence[Prompt], Sequence[Prompt]],
    validation: tuple[Sequence[Prompt], Sequence[Prompt]],
    test: Sequence[Prompt],
    sides: tuple[Sequence[int], Sequence[int]],
    vector: SteeringVector,
) -> TwoProbes:
    """Fit both on training prompts and read the test prompts.

    Args:
        host: The model.
        train: Target and control prompts.
        validation: Others, to choose the block of harmfulness on.
        test: What is read.
        sides: Which of `test` are target and which control requests.
        vector: The refusal direction, read at its own token and block.
    """
    read = [read_states(host, side, site="block_input", pooling="last_content") for side in train]
    target, control = (states.double().mean(dim=0) for states in read)
    difference = target - control
    length = difference.norm(dim=-1).clamp(min=1e-12)
    unit = difference / length[:, None]

    def along(prompts: Sequence[Prompt]) -> Tensor:
        states = read_states(host, prompts, site="block_input", pooling="last_content").double()
        return torch.einsum("pbd,bd->pb", states - control, unit) / length

    scores = auroc(*(along(side).numpy() for side in validation))
    # Where the token itself says nothing of the side, the middle of the model is the better read of equals.
    block = int(max(range(len(scores)), key=lambda b: (round(float(scores[b]), 3), -abs(b - len(scores) / 2))))
    place = vector.default_block
    position = int(vector.provenance.pooling)
    states = read_states(host, test, site="block_input", pooling=(position,))[:, place] @ vector.directions[place]
    assert vector.references is not None
    refusal = (states - vector.references[place]) / vector.mean_differences[place]
    harmful = along(test)[:, block]
    both = [harmful[list(side)].numpy()[:, None] for side in sides]
    low, high = auroc_intervals(*both, paired=False)
    found = Estimate(float(auroc(*both)[0]), float(low[0]), float(high[0]))
    return TwoProbes(block, found, tuple(harmful.tolist()), tuple(refusal.tolist()))


@dataclass(frozen=True)
class Surrogate:
    """How well a linear head tells the model's own decisions, block by block (Noirot Ferrand et al. 2025, arXiv
    2501.16534).
    """

    f1: tuple[Estimate, ...]
    """Of refusals, cross-validated, with a bootstrap interval, one a block; empty where it cannot be fitted."""
    refused: int
    n: int

    @property
    def first_good(self) -> int | None:
        """The first block with an F1 above 0.8 whose interval lies above `trivial`; None where there is none."""
        good = (block for block, f1 in enumerate(self.f1) if f1.value > GOOD_F1 and f1.low > self.trivial)
        return next(good, None)

    @property
    def trivial(self) -> float:
        """F1 of calling every request a refusal, 2 p / (1 + p)."""
        rate = self.refused / self.n
        return 2 * rate / (1 + rate)


def surrogate(host: Host, prompts: Sequence[Prompt], refused: Sequence[bool], *, seed: int = 0) -> Surrogate:
    """Logistic regression on the last token's state after every block, in five stratified folds.

    Args:
        host: The model.
        prompts: Requests.
        refused: Whether the model refused each, by its own reply: no ground truth enters.
        seed: Of the folds.
    """
    # These take seconds to import.
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.array(refused, dtype=bool)
    few = min(int(labels.sum()), int((~labels).sum()))
    if few < FOLDS:
        return Surrogate((), int(labels.sum()), len(labels))
    states = read_states(host, prompts).numpy()
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    found = []
    for block in range(host.info.blocks):
        head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_STEPS))
        predicted = cross_val_predict(head, states[:, block], labels, cv=folds)
        found.append(f1_interval(labels, predicted, seed=seed))
    return Surrogate(tuple(found), int(labels.sum()), len(labels))


@dataclass(frozen=True)
class Drift:
    """How far a fine-tune has moved from the aligned model it was made from (Yang et al. 2025, arXiv 2504.09757)."""

    reference: str
    target: tuple[float, ...]
    """Cosine of both models' mean target states after every block, (block,)."""
    difference: tuple[float, ...]
    """Cosine of both models' mean differences of target and control, (block,)."""
    n: int
    """Target requests behind the means."""


def drift(
    host: Host, reference: str, target: Sequence[Messages], control: Sequence[Messages], *, system: str = ""
) -> Drift:
    """Load the aligned model beside this one for a moment and compare mean states at the last token.

    Args:
        host: The fine-tune.
        reference: The aligned model's name, folder or Hub id.
        target: Requests, each rendered with each model's own template.
        control: Others.
        system: A system prompt before each.

    Raises:
        SteeringError: The reference cannot be loaded, or has another shape.
    """
    check_model(reference)
    other = Host.load(reference, lane=host.lane, options=LoadOptions(dtype=host.info.dtype)).under(host.chat)
    if (other.info.blocks, other.info.width) != (host.info.blocks, host.info.width):
        raise SteeringError(
            f"The reference {other.name} has {other.info.blocks} blocks of width {other.info.width}.",
            f"{host.info.blocks} of width {host.info.width}, as {host.name} has.",
            "Name the model that this one was tuned from.",
        )
    means = [
        [read_states(each, read_prompts_of(each, side, system)).double().mean(dim=0) for side in (target, control)]
        for each in (host, other)
    ]
    cosine = torch.nn.functional.cosine_similarity
    apart = [target_mean - control_mean for target_mean, control_mean in means]
    difference = cosine(apart[0], apart[1], dim=-1).tolist()
    return Drift(
        reference=other.name,
        target=tuple(cosine(means[0][0], means[1][0], dim=-1).tolist()),
        difference=tuple(difference),
        n=len(target),
    )
