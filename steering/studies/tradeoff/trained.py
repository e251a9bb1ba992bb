"""A vector that is trained on the very answers that alignment is about, beside the recipe's own."""

from __future__ import annotations

from steering.errors import SteeringError
from steering.studies.tradeoff.curves import Curve
from steering.studies.tradeoff.making import Maker
from steering.texts.preferences import Preference
from steering.texts.questions import load_pairs
from steering.training.losses import LOSSES
from steering.training.trainee import Trainee
from steering.training.training import train


MOST = 300
"""Pairs that are trained on."""
_FEWEST = 8


def trained_curve(maker: Maker, title: str) -> Curve:
    """The first intervention with a vector that is trained on answer pairs behind those that are measured, at its
    blocks; at 1 × its length it costs the budget.

    Raises:
        SteeringError: Too few pairs, a loss that samples or has a gate, or as `train`.
    """
    settings, first = maker.settings, maker.first
    pairs = load_pairs(maker.host, settings.subject, settings.n + MOST)[settings.n :]
    if len(pairs) < _FEWEST:
        raise SteeringError(
            f"{len(pairs)} pairs of '{settings.subject}' are left behind the first {settings.n}.",
            f"{_FEWEST} at least, that are not measured on.",
            "Measure on fewer items.",
        )
    loss = LOSSES.get(settings.loss)
    if loss is None or loss.sampled or loss.gated:
        usable = [name for name, each in LOSSES.items() if not each.sampled and not each.gated]
        raise SteeringError(f"The loss '{settings.loss}' was asked for.", f"one of {', '.join(usable)}.", "Choose one.")
    own = maker.vectors[first.vector]
    blocks = first.blocks if isinstance(first.blocks, tuple) else (own.default_block,)
    found = train(
        maker.host,
        [Preference(pair.messages, pair.aligned, pair.misaligned) for pair in pairs],
        Trainee(blocks=blocks, site=first.site or own.site, scope=first.scope),
        loss=settings.loss,
        budget=settings.train_nats,
        steps=settings.train_steps,
        seed=settings.seed,
        name=f"{own.name} ({settings.loss})",
        data_name=settings.subject,
    )
    maker.notes.append(
        f"Trained by {loss.title} on {len(pairs)} pairs of '{settings.subject}' that are not measured on; 1 × its "
        f"length costs {found.kl or 0:.3g} nats."
    )
    return maker.swept("trained", f"{title} ({settings.loss})", found.vector)
