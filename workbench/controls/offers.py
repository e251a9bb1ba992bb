"""The vectors of the shelf as a page offers them: which fit the loaded model, and how strongly each is meant to be."""

from __future__ import annotations

import math
from typing import Any

from steering.errors import SteeringError
from steering.recipes.recipe import Intervention, Recipe
from steering.vectors.strength import LENGTH_UNITS, UNITS, unit_length, unit_words
from steering.vectors.vector import SteeringVector
from workbench.page.context import PanelContext


_REACH = 4.0
"""The slider's ends, in mean differences; wider where a vector's suggested strength asks for it."""


def fitting(ui: PanelContext) -> list[str]:
    """Names on the shelf that fit the loaded model, newest first; all of them while nothing is loaded."""
    host = ui.host
    names = ui.workspace.names()
    return [name for name in names if host is None or not ui.workspace.get(name).vector.misfit(host)]


def vector_named(ui: PanelContext, name: str | None) -> SteeringVector | None:
    """A vector of the shelf, None where none is named or it was removed meanwhile."""
    try:
        return ui.workspace.get(name).vector if name else None
    except SteeringError:
        return None


def vectors_at_hand(ui: PanelContext) -> dict[str, SteeringVector]:
    """Every vector that fits, by its name; one that is removed meanwhile is left out."""
    return {name: vector for name in fitting(ui) if (vector := vector_named(ui, name)) is not None}


def suggested(vector: SteeringVector) -> Recipe:
    """What a vector's recipe starts with: its own block and strength."""
    return Recipe(interventions=(Intervention(vector=vector.name, strength=vector.suggested_strength),))


def offer(name: str, vector: SteeringVector) -> dict[str, Any]:
    """What the recipe editor knows of a vector; lengths and ends are lists by block.

    `lengths` are the raw lengths of one of each unit, so that the page converts by a factor; `ends` are the slider's,
    round numbers of each unit. Where a strength of 1 is no mean difference, what it is called; of a feature its
    dictionary, too.
    """
    known = [] if vector.auroc is None else [float(value) for value in vector.auroc if math.isfinite(value)]
    lengths = {unit: [unit_length(unit, vector, block) for block in range(vector.n_blocks)] for unit in LENGTH_UNITS}
    reach = max(_REACH, 2 * abs(vector.suggested_strength))
    raw_reach = [reach * abs(length) for length in lengths["mean_difference"]]
    return {
        "name": name,
        "block": vector.default_block,
        "suggested": _short(vector.suggested_strength),
        "lengths": {unit: list(map(_short, each)) for unit, each in lengths.items() if unit != "raw"},
        "ends": {
            unit: [_round_up(raw / (abs(length) or 1.0)) for raw, length in zip(raw_reach, each, strict=True)]
            for unit, each in lengths.items()
        },
        **({"auroc": f"{max(known):.2f}"} if known else {}),
        **({"feature": vector.feature.digest} if vector.feature else {}),
        **({"unit": own} if (own := unit_words("mean_difference", vector)) != UNITS["mean_difference"] else {}),
    }


def _short(value: float) -> float:
    """Six digits, which is more than a slider shows and less to send."""
    return float(f"{value:.6g}") if math.isfinite(value) else 0.0


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5 or 10 times a power of ten, so that the slider's ends are round."""
    if not math.isfinite(value) or value <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    return float(f"{next(scale * each for each in (1, 2, 4, 5, 10) if value <= scale * each * (1 + 1e-9)):.6g}")
