"""What a package adds is used like the project's own, is told with the run, and a broken one stops nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from sample_package import SAMPLE, installed
from typer.testing import CliRunner

from panels.refusal.form import sections as refusal_sections
from panels.runs.markup import run_html
from panels.tradeoff.form import sections as tradeoff_sections
from steering import ContrastSet, Host, Intervention, Recipe, extract, plan_of
from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.judges.classifier import load_classifier
from steering.origins.origin import origin_from
from steering.plugin_uses import missing, require, used_by
from steering.plugins import SWITCH, problems, registries
from steering.recipes.words import in_words
from steering.studies import STUDIES, find_study
from steering.studies.again import given_by
from steering.studies.probing.templates import TEMPLATES, runs_of, template_of
from steering.studies.tradeoff.measures import MEASURES, checked_items, find_measure
from steering.studies.tradeoff.settings import TradeoffSettings
from steering.texts.question_files import read_questions
from steering.training.trainee import Trainee
from steering.training.training import train
from steering.writes.interventions import Write
from steering.writes.operations import Add
from steering.writes.stacking import Stacks
from tests.steering.training.support import PAIRS
from workbench.bench import Workbench
from workbench.cli.main import app
from workbench.controls.recipe_editor import words
from workbench.discovery import discover
from workbench.frame.navigation import places_of
from workbench.frame.start import place_start
from workbench.page.context import PanelContext
from workbench.page.kept_view import reopened_html
from workbench.page.state import PageState
from workbench.runs.code import as_files
from workbench.runs.record import Record
from workbench.runs.run import Run


OWN = {kind: len(registry.own) for kind, registry in registries().items()}
SOURCE = "steering-sample 1.2"


@pytest.fixture(scope="module", autouse=True)
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed(tmp_path_factory.mktemp("packages")):
        yield


@pytest.fixture(scope="module")
def formality(demo: Host) -> Any:
    return extract(demo, ContrastSet.load("formality"))


def test_every_kind_comes_behind_the_projects_own_and_says_where_from() -> None:
    added = {kind: list(registry.plugins) for kind, registry in registries().items() if registry.plugins}
    assert added == {
        "study": ["count-blocks", "lengths"],
        "method": ["median"],
        "operation": ["shrink"],
        "judge": ["sorry"],
        "measure": ["brevity"],
        "loss": ["hinge"],
        "layout": ["riddles"],
        "template": ["shout"],
    }
    for kind, registry in registries().items():
        assert len(registry) == OWN[kind] + len(added[kind])
        assert [*registry][: OWN[kind]] == [*registry.own]
        assert all(each.package == SOURCE for each in registry.plugins.values())


def test_the_switch_leaves_all_of_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "median" in METHODS
    monkeypatch.setenv(SWITCH, "off")
    for registry in registries().values():
        registry.look_again()
    assert {kind: len(registry) for kind, registry in registries().items()} == OWN
    assert problems() == ()
    assert "lengths" not in discover().sources
    monkeypatch.delenv(SWITCH)
    for registry in registries().values():
        registry.look_again()
    assert "median" in METHODS


def test_what_is_broken_or_taken_is_named_and_stops_nothing() -> None:
    said = {problem.source.split()[2]: str(problem.error) for problem in problems()}
    assert set(said) == {"mean_difference", "unfinished", "sums-again"}
    assert "the workbench's own is used" in said["mean_difference"]
    assert SOURCE in said["mean_difference"]
    assert "RuntimeError: this <module> was never finished (broken.py, line 3)" in said["unfinished"]
    assert "'questions with a number for an answer'" in said["sums-again"]
    assert METHODS["mean_difference"].title != "Difference of medians"
    (panel,) = discover().broken
    assert "broken-panel" in panel.source


def test_a_broken_one_is_a_card_on_the_start_page(tmp_path: Path) -> None:
    bench = Workbench(workspace=tmp_path)
    with gr.Blocks() as page:
        place_start(places_of(bench.catalogue), PanelContext(bench, PageState(), "Start"))
    (shown,) = [each.value for each in page.blocks.values() if getattr(each, "elem_id", "") == "broken-plugins"]
    assert "What packages add and cannot be used" in shown
    assert "this &lt;module&gt; was never finished" in shown
    assert shown.count('role="alert"') == 3
    assert [each.value for each in page.blocks.values() if isinstance(each, gr.HTML) and "Lengths" in str(each.value)]


def test_a_method_extracts_and_the_vector_says_whose_it_is(demo: Host, formality: Any) -> None:
    found = extract(demo, ContrastSet.load("formality"), method="median", split_half=False)
    cosine = (found.directions * formality.directions).sum(dim=-1)
    assert found.best_auroc is not None
    assert found.best_auroc > 0.9
    assert (cosine[2:] > 0.5).all()
    assert (cosine < 0.9999).all()  # and it is not the project's own method
    assert found.provenance.settings["package"] == SOURCE
    assert "package" not in formality.provenance.settings


def test_an_operation_writes_what_it_says(demo: Host, formality: Any) -> None:
    recipe = Recipe(interventions=(Intervention(vector="formality", mode="shrink", strength=0.25),))
    (write,) = plan_of(recipe, demo, {"formality": formality})
    assert isinstance(write, Write)
    u, states = formality.directions[write.block], torch.randn(5, demo.info.width)
    along = (states @ u)[:, None] * u
    torch.testing.assert_close(write.operation(states), along + 0.75 * (states - along))
    assert in_words(recipe)[0].startswith("Shrink formality, 0.25 of what lies across")
    assert words()["own"]["shrink"]["unit"] == "share"
    with pytest.raises(ValueError, match="one of add, ablate"):
        Intervention(vector="formality", mode="grow")


def test_a_subclass_of_somebody_elses_is_not_taken_for_what_it_extends() -> None:
    class Doubled(Add):
        def __call__(self, states: torch.Tensor) -> torch.Tensor:
            return super().__call__(super().__call__(states))

    u = torch.tensor([1.0, 0.0])
    rows = [(0, Doubled(u, 1.0)), (1, Doubled(u, 2.0))]
    found = {row: operation for rows_, operation in Stacks().of(rows) for row in rows_}
    assert [found[row](torch.zeros(1, 1, 2)).flatten().tolist() for row in (0, 1)] == [[2.0, 0.0], [4.0, 0.0]]


def test_a_judge_stands_where_a_classifier_would(tiny_host: Any) -> None:
    host = tiny_host("llama")
    judge = load_classifier(host, "sorry")
    assert judge(["I am sorry, no.", "Sure."]) == [True, False]
    registry = registries()["judge"]
    made, plugin = registry._others["sorry"]  # type: ignore[index]
    registry._others["sorry"] = (type(made)("Odd", lambda host: lambda replies: [1]), plugin)  # type: ignore[index]
    try:
        with pytest.raises(SteeringError, match="gave 1 verdicts on 2 replies"):
            load_classifier(host, "sorry")(["a", "b"])
    finally:
        registry._others["sorry"] = (made, plugin)  # type: ignore[index]


def test_a_measure_can_be_named_beside_the_projects_own(tiny_host: Any) -> None:
    measure = find_measure("brevity", "further")
    items = checked_items(measure, tiny_host("llama"), TradeoffSettings())
    assert len(items) == 3
    score = measure.scorer(tiny_host("llama"), TradeoffSettings())
    assert [score(items[0], {"text": text}) for text in ("one", "one two three four")] == [1, 0.25]
    assert [*MEASURES][-1] == "brevity"


def test_a_layout_reads_its_files_and_known_files_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "riddles.jsonl").write_text(
        json.dumps({"riddle": "What has keys?", "guesses": ["a piano", "a cat"], "solution": "a piano", "answer": "7"})
    )
    (question,) = read_questions(tmp_path / "riddles.jsonl")
    assert question.answer == "A"
    (tmp_path / "sums.jsonl").write_text(json.dumps({"question": "2 + 2?", "answer": "4"}))
    (question,) = read_questions(tmp_path / "sums.jsonl")
    assert (question.answer, question.words) == ("4", ())


def test_a_template_asks_as_it_says(demo: Host) -> None:
    runs = runs_of(demo, template_of("shout"), "Tea is a drink.")
    asked = ["".join(each.tokens) for each in (runs.no, runs.yes)]
    for text, answer in zip(asked, (" No", " Yes"), strict=True):
        assert text.endswith(f"REALLY? Tea is a drink. REALLY!{answer}")
    assert [*TEMPLATES][-1] == "shout"


def test_what_a_run_used_is_told_and_asked_for_where_it_is_not_there() -> None:
    settings = {"method": "median", "recipes": [{"interventions": [{"mode": "shrink"}]}], "template": "reply"}
    used = used_by(settings, "lengths")
    assert used == {"method median": SOURCE, "operation shrink": SOURCE, "panel lengths": SOURCE}
    assert missing(used) == []
    require(used)
    assert missing({"method median": "steering-sample 0.9"}) == [
        "It used the extraction method 'median' of steering-sample 0.9; 1.2 is installed."
    ]
    gone = {"judge stern": "acme-judges 2.0"}
    assert "judge 'stern' of the package acme-judges 2.0, which is not installed here" in missing(gone)[0]
    with pytest.raises(SteeringError, match=r"acme-judges 2\.0, which is not installed") as caught:
        require(gone)
    assert "pip install acme-judges==2.0" in caught.value.remedy
    origin = origin_from(
        {
            "format": "steering-workbench run",
            "version": 1,
            "study": "extract",
            "model": {"name": "demo"},
            "settings": {},
            "plugins": gone,
        },
        "a file",
    )
    with pytest.raises(SteeringError, match="acme-judges"):
        given_by(origin)


def test_forms_offer_judges_measures_and_templates_of_packages() -> None:
    offered = {
        field.name: [value for _, value in field.choices]
        for sections in (refusal_sections(), tradeoff_sections())
        for each in sections
        for field in each
    }
    assert offered["classifier"] == ["", "sorry"]
    assert "brevity" in offered["also"]


@pytest.fixture(scope="module")
def lengths(demo: Host, formality: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workbench, str]:
    """A workspace with a headless run of the sample's panel, and its id."""
    bench = Workbench(workspace=tmp_path_factory.mktemp("lengths"), lane=demo.lane)
    bench.workspace.put(formality)
    study = find_study("lengths")
    given = {"vector": "formality", "vectors": str(bench.workspace.shelf), "times": 2}
    settings = study.parse(given)
    record = Record(bench.workspace)
    used = {"formality": bench.workspace.get("formality").vector}
    record.begin(demo, Run("", "lengths", "Lengths", "demo", panel="lengths"), settings, vectors=used)
    record.result = study.start(demo, settings).result()
    assert record.end() is None
    return bench, record.id


