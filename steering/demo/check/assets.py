"""What ships beside the models: how large it all is, and how good the dictionaries are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from steering.demo.bars import Bar, Measure
from steering.demo.grammar import examples
from steering.demo.held_out import TEST_SEED
from steering.demo.tokens import encode
from steering.dictionaries.loading import load_dictionary
from steering.model.host import Host
from steering.studies.dictionaries.corpus import Ids
from steering.studies.dictionaries.measuring import measured
from steering.studies.dictionaries.states import read_tokens


def assets_size(folder: Path) -> Measure:
    """Everything under a folder, in MB of a million bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Measure(sum(path.stat().st_size for path in files) / 1e6, len(files), note="n counts files")


def dictionary_bars(assets: Path) -> dict[str, Bar]:
    """The bars of every dictionary of `demo` that is there."""
    bars = {}
    for folder in _folders(assets):
        bars[f"{folder.name}/explained_variance"] = Bar("demo", f"{folder.name}: explained variance", least=0.9)
        bars[f"{folder.name}/l0"] = Bar("demo", f"{folder.name}: features a token (L0)", most=40, unit="count")
        bars[f"{folder.name}/dead"] = Bar("demo", f"{folder.name}: dead features", unit="count")
    return bars


def demo_dictionaries(host: Host, assets: Path, *, tokens: int, say: Callable[[str], None]) -> dict[str, Measure]:
    """How well and how sparsely each dictionary gives back held-out states.

    Args:
        host: The model whose states they were trained on.
        assets: The folder that holds `dictionaries/demo`.
        tokens: Held-out states to measure on; with 0, what the cards record is taken.
        say: Told of each dictionary.
    """
    cards = {folder: json.loads((folder / "card.json").read_text(encoding="utf-8")) for folder in _folders(assets)}
    measures: dict[str, Measure] = {}
    conversations = _conversations(host, tokens) if tokens and cards else []
    for folder, card in cards.items():
        say(f"dictionary {folder.name}")
        if conversations:
            measures |= _measures(folder.name, _afresh(host, folder, conversations), "held-out tokens")
        else:
            measures |= _measures(folder.name, card["held_out"], "held-out tokens, as its card records")
    return measures


def _measures(name: str, found: Mapping[str, Any], note: str) -> dict[str, Measure]:
    return {
        f"{name}/{key}": Measure(float(found[key]), int(found["tokens"]), note=note)
        for key in ("explained_variance", "l0", "dead")
    }


def _afresh(host: Host, folder: Path, conversations: Sequence[Ids]) -> dict[str, Any]:
    dictionary = load_dictionary(folder, width=host.info.width)
    places = (dictionary.reads, dictionary.gives)
    states = host.run(lambda job: read_tokens(host, conversations, places), title="Reading states")
    return measured(dictionary, states.at[dictionary.reads], states.at[dictionary.gives], states.text).plain


def _conversations(host: Host, tokens: int) -> list[Ids]:
    """Token ids of held-out conversations, at least `tokens` in all."""
    for drawn in count(256, 256):
        found = [
            tuple(encode(host.tokenizer, each.messages)[0][: host.info.context - 1])
            for each in examples(split="held_out", n=drawn, seed=TEST_SEED)
        ]
        if sum(map(len, found)) >= tokens:
            return found
    raise AssertionError("a count has no end")


def _folders(assets: Path) -> list[Path]:
    return [path.parent for path in sorted(assets.glob("dictionaries/demo/*/card.json"))]
