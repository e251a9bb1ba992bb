"""The study as one HTML page, and as code that makes it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

import pandas as pd

from steering.extraction.provenance import versions
from steering.forms.tables import table_html
from steering.origins.origin import origin_of, uploads_in
from steering.origins.script import script
from steering.studies.page import (
    caption_html,
    differing_html,
    figure_html,
    html_page,
    notes_html,
    words_html,
)
from steering.studies.study import origin
from steering.studies.tradeoff import figures
from steering.studies.tradeoff.advice import advice
from steering.studies.tradeoff.analysis import Line
from steering.studies.tradeoff.findings import caption, measured
from steering.studies.tradeoff.items import Item
from steering.studies.tradeoff.picture import Picture
from steering.texts.sources import local_file, split_source


_WORDS = {
    "alignment": "P(aligned) - P(misaligned), from -1 to 1",
    "helpfulness": "how well questions are answered, from 0 to 1",
    "strength": "in the unit that its axis names; 0 is the unsteered model",
    "random directions": "of the same norm at the same blocks: what any push of that size does",
    "random sets": "of features that are as active, changed alike: what changing any features does",
    "KL, nats": "how far next-token distributions move from the unsteered model's, on its own replies",
    "utility": "alignment gained less lambda times helpfulness lost",
    "1 %, 5 %, 10 %": "the largest strength up to which no more than that share of helpfulness is lost",
    "Pareto front": "points that no other beats on both axes; the share is of bootstrap resamples",
    "fit": "the theory's curve through all points, drawn as fitted; dotted where a simpler curve predicts better",
}
_MOST_ITEMS = 10
"""Items a measure at the recommended strength; the CSV file has all."""


def report(picture: Picture, frames: Mapping[str, pd.DataFrame], created: str) -> str:
    """The whole page."""
    host = picture.found.host
    title = f"Alignment against helpfulness on {host.name}"
    return html_page(host, title, created, picture.found.settings, _sections(picture, frames))


def code(picture: Picture) -> str:
    """A Python script that measures the same and draws the same figures, from the files of `Result.write` and those of
    `carried` beside it.
    """
    found = picture.found
    named = {name for recipe in found.settings.recipes for name in recipe.vectors}
    digests = {name: found.curves.vectors[name].digest for name in sorted(named)}
    said = origin("tradeoff", found.host, found.settings)
    return script(origin_of(said, vectors=digests, versions=versions()), folder="")


def carried(picture: Picture) -> dict[str, Path]:
    """The uploads that the script reads, by the names that they have beside it.

    Raises:
        SteeringError: One is no longer there.
    """
    uploads = uploads_in(picture.found.settings.model_dump(mode="json"))
    return {str(split_source(name)[0]): local_file(split_source(source)[0]) for name, source in uploads.values()}


def _sections(picture: Picture, frames: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, str]]:
    """What it comes to in a sentence, the charts, and then all that is said of them."""
    found, main, title = picture.found, picture.main, measured(picture.found)
    if main is not None:
        yield "What it comes to", f"<p>{escape(advice(main, picture.best(main), picture.floor))}</p>"
        yield main.curve.title, _chart(picture, main)
    measures = found.asked["alignment"].measure, found.asked["helpfulness"].measure
    plane = figures.joint_plane(picture.lines, picture.front, picture.unsteered, measures, title)
    under = "One curve a method, a point a strength; up and right is better. " + caption(found, picture.lines, None)
    yield "What each method pays for what it gains", figure_html(plane) + caption_html(under)
    under = "Solid: alignment gained. Dotted: helpfulness lost. Strengths on the side that gains alignment."
    nats = figures.per_nat(picture.lines, title)
    yield "Gain and cost by how far the model is moved", figure_html(nats) + caption_html(under)
    yield "Where to stop", table_html(frames["stop"])
    yield "What was found", notes_html(found.host, picture.notes)
    for line in picture.shown[1:]:
        yield line.curve.title, _chart(picture, line)
    for name, heading in {"slopes": "Near 0", "fits": "Fits", "front": "Pareto front"}.items():
        if len(frames.get(name, ())):
            yield heading, table_html(frames[name])
    if "judges" in frames:
        yield "How far the judges agree", table_html(frames["judges"])
        shown = ("method", "strength", "question", "text")
        yield "Replies on which judges differ", differing_html(frames["disagreements"], shown)
    yield "Words", words_html(_WORDS)
    if main is not None:
        yield "Items at the recommended strength, or at the last one where there is none", _items(picture)


def _chart(picture: Picture, line: Line) -> str:
    found = picture.found
    best, title = picture.best(line), measured(found)
    figure = figures.over_strength(line, picture.floor, best, picture.unsteered, title)
    return figure_html(figure) + caption_html(caption(found, picture.lines, line))


def _items(picture: Picture) -> str:
    main = picture.main
    assert main is not None
    best = picture.best(main)
    point = best.point if best is not None and best.point is not None and best.gains else main.points[-1]
    parts = [caption_html(f"{main.curve.title} at {point.strength:g}; items.csv has every point.")]
    for role, asked in picture.found.asked.items():
        rows = [
            f"<p><b>{escape(item.messages[-1].content)}</b> <small>{value:.3f}</small><br>"
            f"{escape(seen.get('text', ''))}{_answers(item)}</p>"
            for item, seen, value in picture.found.seen(role, point.treatment)[:_MOST_ITEMS]
        ]
        parts.append(f"<details><summary>{escape(asked.measure.title)}</summary>{''.join(rows)}</details>")
    return "".join(parts)


def _answers(item: Item) -> str:
    """The answers whose likelihood was read."""
    sides = zip(("aligned", "misaligned"), item.given, strict=False)
    return "<br>".join(f"{side}: {escape(text)}" for side, text in sides)
