"""The conformance kit: a good panel passes, and each check finds the fault that it is there for."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
import plotly.graph_objects as go
import pytest
from pydantic import BaseModel, Field, field_validator
from sample_package import SAMPLE, installed
from typer.testing import CliRunner

from steering.errors import SteeringError
from steering.figures.styling import styled
from steering.lane import Lane
from steering.model.host import Host
from steering.studies.study import Measure, Result
from workbench.cli.main import app
from workbench.panel import Panel
from workbench.testing import check, models, runs, settings, targets
from workbench.testing.browser import in_a_browser
from workbench.testing.new_package import write_package
from workbench.testing.trial import Bench, Check, Fault, Skip


class Settings(BaseModel):
    times: int = Field(1, ge=1, le=50, description="How often.", json_schema_extra={"unit": "readings"})


def drawn(x: str = "block", y: str = "norm, raw") -> go.Figure:
    return styled(go.Figure(go.Scatter(x=[0, 1], y=[1, 2], mode="lines")), x, y)


class Good(Panel):
    id, title, summary, settings = "good", "Good", "Does well.", Settings

    def run(self, host: Any, settings: Any, job: Any) -> Any:
        for n in range(settings.times):
            job.report(n + 1, settings.times, "readings")
        return Result.of(
            self.id,
            host,
            settings,
            measures=[Measure("blocks", host.info.blocks, None, None, 1, "blocks")],
            tables={"blocks": pd.DataFrame({"block": range(host.info.blocks)})},
            figures={"Norms": drawn()},
        )


@pytest.fixture(scope="module")
def quick_models() -> Iterator[None]:
    """Tiny models are made once for all panels."""
    made: dict[Any, Host] = {}

    def once(architecture: str, *, template: bool = True, lane: Lane | None = None) -> Host:
        if (architecture, template) not in made:
            made[architecture, template] = models.tiny_host(architecture, template=template, lane=lane)  # type: ignore[arg-type]
        return made[architecture, template]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "tiny_host", once)
        yield


@pytest.fixture
def bench(demo: Host, tmp_path: Path, quick_models: None) -> Any:
    def of(panel: Panel, **given: Any) -> Bench:
        found = Bench(panel, demo.lane, tmp_path, given)
        found.__dict__["demo"] = demo
        return found

    return of


CHECKS = {
    "round": settings.round_trips,
    "fields": settings.answers_bad_fields,
    "layout": settings.lays_out,
    "imports": settings.imports_alone,
    "demo": runs.runs_on_the_demo_model,
    "alike": runs.runs_alike,
    "stop": runs.stops,
    "models": runs.on_other_models,
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_panel_that_keeps_the_contract_passes_and_hears_what_was_done(bench: Any, name: str) -> None:
    assert CHECKS[name](bench(Good())).endswith(".")


class Plain(Good):
    settings = None

    def run(self, host: Any, settings: Any, job: Any) -> Any:
        job.report(1, 1, "steps")
        return Result.of(self.id, host, settings, measures=[Measure("blocks", host.info.blocks, None, None, 1)])


@pytest.mark.parametrize("name", ["round", "fields", "layout", "demo", "alike"])
def test_a_panel_where_there_is_nothing_to_set_passes_too(bench: Any, name: str) -> None:
    assert CHECKS[name](bench(Plain())).endswith(".")


class Silent(Good):
    class settings(BaseModel):
        times: int = 1


class Lossy(Good):
    class settings(BaseModel):
        names: tuple[str, ...] = Field(("a ", "b"), description="Names.")

        @field_validator("names", mode="before")
        @classmethod
        def _grown(cls, given: Any) -> Any:
            return (*given, "c")


class Crashing(Good):
    class settings(BaseModel):
        name: str = Field("a", description="A name.")

        @field_validator("name")
        @classmethod
        def _known(cls, name: str) -> str:
            return {"a": "a"}[name]


class Clumsy(Good):
    def build(self, ui: Any) -> None:
        gr.Markdown(1 / 0)


class Peeking(Good):
    pass


class Bare(Good):
    def run(self, host: Any, settings: Any, job: Any) -> Any:
        return {"a": 1}


class Unlabelled(Good):
    def run(self, host: Any, settings: Any, job: Any) -> Any:
        return Result.of(self.id, host, settings, figures={"Norms": drawn(y="")})


class Undrawn(Good):
    def run(self, host: Any, settings: Any, job: Any) -> Any:
        return Result.of(self.id, host, settings, figures={"Shares": go.Figure(go.Pie(values=[1]))})


SEEN: list[int] = []


class Global(Good):
    def run(self, host: Any, settings: Any, job: Any) -> Any:
        SEEN.append(1)
        return super().run(host, settings, job)


class Keeping(Good):
    def run(self, host: Any, settings: Any, job: Any) -> Any:
        self.last = settings.times
        return super().run(host, settings, job)


class Drifting(Good):
    def run(self, host: Any, settings: Any, job: Any) -> Any:
        return Result.of(self.id, host, settings, measures=[Measure("now", time.monotonic(), None, None, 1)])


class Deaf(Good):
    def run(self, host: Any, settings: Any, job: Any) -> Any:
        time.sleep(0.4)
        return super().run(host, settings, job)


class Swallowing(Good):
    def run(self, host: Any, settings: Any, job: Any) -> Any:
        for n in range(40):
            time.sleep(0.01)
            try:
                job.report(n, 40, "steps")
            except Exception as error:
                raise RuntimeError("a step failed") from error
        return super().run(host, settings, job)


class Boastful(Good):
    def run(self, host: Any, settings: Any, job: Any) -> Any:
        if host.info.architecture != "Llama":
            raise SteeringError("Only Llama has it.", "a Llama.")
        return super().run(host, settings, job)


@pytest.mark.parametrize(
    ("panel", "name", "said", "mend"),
    [
        (Silent(), "round", "No description: times", "description="),
        (Lossy(), "round", "names=", "reads back"),
        (Crashing(), "fields", "raised KeyError", "ValueError"),
        (Clumsy(), "layout", "division by zero", ""),
        (Bare(), "demo", "gave a dict", "Result.of"),
        (Unlabelled(), "demo", "does not say what its yaxis is", "unit"),
        (Undrawn(), "demo", "“Shares” is not drawn", "scatter"),
        (Global(), "alike", "changed SEEN", "within run"),
        (Keeping(), "alike", "changed the panel itself", "within run"),
        (Drifting(), "alike", "other numbers: measures", "seed"),
        (Deaf(), "stop", "Asked to stop", "job.report"),
        (Swallowing(), "stop", "ended with RuntimeError", "Stopped"),
        (Boastful(), "models", "On tiny-gpt2, needs() says that it works", "needs()"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Panel) else None,
)
def test_each_check_finds_what_it_is_there_for(
    bench: Any, monkeypatch: pytest.MonkeyPatch, panel: Panel, name: str, said: str, mend: str
) -> None:
    monkeypatch.setattr(runs, "SOON", 0.05)
    with pytest.raises((Fault, ZeroDivisionError)) as caught:
        CHECKS[name](bench(panel))
    assert said in str(caught.value)
    assert mend in getattr(caught.value, "mend", "")


@pytest.mark.parametrize("line", ["from panels.steer.panel import panel", "import panels", "import steering_sample"])
def test_a_panel_that_imports_another_one_is_told_so(bench: Any, tmp_path: Path, line: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"def f():\n    {line}\n", encoding="utf-8")
    with installed(tmp_path / "packages"), pytest.raises(Fault, match=r"mine\.py imports"):
        settings.imports_alone(bench(Good()), str(file))
    file.write_text("import steering\nfrom . import panels\n", encoding="utf-8")
    assert settings.imports_alone(bench(Good()), str(file))


def test_all_checks_go_on_where_one_fails_and_a_test_names_it(demo: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = [Check("one", "failed", "It did that.", "Do this."), Check("two", "passed", "Well.")]
    monkeypatch.setattr(check, "checks_of", lambda panel, **options: iter(tried))
    with pytest.raises(AssertionError, match=r"The panel Good:\none: It did that\. Do this\."):
        check.check_panel(Good())
    monkeypatch.setattr(check, "checks_of", lambda panel, **options: iter(tried[1:]))
    check.check_panel(Good())


def test_a_written_package_passes_whole_and_its_tests_do_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["panels", "new", "Token lengths"])
    assert said.exit_code == 0, said.output
    assert "token-lengths/src/token_lengths/panel.py" in said.output
    checked = CliRunner().invoke(app, ["panels", "check", "token-lengths", "--no-browser", "--set", "prompts=Hello."])
    assert checked.exit_code == 0, checked.output
    assert checked.output.count("passed") == len(CHECKS)
    ((source, panel),) = targets.panels_at(str(tmp_path / "token-lengths"))
    assert (panel.id, panel.title) == ("token-lengths", "Token lengths")
    assert "token_lengths.panel:panel" in source
    test = (tmp_path / "token-lengths" / "tests" / "test_panel.py").read_text(encoding="utf-8")
    space: dict[str, Any] = {}
    exec(compile(test, "test_panel.py", "exec"), space)
    space["test_it_measures_every_block"]()


@pytest.mark.parametrize(
    ("name", "said"),
    [("!!", "letters, digits"), ("1st", "a letter first"), ("here/mine", "--folder"), (chr(34) + "x", "letters")],
)
def test_a_name_without_an_id_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(SteeringError, match=said):
        write_package(name, tmp_path / "new")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SteeringError, match="there already"):
        write_package("Mine", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_path_names_files_folders_packages_and_installed_panels(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    for path, said in (("nowhere", "neither a file or folder 'nowhere'"), (str(tmp_path / "bare"), "holds no panel")):
        result = CliRunner().invoke(app, ["panels", "check", path])
        assert result.exit_code == 1
        assert said in " ".join(result.output.split())
    assert [panel.id for _, panel in targets.panels_at("steer")] == ["steer"]
    with installed(tmp_path / "packages"):
        ((source, panel),) = targets.panels_at("lengths")
        assert (panel.id, "of steering-sample 1.2" in source) == ("lengths", True)
        with pytest.raises(SteeringError, match="was never finished"):
            targets.panels_at("broken-panel")
        with pytest.raises(SteeringError, match="was never finished"):
            targets.panels_at(str(SAMPLE))


class Failing(Good):
    def build(self, ui: Any) -> None:
        gr.HTML("", js_on_load="throw new Error('a script of mine');")


@pytest.mark.browser
def test_the_browser_is_opened_where_there_is_one(bench: Any) -> None:
    assert "1280 and 390 px" in in_a_browser(bench(Good()))
    with pytest.raises(Fault, match="a script of mine"):
        in_a_browser(bench(Failing()))


def test_without_a_browser_the_check_is_skipped_and_says_so(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(Skip, match="Playwright is not installed"):
        in_a_browser(bench(Good()))
