"""How much a trade-off will read, told from its settings alone, before anything is loaded."""

from __future__ import annotations

from steering.model.host import Host
from steering.model.pace import seconds_per_token
from steering.studies.tradeoff.further import OWN_REPLIES
from steering.studies.tradeoff.measures import MEASURES
from steering.studies.tradeoff.methods import floor_strengths
from steering.studies.tradeoff.readings import reply_seconds
from steering.studies.tradeoff.settings import TradeoffSettings


_TOKENS = {"pairs": 60, "whole_pairs": 60, "letters": 60, "choice": 45, "raw": 45, "accuracy": 45}
"""Of a usual item."""
_SHARES = 11
_OWN_TOKENS = 50


def rough_size(host: Host, settings: TradeoffSettings) -> tuple[int, float | None]:
    """About how many readings there are, and how many seconds they take if nothing is known; None before any was timed.

    Raises:
        SteeringError: Strengths that are not in order.
    """
    strengths = len(settings.sweep)
    swept = {"pca": strengths, "affine": strengths, "shuffled": strengths, "ablation": min(_SHARES, strengths)}
    curves = [strengths] * len(settings.recipes)
    curves += [swept.get(key, 2 * settings.examples if key == "examples" else 2) for key in settings.compare]
    main, floor = sum(curves), settings.random * len(floor_strengths(settings.sweep))
    each = seconds_per_token(host)
    rows, tokens, replies = OWN_REPLIES * main, OWN_REPLIES * main * _OWN_TOKENS, 0
    for name in (settings.alignment_by, settings.helpfulness):
        by_text = name not in _TOKENS
        n = (settings.n_replies if by_text else settings.n) * (main + floor)
        rows += n
        tokens += 0 if by_text else n * _TOKENS[name]
        replies += n if by_text else 0
    further = len({MEASURES[name].items for name in settings.also if name in MEASURES and name != "perplexity"})
    more = further * settings.n_replies * main
    writing = reply_seconds(host, settings.reply_tokens, replies + more)
    seconds = None if each is None or writing is None else tokens * each + writing
    return rows + more, seconds
