"""The form of the Features panel: a dictionary, texts, ways to find features, and what is measured of their cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steering.dictionaries.releases import releases_of
from steering.dictionaries.sources import dictionaries_at_hand
from steering.errors import SteeringError
from steering.studies import STUDIES, find_study
from steering.studies.features.cause_settings import CauseSettings
from steering.studies.features.chosen import DEMO
from steering.studies.features.health_settings import HealthSettings
from steering.studies.features.settings import FeaturesSettings
from steering.texts.contrast_files import presets
from workbench.controls.field import Choice, Grouped, Section, choice, lines, more, number, section, switch, text
from workbench.controls.filled import WrongField


SIZED = (
    "contrast",
    "also",
    "own_texts",
    "texts_n",
    "prompt",
    "vector",
    "features",
    "n",
    "effect",
    "replies",
    "replies_tokens",
    "beside_random",
    "chosen",
    "data",
    "behaviour",
    "do",
    *("n_features", "n_train", "n_test", "random_sets", "each", "reply_tokens"),
)
"""Fields on which it depends how much a run does."""
_HEALTH = ("dictionary", "contrast", "own_texts", "texts_n")
_CAUSE = {"chosen": "features"}
"""Fields of the cause that are called otherwise in its settings."""
_KEPT = 40
_PER_RELEASE = 30
"""Dictionaries of a release that are listed; a release may have hundreds, and any can be typed."""
SHIPPED = "demo/"
"""What names of the dictionaries begin with that ship, which are all of the demo models."""
UPLOADED = "dictionary"
"""The kind of file that the first field takes."""
_HERE = "or a folder or file on this machine, or release/id of sae-lens"
_PUBLIC = "folders and releases of sae-lens can be named on a page that only its own machine reaches"
_QUICK = STUDIES["feature_cause"].quick
"""The page asks for a first look at causes; the study's own numbers take many times as long."""
_NONE = ("None", "")
_ALSO = "formality"
"""What the page looks for beside refusal, which the first set is about."""


def sections(*, here: bool) -> list[Section]:
    """The three steps.

    Args:
        here: Whether only this machine reaches the page.
    """
    return [_dictionary(here=here), _find(), _cause().completed("features", CauseSettings)]


def dictionaries(model: str, *, demo: bool, here: bool) -> list[Choice | Grouped]:
    """Those that ship where they are of the model at hand, those that were trained, and releases that may be fetched.

    Args:
        model: Its name.
        demo: Whether it is a demo model.
        here: Whether only this machine reaches the page.
    """
    known: list[Choice | Grouped] = [
        (name, name) for name in dictionaries_at_hand() if demo or not name.startswith(SHIPPED)
    ]
    releases = releases_of(model) if here else {}
    return known + [
        (each, f"{release}/{each}", release) for release, ids in releases.items() for each in ids[:_PER_RELEASE]
    ]


def health_settings(values: Mapping[str, Any]) -> HealthSettings:
    """Of the health study.

    Raises:
        SteeringError: Naming the field that is wrong.
    """
    found = find_study("dictionary_health").parse({name: values[name] for name in _HEALTH if values[name] is not None})
    assert isinstance(found, HealthSettings)
    return found


def find_settings(values: Mapping[str, Any], shelf: str) -> FeaturesSettings:
    """Of the study that finds features.

    Args:
        values: Of the form.
        shelf: The folder with the vectors that may be named.

    Raises:
        SteeringError: Naming the field that is wrong.
    """
    given = {name: values[name] for name in FeaturesSettings.model_fields if values.get(name) is not None}
    found = find_study("features").parse({**given, "vectors": shelf})
    assert isinstance(found, FeaturesSettings)
    return found


def cause_settings(values: Mapping[str, Any]) -> CauseSettings:
    """Of the study of cause.

    Raises:
        SteeringError: Naming what is wrong.
    """
    own = {field.name for field in _cause()}
    given = {_CAUSE.get(name, name): values[name] for name in ("dictionary", *own) if values[name] is not None}
    found = find_study("feature_cause").parse(given)
    assert isinstance(found, CauseSettings)
    return found


