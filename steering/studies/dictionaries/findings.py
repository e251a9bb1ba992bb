"""What a training came to, from its card: tables, measures and sentences."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from steering.model.host import Host
from steering.studies.dictionaries.corpus import few_note
from steering.studies.dictionaries.folders import CARD, MOST_COPIED, bytes_of
from steering.studies.dictionaries.settings import TrainingSettings
from steering.studies.dictionaries.training import Trained
from steering.studies.measure import Measure
from steering.studies.study import Result


TRAINED, RANDOM = "trained", "random, equal L0"
"""Rows of the table of what was measured."""


def result_of(study: str, host: Host, settings: TrainingSettings, found: Trained) -> Result:
    """The result of a training."""
    card = found.card
    return Result.of(
        study,
        host,
        settings,
        measures=list(measures_of(card["held_out"], card["random"])),
        tables={
            "held_out": pd.DataFrame(
                [{"dictionary": TRAINED, **card["held_out"]}, {"dictionary": RANDOM, **card["random"]}]
            ),
            "curve": curve_table(card),
        },
        notes=(*found.notes, *notes_of(found)),
        files=card_file(card),
        dictionaries=copied(found.folder),
    )


def curve_table(card: Mapping[str, Any]) -> pd.DataFrame:
    """The share of a batch's variance that was left, step by step."""
    return pd.DataFrame(card["variance_left"], columns=["step", "variance_left"])


def measures_of(held_out: Mapping[str, Any], random: Mapping[str, Any], of: str = "") -> Iterator[Measure]:
    """What was measured on held-out tokens.

    Args:
        held_out: Of the dictionary, as its card has it.
        random: Of a random one of equal L0.
        of: What the names end with, where there are several.
    """
    n = held_out["tokens"]
    for name, said in (("explained_variance", held_out), ("random_explained_variance", random)):
        value, low, high = (_number(said[f"explained_variance{end}"]) for end in ("", "_low", "_high"))
        yield Measure(f"{name}{of}", value, low, high, n)
    if not of:
        yield Measure("l0", held_out["l0"], None, None, n, "features a token")
        yield Measure("dead_share", held_out["dead_share"], None, None, n)


def notes_of(found: Trained) -> Iterator[str]:
    """What the reader of a training should know."""
    card = found.card
    yield from kept_notes("dictionary", found.folder)
    yield f"Trained on {card['trained_on']:,} tokens: {card['dataset']}."
    yield from few_note(card["trained_on"], card["features"])
    yield from first_tokens(card["first_token"]["norm_over_mean"], card["long_tokens"]["left_out"])
    yield from verdict(card["held_out"], card["random"])


def kept_notes(what: str, folder: Path | None) -> Iterator[str]:
    """Under which name something is kept, and whether it goes with its run."""
    if folder is None:
        yield "Measured and not kept: no folder was named."
        return
    yield f"Kept as the {what} '{folder.name}'."
    if not copied(folder):
        yield (
            f"Its weights have {bytes_of(folder) / 1e6:,.0f} MB, over {MOST_COPIED / 1e6:,.0f}: they lie in "
            "their folder alone and do not travel with an exported run."
        )


def copied(folder: Path | None) -> dict[str, Path]:
    """The folder by its name, where it is small enough for a run to keep a copy."""
    return {} if folder is None or bytes_of(folder) > MOST_COPIED else {folder.name: folder}


def card_file(card: Mapping[str, Any]) -> dict[str, str]:
    """The card as a file of a result, without what is new every time."""
    said = {name: value for name, value in card.items() if name != "seconds"}
    return {CARD: json.dumps(said, indent=1) + "\n"}


def first_tokens(ratio: float, long: int) -> Iterator[str]:
    """Which tokens were left out."""
    yield (
        f"The first token of every text is left out of training and figures: its state, {ratio:.1f} times as long as "
        "others here, is the same in every text."
    )
    if long:
        yield f"{long:,} further tokens are left out whose states are over 20 times the median length (sinks)."


def verdict(held_out: Mapping[str, Any], random: Mapping[str, Any]) -> Iterator[str]:
    """Whether the dictionary is better than a random one, and how much of it is dead."""
    low, other = held_out["explained_variance_low"], random["explained_variance_high"]
    if low is None or other is None or low <= other:
        yield (
            "It gives held-out states back no better than random directions do, so its features say nothing yet: train "
            "longer, or on more texts."
        )
    if held_out["dead_share"] > 0.1:
        yield (
            f"{100 * held_out['dead_share']:.0f} % of its features are dead on held-out tokens: fewer features, or "
            "more texts, would waste less."
        )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
