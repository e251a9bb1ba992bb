"""The model bar and the shelf, as HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from steering.model.outcome import warnings
from steering.names import short_name
from workbench.page.markup import error_card, escape, note, pills


if TYPE_CHECKING:
    from steering.model.model_info import ModelInfo
    from steering.model.outcome import Check
    from steering.vectors.vector import SteeringVector
    from workbench.workspace import Unreadable

NAME = "Steering Workbench"
DEMO_PILL = "demo model: small world, known inside"
LEGEND = "Number: best held-out AUROC. Curve: AUROC by block, 0.5 at the base line."


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


def shelf(cards: Iterable[str], *, note: str = LEGEND) -> str:
    """The shelf: cards one below the other; on a phone they fold behind the heading."""
    cards = list(cards)
    body = "".join(cards) or '<p class="sw-note">Empty. Extract a vector, or add a vector file.</p>'
    legend = f'<p class="sw-note">{escape(note)}</p>' if cards else ""
    return (
        '<input type="checkbox" id="sw-fold" class="sw-fold" aria-label="Show the shelf">'
        f'<label for="sw-fold"><h2 class="sw-h">Shelf</h2><span class="sw-count">{len(cards)}</span></label>'
        f'<div class="sw-cards">{body}{legend}</div>'
    )


def vector_card(name: str, vector: SteeringVector, *, unfit: str | None, picked: bool) -> str:
    """One vector on the shelf; `unfit` is why it does not fit the loaded model, None if it does."""
    classes = "sw-v" + (" sw-on" if picked and not unfit else "") + (" sw-off" if unfit else "")
    auroc = [] if vector.auroc is None else [float(value) for value in vector.auroc]
    curve = sparkline(auroc, label=f"AUROC by block of {name}") if auroc else ""
    about = "".join(f"<small>{escape(line)}</small>" for line in describe(vector))
    reason = f'<p class="sw-why">{escape(unfit)}</p>' if unfit else ""
    return (
        f'<article class="{classes}"><button type="button" class="sw-pick" data-pick="{escape(name)}"'
        f' aria-pressed="{str(picked and not unfit).lower()}"><span class="sw-t"><b>{escape(name)}</b>'
        f'<span class="sw-n">{_best(auroc)}</span></span>{about}{curve}</button>'
        f'{reason}<button type="button" class="sw-remove" data-remove="{escape(name)}"'
        f' aria-label="Remove {escape(name)} from the shelf">Remove</button></article>'
    )


def unreadable_card(item: Unreadable) -> str:
    """A file on the shelf that could not be read."""
    name = escape(item.name)
    return (
        f'<article class="sw-v"><b>{name}</b>{error_card(item.error, doing="reading it")}'
        f'<button type="button" class="sw-remove" data-remove="{name}" aria-label="Remove {name} from the shelf">'
        "Remove</button></article>"
    )


def describe(vector: SteeringVector) -> tuple[str, str]:
    """Method and block of a vector, and how many prompts it was fitted on."""
    positive, negative = vector.provenance.n_train
    fitted = "not measured here" if vector.provenance.elsewhere else f"{positive} + {negative} prompts"
    method = vector.provenance.method.replace("_", " ")
    return f"{method} · block {vector.default_block}", fitted


def sparkline(values: Sequence[float], *, label: str, width: int = 180, height: int = 26) -> str:
    """A curve of AUROC values by block, 0.5 on the base line; blocks without a value break it."""
    step = width / max(1, len(values) - 1)
    base, top = height - 2, 2
    runs: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if math.isfinite(value):
            runs[-1].append(f"{index * step:.1f},{base - (base - top) * 2 * (max(0.45, value) - 0.5):.1f}")
        elif runs[-1]:
            runs.append([])
    lines = "".join(f'<polyline points="{" ".join(run)}"/>' for run in runs if run)
    return (
        f'<svg class="sw-spark" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(label)}"><line x1="0" x2="{width}" y1="{base}" y2="{base}"/>{lines}</svg>'
    )


def _best(auroc: Sequence[float]) -> str:
    known = [value for value in auroc if math.isfinite(value)]
    return f"{max(known):.2f}" if known else "–"
