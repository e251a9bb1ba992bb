"""A recipe as additions and ablations at the outputs of blocks, on every token: what other engines can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.sites import site_words
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.recipes.words import what
from steering.recipes.writes import Vectors
from steering.writes.interventions import Plan
from steering.writes.operations import Ablate, Add, Operation
from steering.writes.plan_words import scope_words


Kind = Literal["add", "ablate"]


@dataclass(frozen=True, eq=False)
class BlockEdit:
    """x + r for `add`, x - k Rᵀ R x for `ablate`, at the output of one block."""

    block: int
    """0-based."""
    kind: Kind
    rows: Tensor
    """float32, (n, width): of `add` the one row r, raw units; of `ablate` an orthonormal basis R."""
    share: float = 1.0
    """k in [0, 1]; of `add` 1."""


def block_edits(recipe: Recipe, host: Host, vectors: Vectors) -> tuple[BlockEdit, ...]:
    """The recipe as edits of blocks' outputs; edits of one block apply in this order.

    Args:
        recipe: What to apply. Strengths in nats are measured on the model.
        host: The model.
        vectors: By name, at least those that the recipe names.

    Raises:
        SteeringError: Naming every intervention that is something else (a clamp, a gate, some tokens only, another
            place), or a recipe that changes nothing; and what `steering.recipes.plans.plan_of` raises.
    """
    found: list[BlockEdit] = []
    left_over = []
    for number, (each, plan) in enumerate(plans(recipe, host, vectors), 1):
        reasons = _reasons(plan)
        if reasons:
            left_over.append(f"{number}. {what(each)}: {'; '.join(reasons)}")
        else:
            found += [_edit(write.block, write.operation) for write in plan]
    if left_over:
        raise not_outside(left_over, "additions and ablations at block outputs, on every token, without a condition")
    if not any(bool(edit.rows.any()) and edit.share for edit in found):
        raise SteeringError(
            "The recipe changes nothing.", "at least one addition or ablation.", "Add an intervention, or a strength."
        )
    return tuple(found)


def plans(recipe: Recipe, host: Host, vectors: Vectors) -> list[tuple[Intervention, Plan]]:
    """Each intervention with its own writes, under the recipe's chat settings, where strengths in nats are measured."""
    under = recipe.on(host)
    alone = [recipe.model_copy(update={"interventions": (each,)}) for each in recipe.interventions]
    return [(one.interventions[0], plan_of(one, under, vectors)) for one in alone]


def not_outside(reasons: Sequence[str], expected: str) -> SteeringError:
    """The refusal of a recipe that an engine cannot be told, with the reason for each intervention."""
    return SteeringError(
        f"This recipe does not carry over. {' '.join(f'{reason}.' for reason in reasons)}",
        f"{expected}.",
        "Leave out or change what is named, or run the recipe in the workbench.",
    )


def _reasons(plan: Plan) -> list[str]:
    """Why something is no edit of block outputs; none where it is."""
    found = []
    for write in plan:
        if type(write.operation) not in (Add, Ablate):  # one that extends them is applied as it is
            found.append(f"it is neither an addition nor an ablation but a {type(write.operation).__name__.lower()}")
        if write.site != "block_output":
            found.append(f"it is written at the {site_words(write.site)}")
        if write.scope != "all":
            found.append(f"it is written on {scope_words(write.scope)}")
        if write.gate is not None:
            found.append("it has a condition")
    return list(dict.fromkeys(found))


def _edit(block: int, operation: Operation) -> BlockEdit:
    if isinstance(operation, Add):
        return BlockEdit(block, "add", (operation.strength * operation.direction).float()[None])
    assert isinstance(operation, Ablate)
    return BlockEdit(block, "ablate", operation.basis.float(), operation.share)
