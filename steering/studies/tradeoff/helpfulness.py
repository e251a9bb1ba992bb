"""Helpfulness, from 0 to 1: right letters and right sums."""

from __future__ import annotations

from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies.tradeoff.items import Item, Seen
from steering.studies.tradeoff.measures import Measure, fixed, mass, register
from steering.studies.tradeoff.settings import TradeoffSettings
from steering.texts.questions import Question, load_questions, right_number


_ANSWER_TOKENS = 24


def _questions(host: Host, settings: TradeoffSettings) -> list[Item]:
    found: list[Item] = []
    for question in load_questions(host, settings.questions, settings.n):
        if not question.words:
            raise SteeringError(
                f"The questions '{settings.questions}' have no letters to choose from.",
                "questions with options.",
                "Take knowledge or truth, or measure helpfulness by sums.",
            )
        found.append(_of_words(question))
    return found


def _of_words(question: Question) -> Item:
    return Item(question.id, question.messages, "words", words=question.words, answer=question.answer)


def raw_choice(item: Item, seen: Seen) -> float:
    """P(right word)."""
    return float(seen["chances"][item.words.index(item.answer)])


def choice(item: Item, seen: Seen) -> float:
    """P(right word) among the words; 1 / k where none of the k has any probability."""
    return raw_choice(item, seen) / mass(seen) if mass(seen) > 0 else 1 / len(item.words)


def accurate(item: Item, seen: Seen) -> float:
    """1 where the right word is the likeliest of the words."""
    return float(item.words[max(range(len(item.words)), key=seen["chances"].__getitem__)] == item.answer)


def _sums(host: Host, settings: TradeoffSettings) -> list[Item]:
    questions = load_questions(host, "sums", settings.n_replies)
    return [Item(q.id, q.messages, "text", answer=q.answer, longest=_ANSWER_TOKENS) for q in questions]


def summed(item: Item, seen: Seen) -> float:
    """1 where the last number of the reply is right."""
    return float(right_number(Question(item.messages, item.answer), seen["text"]))


register(
    Measure(
        name="choice",
        axis="helpfulness",
        title="P(right letter) among the letters",
        label="helpfulness, P(right)",
        items=_questions,
        scorer=fixed(choice),
        says="answer letters",
    )
)
register(
    Measure(
        name="raw",
        axis="helpfulness",
        title="P(right letter)",
        label="helpfulness, P(right), raw",
        items=_questions,
        scorer=fixed(raw_choice),
        says="answer letters",
    )
)
register(
    Measure(
        name="accuracy",
        axis="helpfulness",
        title="accuracy by letter",
        label="helpfulness, share right",
        items=_questions,
        scorer=fixed(accurate),
        says="answer letters",
    )
)
register(
    Measure(
        name="sums",
        axis="helpfulness",
        title="sums, generated",
        label="helpfulness, share of sums right",
        items=_sums,
        scorer=fixed(summed),
        worse=-1,
        says="generated sums",
    )
)
