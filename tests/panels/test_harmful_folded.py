"""Replies to requests that name harmful acts are seen only once somebody unfolds them: on every page, a Space's too."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from panels.refusal.effects_markup import replies_html
from panels.runs.comparison_markup import measures_html
from panels.tradeoff.markup import items_html
from steering.model.prompts import conversation
from steering.recipes.recipe import Recipe
from steering.statistics import Estimate
from steering.studies.comparison import MeasureRow
from steering.studies.refusal.arms import Arm
from steering.studies.refusal.outcomes import rates_of
from steering.studies.refusal.replies import Said
from steering.studies.result_shown import result_html
from steering.studies.study import Measure, Result
from steering.studies.tradeoff.items import Item
from workbench.runs.comparison import TextRow


REQUEST, REPLY = "A request of the set.", "A reply to it."


def of_refusal() -> str:
    said = Said(
        arm="ablate",
        group="harmful",
        system=False,
        index=0,
        prompt=REQUEST,
        text=REPLY,
        tokens=3,
        finish="end",
        content="compliance",
        form="whole",
        reason="",
        late=False,
        turned=False,
        log_odds=2.0,
        repetition=0.0,
    )
    arm = Arm("ablate", "ablated everywhere", Recipe())
    before = rates_of(replace(arm, key="none"), [replace(said, arm="none", text=f"{REPLY} Unsteered.")], [said])
    return replies_html(rates_of(arm, [said], [said]), before)


def of_tradeoff() -> str:
    text = Item("1", conversation(REQUEST), "text")
    given = Item("2", conversation(REQUEST), "given", (REPLY, REPLY))
    items = {"refusals": (text, {"text": REPLY}, 1.0), "alignment": (given, {"losses": [[1.0], [2.0]]}, 0.5)}
    found = SimpleNamespace(
        asked={role: SimpleNamespace(measure=SimpleNamespace(title=role)) for role in items},
        seen=lambda role, treatment: [items[role]],
    )
    point = SimpleNamespace(
        curve=SimpleNamespace(title="harm, add", unit="nats"),
        strength=1.0,
        treatment="harm",
        values={role: Estimate(0.5, 0.4, 0.6) for role in items},
        n=dict.fromkeys(items, 1),
    )
    return items_html(cast("Any", found), cast("Any", point))


def result() -> Result:
    table = pd.DataFrame([{"arm": "ablate", "group": "harmful", "prompt": REQUEST, "text": REPLY, "content": "x"}])
    measures = (Measure("refusal", 0.5, 0.4, 0.6, 10),)
    return Result(
        "refusal", {}, (), {"name": "demo"}, measures, {"effects": table[["arm"]], "replies": table}, "effects"
    )


def of_runs() -> str:
    row = MeasureRow("refusal", "", (result().measures[0],), ())
    found = SimpleNamespace(labels=("run 1",), measures=[row], same_data=False, texts=[TextRow(REQUEST, (REPLY,))])
    return measures_html(cast("Any", found))


SHOWN = {"Runs": of_runs, "Refusal": of_refusal, "Trade-off": of_tradeoff, "a notebook": lambda: result_html(result())}


@pytest.mark.parametrize("where", SHOWN)
def test_they_are_folded(where: str) -> None:
    markup = SHOWN[where]()
    for text in (REQUEST, REPLY):
        assert text in markup
        assert text not in unfolded(markup)


def unfolded(markup: str) -> str:
    """What is seen before anything is unfolded."""
    assert not re.search(r"<details[^>]*\sopen", markup)
    parts, depth = [], 0
    for part in re.split(r"(</?details[^>]*>|<summary>.*?</summary>)", markup, flags=re.DOTALL):
        depth += part.startswith("<details") - part.startswith("</details")
        if depth == 0 or (depth == 1 and part.startswith("<summary")):
            parts.append(part)
    return "".join(parts)


def test_the_test_can_fail() -> None:
    markup = f"<p>{REQUEST}</p><details class='x'><summary>{REPLY}</summary>folded</details>"
    assert REQUEST in unfolded(markup)
    assert REPLY in unfolded(markup)
    assert "folded" not in unfolded(markup)
