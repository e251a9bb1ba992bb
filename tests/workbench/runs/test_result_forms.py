"""What notebooks show of results and kept runs: every study's, with the numbers that its tables have."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from steering.figures.styling import ALIGNMENT, HELPFULNESS, RECIPE_A
from steering.studies.measure import Measure
from steering.studies.study import Result
from steering.studies.without_texts import without_texts
from tests.markup_support import HOSTILE, Output
from tests.workbench.runs.every_study import TINY, Made
from workbench.runs.run import Run
from workbench.workspace import Workspace


FIGURES = {
    "extract": 1,
    "methods": 1,
    "steer": 0,
    "grid": 0,
    "refusal": 3,
    "tradeoff": 1,
    "probe": 1,
    "pairs": 2,
    "train": 4,
    "pair_worth": 5,
    "self_rewarding": 3,
    "axbench": 2,
    "overoptimisation": 1,
    "dictionary_health": 3,
    "features": 3,
    "sae": 1,
    "transcoder": 1,
    "crosscoder": 2,
    "feature_cause": 4,
    "feature_attribution": 2,
    "feature_shift": 2,
}
"""Figures of each tiny run: with one method a trade-off has no plane of several."""


def _three(value: float) -> str:
    """Three digits, as `%.3g` has them, and as few as there are."""
    return f"{value:.3g}" if 1e-4 <= abs(value) < 1000 else "0" if value == 0 else ""


@pytest.mark.parametrize("study", TINY)
def test_every_result_shows_what_has_to_be_known(study: str, made: Made) -> None:
    result = made.results[study]
    shown, text = Output(result._repr_html_()), str(result)
    assert shown.styles == 1
    assert len(shown.every("svg")) == FIGURES[study]
    assert all(each.get("role") == "img" and each.get("aria-label") for each in shown.every("svg"))
    assert "No figure" not in shown.text
    for note in result.notes:
        assert note in shown.text
        assert note in text
    for measure in result.measures:
        assert measure.name in f"{shown.text} {shown.folded}"
        for value in (measure.value, measure.low, measure.high):
            if value is not None and math.isfinite(value) and _three(value):
                assert _three(value) in f"{shown.text} {shown.folded}"
    for words in (shown.text, text):
        assert "demo, Llama, float32" in words
        for name, table in result.tables.items():
            assert f"{name} ({len(table):,} row{'s' * (len(table) != 1)})" in words
        assert str(made.workspace.folder) not in words, "places of whoever ran it are nobody's business"
    assert str(made.workspace.folder) not in shown.folded


@pytest.mark.parametrize("study", TINY)
def test_a_kept_run_shows_the_same_as_the_result_it_keeps(study: str, made: Made) -> None:
    kept = made.workspace.runs[made.ids[study]]
    shown = Output(kept._repr_html_())
    assert kept.run.id in shown.text
    assert kept.run.id in str(kept)
    assert kept.run.title in shown.text
    inside = Output(made.results[study]._repr_html_())
    assert inside.text in shown.text
    assert shown.every("circle")[: len(inside.every("circle"))] == inside.every("circle")


def test_a_trade_off_is_drawn_from_its_points_with_floor_and_n(made: Made) -> None:
    result = made.results["tradeoff"]
    shown, points = Output(result._repr_html_()), result.tables["points"]
    main = points[~points["random"].astype(bool)]
    dots = [(each["fill"], float(each["cx"]), float(each["cy"])) for each in shown.every("circle")]
    values, heights = [], []
    for axis, hue in (("alignment", ALIGNMENT), ("helpfulness", HELPFULNESS)):
        key, *drawn = [dot for dot in dots if dot[0] == hue]
        assert key[1] < min(x for _, x, _ in drawn) + 400, "the first stands in the legend"
        assert len(drawn) == len(main) == 3
        values += main[axis].tolist()
        heights += [y for *_, y in drawn]
        for value, low, high in zip(main[axis], main[f"{axis}_low"], main[f"{axis}_high"], strict=True):
            said = f"{value:.3f} [{low:.3f}, {high:.3f}]".replace("-", "−")
            assert any(f"{axis} at " in each and said in each for each in shown.titles)
    # One scale for both: heights are a falling line over values, to the two decimals that are written.
    spread = (heights[0] - heights[-1]) / (values[-1] - values[0])
    assert spread > 0
    for value, height in zip(values, heights, strict=True):
        assert height == pytest.approx(heights[0] - spread * (value - values[0]), abs=0.02)
    assert "n = 2 for alignment (answer pairs, teacher-forced)" in shown.text
    assert "range over 1 random direction of equal norm" in shown.text
    band = [each["d"] for each in shown.every("path") if each.get("d", "").endswith("Z")]
    floor = points[points["random"].astype(bool)]["alignment"]
    ends = [float(each) for each in re.findall(r"[ML]-?[\d.]+ (-?[\d.]+)", band[0])]
    # There and back: with one random direction both edges are that one.
    wanted = [heights[0] - spread * (value - values[0]) for value in floor]
    assert ends == pytest.approx([*wanted, *wanted[::-1]], abs=0.02)


def test_refusal_rates_are_drawn_and_replies_to_harmful_requests_are_folded(made: Made) -> None:
    result = made.results["refusal"]
    shown, effects = Output(result._repr_html_()), result.tables["effects"]
    for row in effects.to_dict("records"):
        said = f"{row['group']}, {row['title']}: {100 * row['refusal']:.0f} % of {row['n']} refused"
        assert said in shown.titles
    (first, *_), text = result.tables["replies"]["text"], result.tables["replies"]["prompt"][0]
    assert first in shown.folded
    assert first not in shown.text
    assert text in shown.folded
    assert "judged by rules" in shown.text
    assert "some to harmful requests" in shown.folded + shown.text
    for row in result.tables["candidates"].dropna(subset=["bypass"]).to_dict("records"):
        told = f"token {row['position']} {row['token']}, block {row['block']}: {row['bypass']:.3g} log-odds"
        assert told.replace(": -", ": −") in shown.titles
    assert "chosen" in shown.titles
    assert (
        sum(each.startswith("dropped") for each in shown.titles)
        == (result.tables["candidates"]["outcome"] == "dropped").sum()
    )
    costs = result.tables["costs"]
    own = costs[costs["arm"] == "ablate"].iloc[0]
    assert any(f"mean {own['kl_mean']:.3g} nats" in each for each in shown.titles)


def test_probes_and_vectors_are_drawn_with_their_scores(made: Made) -> None:
    probe = made.results["probe"]
    shown, scores = Output(probe._repr_html_()), probe.tables["scores"]
    ccs = scores[(scores["method"] == "CCS") & (scores["part"] == "all")].iloc[0]
    said = f"CCS at {ccs['block']:.0f}: {ccs['esa']:.3f} [{ccs['esa_low']:.3f}, {ccs['esa_high']:.3f}]"
    assert said in shown.titles
    assert "n = 10 pairs" in shown.text
    extracted = made.results["extract"]
    blocks = extracted.tables["blocks"]
    titles = Output(extracted._repr_html_()).titles
    assert [f"block {row.block}: AUROC {row.auroc:.3f}" for row in blocks.itertuples()] == titles[-len(blocks) :]
    dots = Output(made.results["methods"]._repr_html_()).every("circle")
    assert len([each for each in dots if each["fill"] == RECIPE_A]) == len(blocks) + 1  # one in the legend


def test_texts_of_steer_and_grid_stand_where_a_figure_would(made: Made) -> None:
    steer, grid = made.results["steer"], made.results["grid"]
    shown = Output(steer._repr_html_())
    for row in steer.tables["replies"].to_dict("records"):
        assert row["answer"] in shown.text
        prompt, generated = row["modified_prompt"], row["modified_generated"]
        modified = f"modified {prompt} prompt + {generated} generated" if prompt + generated else "nothing was modified"
        assert modified in shown.text
    assert [each["class"] for each in shown.every("div") if each.get("class") in ("", "a", "b")] == ["", "a"]
    cells, table = Output(grid._repr_html_()), grid.tables["cells"]
    marked = [each["style"] for each in cells.every("td") if "style" in each]
    alphas = [float(re.findall(r"([\d.]+)\)", each)[0]) for each in marked]
    full = max(1.0, table["kl_p95_nats"].max())
    # In the order of rows and columns of the grid: vectors down, strengths across.
    assert alphas == pytest.approx([0.5 * value / full for value in table["kl_p95_nats"]], abs=0.006)
    assert all(text in cells.text for text in table["text"])


def test_a_result_without_texts_shows_none(made: Made) -> None:
    for study in ("steer", "grid", "refusal"):
        result = made.results[study]
        prompts = {"steer": "And another note", "grid": "Good morning boss", "refusal": result.tables}
        bare = Output(without_texts(result)._repr_html_())
        said = prompts[study] if isinstance(prompts[study], str) else result.tables["replies"]["text"][0]
        assert said in Output(result._repr_html_()).text + Output(result._repr_html_()).folded
        assert said not in bare.text + bare.folded + " ".join(bare.titles)


def _result(**more: Any) -> Result:
    known: dict[str, Any] = {
        "study": "mine",
        "settings": {"seed": 3},
        "given": ("seed",),
        "model": {"name": "m"},
        "measures": (),
        "tables": {},
        "headline": "",
    }
    return Result(**{**known, **more})


def test_hostile_names_notes_and_cells_are_texts() -> None:
    table = pd.DataFrame({HOSTILE: [HOSTILE, HOSTILE], "n": [1, 2]})
    figure = go.Figure(go.Scatter(x=[1, 2], y=[1, 2], name=HOSTILE, text=[HOSTILE] * 2, hovertemplate="%{text}"))
    evil = _result(
        study=HOSTILE,
        settings={HOSTILE: HOSTILE, "seed": HOSTILE},
        given=(HOSTILE,),
        model={"name": HOSTILE},
        measures=(Measure(HOSTILE, 1.0, None, None, 1, HOSTILE),),
        tables={HOSTILE: table},
        headline=HOSTILE,
        notes=(HOSTILE,),
        warnings=(HOSTILE + "!",),
        files={HOSTILE: ""},
        figures={HOSTILE: figure},
    )
    shown = Output(evil._repr_html_())
    assert shown.text.count("<script>alert('1')</script>") > 8
    assert len(shown.every("svg")) == 1
    assert any("<script>" in each for each in shown.titles)


def test_warnings_come_first_and_own_figures_are_drawn_or_named() -> None:
    bars = go.Figure(go.Bar(x=[0, 1], y=[1.0, 2.0]))
    pie = go.Figure(go.Pie(values=[1, 2]))
    shown = Output(
        _result(warnings=("It fails.",), notes=("It fails.", "Found."), figures={"A": bars, "B": pie})._repr_html_()
    )
    assert shown.text.index("It fails.") < shown.text.index("Found.")
    assert shown.text.count("It fails.") == 1
    assert len(shown.every("svg")) == 1
    assert "This figure is not drawn here" in shown.text


def test_settings_of_packages_that_are_not_here_are_shown_as_they_are() -> None:
    recipe = {"interventions": [{"vector": "calm", "mode": "mode of a package"}]}
    shown = Output(_result(settings={"recipe": recipe, "odd": {1, 2}}, given=("recipe",))._repr_html_())
    assert "mode of a package" in shown.text
    assert "calm" in shown.folded
    told = {"interventions": [{"vector": "calm"}]}
    known = Output(_result(settings={"recipe": told}, given=("recipe",))._repr_html_())
    assert "Add calm, 1 × its own length at its own block" in known.text


@pytest.mark.parametrize("study", TINY)
def test_tables_that_are_not_the_studys_own_are_said_and_raise_nothing(study: str, made: Made) -> None:
    result = made.results[study]
    other = {name: pd.DataFrame({"x": [1]}) for name in result.tables}
    shown = Output(replace(result, tables=other, vectors={})._repr_html_())
    assert "Result of" in shown.text
    assert Output(replace(result, tables={}, vectors={}, measures=())._repr_html_()).text


def test_a_run_that_left_nothing_or_is_damaged_says_so(made: Made, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert "Runs: 0" in str(workspace.runs)
    failed = workspace.runs.begin(Run("", "steer", HOSTILE, "demo", note=HOSTILE, tags=(HOSTILE,)))
    workspace.runs.end(failed, "failed", error=HOSTILE)
    shown = Output(workspace.runs[failed]._repr_html_())
    assert "It left no result." in shown.text
    assert shown.text.count("<script>alert('1')</script>") >= 3
    done = workspace.runs.begin(Run("", "extract", "Fine", "demo"))
    workspace.runs.end(done, "done", result=made.results["extract"])
    assert "Held-out AUROC" in Output(workspace.runs[done]._repr_html_()).text
    (workspace.runs.folder / done / "result.json").write_text("{")
    damaged = Output(workspace.runs[done]._repr_html_())
    assert "is damaged" in damaged.text
    assert "is damaged" in str(workspace.runs[done])
    listed = Output(workspace.runs._repr_html_())
    assert "2 kept runs" in listed.text
    for id in (failed, done):
        assert id in listed.text
        assert id in str(workspace.runs)
    workspace.runs.close()


def test_the_shelf_lists_its_vectors_and_what_cannot_be_read(made: Made, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert "Empty" in Output(workspace._repr_html_()).text
    (vector,) = made.results["extract"].vectors.values()
    workspace.put(vector, "calm")
    assert "group" not in Output(workspace._repr_html_()).text
    workspace.note("calm", group=HOSTILE[:60], note="good on notes")
    (workspace.shelf / "bad.safetensors").write_bytes(b"no vector")
    shown = Output(workspace._repr_html_())
    for text in (shown.text, str(workspace)):
        assert "calm" in text
        assert f"{vector.best_auroc:.3f}" in text
        assert "good on notes" in text
        assert "bad" in text
    assert "1 vector" in shown.text
