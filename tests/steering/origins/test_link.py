"""An origin inside an address."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from urllib.parse import quote

import pytest

from steering.errors import SteeringError
from steering.origins.link import LONGEST, as_link, from_link
from steering.origins.origin import Origin


ORIGIN = Origin("steer", {"user": 'Grüße, سعادة & <b>\n\t"', "recipes": []}, {"name": "demo"}, vectors={"joy": "ab"})


def _packed(text: bytes) -> str:
    return "1." + base64.urlsafe_b64encode(zlib.compress(text)).decode().rstrip("=")


def test_what_an_address_carries_comes_back_and_needs_no_escapes() -> None:
    link = as_link(ORIGIN)
    assert link is not None
    assert quote(link, safe="") == link
    assert from_link(link) == ORIGIN


def test_what_is_too_long_is_no_link() -> None:
    words = " ".join(str(n * n) for n in range(20_000))
    assert as_link(replace(ORIGIN, settings={"user": words[:1000]})) is not None
    assert as_link(replace(ORIGIN, settings={"user": words})) is None


@pytest.mark.parametrize("cut", [3, 5, 40])
def test_a_link_that_was_cut_is_refused(cut: int) -> None:
    link = as_link(ORIGIN)
    assert link is not None
    with pytest.raises(SteeringError, match="cannot be read"):
        from_link(link[:-cut])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("1.", "cannot be read"),
        ("2.abc", "version 2"),
        ("words", "cannot be read"),
        ("1.%%%", "cannot be read"),
        ("1.ä", "cannot be read"),
        ("١.abc", "cannot be read"),
        ("1." + "A" * (2 * LONGEST), "cannot be read"),
        (_packed(b"\xff"), "cannot be read"),
        (_packed(b"[" * 100_000), "cannot be read"),
        (_packed(b"[]"), "does not say"),
        (_packed(json.dumps({"format": "another"}).encode()), "does not say"),
    ],
)
def test_what_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(SteeringError, match=said):
        from_link(text)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = _packed(b" " * 8_000_000)
    assert len(bomb) < 2 * LONGEST + 2  # short enough to be looked at
    with pytest.raises(SteeringError, match="cannot be read"):
        from_link(bomb)


def test_a_newer_origin_says_so() -> None:
    newer = _packed(json.dumps({**ORIGIN.plain(), "version": 99}).encode())
    with pytest.raises(SteeringError, match="Update the workbench"):
        from_link(newer)