def checked(values: Mapping[str, Any]) -> None:
    """What is wrong while one types.

    Raises:
        SteeringError: Naming the field.
    """
    find_settings(values, "")
    try:
        cause_settings(values)
    except SteeringError as error:
        raise WrongField("chosen", error) from error


def of_cause(settings: CauseSettings) -> dict[str, Any]:
    """The form's values for settings of the cause, by the form's names."""
    told = settings.model_dump(mode="json")
    names = {field.name for field in _cause()} - set(_CAUSE)
    chosen = {field: ", ".join(map(str, told[name])) for field, name in _CAUSE.items()}
    return {"dictionary": told["dictionary"], **{name: told[name] for name in names}, **chosen}


def _dictionary(*, here: bool) -> Section:
    return section(
        "1  Dictionary and texts",
        choice(
            "dictionary",
            "Sparse dictionary",
            (),
            DEMO,
            own=True,
            changing=True,
            hint=_HERE if here else _PUBLIC,
            upload="Upload a dictionary, its folder as a ZIP" if here else "",
            upload_kind=UPLOADED,
        ),
        choice(
            "contrast",
            "Contrast set",
            [*((name, name) for name in presets()), _NONE],
            own=True,
            hint="its texts are read, and features that tell its sides apart are found",
            upload="Upload a contrast set",
            upload_kind="contrast",
        ),
        choice(
            "also",
            "And another",
            [*((name, name) for name in presets()), _NONE],
            _ALSO,
            own=True,
            hint="its features stand beside those of the first",
            upload="Upload a contrast set",
            upload_kind="contrast",
        ),
        more(
            choice(
                "own_texts",
                "Texts of your own, too",
                [_NONE],
                own=True,
                hint="for snippets and typical maxima",
                upload="Upload texts",
                upload_kind="texts",
            ),
            number("texts_n", "Texts", unit="at most, a side"),
            title="Texts of your own",
        ),
    )


def _find() -> Section:
    return section(
        "2  Find features",
        lines("prompt", "Active on a prompt", placeholder="none"),
        choice("vector", "That a vector is made of", [_NONE], own=True, changing=True, hint="of the shelf"),
        text("features", "And these, by number", placeholder="such as 12, 700"),
        switch("effect", "Output scores: turn every feature up once"),
        more(
            number("n", "Features", unit="a way"),
            number("parts", "Parts of a vector", unit="at most"),
            number("snippets", "Texts shown", unit="a feature"),
            number("permutations", "Permutations", hint="behind p-values"),
            number("replies", "Replies", unit="a kind of prompt", hint="without and with features changed"),
            number("replies_up", "Turned up in them", unit="typical maxima", step=0.25),
            number("replies_tokens", "Tokens", unit="a reply"),
            number("keep", "Become vectors", _KEPT, unit="the first ones"),
            choice("pool", "One number a text", [("Largest", "max"), ("Mean", "mean"), ("Last token", "last")]),
            choice("kind", "Texts are read", [("As chat", "chat"), ("Plain", "plain")]),
            switch("beside_random", "Beside as many random directions"),
            switch("check_place", "Refuse a dictionary that fits another place better"),
            number("seed", "Seed"),
        ),
    )


def _cause() -> Section:
    return section(
        "3  What runs through them",
        text("chosen", "Features, by number", "", placeholder="those that add most to the behaviour"),
        choice(
            "data",
            "Prompts of two kinds",
            [("The model's own", ""), *((name, name) for name in ("demo", "general", *presets()))],
            own=True,
            upload="Upload a contrast set",
            upload_kind="contrast",
        ),
        choice("behaviour", "Behaviour", [("Refusal", "refusal"), ("Logit difference", "difference")]),
        choice("do", "What is done", [("Off and up", "both"), ("Off", "off"), ("Up", "up")]),
        more(
            number("n_features", "Features", unit="where none is named"),
            number("times", "How far up", unit="typical maxima", step=0.25),
            number("n_train", "To choose on", unit="a side"),
            number("n_test", "To measure on", _QUICK["n_test"], unit="a side"),
            number("random_sets", "Random sets", _QUICK["random_sets"], unit="of equal activity"),
            number("reply_tokens", "Tokens", _QUICK["reply_tokens"], unit="a reply"),
            switch("each", "Judge replies with each feature alone, too"),
        ),
    )
