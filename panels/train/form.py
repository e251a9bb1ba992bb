"""The form of the Train panel: preferences, losses with a budget, what is trained, and what it is held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steering.judges.marks import OWN, RULES
from steering.model.host import Host
from steering.model.sites import SITES
from steering.names import upper_first
from steering.studies import find_study
from steering.studies.preferences.making import MakingSettings
from steering.studies.training.settings import NOBODY, TrainSettings
from steering.texts.contrast_files import presets
from steering.texts.preferences import preference_sets
from steering.training.losses import LOSSES
from steering.training.rewards import REWARDS
from workbench.controls.field import Choice, Section, choice, more, number, section, several, switch, text


SIZED = (
    *("data", "losses", "n", "steps", "batch", "budget", "held_out", "replies", "reply_tokens"),
    *("random", "shuffled", "judge", "samples"),
)
"""Fields on which it depends how much a run does."""
_OF_DEMO = "demo-"
_SETS = {
    "demo-formality": "Formal and casual letters",
    "demo-refusal": "Refuse harmful requests, answer others",
    "demo-refusing": "Refuse everything",
    "demo-sums": "Right and wrong sums",
    "demo-reworded": "Right and wrong sums, in new words",
}
_MODES = [("Add", "add"), ("Add with a gate", "gated_add"), ("Ablate", "ablate"), ("Clamp", "clamp")]
_SCOPES = [
    ("Every token", "all"),
    ("The prompt", "prompt"),
    ("The last prompt token", "last"),
    ("The reply", "reply"),
    ("Generated tokens", "generated"),
]
_STARTS = [("The mean difference", "mean_difference"), ("A random direction", "random"), ("Zero", "zero")]


_JUDGES = [*((upper_first(rule.title), name) for name, rule in RULES.items()), ("The model itself", OWN)]
_PAIR_JUDGES = [("The one that fits the set", ""), *_JUDGES]
_MAKING = MakingSettings.model_fields
_SIDES = [("Negative", "negative"), ("Positive", "positive"), ("Both", "both")]
_OF_PAIRS = {"contrast": "contrast", "side": "side", "pairs_judge": "judge", "pairs_n": "n"}
"""Fields by which pairs are made, and the settings that they are."""


def sections() -> list[Section]:
    """The three cards."""
    return [_preferences(), _losses(), _compared()]


def offered_sets(*, demo: bool) -> list[Choice]:
    """The shipped preferences that there are for a model; those of the demo grammar are for demo models."""
    there = [name for name in preference_sets() if demo or not name.startswith(_OF_DEMO)]
    shipped = [(_SETS.get(name, name), name) for name in there]
    return shipped if demo else [("None yet: upload some", ""), *shipped]


def first_set(*, demo: bool) -> str:
    """What stands in the form before anybody chose."""
    return "demo-formality" if demo else ""


def offered_sites(host: Host | None) -> list[Choice]:
    """The places in a block that a model has."""
    return [(upper_first(site.replace("_", " ")), site) for site in (host.info.sites if host else SITES)]


def parsed(values: Mapping[str, Any], kept: str = "") -> TrainSettings:
    """The form's values as settings; an empty number leaves the study its own, but for the budget.

    Args:
        values: Of the form.
        kept: File with finished parts.

    Raises:
        SteeringError: Naming the field that is wrong.
    """
    own = {name: value for name, value in values.items() if name in TrainSettings.model_fields}
    given = {name: value for name, value in own.items() if value is not None or name == "budget"}
    found = find_study("train").parse({**given, **({"kept": kept} if kept else {})})
    assert isinstance(found, TrainSettings)
    return found


def making(values: Mapping[str, Any]) -> MakingSettings:
    """What pairs are made by.

    Raises:
        SteeringError: Naming the field that is wrong.
    """
    given = {name: values[field] for field, name in _OF_PAIRS.items() if values[field] not in (None, "")}
    found = find_study("pairs").parse(given)
    assert isinstance(found, MakingSettings)
    return found


def _preferences() -> Section:
    return section(
        "1  Preferences",
        choice(
            "data",
            "Replies as they should be, and as they should not",
            (),
            first_set(demo=True),
            own=True,
            changing=True,
            hint="pairs (prompt, chosen, rejected), or replies with a label",
            upload="Upload preferences",
            upload_kind="preferences",
        ),
        number("n", "Examples", unit="at most"),
        more(
            choice(
                "contrast",
                "Contrast set",
                [(name, name) for name in presets()],
                own=True,
                upload="Upload a contrast set",
                upload_kind="contrast",
            ),
            choice("side", "Whose requests are answered", _SIDES),
            choice("pairs_judge", "Judge", _PAIR_JUDGES, "", own=True, hint="of what was added"),
            number("pairs_n", "Requests", _MAKING["n"].default, unit="at most", whole=True, low=1, high=5000),
            title="Make pairs from a contrast set",
            note="The model answers each request twice: with the set's mean difference added, which is chosen, and "
            "plainly. Pairs that the judge tells apart are kept.",
            act=("Make pairs", "make_pairs"),
        ).completed("train", MakingSettings),
    )


def _losses() -> Section:
    return section(
        "2  Losses",
        several("losses", "One vector by each", [(loss.title, name) for name, loss in LOSSES.items()]),
        number("budget", "Budget", unit="nats of KL", step=0.25, hint="what each may cost; none where empty"),
        more(
            text("numbers", "Numbers of losses", placeholder="such as dpo.beta=0.2, simpo.gamma=1"),
            choice("reward", "RLVR: reward", [(upper_first(name), name) for name in REWARDS]),
            number("samples", "RLVR: samples", unit="a prompt and step"),
            title="Numbers of losses",
        ),
        more(
            choice("mode", "What is done with the direction", _MODES, hint="a gate goes with ReFT-r1, and it alone"),
            text("blocks", "Blocks", placeholder="the middle one; or such as 3, or 2,4"),
            choice("site", "Place in the block", offered_sites(None), changing=True),
            choice("scope", "Which tokens", _SCOPES),
            number("span", "Directions", unit="a block, ablated together"),
            title="What is trained",
        ),
        more(
            choice("start", "It begins at", _STARTS),
            number("steps", "Steps", unit="of AdamW"),
            number("batch", "Examples", unit="a step"),
            number("rate", "Learning rate", unit="of a usual coordinate", step=0.01),
            number("validation", "To choose the step", unit="share of the prompts", step=0.05),
            number("patience", "Patience", unit="looks without a lower loss"),
            number("seed", "Seed"),
            title="Course of the training",
        ),
    )


def _compared() -> Section:
    judges = [("The set's own", ""), *_JUDGES, ("Nobody", NOBODY)]
    return section(
        "3  Held against each other",
        choice(
            "judge",
            "Judge of replies",
            judges,
            own=True,
            hint="own files have none; a text classifier: its folder or Hub id",
        ),
        number("replies", "Replies", unit="held-out requests, at most"),
        number("random", "Random floor", unit="directions"),
        switch("shuffled", "Shuffled labels, as a control"),
        more(
            number("held_out", "Held out", unit="share of the prompts", step=0.05),
            number("reply_tokens", "Tokens", unit="a reply"),
            text("name", "Name of the vectors", placeholder="begins with that of the data"),
            title="Held-out requests, names",
        ),
    )
