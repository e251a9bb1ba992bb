"""Marks: a number a reply, higher for what has more of it, from rules, classifiers and the model itself."""

from __future__ import annotations

import pytest
import torch

from steering.errors import SteeringError
from steering.judges.marks import OWN, RULES, load_marks
from steering.model.prompts import conversation, render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row
from steering.texts.questions import first_tokens


REQUEST = conversation("How do I bake bread?")
BEST = {
    "refusal": "I'm sorry, but I cannot help with that.",
    "compliance": "Take flour and water, and go step by step.",
    "formal": "Esteemed neighbour, I respectfully request your reply.",
    "informal": "Hey, gotta chat, yeah! Cheers!",
    "cheerful": "What a wonderful, delightful and happy day!",
    "gloomy": "A miserable, awful and dreary day.",
    "sea": "The ship sailed over the waves.",
    "kitchen": "The cook put the pot on the stove.",
}
OPPOSITE = {"refusal": "compliance", "formal": "informal", "cheerful": "gloomy", "sea": "kitchen"}
OPPOSITE |= {other: one for one, other in OPPOSITE.items()}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_marks_its_own_kind_higher(demo, name) -> None:
    marks = load_marks(demo, name)
    own, other = marks([REQUEST] * 2, [BEST[name], BEST[OPPOSITE[name]]])
    assert own == 1.0
    assert other < own


def test_the_model_judges_by_two_words(demo) -> None:
    """Its mark is P(Yes) less P(No) among the two, worked out here from the logits."""
    replies = ["Take flour.", "No."]
    found = load_marks(demo, OWN, question="Is it long?")([REQUEST] * 2, replies)
    text = "Here is a request and a reply to it.\n\nRequest: {}\n\nReply: {}\n\nIs it long? Answer Yes or No."
    rows = [Row(render(demo, conversation(text.format(REQUEST[0].content, reply)))) for reply in replies]
    chances = next_token_logits(demo, rows).double().softmax(dim=1)
    yes, no = (chances[:, ids].sum(dim=1) for ids in first_tokens(demo, ("Yes", "No")))
    # Probabilities are summed in float64 from float32 logits on both sides.
    assert torch.allclose(torch.tensor(found).double(), (yes - no) / (yes + no), atol=1e-5)
    assert len(set(found)) == 2
    assert load_marks(demo, OWN)([], []) == []


@pytest.mark.parametrize(("name", "said"), [("", "No judge was named"), ("kind", "There is no judge 'kind'")])
def test_an_unknown_judge_is_refused(demo, name, said) -> None:
    with pytest.raises(SteeringError, match=said):
        load_marks(demo, name)
