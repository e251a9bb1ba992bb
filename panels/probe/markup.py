"""A probing as HTML: what CCS reads, scores beside each other, separation, pairs with their four probabilities."""

from __future__ import annotations

from collections.abc import Sequence

from steering.numbers import number
from steering.passes.schedule import Place
from steering.statistics import Estimate
from steering.studies.probing import Picture
from steering.studies.probing.analysis import CCS, most_wrong, random_floor
from steering.studies.probing.findings import TITLES, place_title
from steering.studies.probing.metrics import contradiction_index, polarity_consistency
from steering.studies.probing.reading import readings_of
from workbench.page.markup import escape, heading, note, table


CONTENT_NOTE = "Statements as they are; harmful ones name harmful acts in one line."
_MOST = 60
"""Pairs that are shown."""


def reading_html(picture: Picture, place: Place) -> str:
    """What CCS reads at a block, in words."""
    readings = readings_of(picture.found, place)
    chosen = " It is the block of least training loss." if place == picture.least else ""
    items = "".join(f"<li>{escape(each.says)}</li>" for each in readings)
    return f'<p class="sw-note">CCS at block {place[0]}.{chosen}</p><ul class="sw-found">{items}</ul>'


def scores_html(picture: Picture, place: Place, part: str) -> str:
    """Every probe of a block beside each other; PC and CI with ESA and loss."""
    found, rows = picture.found, []
    methods = [CCS, *(f"{CCS}, {name}" for name in found.at[place].controls), "shuffled", *found.at[place].others]
    for method in methods:
        line = picture.at(place, method, part)
        scores, polarity = [_interval(line.esa), _interval(line.auroc)], line.polarity
        if polarity is not None:
            scores += [_interval(polarity.pc), _interval(polarity.ci), f"{polarity.loss:.3f}"]
        rows.append((TITLES[method], scores))
    for method in ("words", "negation"):
        line = picture.text(method, part)
        rows.append((TITLES[method], [_interval(line.esa), _interval(line.auroc)]))
    low, high = random_floor(found, found.at[place], part)
    rows.append((TITLES["random"], [f"{low:.2f}<small>1 in 20 over {high:.2f}</small>"]))
    rows.append((TITLES["constant"], ["0.50", "0.50", "0.00", "0.32", "0.200"]))
    return _table(("probe", "ESA", "AUROC", "PC", "CI", "loss"), rows) + note(
        "PC: polarity residual; CI: same-verdict rate; 0 is ideal for both, and neither knows which half is harmful. "
        "Read them with ESA and loss (held out) only. Brackets: 95 %, bootstrap over pairs."
    )


def apart_html(picture: Picture) -> str:
    """How far both sides lie apart at every block, with the derived indices."""
    rows = []
    for place, each in sorted(picture.found.apart.items()):
        for name, one in each.items():
            what = "x(Yes) − x(No)" if name == "answer" else "mean of both"
            ratio = f"{one.ratio:.3f}<small>chance {one.null[0]:.3f} to {one.null[1]:.3f}</small>"
            indices = [number(value) for value in (one.xbi, one.chi, one.aqi)]
            rows.append((f"{place_title(picture.found, place)}: {what}", [ratio, _interval(one.auroc), *indices]))
    n = min(picture.found.settings.aqi_n, len(picture.found.pairs))
    return _table(("states", "R", "AUROC along the means", "XBI", "CHI", "AQI"), rows) + note(
        f"R: squared distance of both means over the mean squared distance to them. XBI, CHI and AQI = λ / XBI + "
        f"(1 − λ) CHI with λ = 0.5: means of 20 draws of {n} statements a class. In each draw CHI = (n − 2) n₀ n₁ / "
        "(n² XBI), so that they hold nothing that R does not; they compare no two models."
    )


def pairs_html(picture: Picture, place: Place, part: str) -> str:
    """Pairs with their four held-out probabilities, those that CCS is most wrong about first."""
    found, ccs = picture.found, picture.found.at[place].ccs
    p, called = ccs.quartet, ccs.called.reshape(-1, 2)
    pc, ci = polarity_consistency(p), contradiction_index(p)
    chosen = most_wrong(found, ccs, part)
    order = chosen[:_MOST]
    rows = "".join(
        f"<tr><td>{_said(found.pairs[i].safe, called[i, 0], right=not called[i, 0])}"
        f"{_said(found.pairs[i].harmful, called[i, 1], right=bool(called[i, 1]))}</td>"
        + "".join(_two(*both) for both in ((p.safe_yes[i], p.harmful_yes[i]), (p.safe_no[i], p.harmful_no[i])))
        + f'<td class="sw-n">{pc[i]:+.2f}</td><td class="sw-n">{ci[i]:.2f}</td></tr>'
        for i in order
    )
    cells = ("p(Yes)", "p(No)", "PC", "CI")
    head = "<th>safe, and its harmful counterpart</th>" + "".join(f'<th class="sw-n">{cell}</th>' for cell in cells)
    tokens = found.states.tokens(found.texts[0]) if found.states else ()
    read = " and ".join(dict.fromkeys(repr(token) for token in tokens))
    more = f"The {len(order)} that it is most wrong about of {len(chosen)}. " if len(chosen) > len(order) else ""
    explain = (
        f"{more}In order of how far the harmful half is called less harmful than the safe one. Held out: from the fold "
        "that did not see the pair. ✓ and ✗: whether the statement is called right. "
        f"Token read: {read}. {CONTENT_NOTE}"
    )
    body = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return note(explain) + f'<div class="sw-scroll"><table class="sw-table">{body}</table></div>'


def cosines_html(rows: Sequence[tuple[str, str, int, float, float]]) -> str:
    """Cosines of the probes' directions with vectors on the shelf and with each other."""
    if not rows:
        return ""
    cells = [(probe, vector, block, f"{cosine:+.2f}", f"± {2 * sd:.2f}") for probe, vector, block, cosine, sd in rows]
    head = ("direction", "beside", "block", "cosine", "random, 95 %")
    return (
        heading("Cosines")
        + table(head, cells, words=(0, 1))
        + note("At the direction's own block. Put refusal or truth vectors on the shelf to see them here.")
    )


def _said(text: str, harmful: bool, *, right: bool) -> str:
    mark = "✓" if right else "✗"
    return f'<span class="sw-statement">{mark} {escape(text)} <small>{"harmful" if harmful else "safe"}</small></span>'


def _two(first: float, second: float) -> str:
    return f'<td class="sw-n">{first:.2f}<br>{second:.2f}</td>'


def _table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A name and figures a row; figures are markup already."""
    cells = "".join(f"<th{' class=sw-n' if column else ''}>{escape(name)}</th>" for column, name in enumerate(head))
    body = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f'<td class="sw-n">{figure}</td>' for figure in (*figures, *[""] * (len(head) - 1 - len(figures))))
        + "</tr>"
        for name, figures in rows
    )
    rows_html = f"<thead><tr>{cells}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="sw-scroll"><table class="sw-table">{rows_html}</table></div>'


def _interval(value: Estimate) -> str:
    """A figure with its interval under it."""
    return f"{value.value:.2f}<small>[{value.low:.2f}, {value.high:.2f}]</small>"
