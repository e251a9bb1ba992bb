"""A model's own reply, sorted."""

from __future__ import annotations

from steering.judges.sorting import Sorted, sort_reply
from steering.model.thoughts import Parts
from steering.passes.replies import Reply


def sort_written(reply: Reply, request: str = "") -> Sorted:
    """Sort what a model wrote, its thought told from its answer by its own template's delimiters.

    Args:
        reply: What it wrote.
        request: What it answers, where that is harmful; see `sort_reply`.
    """
    parts = Parts(reply.thought, reply.answer, reply.finished)
    return sort_reply(reply.text, parts, cut=reply.finish not in ("end", None), request=request)
