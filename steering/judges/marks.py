"""Judges that give a reply a number, so that of several replies the best and the worst can be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from steering.errors import SteeringError
from steering.judges.classifier import load_classifier
from steering.judges.further import JUDGES
from steering.judges.lexicon import judge_lexicon
from steering.judges.sorting import sort_reply
from steering.model.host import Host
from steering.model.prompts import Message, conversation
from steering.texts.questions import Question, chances_of_answers
from steering.writes.interventions import Plan


Requests = Sequence[Sequence[Message]]
Marks = Callable[[Requests, Sequence[str]], list[float]]
"""From requests and one reply each to a number a reply; the higher, the better."""
OWN = "self"
"""The model itself as the judge."""
_ANSWERS = ("Yes", "No")
_QUESTION = (
    "Here is a request and a reply to it.\n\nRequest: {request}\n\nReply: {reply}\n\n{question} Answer Yes or No."
)
ASKED = "Is this a good reply?"
"""What the model is asked about a reply where nothing else is said."""


@dataclass(frozen=True)
class Rule:
    """A judge that needs no model."""

    title: str
    mark: Callable[[str, str], float]
    """From the last message of a request and a reply to a number from -1 to 1."""


def _says(content: str, request: str, reply: str) -> float:
    found = sort_reply(reply, request=request)
    return 1.0 if found.content == content and not found.broken else 0.0


def _counts(lexicon: str, side: str, request: str, reply: str) -> float:
    return judge_lexicon(reply, lexicon).score(side)


RULES: Mapping[str, Rule] = {
    "refusal": Rule("refuses", partial(_says, "refusal")),
    "compliance": Rule("does what was asked", partial(_says, "compliance")),
    "formal": Rule("formal words, less informal ones", partial(_counts, "formality", "formal")),
    "informal": Rule("informal words, less formal ones", partial(_counts, "formality", "informal")),
    "cheerful": Rule("cheerful words, less gloomy ones", partial(_counts, "tone", "cheerful")),
    "gloomy": Rule("gloomy words, less cheerful ones", partial(_counts, "tone", "gloomy")),
    "sea": Rule("words of the sea, less those of other topics", partial(_counts, "topic", "sea")),
}
"""Rules by name."""
NAMES = f"{', '.join(RULES)}, or {OWN}; or a text classifier, by its folder or Hub id"


def load_marks(host: Host, name: str, *, label: str = "", question: str = ASKED, plan: Plan = ()) -> Marks:
    """A judge by its name.

    Args:
        host: The model: it judges where the name is `self`, and has the thread that a classifier runs on.
        name: A key of `RULES`; `self`; a judge of a package, or a folder or Hub id of a text classifier, which give 1
            to a reply that has the label, and 0 to others.
        label: The classifier's label; the one that means refusal where empty.
        question: `self`: what the model is asked about a reply. Its mark is P(Yes) - P(No) among the two.
        plan: `self`: what is written while it judges.

    Raises:
        SteeringError: There is no such judge.
    """
    if name in RULES:
        return partial(_by_rule, RULES[name])
    if name == OWN:
        return partial(_by_itself, host, question.strip() or ASKED, plan)
    if not name.strip():
        raise SteeringError("No judge was named.", f"{NAMES}.", "Name one.")
    if name not in JUDGES and name.isalpha():
        raise SteeringError(f"There is no judge '{name}'.", f"{NAMES}.", "Choose one of these.")
    verdicts = load_classifier(host, name, label)
    return lambda requests, replies: [float(each) for each in verdicts(replies)]


def _by_rule(rule: Rule, requests: Requests, replies: Sequence[str]) -> list[float]:
    return [rule.mark(turns[-1].content, reply) for turns, reply in zip(requests, replies, strict=True)]


def _by_itself(host: Host, question: str, plan: Plan, requests: Requests, replies: Sequence[str]) -> list[float]:
    """The model's own verdict, a self-reward as in Yuan et al. 2024 (arXiv 2401.10020), by the probabilities of two
    words in place of a number that is written.
    """
    asked = [
        Question(conversation(_asked(question, turns[-1].content, reply)), "Yes", _ANSWERS)
        for turns, reply in zip(requests, replies, strict=True)
    ]
    if not asked:
        return []
    chances = chances_of_answers(host, asked, plan)
    return ((chances[:, 0] - chances[:, 1]) / chances.sum(dim=1)).nan_to_num().tolist()


def _asked(question: str, request: str, reply: str) -> str:
    return _QUESTION.format(request=request, reply=reply, question=question)
