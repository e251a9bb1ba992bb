"""How often the tests with generated inputs look, and hostile values for them."""

from __future__ import annotations

import os
import resource
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st


LONG = int(os.environ.get("STEERING_FUZZ", "0"))


def worked() -> float:
    """Seconds that this process and its children have computed: what an input costs, however busy the machine is."""
    return sum(os.times()[:4])


def peak() -> int:
    """Bytes of memory that this process has held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def examples(usual: int) -> Any:
    """Settings of a test: so many examples, or as many as STEERING_FUZZ says."""
    return settings(
        max_examples=LONG or usual,
        deadline=None,
        derandomize=not LONG,
        database=None,
        phases=(Phase.generate,) if LONG else (Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


HOSTILE_TEXTS = st.one_of(
    st.sampled_from(
        [
            *("", " ", "\0", "a\0b", "\ud800", "\udcff", "0-100000000", "-1--5", "1e999999999", "{", "[" * 500),
            *("1..1e9 step 1e-9", "9" * 5000, "2024-13-01", "nan", "inf", "-0", "../../etc/passwd", "~nobody/x"),
            *("hub:", "hub:a/b", "a" * 100_000, "strength: 1", "strength: 0..1e12", "prompt:", "::", "x::y=z"),
            *("#999999999999", "-1/3", "/", "null", "💥" * 50, "{positive: a}", "[[1], {a: b}]", "&a [*a]"),
            *("!!python/object:os.system x", "١٢٣", "²", "1_0", "0x10", "%s%n"),
        ]
    ),
    st.text(max_size=40),
    st.from_regex(r"[-0-9., ]{1,20}", fullmatch=True),
)
HOSTILE_NUMBERS = st.one_of(
    st.integers(min_value=-(10**25), max_value=10**25),
    st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 10**20, 10**4000, 5, 100]),
    st.floats(allow_nan=True, allow_infinity=True),
)
_PLAIN = st.one_of(st.none(), st.booleans(), HOSTILE_NUMBERS, HOSTILE_TEXTS)
HOSTILE: st.SearchStrategy[Any] = st.recursive(
    _PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=8), st.integers(-5, 5)), inner, max_size=4),
    ),
    max_leaves=6,
)
