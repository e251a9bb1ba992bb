"""The column names of the field, as data: what people's files call a text, a pair, a label and a split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steering.errors import SteeringError


@dataclass(frozen=True)
class Layout:
    """A published layout, known by its columns (compared without regard to case)."""

    title: str
    columns: tuple[str, ...]
    """All of these are there."""
    text: str
    """The one that holds the request."""
    context: str = ""
    """One that stands before it, where a row has it."""
    empty: str = ""
    """One that must be empty: other rows are left out, since their text alone is not what is asked."""


LIST_LAYOUTS = (
    Layout("JailbreakBench", ("goal", "target", "behavior", "category"), "goal"),
    Layout("AdvBench", ("goal", "target"), "goal"),
    Layout("HarmBench", ("behavior", "semanticcategory"), "behavior", context="contextstring"),
    Layout("StrongREJECT", ("forbidden_prompt",), "forbidden_prompt"),
    Layout("Alpaca", ("instruction", "input", "output"), "instruction", empty="input"),
    Layout("XSTest", ("prompt", "type"), "prompt"),
    Layout("refusal_direction", ("instruction", "category"), "instruction"),
    Layout("LITMUS", ("prompt", "axiom"), "prompt"),
    Layout("TruthfulQA", ("question", "best answer", "incorrect answers"), "question"),
    Layout("TruthfulQA", ("question", "best_answer", "incorrect_answers"), "question"),
    Layout("BBQ", ("context", "question", "ans0", "ans1", "ans2"), "question", context="context"),
    Layout("preference pairs", ("prompt", "chosen", "rejected"), "prompt"),
    Layout("Dolly", ("instruction", "context", "response"), "instruction", empty="context"),
)
TEXTS = (
    "text",
    "texts",
    "prompt",
    "prompts",
    "instruction",
    "goal",
    "question",
    "behavior",
    "behaviour",
    "user",
    "request",
    "query",
    "forbidden_prompt",
    "sentence",
    "statement",
    "content",
    "input",
    "premise",
    "scenario",
    "dilemma",
    "user_input",
    "user_prompt",
    "prompt_text",
    "comment_text",
    "question_stem",
    "problem",
    "tweet",
)
"""Columns that hold the texts of a list."""
CHATS = ("messages", "conversations", "conversation", "chat", "dialogue", "dialog", "turns")
"""Columns that hold a conversation: a list of messages with `role` and `content`, or `from` and `value`."""
REQUESTS = ("question", "prompt", "instruction", "user", "request", "query")
"""Columns that hold what both sides of a pair of replies answer."""
FURTHER_REQUESTS = ("goal", "input", "context", "history")
"""Columns that hold it beside `REPLIES` alone; elsewhere they may be a note."""
INDICES = ("", "id", "idx", "index", "column 1", "unnamed: 0", "__index_level_0__")
"""Columns that only count rows."""
SYSTEMS = ("system", "system_prompt")
SIDES = (
    ("positive", "negative"),
    ("pos", "neg"),
    ("positive_prompt", "negative_prompt"),
    ("positive_text", "negative_text"),
    ("positive_prompts", "negative_prompts"),
    ("positive_str", "negative_str"),
    ("positive_example", "negative_example"),
    ("positives", "negatives"),
    ("harmful", "harmless"),
    ("harmful", "safe"),
    ("unsafe", "safe"),
    ("toxic", "nontoxic"),
    ("true", "false"),
    ("refusal", "compliance"),
    ("non_compliant_responses", "compliant_responses"),
    ("honest", "dishonest"),
    ("truthful", "untruthful"),
    ("sent_more", "sent_less"),
)
"""Two columns or two lists that are the sides of a contrast, the positive one first."""
ANSWERED = SIDES[:2]
"""Those of them that may hold replies, where a row has a request too."""
REPLIES = (
    ("answer_matching_behavior", "answer_not_matching_behavior"),
    ("positive_response", "negative_response"),
    ("positive_answer", "negative_answer"),
    ("positive_completion", "negative_completion"),
    ("matching", "not_matching"),
    ("chosen", "rejected"),
    ("chosen_response", "rejected_response"),
    ("preferred", "dispreferred"),
    ("aligned", "misaligned"),
    ("safe_response", "unsafe_response"),
    ("preferred_output", "non_preferred_output"),
)
"""Two columns of replies to one request."""
_SAFE = ("is_safe", "safe", "is_harmless", "is_benign", "harmless", "benign")
LABELS = (
    "label",
    "labels",
    "safety_label",
    "prompt_harm_label",
    "is_harmful",
    "is_toxic",
    "is_unsafe",
    "harmful",
    "toxic",
    "unsafe",
    "toxicity",
    "class",
    *_SAFE,
)
"""Columns that say on which side a text is; where those of `_SAFE` say yes, that is the negative one."""
ANSWERS = ("response", "completion", "reply", "assistant", "output")
"""Columns that hold the reply to a row's request; a label beside both is of both."""
CHOICES = (
    *("choices", "options", "endings", "mc1_targets", "mc2_targets", "sol1", "option1", "choice1", "ans0", "answera"),
    *("response_0", "output_1", "human_ref_a", "response_a", "chosen"),
)
"""Columns of things to choose from; a label beside them says which one is right."""
POLARITY = "is_harmfull_opposition"
"""As the authors of PA-CCS spell it: 0 is harmful, 1 safe, and row i is the pair of row i + N/2."""
TRUE = ("1", "true", "yes", "t", "y")
FALSE = ("0", "false", "no", "f", "n")
_VALUES = (
    ("positive", "negative"),
    ("pos", "neg"),
    ("harmful", "harmless"),
    ("harmful", "benign"),
    ("harmful", "safe"),
    ("unsafe", "safe"),
    ("toxic", "nontoxic"),
    ("toxic", "non-toxic"),
    ("jailbreak", "benign"),
    ("malicious", "benign"),
    ("refusal", "compliance"),
    ("true", "false"),
    ("yes", "no"),
    ("t", "f"),
    ("y", "n"),
    ("1", "0"),
    ("1", "-1"),
)
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "generate": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "eval": "test",
    "evaluation": "test",
    "held_out": "test",
}
_MMLU = ("question", "A", "B", "C", "D", "answer")


