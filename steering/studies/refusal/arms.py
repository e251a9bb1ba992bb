"""The interventions that are compared: what is done with the direction, and the same with random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from steering.errors import SteeringError
from steering.extraction.controls import random_direction_like
from steering.extraction.leace import Leace
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.tail_states import stream_tails
from steering.recipes.recipe import Intervention, Recipe
from steering.studies.refusal.candidates import Candidate, Directions, ablation_everywhere, read_directions
from steering.vectors.vector import Eraser, SteeringVector


NONE = "none"
ARMS: dict[str, str] = {
    NONE: "no intervention",
    "ablate": "ablated everywhere",
    "ablate_block": "ablated at its block",
    "partial": "partly ablated everywhere",
    "several": "several directions ablated everywhere",
    "affine": "affine edit at its block (ACE)",
    "leace": "LEACE at its block",
    "weights": "weights orthogonalised",
    "subtract": "subtracted at its block (-1)",
    "add": "added at its block (+1)",
}
"""What can be compared, by its key."""
FLOORS: dict[str, str] = {
    "ablate": "random ablate",
    "ablate_block": "random ablate",
    "partial": "random ablate",
    "affine": "random ablate",
    "leace": "random ablate",
    "weights": "random ablate",
    "several": "random several",
    "subtract": "random subtract",
    "add": "random add",
}
"""Which random intervention each is held against."""
REFUSAL = "refusal"
"""Name of the chosen direction's vector."""


@dataclass(frozen=True)
class Arm:
    """One intervention that is compared."""

    key: str
    """One of `ARMS`, or a floor's with its seed, such as `random add 0`."""
    title: str
    recipe: Recipe
    """What it writes; nothing where it is none, or where the weights are edited instead."""
    floor: str = ""
    """The floor that it belongs to, if it is random: one of the values of `FLOORS`."""
    weights: bool = False
    """Whether it runs on a copy with orthogonalised weights."""


@dataclass(frozen=True, eq=False)
class Arms:
    """Everything that is compared, and the vectors that it needs."""

    arms: tuple[Arm, ...]
    vectors: Mapping[str, SteeringVector]
    notes: tuple[str, ...] = field(default=())


def make_arms(
    host: Host,
    directions: Directions,
    chosen: Candidate,
    prompts: tuple[Sequence[Prompt], Sequence[Prompt]],
    *,
    keys: Sequence[str],
    share: float,
    count: int,
    random: int,
) -> Arms:
    """Make the interventions and the random ones that they are held against. Call on the model thread.

    Args:
        host: The model.
        directions: All candidates.
        chosen: The one that is taken.
        prompts: The target and control prompts that the directions are means over.
        keys: Which of `ARMS`; no intervention always comes first.
        share: Of the projection that the partial ablation takes away.
        count: Directions that `several` ablates: each is the mean difference that is left at the same token and block
            once those before it are ablated.
        random: Random directions a floor.

    Raises:
        SteeringError: An unknown key.
    """
    unknown = [key for key in keys if key not in ARMS]
    if unknown:
        raise SteeringError(
            f"The intervention '{unknown[0]}' was asked for.", f"some of {', '.join(ARMS)}.", "Correct its name."
        )
    vector = directions.vector(chosen, REFUSAL)
    vectors, notes = {REFUSAL: vector}, list[str]()
    several = [REFUSAL]
    if "several" in keys:
        more = further_directions(host, directions, chosen, prompts, count)
        vectors |= more
        several += more
        if len(several) < count:
            notes.append(f"Once {len(several)} directions are ablated, both sides are the same at that place.")
    if "leace" in keys:
        vectors["refusal LEACE"] = _erasing(host, vector, chosen, prompts)
    wanted = [NONE, *(key for key in ARMS if key in keys and key != NONE)]
    arms = _of_the_direction(wanted, share, several)
    floors = list(dict.fromkeys(FLOORS[key] for key in wanted if key in FLOORS))
    for seed in range(random):
        for floor in floors:
            arm, needed = _random(floor, seed, vector, len(several))
            arms.append(arm)
            vectors |= needed
    return Arms(tuple(arms), vectors, tuple(notes))


