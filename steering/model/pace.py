"""How long a model takes for a decoding step or a reading, so that the time of a run can be told before it starts.

What is known holds for the model under any chat settings.
"""

from __future__ import annotations

import numpy as np

from steering.model.host import Host
from steering.model.learnt import Learnt


_SEEN = Learnt[dict[int, float]]("seconds of steps")
_OLD = 0.8
"""Weight of what is known in the running mean over steps."""


def note_step(host: Host, rows: int, seconds: float) -> None:
    """Take in how long one step of a batch took."""
    seen = _SEEN.setdefault(host.base, {})
    seen[rows] = _OLD * seen[rows] + (1 - _OLD) * seconds if rows in seen else seconds


def seconds_per_step(host: Host, rows: int) -> float | None:
    """About how long a step of a batch of `rows` takes, interpolated between the sizes seen; None before any.

    Beyond the largest size seen the time is taken to grow with the rows, which is what it does at most.
    """
    seen = _SEEN.get(host.base)
    if not seen:
        return None
    sizes = sorted(seen)
    between = float(np.interp(rows, sizes, [seen[size] for size in sizes]))
    return between * max(1.0, rows / sizes[-1])


def note_length(host: Host, steps: int, most: int) -> None:
    """Take in after how many steps a batch of replies had ended that might have gone on to `most`."""
    known, base = _LENGTHS.get(host.base), host.base
    if steps < most:
        _LENGTHS[base] = float(steps) if known is None else max(float(steps), _OLD * known + (1 - _OLD) * steps)
    elif known is not None and steps > known:
        _LENGTHS[base] = float(steps)


def likely_steps(host: Host, most: float) -> float:
    """About how many steps a batch of replies takes that ends at `most` tokens; that many before any ended earlier."""
    return min(most, _LENGTHS.get(host.base, most))


def note_reading(host: Host, tokens: int, seconds: float) -> None:
    """Take in how long it took to read so many tokens, whatever was written meanwhile."""
    if tokens >= ENOUGH:
        each, base = seconds / tokens, host.base
        _READ[base] = (_READ[base] + each) / 2 if base in _READ else each


def note_example(host: Host, seconds: float) -> None:
    """Take in how long a training of a vector took for one example of a step."""
    base = host.base
    _TRAINED[base] = _OLD * _TRAINED[base] + (1 - _OLD) * seconds if base in _TRAINED else seconds


def seconds_per_example(host: Host) -> float | None:
    """About how long one example of a step of a training takes; None before any."""
    return _TRAINED.get(host.base)


def seconds_per_token(host: Host) -> float | None:
    """About how long one token of a reading takes; None before any."""
    return _READ.get(host.base)


ENOUGH = 400
"""Tokens under which a reading's time is mostly that of setting it up."""
_READ = Learnt[float]("seconds of a token")
_TRAINED = Learnt[float]("seconds of an example")
_LENGTHS = Learnt[float]("steps of replies")
