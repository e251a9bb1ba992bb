"""The folder of a Space: whole, pinned to what the platform takes, and served from its own code."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from steering.errors import SteeringError
from tests.conftest import ROOT
from workbench.cli.main import app
from workbench.page.cards import model_bar
from workbench.space import pins
from workbench.space.check import check_space
from workbench.space.folder import write_space
from workbench.space.settings import Space


STAND_IN = Path(__file__).parent / "stand_in"
FEW = Space(panels=("vectors", "steer"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("spaces") / "mine"
    write_space(made, FEW)
    return made


def head(folder: Path) -> dict[str, object]:
    _, front, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    found = yaml.safe_load(front)
    assert isinstance(found, dict)
    return found


def test_the_folder_holds_all_that_the_page_needs_and_one_demo_model(folder: Path) -> None:
    models = folder / "steering" / "data" / "assets" / "models"
    assert [each.name for each in models.iterdir()] == ["demo"]
    assert (folder / "panels" / "steer" / "panel.py").is_file()
    assert not list(folder.rglob("__pycache__"))
    assert sum(each.stat().st_size for each in folder.rglob("*")) < 30e6
    large = [each.name for each in folder.rglob("*") if each.is_file() and each.stat().st_size > 10e6]
    assert {name.rpartition(".")[2] for name in large} <= {"safetensors"}  # which go by LFS
    assert "*.safetensors filter=lfs" in (folder / ".gitattributes").read_text(encoding="utf-8")


def test_a_model_of_the_hub_is_named_where_the_platform_looks_for_it(tmp_path: Path) -> None:
    write_space(tmp_path / "mine", Space("Qwen/Qwen3-0.6B", revision="main", secrets=("HF_TOKEN",)))
    said = head(tmp_path / "mine")
    assert said["models"] == ["Qwen/Qwen3-0.6B"]
    assert str(said["preload_from_hub"]).count("Qwen/Qwen3-0.6B") == 1
    assert said["suggested_hardware"] == "zero-a10g"
    assert "`HF_TOKEN`" in (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    assert not (tmp_path / "mine" / "steering" / "data" / "assets" / "models").exists()
    given: dict[str, Space] = {}
    code = (tmp_path / "mine" / "app.py").read_text(encoding="utf-8").replace("import spaces", "")
    code = code.replace("from workbench.space.app import start", "")
    exec(code.partition("if __name__")[0], given)  # type: ignore[arg-type]
    assert given["SPACE"] == Space("Qwen/Qwen3-0.6B", revision="main", secrets=("HF_TOKEN",))


def test_every_package_that_the_workbench_needs_is_pinned_to_what_it_takes() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {Requirement(line).name: Requirement(line).specifier for line in project["dependencies"]}
    assert set(pins.PINS) | set(pins.PLATFORM) >= set(needed)
    assert set(pins.PINS) - set(needed) == {"tokenizers"}  # which transformers wants in one version
    for name, version in pins.PINS.items():
        assert needed.get(name, SpecifierSet()).contains(version), name
    assert pins.PINS["torch"].rpartition(".")[0] in pins.TORCHES


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (Space("/home/me/model"), "cannot load '/home/me/model'"),
        (Space("demo", panels=("steer", "nothing")), "no panel 'nothing'"),
        (Space("../demo"), "cannot load '../demo'"),
    ],
)
def test_what_no_space_can_have_is_said_and_nothing_is_written(tmp_path: Path, space: Space, said: str) -> None:
    with pytest.raises(SteeringError, match=said):
        write_space(tmp_path / "mine", space)
    assert not (tmp_path / "mine").exists()


def test_files_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("mine", encoding="utf-8")
    with pytest.raises(SteeringError, match="no Space of the workbench is among them"):
        write_space(tmp_path, FEW)
    assert (tmp_path / "app.py").read_text(encoding="utf-8") == "mine"
    with pytest.raises(SteeringError, match="is a file"):
        write_space(tmp_path / "app.py", FEW)


def test_written_again_nothing_old_is_left(folder: Path) -> None:
    old = folder / "workbench" / "old.py"
    old.write_text("", encoding="utf-8")
    write_space(folder, FEW)
    assert not old.exists()


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("README.md", "3.12.12", "3.13.1", "Python 3.13.1; it takes 3.10.13 or 3.12.12"),
        ("README.md", "See and steer", "See and steer " + "on and on " * 8, "more than 60 characters"),
        ("requirements.txt", "torch==2.11.0", "torch==2.13.0", "torch==2.13.0; it takes 2.8 to 2.11"),
        ("requirements.txt", "torch==2.11.0", "gradio==6\ntorch==2.11.0", "the platform installs it"),
    ],
)
def test_what_the_platform_does_not_take_is_found(folder: Path, name: str, before: str, after: str, said: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    try:
        last = list(check_space(folder))[-1]
    finally:
        path.write_text(text, encoding="utf-8")
    assert not last.good
    assert said in last.detail


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("README.md", "# A title\n", "does not say title, sdk"),
        ("README.md", "---\nsdk: [\n---\n", "does not say title, sdk"),
        ("requirements.txt", "torch == = 3\n", "requirements.txt cannot be read"),
        ("app.py", "import (\n", "app.py, line 1"),
        ("app.py", None, "app.py cannot be read"),
    ],
)
def test_a_folder_that_is_no_space_is_refused(folder: Path, name: str, text: str | None, said: str) -> None:
    path = folder / name
    before = path.read_bytes()
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    try:
        with pytest.raises(SteeringError, match=said):
            list(check_space(folder))
    finally:
        path.write_bytes(before)


def test_a_space_without_its_secrets_says_so_on_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("THERE", "is one")
    from workbench.space import app as space_app

    served = []
    monkeypatch.setattr(space_app, "launch", lambda model, entrance, **given: served.append((model, given)))
    space_app.start(Space("Qwen/Qwen3-0.6B", secrets=("HF_TOKEN", "THERE"), panels=("Steer",)))
    ((model, given),) = served
    bench = given["bench"]
    try:
        assert model == ""  # so that nothing is fetched
        assert "lacks its secret HF_TOKEN." in str(bench.model.error)
        assert "lacks its secret HF_TOKEN." in model_bar(None, error=bench.model.error)
        assert [panel.id for panel in bench.catalogue.panels] == ["steer"]
    finally:
        bench.close()
        bench.lane.close()


def test_the_commands_write_it_and_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = ["space", "new", str(tmp_path / "mine"), "--panels", "steer,vectors", "--limit", "tokens=40"]
    app(new, standalone_mode=False)
    assert "workbench space check" in capsys.readouterr().out
    assert "limits=('tokens=40',)" in (tmp_path / "mine" / "app.py").read_text(encoding="utf-8")
    requirements = tmp_path / "mine" / "requirements.txt"
    requirements.write_text("torch==2.13.0\n", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        app(["space", "check", str(tmp_path / "mine")])
    assert ended.value.code == 1
    assert "it takes 2.8 to 2.11" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit) as ended:
        app([*new, "--limit", "words=1"])
    assert ended.value.code == 1
