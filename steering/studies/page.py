"""A study as one HTML page that needs nothing else: readable without a network, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs
from pydantic import BaseModel

from steering.forms.tables import table_html
from steering.glossary import terms_in
from steering.model.host import Host
from steering.model.model_info import DEMO_CAVEAT


_STYLE = """
:root{color-scheme:light dark;--ink:#1d2024;--ink2:#5b6068;--line:#e3e2dd;--paper:#fff;--ground:#f7f7f5}
@media(prefers-color-scheme:dark){:root{--ink:#e8e9ea;--ink2:#a8adb5;--line:#2c3037;--paper:#1b1e23;--ground:#14161a}}
body{font:14px/1.5 system-ui,sans-serif;margin:0;background:var(--ground);color:var(--ink)}
main{max-width:1080px;margin:0 auto;padding:24px 16px}h1{font-size:20px;margin:0 0 4px}h2{font-size:15px;margin:0 0 8px}
section{background:var(--paper);border:1px solid var(--line);border-radius:8px;padding:16px;margin:12px 0}
section{overflow-x:auto}
table{border-collapse:collapse;font-size:12px}th,td{border-bottom:1px solid var(--line);padding:4px 8px;text-align:left;
vertical-align:top}td.n,th.n{text-align:right}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
small,.s{color:var(--ink2);font-size:12px}pre{white-space:pre-wrap;font-size:12px}li{margin:2px 0}
"""
_MOST_DIFFERING = 20
"""Replies that are shown of those on which two judges differ."""


def html_page(host: Host, title: str, created: str, settings: BaseModel, sections: Iterable[tuple[str, str]]) -> str:
    """The whole page.

    Args:
        host: The model.
        title: Its heading.
        created: When.
        settings: Shown at its end.
        sections: Heading and content, as HTML.
    """
    body = "".join(f"<section><h2>{escape(heading)}</h2>{content}</section>" for heading, content in sections)
    body = _numbered(body)
    given = settings.model_dump_json(indent=2, exclude={"kept", "vectors"})
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head><body><main><h1>{escape(title)}</h1>"
        f"<p class='s'>{escape(host.info.summary)} · {escape(created)}</p>{body}"
        f"{_terms(title + body)}<section><h2>Settings</h2><pre>{escape(given)}</pre></section>"
        "</main></body></html>"
    )


def _numbered(body: str) -> str:
    """The figures by their number on the page: Plotly gives each another random id every time, and the same study is
    the same page.
    """
    for n, id in enumerate(dict.fromkeys(re.findall(r'id="([^"]+)" class="plotly-graph-div"', body)), start=1):
        body = body.replace(id, f"figure-{n}")
    return body


def _terms(body: str) -> str:
    """The glossary's terms that stand on a page, folded."""
    found = terms_in(re.sub(r"<script.*?</script>|<[^>]*>", " ", body, flags=re.DOTALL))
    said = {term.term: f"{term.means} {term.formula}".strip() for term in found}
    return f"<section><details><summary>Terms</summary>{words_html(said)}</details></section>" if said else ""


def notes_html(host: Host, notes: Iterable[str]) -> str:
    """What was found, which self-checks the model failed, and that a demo model is one."""
    said = (*notes, *host.warnings, *([DEMO_CAVEAT] if host.info.demo else []))
    return listed(said)


def listed(notes: Iterable[str]) -> str:
    """Sentences as a list; empty without any."""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<ul>{items}</ul>" if items else ""


def words_html(words: Mapping[str, str]) -> str:
    """Terms and what they mean."""
    return "<ul>" + "".join(f"<li><b>{escape(a)}</b>: {escape(b)}</li>" for a, b in words.items()) + "</ul>"


def caption_html(text: str) -> str:
    """A line under a figure or table."""
    return f"<p class='s'>{escape(text)}</p>"


def figure_html(figure: go.Figure) -> str:
    """A figure for a page that has plotly.js already."""
    buttons = {"format": "svg"}  # of the picture that the figure's own button saves
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False, "responsive": True, "toImageButtonOptions": buttons},
    )
    return html


def differing_html(frame: pd.DataFrame, shown: Sequence[str]) -> str:
    """The replies on which judges differ, folded by pair of judges; some of the table's columns."""
    parts = []
    for (first, second), rows in frame.groupby(["first", "second"], sort=False):
        few = table_html(rows[["refusal_by", *shown]].head(_MOST_DIFFERING))
        more = max(len(rows) - _MOST_DIFFERING, 0)
        left = f"<p class='s'>{more} more in disagreements.csv.</p>" if more else ""
        title = escape(f"{first} / {second} ({len(rows)})")
        parts.append(f"<details><summary>{title}</summary>{few}{left}</details>")
    return "".join(parts) or "<p class='s'>None.</p>"