def test_a_panels_headless_run_is_a_study_with_size_code_and_files(
    lengths: tuple[Workbench, str], demo: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, id = lengths
    assert STUDIES["lengths"].size is not None
    assert STUDIES["lengths"].size(demo, find_study("lengths").parse({"times": 7})).count("readings") == 7
    files = as_files(bench.workspace, id, "python")
    script, vector = files
    text = files[script].decode()
    assert "find_study('lengths')" in text
    assert f"require({{'panel lengths': '{SOURCE}'}})" in text
    assert vector == "vectors/formality.safetensors"
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(Host, "load", lambda *_, **__: demo)
    exec(compile(text, str(tmp_path / script), "exec"), {"__file__": str(tmp_path / script)})
    first, again = bench.workspace.runs.result(id), json.loads((tmp_path / "again" / "result.json").read_text())
    assert first is not None
    assert again["measures"][0]["value"] == pytest.approx(first.measures[0].value, rel=1e-12)
    assert again["origin"]["plugins"] == {"panel lengths": SOURCE}


def test_a_vector_is_trained_by_a_loss_of_a_package(demo: Host) -> None:
    found = train(demo, PAIRS, Trainee((3,)), loss="hinge", steps=4, batch=4, numbers={"margin": 50.0})
    assert found.curve[-1]["loss"] < found.curve[0]["loss"]
    assert found.vector.provenance.settings["numbers"] == {"margin": 50.0}


def test_a_run_says_where_it_is_shown_what_of_packages_is_not_here(lengths: tuple[Workbench, str]) -> None:
    bench, id = lengths
    run = bench.workspace.runs.get(id)
    assert run.about["plugins"] == {"panel lengths": SOURCE}
    gone = replace(run, about={**run.about, "plugins": {"panel lengths": "acme 3.0"}})
    for html in (reopened_html, partial(run_html, result=None)):
        assert "acme" not in html(run, **({"lost": ()} if html is reopened_html else {}))
        assert "panel &#x27;lengths&#x27; of the package acme 3.0, which is not installed here" in html(
            gone, **({"lost": ()} if html is reopened_html else {})
        )


def test_a_run_without_texts_leaves_out_its_prompt(lengths: tuple[Workbench, str]) -> None:
    bench, id = lengths
    bare = as_files(bench.workspace, id, "yaml", texts=False)
    assert "meeting" not in next(iter(bare.values())).decode()


def test_a_study_without_tables_shows_its_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERING_WORKBENCH_HOME", str(tmp_path))
    said = CliRunner().invoke(app, ["run", "count-blocks", "--set", "times=3"])
    assert said.exit_code == 0, said.output
    assert "blocks" in said.output
    assert "18" in said.output


def test_the_command_lists_all_and_says_what_is_broken() -> None:
    result = CliRunner().invoke(app, ["plugins"])
    assert result.exit_code == 1
    for part in ("extraction method", "median", "lengths", "probing template", SOURCE, "never finished"):
        assert part in result.output
    listed = json.loads(CliRunner().invoke(app, ["plugins", "--json"]).stdout)
    assert {each["name"] for each in listed if "name" in each} == {
        "lengths",
        "count-blocks",
        "median",
        "shrink",
        "sorry",
        "brevity",
        "hinge",
        "riddles",
        "shout",
    }
    assert len([each for each in listed if "problem" in each]) == 4


def test_the_sample_is_what_its_files_say() -> None:
    """That the entry points used here are those of its pyproject: each module of the package is named there."""
    text = (SAMPLE / "pyproject.toml").read_text()
    modules = {path.stem for path in (SAMPLE / "src" / "steering_sample").glob("*.py")} - {"__init__"}
    assert all(f"steering_sample.{module}:" in text for module in modules)
