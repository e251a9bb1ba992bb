"""How much the study does, counted from its settings before it starts."""

from __future__ import annotations

from steering.model.host import Host
from steering.studies.features.cause_found import requests_of
from steering.studies.features.cause_settings import CauseSettings
from steering.studies.refusal.replies import BATCH
from steering.studies.refusal.tokens import ANSWERED, LOOKED_AT
from steering.studies.size import Size, Work, tokens_of


_BACK = 6
"""Readings that following a prompt back takes, about: twice forward, and twice back, which costs as much as two."""


def size_of(host: Host, settings: CauseSettings) -> Size:
    """Replies and readings of a run.

    Raises:
        SteeringError: There is no such dictionary, or as `load_requests`.
    """
    settings.check(host)
    requests = requests_of(host, settings)
    train, test = requests.train, requests.test
    tests = [side for done, side in (("off", test.target), ("up", test.control)) if settings.do in (done, "both")]
    n = len(settings.features) or settings.n_features
    alone = n if n > 1 else 0
    judged = sum(map(len, tests)) * (2 + settings.random_sets + alone * settings.each)
    changed = sum(map(len, tests)) * (2 + alone + settings.random_sets * (1 + n))
    read = 3 * (len(train.target) + len(train.control)) + len(test.target) + len(test.control)
    followed = _BACK * (len(train.target) + sum(map(len, tests)))
    length = tokens_of([message.content for each in (*train.target, *train.control) for message in each])
    works = [Work("readings", read + followed + changed, length)]
    if settings.behaviour == "refusal":
        works.append(Work("replies", min(ANSWERED, len(train.target)), LOOKED_AT))
        works.append(Work("replies", judged, settings.reply_tokens, batch=BATCH))
    return Size(tuple(works))
