"""A recipe as a checkpoint that any engine loads: weights that cannot write along what it ablates everywhere."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from steering.engines.block_edits import not_outside, plans
from steering.engines.notes import checkpoint_note
from steering.engines.parity import check_same, logits_under
from steering.errors import SteeringError
from steering.model.host import Host
from steering.own_files import check_replaceable
from steering.recipes.orthogonal import orthogonalised, save_model
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Recipe
from steering.recipes.words import what
from steering.recipes.writes import Vectors
from steering.writes.operations import Ablate


def save_checkpoint(recipe: Recipe, host: Host, vectors: Vectors, folder: str | Path) -> Path:
    """Write a model whose weights do what the recipe does, load it again and compare its logits with the recipe's.

    Args:
        recipe: One intervention: ablate, everywhere, wholly, on every token. Its `others` make a span.
        host: The model; it stays as it is. A copy is edited, and loaded again once that is gone.
        vectors: By name, at least those that the recipe names.
        folder: New or empty.

    Raises:
        SteeringError: A recipe that weights cannot hold; what `orthogonalised` and `save_model` raise; a checkpoint
            that does not give the recipe's logits once it is loaded.
    """
    folder = Path(folder)
    check_replaceable(folder)
    basis = ablated_everywhere(recipe, host, vectors)
    used = [vectors[name] for name in recipe.vectors]
    save_model(orthogonalised(host, basis), folder, made_from=host, vectors=used)
    options = replace(host.options, device_map=None, revision=None, blocks=host.sites.blocks_path)
    try:
        again = Host.load(str(folder), lane=host.lane, options=options).under(host.chat)
        expected = logits_under(host, plan_of(recipe, recipe.on(host), vectors))
        check_same(host, logits_under(again, ()), expected, "The weights that were saved", remedy="Ablate instead.")
        (folder / "README.md").write_text(checkpoint_note(recipe, host, vectors), encoding="utf-8")
    except SteeringError:
        shutil.rmtree(folder)
        raise
    return folder


def ablated_everywhere(recipe: Recipe, host: Host, vectors: Vectors) -> Tensor:
    """An orthonormal basis of what the recipe removes from everything that enters the stream, (n, width).

    Raises:
        SteeringError: The recipe does something else, or several things: one after another, ablations of directions
            that are not at right angles are no ablation.
    """
    found = plans(recipe, host, vectors)
    reasons = [f"It has {len(found)} interventions"] if len(found) != 1 else []
    for each, plan in found:
        operation = plan[0].operation
        wrong = {
            "is not ablated": type(operation) is not Ablate,
            "is not written everywhere": each.blocks != "everywhere",
            "is not removed wholly": isinstance(operation, Ablate) and operation.share != 1.0,
            "is written on some tokens only": each.scope != "all",
            "is written under a condition": each.gate is not None,
        }
        reasons += [f"{what(each)}: the direction {words}" for words, is_so in wrong.items() if is_so]
    if reasons:
        raise not_outside(
            reasons,
            "one intervention that ablates everywhere, wholly, on every token, with no condition; several by `others`",
        )
    operation = found[0][1][0].operation
    assert isinstance(operation, Ablate)
    return operation.basis
