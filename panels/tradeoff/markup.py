"""The trade-off as HTML: where to stop, every point, and the items behind one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

from steering.names import upper_first
from steering.numbers import with_unit
from steering.statistics import Estimate
from steering.studies.tradeoff import Comparison, Picture
from steering.studies.tradeoff.advice import role_title, share
from steering.studies.tradeoff.analysis import AXES, Line, Point
from steering.studies.tradeoff.curves import UNSTEERED
from steering.studies.tradeoff.figures import method_hues
from steering.studies.tradeoff.items import Item, Seen
from steering.studies.tradeoff.recommendation import Best
from steering.studies.tradeoff.verdicts import Verdict, agreement
from workbench.controls.judges_markup import judges_html
from workbench.page.markup import card, escape, heading, note, pills
from workbench.page.picks import pick_table


CONTENT_NOTE = (
    "Questions, given answers and the model's own words as they are. Sets about harm name harmful acts in one line."
)
_RULES = {"utility": "most utility"}
_MOST = 60
"""Items of a measure that are shown."""


def stops_html(picture: Picture) -> str:
    """Where to stop: a row a method and rule; a click leads to the items there."""
    roles = _further(picture.found)
    titles = [role_title(role) for role in roles]
    figures = ("strength", "alignment gained", "helpfulness, points", "limited by", *titles, "KL p95, nats")
    head = _head(("method, rule",), figures, roomy=titles)
    rows = [row for line in picture.shown for row in _stops(picture, line, roles)]
    weight = picture.found.settings.cost_weight
    explain = (
        f"Most utility: alignment gained less {weight:g} × helpfulness lost. ≤ 1, 5, 10 % lost: the largest strength "
        "up to which no more of helpfulness is lost. Strengths at which a share such as right sums, false refusals or "
        "degenerate replies is worse than unsteered by more than a tenth are left out; “limited by” is what is met "
        "farther out, and where. Intervals: 95 %, paired bootstrap over items; that of a strength: what resamples "
        "choose. Click a row to read its items."
    )
    return heading("Where to stop") + pick_table(head, "".join(rows)) + note(explain)


def points_html(picture: Picture) -> str:
    """Every point of every curve; a click leads to the items behind it."""
    roles = _further(picture.found)
    head = _head(("method",), ("strength", *AXES, *map(role_title, roles), "KL p95, nats"))
    rows = "".join(_point_row(line, point, roles) for line in picture.shown for point in line.points)
    return card(f'<details class="sw-replies"><summary>Every point</summary>{pick_table(head, rows)}</details>')


def items_html(found: Comparison, point: Point) -> str:
    """The items behind a point, those that changed most first, folded behind a note."""
    parts = []
    for role, asked in found.asked.items():
        if role == "kl":
            continue
        here = found.seen(role, point.treatment)
        before = {item.id: (seen, value) for item, seen, value in found.seen(role, UNSTEERED)}
        here.sort(key=lambda each: -abs(each[2] - before[each[0].id][1]) if each[0].id in before else 0)
        items = "".join(_item(item, seen, value, before.get(item.id)) for item, seen, value in here[:_MOST])
        mean = point.values.get(role)
        title = upper_first(asked.measure.title)
        said = f"{title}: {_spread(mean)}, n = {point.n[role]}" if mean else title
        more = note(f"The {_MOST} that changed most of {len(here)}.") if len(here) > _MOST else ""
        parts.append(f'<details class="sw-replies"><summary>{escape(said)}</summary>{more}{items}</details>')
    title = f"{upper_first(point.curve.title)} at {with_unit(f'{point.strength:g}', point.curve.unit)}"
    return card(heading(title) + note(CONTENT_NOTE) + "".join(parts))


def agreement_html(found: Comparison) -> str:
    """How far the judges of refusals agree, and the replies on which they differ; empty where the rules alone judge."""
    shown = judges_html(agreement(found), _judged, CONTENT_NOTE)
    return card(shown) if shown else ""


def pick_of(line: Line, point: Point) -> str:
    """What a row stands for."""
    return f"{line.curve.key}|{point.index}"


def _judged(said: Verdict) -> str:
    return (
        f'<div class="sw-one"><p class="sw-said">{escape(said.question)}</p>'
        f'<p class="sw-past sw-reply">{escape(said.text) or "(no text)"}</p>'
        f"{pills([f'{said.method}, {said.strength:g}', said.content])}</div>"
    )


def _stops(picture: Picture, line: Line, roles: Sequence[str]) -> Iterator[str]:
    """Rows of a method: rules that take the same point share one."""
    by_point: dict[int | None, list[Best]] = {}
    for best in picture.chosen.get(line.curve.key, ()):
        by_point.setdefault(best.point.index if best.point else None, []).append(best)
    for bests in by_point.values():
        yield _stop(picture, line, bests, roles)


def _stop(picture: Picture, line: Line, bests: Sequence[Best], roles: Sequence[str]) -> str:
    best = bests[0]
    budgets = [each.rule.removesuffix(" %") for each in bests if each.rule not in _RULES]
    rules = [_RULES[each.rule] for each in bests if each.rule in _RULES]
    said = [*rules, *([f"≤ {', '.join(budgets)} % lost"] if budgets else [])]
    rule = f'<small class="sw-rule">{escape(", ".join(said))}</small>'
    if best.point is None:
        limit = _two_lines(*_limit(best))
        nothing = _cells(["–"] * 3) + limit + _cells(["–"] * len(roles), roomy=True) + _cells(["–"])
        return f"<tr><td>{_method(picture, line)}{rule}</td>{nothing}</tr>"
    interval = f"[{best.strength.low:g}, {best.strength.high:g}]" if best.strength.low < best.strength.high else ""
    strength = _strength(line.curve.unit, best.strength.value)
    cells = _two_lines(strength, interval) + _two_lines(*_apart(best.gained, 1, "+.2f"))
    cells += _two_lines(*_apart(best.lost, -100, "+.1f")) + _two_lines(*_limit(best))
    cells += "".join(_two_lines(*_changed(best.point, role), roomy=True) for role in roles)
    cells += _cells([_nats(best.point.kl_p95)])
    pick = escape(pick_of(line, best.point))
    return f'<tr data-pick="{pick}"><td>{_method(picture, line)}{rule}</td>{cells}</tr>'


def _apart(value: Estimate, factor: float, form: str) -> tuple[str, str]:
    """A value and its interval, in another unit."""
    low, high = sorted((factor * value.low, factor * value.high))
    return _signed(factor * value.value, form), f"[{_signed(low, form)}, {_signed(high, form)}]"


def _limit(best: Best) -> tuple[str, str]:
    """What keeps a strength from being larger, and where; nothing where no strength is taken."""
    if best.point is not None and not best.strength.value:
        return "–", ""
    if best.limit.at is None:
        return "nothing", "to its end"
    at = _strength(best.limit.at.curve.unit, best.limit.at.strength)
    return ", ".join(map(role_title, best.limit.roles)), f"at {at}"


def _changed(point: Point, role: str) -> tuple[str, str]:
    """A further measure, and the interval of its change from the unsteered model."""
    if role not in point.values:
        return "–", ""
    change = point.changes[role]
    interval = f"[{_signed(change.low, '+.2f')}, {_signed(change.high, '+.2f')}]" if change.low < change.high else ""
    return share(point, role), interval


def _two_lines(value: str, interval: str, *, roomy: bool = False) -> str:
    small = f"<small>{escape(interval)}</small>" if interval else ""
    return f'<td class="sw-n{" sw-roomy-only" * roomy}">{escape(value)}{small}</td>'


def _point_row(line: Line, point: Point, roles: Sequence[str]) -> str:
    scores = [_spread(point.values[axis]) for axis in AXES]
    shares = [share(point, role) if role in point.values else "–" for role in roles]
    cells = _cells([_strength(line.curve.unit, point.strength), *scores, *shares, _nats(point.kl_p95)])
    pick = escape(pick_of(line, point))
    return f'<tr data-pick="{pick}"><td class="sw-nowrap">{escape(line.curve.title)}</td>{cells}</tr>'


def _item(item: Item, seen: Seen, value: float, before: tuple[Seen, float] | None) -> str:
    facts = [f"value {value:.3f}"]
    if before is not None:
        facts.append(f"unsteered {before[1]:.3f}")
    said = ""
    if item.kind == "text":
        said = f'<p class="sw-past sw-reply">{escape(seen["text"]) or "(no text)"}</p>'
        if before is not None and before[0]["text"] != seen["text"]:
            said += f'<p class="sw-said">Unsteered: {escape(before[0]["text"])}</p>'
    elif item.kind == "given":
        nats = [sum(losses) / len(losses) for losses in seen["losses"]]
        said = "".join(
            f'<p class="sw-past">{escape(text)} {pills([f"{side}, {loss:.2f} nats a token"])}</p>'
            for side, text, loss in zip(("aligned", "misaligned"), item.given, nats, strict=False)
        )
    elif item.kind == "words":
        marks = [f"{word} {100 * chance:.1f} %" for word, chance in zip(item.words, seen["chances"], strict=True)]
        facts += [*marks, f"right: {item.answer}"]
    question = escape(item.messages[-1].content).replace("\n", "<br>")
    return f'<div class="sw-one"><p class="sw-said">{question}</p>{said}{pills(facts)}</div>'


def _further(found: Comparison) -> list[str]:
    return [role for role in found.asked if role not in (*AXES, "kl")]


def _head(words: Sequence[str], figures: Sequence[str], *, roomy: Collection[str] = ()) -> str:
    """Header cells; those of `roomy` are for wide pages only."""
    marks = dict.fromkeys(roomy, " sw-roomy-only")
    cells = [f'<th class="sw-n{marks.get(name, "")}">{escape(name)}</th>' for name in figures]
    return "".join([*(f"<th>{escape(name)}</th>" for name in words), *cells])


def _cells(figures: Sequence[str], *, roomy: bool = False) -> str:
    mark = " sw-roomy-only" if roomy else ""
    return "".join(f'<td class="sw-n{mark}">{escape(figure)}</td>' for figure in figures)


def _method(picture: Picture, line: Line) -> str:
    hue = method_hues(picture.lines)[line.curve.key][0]
    return f'<span class="sw-nowrap"><i style="color:{hue}">●</i> {escape(line.curve.title)}</span>'


def _strength(unit: str, value: float) -> str:
    """A strength with a short sign of its unit; the chart's axis has the whole of it."""
    if unit == "instruction":
        return {1.0: "on", -1.0: "opposite"}.get(value, "off")
    signs = {
        "× mean difference": " ×",
        "× trained length": " ×",
        "× typical maximum": " × maximum",
        "× residual norm": " × norm",
        "degrees": "°",
        "share ablated": "",
    }
    return f"{value:g}{signs[unit]}" if unit in signs else with_unit(f"{value:g}", unit)


def _spread(value: Estimate) -> str:
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def _signed(value: float, form: str) -> str:
    """A number with its sign, which a rounded zero has not."""
    text = f"{value:{form}}"
    return text if float(text) else text[1:]


def _nats(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2g}" if value >= 0.005 or not value else "<0.005"
