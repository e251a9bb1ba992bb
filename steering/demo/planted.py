"""The direction that refusal was planted along, as a steering vector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from steering.errors import SteeringError
from steering.loading.demo_models import demo_models
from steering.resources import resource
from steering.vectors.vector import Provenance, SteeringVector


def planted_vector(model: str | Path) -> SteeringVector:
    """The truth that methods are held against: u of a demo model's card, the same in every block.

    It is written by default where it is first read from: at the output of the block before the first reader.

    Args:
        model: A demo model's name, or a model folder with its `card.json`.

    Raises:
        SteeringError: No card, or one that holds no planted direction.
    """
    folder = resource("assets", "models", str(model)) if str(model) in demo_models() else Path(model)
    path = folder / "card.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        planted = card["planted"]
        block = int(planted.get("block", max(0, min(planted["readers"]) - 1)))
        scales = {name: torch.tensor(planted[name]).float() for name in ("mean_differences", "residual_norms")}
        direction = torch.tensor(planted["direction"], dtype=torch.float64)
        unit = (direction / direction.norm()).float()  # the card rounds its digits
        return SteeringVector(
            name="planted refusal",
            directions=unit.repeat(card["blocks"], 1),
            auroc=None,
            auroc_low=None,
            auroc_high=None,
            site="block_output",
            default_block=block,
            default_block_reason="the last block before the first one that reads it",
            suggested_strength=1.0,
            provenance=_provenance(card),
            references=torch.tensor(planted["references"]).float() if "references" in planted else None,
            mean_differences=scales["mean_differences"],
            residual_norms=scales["residual_norms"],
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise SteeringError(
            f"{path} holds no planted direction ({type(error).__name__}: {error}).",
            "the folder of the model 'demo', whose card has `planted` with direction, readers, mean_differences and "
            "residual_norms.",
            "Point to that folder, or train the family again: workbench demo train --which all.",
        ) from error


def _provenance(card: dict[str, Any]) -> Provenance:
    return Provenance.made_elsewhere(
        method="planted",
        pooling="last_token",
        contrast="planted refusal",
        positive_label="refused",
        negative_label="answered",
        seed=int(card.get("settings", {}).get("seed", 0)),
        model=str(card["name"]),
        model_source="demo",
        architecture="Llama",
        dtype="bfloat16",
        versions=dict(card.get("versions", {})),
    )
