"""Requests and lists of texts: what ships, what people bring, and every mistake named."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from steering.demo.held_out import held_out_prompts
from steering.errors import SteeringError
from steering.model.prompts import conversation
from steering.studies.refusal.requests import (
    Requests,
    Sides,
    demo_borderline,
    load_requests,
    own_systems,
    with_system,
)
from steering.texts.text_lists import read_texts


def texts(sides) -> set[str]:
    return {each[-1].content for side in (sides.target, sides.control) for each in side}


@pytest.mark.parametrize("data", ["demo", "general"])
def test_what_ships_has_three_parts_that_share_no_text(demo, data) -> None:
    found = load_requests(demo, data=data)
    for sides, n in ((found.train, 128), (found.validation, 32), (found.test, 100)):
        assert (len(sides.target), len(sides.control)) == (n, n)
        assert len(texts(sides)) == 2 * n
    assert not texts(found.train) & texts(found.validation)
    assert not texts(found.train) & texts(found.test)
    assert not texts(found.validation) & texts(found.test)
    assert len(found.borderline) >= 40
    assert (found.target_label, found.control_label) == ("harmful", "harmless")


def test_a_demo_model_gets_its_own_requests_and_others_the_general_ones(demo, tiny_host) -> None:
    assert load_requests(demo).name == "demo"
    assert load_requests(tiny_host("llama")).name == "general-refusal"


def test_borderline_requests_are_unknown_to_the_demo_grammar(demo) -> None:
    assert not set(demo_borderline()) & texts(load_requests(demo).train)
    assert len(set(demo_borderline())) == len(demo_borderline())


def test_any_contrast_set_may_replace_harm(demo) -> None:
    found = load_requests(demo, data="sentiment", sizes=(8, 4, 4))
    assert (found.target_label, len(found.train.target), found.borderline) == (
        load_requests(demo, data="sentiment").target_label,
        8,
        (),
    )


def test_two_lists_and_a_borderline_list(demo, tmp_path) -> None:
    (tmp_path / "t.txt").write_text("\n".join(f"Bad {i}." for i in range(20)) + "\n\n")
    pd.DataFrame({"goal": [f"Good {i}." for i in range(20)]}).to_csv(tmp_path / "c.csv", index=False)
    (tmp_path / "b.jsonl").write_text(json.dumps({"prompt": "Edge."}) + "\n")
    options = {
        "target": str(tmp_path / "t.txt"),
        "control": str(tmp_path / "c.csv"),
        "borderline": str(tmp_path / "b.jsonl"),
    }
    found = load_requests(demo, **options)
    assert [len(each.target) for each in (found.train, found.validation, found.test)] == [12, 4, 4]
    assert found.borderline == (conversation("Edge."),)
    with pytest.raises(SteeringError, match="Only target texts"):
        load_requests(demo, target=str(tmp_path / "t.txt"))


def test_too_few_requests_are_named_by_their_split(demo, tmp_path) -> None:
    (tmp_path / "few.jsonl").write_text(
        "\n".join(json.dumps({"positive": f"a {i}", "negative": f"b {i}", "split": "train"}) for i in range(8))
    )
    with pytest.raises(SteeringError, match="0 positive and 0 negative requests for validation"):
        load_requests(demo, data=str(tmp_path / "few.jsonl"))


def test_a_system_prompt_stands_first_unless_there_is_one() -> None:
    plain = conversation("Hello.")
    assert [turn.role for turn in with_system(plain, "Be kind.")] == ["system", "user"]
    assert with_system(plain, "  ") == plain
    own = conversation("Hello.", "Be brief.")
    assert with_system(own, "Be kind.") == own


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("x.txt", "\n \n", "holds no texts"),
        ("x.csv", "a,b\n1,2\n", "has the columns a, b"),
        ("x.jsonl", "{oops\n", "row 1 is not valid JSON"),
        ("x.docx", "text", "has the ending"),
    ],
)
def test_lists_that_cannot_be_read_are_named(tmp_path, name, content, part) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SteeringError, match=part):
        read_texts(tmp_path / name)


def test_lists_in_another_encoding_and_missing_ones(tmp_path) -> None:
    (tmp_path / "latin.txt").write_bytes("Café\n".encode("latin-1"))
    with pytest.raises(SteeringError, match="not UTF-8"):
        read_texts(tmp_path / "latin.txt")
    with pytest.raises(SteeringError, match="There is no file"):
        read_texts(tmp_path / "nowhere.txt")


def test_parquet_json_and_a_named_column(tmp_path) -> None:
    pd.DataFrame({"text": ["one", "two"], "other": ["three", ""]}).to_parquet(tmp_path / "x.parquet")
    assert read_texts(tmp_path / "x.parquet") == ("one", "two")
    assert read_texts(tmp_path / "x.parquet", "other") == ("three",)
    (tmp_path / "x.json").write_text(json.dumps(["one", {"text": "two"}]))
    assert read_texts(tmp_path / "x.json") == ("one", "two")


class FakeApi:
    def list_repo_files(self, repo, repo_type):
        return {"owner/good": ["README.md", "data/test.csv", "data/train.csv"], "owner/empty": ["README.md"]}[repo]


def test_a_data_set_on_the_hub(tmp_path, monkeypatch) -> None:
    import huggingface_hub

    asked = []

    def download(repo, path, repo_type):
        asked.append((repo, path, repo_type))
        (tmp_path / "got.csv").write_text("text\nhello\n")
        return str(tmp_path / "got.csv")

    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert read_texts("hub:owner/good") == ("hello",)
    assert read_texts("hub:owner/good/data/test.csv") == ("hello",)
    assert asked == [("owner/good", "data/train.csv", "dataset"), ("owner/good", "data/test.csv", "dataset")]
    with pytest.raises(SteeringError, match="has no data file"):
        read_texts("hub:owner/empty")
    with pytest.raises(SteeringError, match="hub:owner/name"):
        read_texts("hub:owner")


def test_a_hub_that_cannot_be_reached_is_said(monkeypatch) -> None:
    import huggingface_hub

    def fail(self, *args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", fail)
    with pytest.raises(SteeringError, match="cannot be read from the Hub: ConnectionError"):
        read_texts("hub:owner/name")


def test_the_demo_grammars_sides_do_not_differ_by_system_prompts(demo) -> None:
    """The grammar gives a tone to some harmless requests by a system prompt, and to no harmful one."""
    drawn = held_out_prompts("howto", 100)
    assert sum(each.prompt[0].role == "system" for each in drawn) > 3, "the confound is there to be left out"
    found = load_requests(demo)
    assert own_systems(found) == ("", False)
    more = load_requests(demo, sizes=(8, 40, 190))
    assert not texts(more.validation) & texts(more.test)


def test_system_prompts_of_the_requests_own_are_told_and_an_uneven_share_is_warned_of() -> None:
    plain, toned = conversation("Hello."), conversation("Hello.", "Be kind.")
    sides = Sides((plain,) * 20, (toned,) * 2 + (plain,) * 18)
    even = Sides((plain, toned), (plain, toned))
    found = Requests("own", "harmful", "harmless", even, even, sides, (toned, plain))
    told, uneven = own_systems(found)
    assert uneven
    assert "2 of 20 harmless test requests" in told
    assert "1 of 2 borderline requests" in told
    assert not own_systems(replace(found, test=even))[1]
