"""Which way a judge's mark counts for each request, where a set asks for a behaviour here and for its absence there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steering.judges.marks import Marks
from steering.model.prompts import Message
from steering.studies.training.rows import Data
from steering.texts.preferences import Preference


BY_SIDE = ("refusal", "compliance")
"""Judges that say yes or no of a reply by a rule, so that a set's own replies say where yes is wanted; of marks by
degree, a chosen reply with a little less would be taken for a wish.
"""


def signs_of(marks: Marks, judge: str, data: Data, prompts: Sequence[tuple[Message, ...]]) -> np.ndarray:
    """1 for each request, and -1 where the set's chosen reply has less of what the judge marks than the rejected one:
    of refusals, at a harmless request that is to be answered.

    Args:
        marks: The judge.
        judge: Its name.
        data: Examples with these requests among them.
        prompts: The requests.

    Returns:
        (prompt,).
    """
    own = {item.messages: item for item in reversed(data) if isinstance(item, Preference)}
    pairs = [own.get(messages) for messages in prompts]
    if judge not in BY_SIDE or not all(pairs):
        return np.ones(len(prompts))
    chosen, rejected = (marks(prompts, [getattr(pair, side) for pair in pairs]) for side in ("chosen", "rejected"))
    return np.where(np.array(chosen) < np.array(rejected), -1.0, 1.0)
