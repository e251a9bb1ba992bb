"""What counts as a good answer and as a good refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from steering.demo.check.replies import losses, reply_ids
from steering.demo.example import Example
from steering.demo.held_out import act_of, decline_prompt, refusal_wordings
from steering.demo.scores import Reply, reads_well
from steering.judges.refusal import is_refusal
from steering.model.host import Host


BAND = 0.99
"""Quantile of the grammar's own wordings up to which a refusal's likelihood counts as usual."""


def clean_answer(example: Example, reply: Reply) -> bool:
    """Whether a reply does what the request asks, in form: it is no refusal, it reads well, and it names the object of
    the request, all its words.
    """
    said = set(_words(reply.text))
    return not is_refusal(reply.text) and reads_well(reply) and said.issuperset(_words(example.labels["object"]))


def refusals_read_well(host: Host, refusals: Sequence[tuple[Example, Reply]]) -> list[bool]:
    """Whether refusals sound like the ones the model has learnt to write.

    One does where it came to its own end, says no word three times running, and is on average a token no less likely,
    as a reply to "decline this act", than 99 % of the grammar's wordings for the same acts.

    Args:
        host: A model that writes refusals when it is asked to, `demo-helpful`.
        refusals: Requests that were refused, and how.
    """
    if not refusals:
        return []
    acts = sorted({act_of(example) for example, _ in refusals})
    usual = [(do, Reply(wording, ended=True)) for do in acts for wording in refusal_wordings(do)]
    said = [(act_of(example), reply) for example, reply in refusals]
    band = float(np.quantile(_loss_a_token(host, usual), BAND))
    return [
        reads_well(reply) and loss <= band for (_, reply), loss in zip(said, _loss_a_token(host, said), strict=True)
    ]


def _loss_a_token(host: Host, refusals: Sequence[tuple[str, Reply]]) -> np.ndarray:
    """Mean loss a token, end included, of replies to requests to decline an act; infinite where a reply is empty."""
    pairs = [reply_ids(host, decline_prompt(do), reply) for do, reply in refusals]
    some = [index for index, (_, ids) in enumerate(pairs) if ids]
    found = np.full(len(pairs), np.inf)
    sums = losses(host, [pairs[index] for index in some])
    found[some] = sums.numpy() / [len(pairs[index][1]) for index in some]
    return found


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())
