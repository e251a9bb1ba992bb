"""Sets of texts as a notebook shows them: how many of which kind, and a few of them, folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from steering.forms.markup import facts, fold, head, listed, output, said, warned
from steering.forms.tables import cut_text
from steering.numbers import counted
from steering.texts.few_prompts import few_note


if TYPE_CHECKING:
    from steering.model.prompts import Message
    from steering.texts.contrast import ContrastSet, Example
    from steering.texts.question_sets import Pairs, Questions
    from steering.texts.statements import Statements

_MOST = 5
"""Prompts or pairs that are shown."""


def contrast_html(contrast: ContrastSet) -> str:
    """A whole output."""
    return output(
        head(contrast.title or contrast.name, "contrast set"),
        said(contrast.description),
        warned(_few(contrast)),
        _counts(contrast),
        facts(_contrast_facts(contrast)),
        listed(contrast.notes),
        _prompts(contrast),
    )


def contrast_text(contrast: ContrastSet) -> str:
    """The same in plain text, without the prompts."""
    counts = [f"{split}: {n[0]} + {n[1]}" for split, n in contrast.counts.items()]
    rows = [f"{name}: {value}" for name, value in _contrast_facts(contrast) if value]
    more = [f"Note: {each}" for each in (*_few(contrast), *contrast.notes)]
    return "\n  ".join([f"ContrastSet '{contrast.name}', {', '.join(counts)} prompts", *rows, *more])


def statements_html(statements: Statements) -> str:
    """A whole output."""
    shown = [(pair.safe, pair.harmful) for pair in statements.pairs[:_MOST]]
    return output(
        head(statements.name, "statement pairs"),
        facts(_statement_facts(statements)),
        listed(statements.notes),
        fold(f"The first {len(shown)} of {counted(len(statements.pairs), 'pair')}", _pairs(("safe", "harmful"), shown)),
    )


def statements_text(statements: Statements) -> str:
    """The same in plain text, without the pairs."""
    rows = [f"{name}: {value}" for name, value in _statement_facts(statements) if value]
    return "\n  ".join([f"Statements '{statements.name}'", *rows, *(f"Note: {each}" for each in statements.notes)])


def questions_html(questions: Questions) -> str:
    """A whole output."""
    shown = [(_asked(each.messages), each.answer) for each in questions[:_MOST]]
    title = f"The first {len(shown)} of {counted(len(questions), 'question')}"
    return output(
        head(questions.name or "questions", "questions with one right answer"),
        facts(_question_facts(questions)),
        fold(title, _pairs(("question", "right answer"), shown)),
    )


def questions_text(questions: Questions) -> str:
    """The same in plain text, without the questions."""
    rows = [f"{name}: {value}" for name, value in _question_facts(questions)]
    return "\n  ".join([f"Questions '{questions.name}'", *rows])


def pairs_html(pairs: Pairs) -> str:
    """A whole output."""
    shown = [(_asked(each.messages), each.aligned, each.misaligned) for each in pairs[:_MOST]]
    title = f"The first {len(shown)} of {counted(len(pairs), 'pair')}"
    return output(
        head(pairs.name or "answer pairs", "an aligned and a misaligned answer each"),
        facts([("pairs", f"{len(pairs):,}")]),
        fold(title, _pairs(("request", "aligned", "misaligned"), shown)),
    )


def pairs_text(pairs: Pairs) -> str:
    """The same in plain text, without the pairs."""
    return f"Answer pairs '{pairs.name}'\n  pairs: {len(pairs):,}"


def _few(contrast: ContrastSet) -> list[str]:
    found = few_note(contrast.counts["train"], contrast.counts["validation"])
    return [found] if found else []


def _contrast_facts(contrast: ContrastSet) -> Iterator[tuple[str, str]]:
    yield "direction", f"towards {contrast.positive_label}, from {contrast.negative_label}"
    yield "prompts", "pairs, one prompt of each side" if contrast.paired else "two lists"
    yield "first strength to try", f"{contrast.suggested_strength:g} × mean difference"
    yield "licence", contrast.licence
    yield "digest", contrast.digest


def _counts(contrast: ContrastSet) -> str:
    """How many prompts each side has in each split."""
    counts = contrast.counts
    top = "".join(f"<th class='n'>{split}</th>" for split in counts)
    rows = [
        f"<tr><td>{escape(label)}</td>{''.join(f'<td class=n>{n[side]}</td>' for n in counts.values())}</tr>"
        for side, label in enumerate((contrast.positive_label, contrast.negative_label))
    ]
    return f"<table><thead><tr><th>prompts</th>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _prompts(contrast: ContrastSet) -> str:
    """The first prompts, folded: some sets are of requests that nobody should meet unasked."""
    labels = (contrast.positive_label, contrast.negative_label)
    sides = [list(map(_text, side[:_MOST])) for side in (contrast.positive, contrast.negative)]
    n = max(map(len, sides))
    rows = [tuple(side[row] if row < len(side) else "" for side in sides) for row in range(n)]
    what = "pairs" if contrast.paired else "prompts of each side"
    return fold(f"The first {n} {what}", _pairs(labels, rows))


def _text(example: Example) -> str:
    turns = [f"{each.role}: {each.content}" for each in example.messages[:-1]]
    return "\n".join([*turns, example.text])


def _asked(messages: Sequence[Message]) -> str:
    """A request; who says what where it has several messages."""
    return "\n".join(f"{each.role}: {each.content}" if len(messages) > 1 else each.content for each in messages)


def _pairs(labels: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(label)}</th>" for label in labels)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cut_text(text))}</td>' for text in row)}</tr>" for row in rows)
    return f'<div class="r"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _question_facts(questions: Questions) -> Iterator[tuple[str, str]]:
    yield "questions", f"{len(questions):,}"
    chosen = [each for each in questions if each.words]
    if chosen:
        words = dict.fromkeys(word for each in chosen for word in each.words)
        right = Counter(each.answer for each in chosen)
        yield "by the probability of a word", ", ".join(f"{word} (right {right[word]:,} times)" for word in words)
    if len(chosen) < len(questions):
        yield "by a number that is generated", f"{len(questions) - len(chosen):,}"


def _statement_facts(statements: Statements) -> Iterator[tuple[str, str]]:
    pairs = statements.pairs
    for name in ("formulation", "category", "group"):
        found = Counter(getattr(pair, name) for pair in pairs if getattr(pair, name))
        known = [f"{n} {each}" for each, n in found.most_common(_MOST)]
        left = len(found) - len(known)
        yield name, ", ".join([*known, *([f"{left} more"] if left > 0 else [])])
    yield "pairs", str(len(pairs))
    yield "digest", statements.digest[:12]
