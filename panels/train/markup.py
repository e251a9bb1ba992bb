"""What was trained, as HTML: methods at equal KL, one vector with how it was made, and texts before and after."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from steering.model.sites import site_words
from steering.names import upper_first
from steering.numbers import plain_number
from steering.studies.training.tables import COLUMNS
from steering.training.losses import LOSSES
from steering.vectors.vector import SteeringVector
from workbench.page.markup import card, escape, heading, note, pills
from workbench.page.picks import pick_table


Row = Mapping[Any, Any]
TRAINED = "trained"
"""The kind of a row whose vector can be taken."""
_BESIDE = "mean_difference"
_ROOMY = ("prefers", "cosine_planted")
"""Those for wide pages only."""
_SAID = {
    "mark": "mark: mean mark of the judge on held-out replies",
    "mark_wanted": "where wanted, where not: the mark where the set's chosen reply has what is marked, and where it "
    "has not, so that a mark counts against the method",
    "reward": "reward: mean over replies drawn to held-out requests, and of the likeliest reply to each",
    "ahead": "ahead: marks beyond those of the mean difference at the same cost, paired by request",
    "margin": "margin: how much likelier the chosen reply became, less the rejected one, on held-out examples",
    "prefers": "chosen likelier: share of held-out pairs whose chosen reply is likelier a token",
    "cosine": "cosine: with the mean difference",
    "cosine_planted": "with planted: cosine with the direction that refusal was planted along in the model demo",
}
_OPEN = 3
"""Requests whose replies stand open."""
_EVERYDAY = ("demo-formality", "demo-sums", "demo-reworded")
"""Shipped sets whose requests are harmless; replies to all others are folded."""
_BESIDES = (
    "Held-out requests: without steering, with the mean difference at the same cost, and with the trained vector."
)
_CONTENT = "The set's requests and the model's own words as they are. Sets about harm name harmful acts in one line."


def methods_html(rows: Sequence[Row], budget: float | None) -> str:
    """A row a method, trained vectors first, the best above; a click on one of these opens it.

    Args:
        rows: Of the study's table of methods.
        budget: What each may cost, in nats; None where costs differ.
    """
    if not rows:
        return ""
    shown = [name for name in COLUMNS if any(_known(row.get(name)) for row in rows)]
    head = "<th>method</th>" + "".join(f'<th class="{_kind(name)}">{escape(COLUMNS[name])}</th>' for name in shown)
    body = "".join(_method(row, shown) for row in ordered(rows))
    title = "Side by side: no budget was set, so that costs differ" if budget is None else _at(budget)
    return heading(title) + pick_table(head, body) + _explained(shown)


def _explained(shown: Sequence[str]) -> str:
    """What the columns are; where a page has no room for one, nothing is said of it."""
    said = [f"{upper_first(_SAID[name])}." for name in shown if name in _SAID]
    said += ["In brackets: 95 %, bootstrap.", "Click a loss to open its vector."]
    roomy = [f"{upper_first(_SAID[name])}." for name in _ROOMY]
    parts = (
        f'<span class="sw-roomy-only">{escape(each)} </span>' if each in roomy else f"{escape(each)} " for each in said
    )
    return f'<p class="sw-note">{"".join(parts).strip()}</p>'


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Trained vectors first, the best above, then the others as they came."""
    value = next((name for name in ("mark", "reward") if any(_known(row.get(name)) for row in rows)), "margin")
    trained = [row for row in rows if row["kind"] == TRAINED]
    trained.sort(key=lambda row: (_known(row[value]), row[value], row["margin"]), reverse=True)
    return [*trained, *(row for row in rows if row["kind"] != TRAINED)]


def vector_html(row: Row, vectors: Sequence[SteeringVector], run: str) -> str:
    """A vector's card: by which loss on what it was trained, how far, what it costs, and a button to the shelf.

    Args:
        row: Of the table of methods.
        vectors: All directions of it.
        run: Id of its run; "" where it is not kept.
    """
    vector = vectors[0]
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(said)}</dd>" for name, said in _facts(row, vector, len(vectors))
    )
    buttons = "".join(_shelve(each.name, run, several=len(vectors) > 1) for each in vectors) if run else ""
    lead = f'<div class="sw-lead">{heading(vector.name)}<p>{pills(_figures(row))}</p></div>'
    return f'{lead}<dl class="sw-sizes">{facts}</dl>{buttons}'


