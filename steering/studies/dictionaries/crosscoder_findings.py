"""What a crosscoder came to: tables, measures and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from steering.model.host import Host
from steering.numbers import counted
from steering.studies.dictionaries.corpus import few_note
from steering.studies.dictionaries.exclusive import Exclusive
from steering.studies.dictionaries.findings import (
    RANDOM,
    TRAINED,
    card_file,
    copied,
    curve_table,
    first_tokens,
    kept_notes,
    measures_of,
    verdict,
)
from steering.studies.dictionaries.latent_scaling import ERROR_BELOW, RECONSTRUCTION_BELOW
from steering.studies.dictionaries.settings import CrosscoderSettings
from steering.studies.measure import Measure
from steering.studies.study import Result


def result_of(
    host: Host,
    settings: CrosscoderSettings,
    card: Mapping[str, Any],
    own: Exclusive,
    kept: Path | None,
    notes: Sequence[str],
) -> Result:
    """The result of the study.

    Args:
        host: The tuned model.
        settings: Of the study.
        card: Of the crosscoder.
        own: What it says of the two models.
        kept: Its folder; None where it was not kept.
        notes: Of the texts.
    """
    return Result.of(
        "crosscoder",
        host,
        settings,
        measures=list(_measures(card, own)),
        tables={
            "features": own.table,
            "held_out": pd.DataFrame(list(_rows(card, own))),
            "norms": own.norms,
            "curve": curve_table(card),
        },
        notes=(*notes, *_notes(card, own, kept)),
        files=card_file(card),
        dictionaries=copied(kept),
    )


def _rows(card: Mapping[str, Any], own: Exclusive) -> Iterator[dict[str, Any]]:
    for dictionary, said in ((TRAINED, card["held_out"]), (RANDOM, card["random"])):
        for name, each in zip(own.names, said, strict=True):
            yield {"dictionary": dictionary, "model": name, **each}


def _measures(card: Mapping[str, Any], own: Exclusive) -> Iterator[Measure]:
    for name, held_out, random in zip(("base", "tuned"), card["held_out"], card["random"], strict=True):
        yield from measures_of(held_out, random, f"_{name}")
    alive = int((own.fires > 0).sum())
    yield Measure("l0", card["held_out"][0]["l0"], None, None, card["held_out"][0]["tokens"], "features a token")
    for model, name in enumerate(("base", "tuned")):
        said, left = _counts(own, model)
        yield Measure(f"exclusive_by_norm_{name}", said, None, None, alive, "features")
        yield Measure(f"exclusive_{name}", left, None, None, alive, "features")


def _counts(own: Exclusive, model: int) -> tuple[int, int]:
    """How many features seem a model's own by their norms, and how many Latent Scaling leaves."""
    mine = own.own == model
    return int((mine & own.by_norm).sum()), int((mine & own.exclusive).sum())


def _notes(card: Mapping[str, Any], own: Exclusive, kept: Path | None) -> Iterator[str]:
    yield from kept_notes("crosscoder", kept)
    yield f"Trained on {card['trained_on']:,} tokens: {card['dataset']}."
    for model, name in enumerate(own.names):
        seem, left = _counts(own, model)
        yield (
            f"{counted(seem, 'feature')} of {int((own.fires > 0).sum()):,} active ones "
            f"{'seems' if seem == 1 else 'seem'} {name}'s own by the lengths of the decoders; Latent Scaling leaves "
            f"{left}: ν of the error under {ERROR_BELOW:g}, ν of the reconstruction under {RECONSTRUCTION_BELOW:g} "
            "(Minder et al. 2025)."
        )
    if own.effects:
        yield (
            "Effects: where a feature is most active (at most 8 held-out texts), what it adds is taken out of its own "
            "model's states; kl_without is KL of the next token from the model as it is, kl_random that of a random "
            "direction of equal length, kl_other and kl_other_without KL from the other model before and after."
        )
    elif own.why_no_effects:
        yield own.why_no_effects
    yield from few_note(card["trained_on"], card["features"])
    yield from first_tokens(max(card["first_token"]["norm_over_mean"]), card["long_tokens"]["left_out"])
    worst = min(card["held_out"], key=lambda each: each["explained_variance"] or 0.0)
    yield from verdict(worst, card["random"][card["held_out"].index(worst)])