def lowered(row: Mapping[str, Any]) -> dict[str, str]:
    """A row's column names by their small letters."""
    return {str(key).strip().lower(): key for key in row}


def labels(values: Sequence[Any], where: str, column: str = "") -> tuple[str, str]:
    """Which two values of a label column are the positive and the negative side, as they stand in the file.

    Raises:
        SteeringError: Other values, or one alone.
    """
    found = sorted({label_text(value) for value in values})
    pair = next((pair for pair in _VALUES if set(found) == set(pair)), None)
    if pair is not None and pair[0] in TRUE and column.strip().lower() in _SAFE:
        return pair[1], pair[0]
    if pair is None and len(found) == 2:
        pair = next((each for each in ((found[0], found[1]), (found[1], found[0])) if _denies(*each)), None)
    if pair is None:
        raise SteeringError(
            f"{where} has the values {', '.join(repr(each[:30]) for each in found[:6])}{' …' * (len(found) > 6)}.",
            f"two of them: {'; '.join(' and '.join(pair) for pair in _VALUES)}.",
            "Rename the values to positive and negative.",
        )
    return pair


def _denies(one: str, other: str) -> bool:
    """Whether the second label is that the first does not hold: toxic and not_toxic, harmful and unharmful."""
    plain, denial = ("".join(filter(str.isalnum, each)) for each in (one, other))
    return bool(plain) and denial in (f"not{plain}", f"non{plain}", f"no{plain}", f"un{plain}")


def label_text(value: Any) -> str:
    """A label as text: 1, 1.0, "1" and " 1" are the same, and so are True and "true"."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    return str(value).strip().lower()


def split_of(name: Any) -> str | None:
    """A split's name as this project has it; None where it is none."""
    return SPLIT_NAMES.get(str(name).strip().lower())


def is_column(name: str) -> bool:
    """Whether a name is one of the field's columns, and so no name of a list."""
    known = (
        *TEXTS,
        *CHATS,
        *REQUESTS,
        *SYSTEMS,
        *LABELS,
        POLARITY,
        "answer",
        "options",
        "choices",
        "split",
        "category",
    )
    return name.strip().lower() in known


def without_header(cells: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table whose first row is data: MMLU's question, four options and letter; none for others."""
    bare = len(cells) == len(_MMLU) and cells[-1].strip() in tuple("ABCD") and "question" not in map(str.lower, cells)
    return _MMLU if bare else ()
