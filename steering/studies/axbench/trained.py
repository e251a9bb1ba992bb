"""A vector trained for a concept: by a loss, on requests with a reply that has the concept and one that has not."""

from __future__ import annotations

from dataclasses import replace

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.studies.axbench.concepts import Concept
from steering.texts.preferences import Preference
from steering.training.losses import LOSSES
from steering.training.trainee import Mode, Trainee
from steering.training.training import train
from steering.vectors.vector import SteeringVector


_LONGEST = 64
"""Tokens of the model's own replies, where nobody has written the ones without the concept."""


def pairs_on(host: Host, concept: Concept) -> list[Preference]:
    """A concept's pairs, with the unsteered model's own replies in place of rejected ones that nobody has written;
    pairs whose replies are the same are left out.

    Raises:
        SteeringError: No pair is left.
    """
    missing = [each for each in concept.pairs if not each.rejected]
    rows = [Row(render(host, each.messages)) for each in missing]
    replies = generate(host, rows, DecodeSettings(max_new_tokens=_LONGEST)) if rows else ()
    own = {each.messages: reply.answer for each, reply in zip(missing, replies, strict=True)}
    whole = [each if each.rejected else replace(each, rejected=own[each.messages]) for each in concept.pairs]
    found = [each for each in whole if each.rejected.strip() and each.rejected.strip() != each.chosen.strip()]
    if not found:
        raise SteeringError(f"'{concept.name}' has no pairs of replies.", "some, to train on.")
    return found


def trained_vector(
    host: Host, concept: Concept, pairs: list[Preference], loss: str, *, block: int, steps: int, seed: int
) -> SteeringVector:
    """Train it at a block, its length too. Call on the model thread.

    Raises:
        SteeringError: As `train`.
    """
    mode: Mode = "gated_add" if LOSSES[loss].gated else "add"
    found = train(
        host,
        pairs,
        Trainee(blocks=(block,), mode=mode),
        loss=loss,
        steps=steps,
        seed=seed,
        name=f"{concept.name}, {loss}",
        data_name=concept.name,
    )
    return found.vector