def texts_html(replies: pd.DataFrame, key: str, data: str) -> str:
    """Held-out requests with what the model says unsteered, with the mean difference, and with one vector.

    Args:
        replies: The study's table.
        key: Of the vector's row.
        data: Name of the preferences, by which replies are folded unless their requests are known to be harmless.
    """
    wanted = [each for each in ("none", _BESIDE, key) if each in set(replies["method"])]
    if key not in wanted:
        return ""
    by_method = [replies[replies["method"] == each].to_dict("records") for each in wanted]
    prompts = [_panes(rows) for rows in zip(*by_method, strict=True)]
    opened = _OPEN if data in _EVERYDAY else 0
    said, more = prompts[:opened], prompts[opened:]
    title = f"{len(more)} further requests" if said else f"Show the replies to {len(more)} held-out requests"
    folded = (
        f'<details class="sw-replies" data-fold="train-replies"><summary>{escape(title)}</summary>'
        f"{'' if said else note(_CONTENT)}{''.join(more)}</details>"
    )
    return card(heading("Before and after") + note(_BESIDES) + "".join(said) + (folded if more else ""))


def _panes(rows: Sequence[Row]) -> str:
    three = " sw-panes-3" if len(rows) > 2 else ""
    panes = "".join(_pane(row, "a" if row is rows[-1] else "plain") for row in rows)
    return f'<p class="sw-said">{escape(rows[0]["prompt"])}</p><div class="sw-panes sw-short{three}">{panes}</div>'


def _pane(row: Row, hue: str) -> str:
    title = str(row["title"])
    mark = f'<span class="sw-nowrap">mark {plain_number(row["mark"])}</span>' if _known(row["mark"]) else ""
    return (
        f'<section class="sw-pane sw-{hue}"><header><b>{escape(title[:1].upper() + title[1:])}</b>{mark}</header>'
        f'<p class="sw-reply">{escape(row["text"]) or "(no text)"}</p></section>'
    )


def _method(row: Row, shown: Sequence[str]) -> str:
    cells = "".join(_cell(row, name) for name in shown)
    title = escape(row["title"])
    if row["kind"] != TRAINED:
        return f"<tr><td>{title}</td>{cells}</tr>"
    link = f'<button type="button" class="sw-cell-link">{title}</button>'
    return f'<tr data-pick="{escape(row["method"])}"><td>{link}</td>{cells}</tr>'


def _cell(row: Row, name: str) -> str:
    value, low, high = row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high")
    # What it is held against has no difference to itself, and what is not written costs nothing.
    same = (name in ("ahead", "cosine") and row["kind"] == _BESIDE) or (
        row["kind"] == "none" and not name.startswith(("mark", "reward"))
    )
    if same or not _known(value):
        return f'<td class="{_kind(name)}">–</td>'
    form = "{:+.2f}" if name in ("ahead", "cosine", "cosine_planted") else "{:.2f}"
    spread = f"<small>[{low:.2f}, {high:.2f}]</small>" if low is not None and _known(low) and low < high else ""
    return f'<td class="{_kind(name)}">{form.format(value)}{spread}</td>'


def _kind(name: str) -> str:
    return "sw-n sw-roomy-only" if name in _ROOMY else "sw-n"


def _figures(row: Row) -> Iterator[str]:
    said = {"mark": "mark {:.2f}", "reward": "reward {:.2f}", "margin": "margin {:.1f} nats", "nats": "KL {:.2f} nats"}
    return (words.format(row[name]) for name, words in said.items() if _known(row.get(name)))


def _facts(row: Row, vector: SteeringVector, span: int) -> Iterator[tuple[str, str]]:
    """How it was made, from what the vector itself says."""
    made = vector.provenance
    told, loss = made.settings, LOSSES.get(str(row["method"]))
    yield "Loss", f"{row['title']}: {loss.source}" if loss else str(row["title"])
    numbers = ", ".join(f"{name} {value:g}" for name, value in told.get("numbers", {}).items())
    if numbers:
        yield "Its numbers", numbers
    yield "Preferences", f"{made.contrast}, {max(made.n_train)} examples to train on, digest {made.contrast_digest}"
    yield "Steps", f"that after step {row['best_step']} of {row['steps']} taken. {row['stopped']}"
    blocks = ", ".join(map(str, told.get("blocks", [vector.default_block])))
    directions = f", {span} directions" if span > 1 else ""
    yield (
        "Written",
        f"{told.get('mode', 'add')}, {site_words(vector.site)}, block {blocks}{directions}".replace("_", " "),
    )
    budget = told.get("budget")
    yield "Budget", "none" if budget is None else f"{_nats(budget)} of KL a token, 95th percentile"
    yield "Length", f"strength 1 is what it was trained to: {plain_number(row['length'])} raw"
    yield "Seed", str(made.seed)


def _shelve(name: str, run: str, *, several: bool) -> str:
    words = f"Put {name} on the shelf" if several else "Put it on the shelf"
    asked = f'data-shelve="{escape(name)}" data-run="{escape(run)}"'
    return f'<p class="sw-run"><button type="button" class="sw-link" {asked}>{escape(words)}</button></p>'


def _at(budget: float) -> str:
    return f"At equal KL: {_nats(budget)} each"


def _nats(budget: float) -> str:
    return f"{budget:g} nat{'' if budget == 1 else 's'}"


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
