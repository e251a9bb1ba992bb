"""Brevity: how short replies are."""

from __future__ import annotations

from steering import Host
from steering.model.prompts import conversation
from steering.studies.tradeoff.items import Item, Seen
from steering.studies.tradeoff.measures import Measure, fixed
from steering.studies.tradeoff.settings import TradeoffSettings


_ASKED = ("Tell me about tea.", "Write a note to my boss.", "What is the capital of France?")


def _items(host: Host, settings: TradeoffSettings) -> list[Item]:
    return [Item(f"brevity-{n}", conversation(text), "text", longest=16) for n, text in enumerate(_ASKED)]


def brevity(item: Item, seen: Seen) -> float:
    """1 over the number of words."""
    return 1 / max(1, len(seen["text"].split()))


BREVITY = Measure(
    name="brevity", axis="further", title="brevity", label="1 / words of a reply", items=_items, scorer=fixed(brevity)
)
