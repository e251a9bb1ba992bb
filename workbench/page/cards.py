"""The model bar, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steering.model.outcome import warnings
from steering.names import short_name
from workbench.page.markup import error_card, escape, note, pills


if TYPE_CHECKING:
    from steering.model.model_info import ModelInfo
    from steering.model.outcome import Check

NAME = "Steering Workbench"
DEMO_PILL = "demo model: small world, known inside"


def model_bar(
    info: ModelInfo | None,
    *,
    checks: Sequence[Check] = (),
    system: bool = True,
    loading: str = "",
    seconds: float = 0.0,
    error: BaseException | None = None,
) -> str:
    """The bar on top.

    Args:
        info: What is loaded, None before anything is.
        checks: What its self-check found.
        system: Whether its chat template takes a system prompt.
        loading: Name of the model being loaded, "" if none is.
        seconds: How long that has taken so far.
        error: Why nothing is loaded, where a load failed.
    """
    wait = f'<span class="sw-loading">loading {escape(short_name(loading))} … {seconds:.0f} s</span>' if loading else ""
    if info is None:
        card = error_card(error, doing="loading the model") if error else ""
        return f'<div class="sw-model"><h1>{NAME}</h1>{wait or "<span>no model</span>"}</div>{card}'
    limits = ["no system prompt"] * (info.chat_template and not system)
    pill = pills([verdict(checks)] if checks else []) + pills([*limits, *[DEMO_PILL] * info.demo])
    said = [*info.notes, *warnings(short_name(info.name), checks)]
    return (
        f'<div class="sw-model"><h1>{NAME}</h1><b class="sw-name">{escape(short_name(info.name))}</b>'
        f"<span>{escape(info.summary)}</span>{pill}{wait}</div>" + "".join(map(note, said))
    )


def verdict(checks: Sequence[Check]) -> str:
    """What a self-check found, in a few words."""
    failed = sum(check.outcome == "fail" for check in checks)
    return f"Self-check: {failed} failed" if failed else "Self-check: passed"
