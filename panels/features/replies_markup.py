"""Replies without and with features changed, side by side; those to a set's own texts are folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from panels.features.markup import Row
from steering.names import upper_first
from steering.studies.features.replies import EVERYDAY
from workbench.page.markup import card, escape, heading, note


_DONE = {"up": "turned up", "off": "switched off"}
_HUES = ("a", "b")
"""Of the positive side's features and of the negative one's."""
_NOTE = "The set's texts and the model's own words; sets about harm name harmful acts in one line."


def replies_html(replies: pd.DataFrame | None) -> str:
    """A card for each contrast set: everyday requests first, and folded behind a note what is said to its own texts.

    Args:
        replies: The study's table; None where it has none.
    """
    if replies is None or replies.empty:
        return ""
    return "".join(_set(str(name), own.to_dict("records")) for name, own in replies.groupby("set", sort=False))


def _set(name: str, rows: Sequence[Row]) -> str:
    hues = dict(zip(dict.fromkeys(row["features_of"] for row in rows if row["features_of"]), _HUES, strict=False))
    groups = {row["features_of"]: row["features"] for row in rows if row["features_of"]}
    said = "; ".join(f"{label}: {features}" for label, features in groups.items())
    everyday = "".join(_panes(own, hues) for own in _by_prompt(rows, EVERYDAY))
    kinds = [kind for kind in dict.fromkeys(row["group"] for row in rows) if kind != EVERYDAY]
    own = "".join(_folded(name, kind, list(_by_prompt(rows, kind)), hues) for kind in kinds)
    told = note(f"Features that are more active on one side's texts, changed together. {upper_first(said)}.")
    steer = "".join(_steer(name, label, features) for label, features in groups.items())
    return card(heading(f"What features of {name} do to replies") + told + everyday + own + steer)


def group_html(name: str, features: str) -> str:
    """Features that are chosen together.

    Args:
        name: As `group_name` says it.
        features: Their numbers, in words.
    """
    return f'<div class="sw-lead">{heading(f"Together: {name}")}</div>{note(f"Features {features}")}'


def group_name(set_name: str, label: str) -> str:
    """What the features of one side of a contrast set are called."""
    return f"{set_name}, {label}"


def _steer(name: str, label: str, features: str) -> str:
    pick = escape(group_name(name, label))
    words = f"Steer with the {len(features.split(','))} {label} features"
    return f'<p class="sw-run"><button type="button" class="sw-link" data-pick="{pick}">{escape(words)}</button></p>'


def _folded(name: str, kind: str, prompts: Sequence[Sequence[Row]], hues: dict[str, str]) -> str:
    inner = note(_NOTE) + "".join(_panes(each, hues) for each in prompts)
    title = f"Switched off on {kind} texts: show the replies to {len(prompts)} of them"
    return (
        f'<details class="sw-replies" data-fold="features-{escape(name)}-{escape(kind)}">'
        f"<summary>{escape(title)}</summary>{inner}</details>"
    )


def _by_prompt(rows: Sequence[Row], kind: str) -> Iterator[list[Row]]:
    """The replies to one prompt after another; each begins with the unchanged one."""
    found: list[list[Row]] = []
    for row in rows:
        if row["group"] == kind:
            if row["done"] == "none":
                found.append([])
            found[-1].append(row)
    return iter(found)


def _panes(rows: Sequence[Row], hues: dict[str, str]) -> str:
    three = " sw-panes-3" if len(rows) > 2 else ""
    return (
        f'<p class="sw-said">{escape(rows[0]["prompt"])}</p>'
        f'<div class="sw-panes sw-short{three}">{"".join(_pane(row, hues) for row in rows)}</div>'
    )


def _pane(row: Row, hues: dict[str, str]) -> str:
    group = row["features_of"]
    title = upper_first(f"{group} features {_DONE[row['done']]}") if group else "Unsteered"
    return (
        f'<section class="sw-pane sw-{hues.get(group, "plain")}"><b>{escape(title)}</b>'
        f'<p class="sw-reply">{escape(row["text"]) or "(no text)"}</p></section>'
    )