def further_directions(
    host: Host,
    directions: Directions,
    chosen: Candidate,
    prompts: tuple[Sequence[Prompt], Sequence[Prompt]],
    count: int,
) -> dict[str, SteeringVector]:
    """Mean differences at the same token and block after ablating everywhere those before them, by name.

    Fewer than asked for where nothing is left to tell the sides apart.
    """
    first = directions.unit(chosen)
    assert first is not None
    found, taken = {}, [first]
    for number in range(2, count + 1):
        plan = ablation_everywhere(host, torch.stack(taken))
        n = len(directions.tokens)
        left = read_directions(host, *prompts, n, directions.provenance, plan=plan)
        unit = left.unit(chosen)
        if unit is None:
            break
        name = f"{REFUSAL} direction {number}"
        found[name] = left.vector(chosen, name)
        taken.append(unit)
    return found


def _of_the_direction(wanted: Sequence[str], share: float, several: Sequence[str]) -> list[Arm]:
    """The interventions with the chosen direction, which are not random."""
    made = {
        "ablate": _one(mode="ablate", blocks="everywhere"),
        "ablate_block": _one(mode="ablate"),
        "partial": _one(mode="ablate", blocks="everywhere", strength=share),
        "several": _one(mode="ablate", blocks="everywhere", others=tuple(several[1:])),
        "affine": _one(mode="affine", strength=0.0),
        "leace": _one(vector="refusal LEACE", mode="erase"),
        "subtract": _one(mode="add", strength=-1.0),
        "add": _one(mode="add"),
    }
    titles = ARMS | {"partial": f"{share:.0%} ablated everywhere", "several": f"{len(several)} directions ablated"}
    return [Arm(key, titles[key], made.get(key, Recipe()), weights=key == "weights") for key in wanted]


def _one(**fields: object) -> Recipe:
    return Recipe(interventions=(Intervention.model_validate({"vector": REFUSAL, **fields}),))


def _random(floor: str, seed: int, vector: SteeringVector, several: int) -> tuple[Arm, dict[str, SteeringVector]]:
    count = several if floor == "random several" else 1
    names = [f"random {seed}" + (f".{more}" if more else "") for more in range(count)]
    vectors = {
        name: random_direction_like(vector, seed=seed + 1000 * more).renamed(name) for more, name in enumerate(names)
    }
    kinds: dict[str, dict[str, object]] = {
        "random ablate": {"mode": "ablate", "blocks": "everywhere"},
        "random several": {"mode": "ablate", "blocks": "everywhere", "others": tuple(names[1:])},
        "random add": {"mode": "add"},
        "random subtract": {"mode": "add", "strength": -1.0},
    }
    recipe = _one(**{"vector": names[0], **kinds[floor]})
    return Arm(f"{floor} {seed}", f"{floor}, seed {seed}", recipe, floor=floor), vectors


def _erasing(
    host: Host, vector: SteeringVector, chosen: Candidate, prompts: tuple[Sequence[Prompt], Sequence[Prompt]]
) -> SteeringVector:
    """The vector with a LEACE eraser for its own block, fitted at its own token; other blocks are left alone."""
    fitter = Leace()
    for side, texts in zip(("positive", "negative"), prompts, strict=True):
        for indices, states in stream_tails(host, texts, -chosen.position):
            fitter.update(side, indices, states[:, 0, chosen.block : chosen.block + 1])  # type: ignore[arg-type]
    one, shape = fitter.eraser(), vector.directions.shape
    parts = {name: torch.zeros(shape) for name in ("left", "right", "mean")}
    for name, tensor in parts.items():
        tensor[chosen.block] = getattr(one, name)[0]
    return replace(
        vector,
        name="refusal LEACE",
        eraser=Eraser(**parts),
        provenance=replace(vector.provenance, method="leace"),
    )
