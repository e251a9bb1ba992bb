"""The dictionaries that ship with the demo model, and the command that makes such a set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from steering.demo import examples
from steering.demo.tokens import encode
from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.loading import load_dictionary
from steering.model.host import Host
from steering.studies.dictionaries import demo_set
from steering.studies.dictionaries.measuring import measured
from steering.studies.dictionaries.states import read_tokens
from steering.studies.study import Study


NAMES = ["block-1-sae", "block-1-transcoder", "block-3-sae", "block-3-transcoder"]


@pytest.fixture(scope="module")
def shipped(demo: Host) -> dict[str, Dictionary]:
    return {name: load_dictionary(f"demo/{name}", width=demo.info.width) for name in NAMES}


@pytest.fixture(scope="module")
def states(demo: Host, shipped: dict[str, Dictionary]) -> Any:
    """All that they read and give, at some thousand tokens."""
    texts = [tuple(encode(demo.tokenizer, each.messages)[0]) for each in examples(split="held_out", n=40, seed=9)]
    places = list(dict.fromkeys(place for found in shipped.values() for place in (found.reads, found.gives)))
    return demo.run(lambda job: read_tokens(demo, texts, places), title="Reading")


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_dictionaries_give_back_the_demo_models_held_out_states(shipped, states, name: str) -> None:
    """Afresh on some thousand tokens; the cards' figures are from ten times as many."""
    found = shipped[name]
    inputs, targets = states.at[found.reads], states.at[found.gives]
    figures = measured(found, inputs, targets, states.text).plain
    assert figures["tokens"] > 1000
    for each in (figures, found.card["held_out"]):
        assert each["explained_variance"] >= 0.9
        assert each["l0"] <= 40
    shuffled = inputs[:, torch.randperm(inputs.shape[1], generator=torch.Generator().manual_seed(0))]
    wrong = measured(found, shuffled, targets, states.text).plain
    assert wrong["explained_variance"] < 0.5  # it can fail


def test_the_set_is_made_by_the_studies(tiny_host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"features": 16, "active": 4, "tokens": 300, "steps": 3, "batch": 64}
    parse = Study.parse
    monkeypatch.setattr(Study, "parse", lambda self, given, **more: parse(self, {**small, **given}, **more))
    made = {name: job.result() for name, job in demo_set.demo_dictionaries(tiny_host("llama"), tmp_path)}
    assert list(made) == NAMES == sorted(path.name for path in tmp_path.iterdir())
    found = load_dictionary(tmp_path / "block-3-transcoder")
    assert (found.reads, found.gives, found.kind) == ((3, "mlp_input"), (3, "mlp_output"), "transcoder")
