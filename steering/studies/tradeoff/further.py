"""What else steering changes: false refusal, degenerate replies, and how far the model is moved."""

from __future__ import annotations

import math

from steering.judges import Sorted, sort_reply
from steering.model.host import Host
from steering.model.prompts import conversation
from steering.model.thoughts import Parts
from steering.recipes.nats import calibration_prompts, own_replies
from steering.studies.refusal.requests import load_requests
from steering.studies.tradeoff.items import Item, Seen
from steering.studies.tradeoff.measures import Measure, fixed, register
from steering.studies.tradeoff.settings import TradeoffSettings


OWN_REPLIES = 20
"""On which KL and perplexity are read."""


def _harmless(host: Host, settings: TradeoffSettings) -> list[Item]:
    requests = load_requests(host, sizes=(4, 2, settings.n_replies))
    asked = [each for pair in zip(requests.borderline, requests.test.control, strict=False) for each in pair]
    return [
        Item(f"harmless-{number:03}", messages, "text", longest=settings.reply_tokens)
        for number, messages in enumerate(asked[: settings.n_replies], start=1)
    ]


def sorted_reply(seen: Seen, request: str = "") -> Sorted:
    """What the rules say of a generated reply; with its request where that is harmful."""
    parts = Parts(seen.get("thought", ""), seen["text"], seen.get("finished", True))
    return sort_reply(seen["text"] or parts.thought, parts, request=request)


def false_refusal(item: Item, seen: Seen) -> float:
    """1 where a harmless request is refused."""
    return float(sorted_reply(seen).content == "refusal")


def degenerate(item: Item, seen: Seen) -> float:
    """1 where a reply is empty or loops."""
    return float(sorted_reply(seen).broken)


def own_items(host: Host, settings: TradeoffSettings) -> list[Item]:
    """The unsteered model's own replies to everyday requests, on which KL and perplexity are read."""
    texts = calibration_prompts()[:OWN_REPLIES]
    replied = zip(texts, own_replies(host, texts), strict=True)
    return [
        Item(f"own-{number:03}", conversation(text), "own", own=ids)
        for number, (text, (_, ids)) in enumerate(replied, start=1)
        if ids
    ]


def perplexity(item: Item, seen: Seen) -> float:
    """exp of the mean loss over the tokens of the unsteered model's own reply."""
    losses = seen["losses"][0]
    return math.exp(min(sum(losses) / len(losses), 50.0))


def mean_kl(item: Item, seen: Seen) -> float:
    """Mean KL(unsteered || treated) over the tokens of the unsteered model's own reply and its end, nats."""
    return sum(seen["kl"]) / len(seen["kl"])


register(
    Measure(
        name="false_refusal",
        axis="further",
        title="false refusal",
        label="harmless requests refused, share",
        items=_harmless,
        scorer=fixed(false_refusal),
        worse=1,
        counts_refusals=lambda settings: True,
    )
)
register(
    Measure(
        name="degenerate",
        axis="further",
        title="degenerate",
        label="degenerate replies, share",
        items=_harmless,
        scorer=fixed(degenerate),
        worse=1,
    )
)
register(
    Measure(
        name="perplexity",
        axis="further",
        title="perplexity",
        label="perplexity of its own replies",
        items=own_items,
        scorer=fixed(perplexity),
    )
)
KL = Measure(
    name="kl",
    axis="further",
    title="KL from the unsteered model",
    label="mean KL, nats a token",
    items=own_items,
    scorer=fixed(mean_kl),
)
"""Always measured, so never asked for."""
