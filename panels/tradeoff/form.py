"""The form of the Trade-off panel: what is compared, and what is measured."""

from __future__ import annotations

from steering.names import upper_first
from steering.studies.tradeoff.measures import MEASURES
from steering.texts.questions import PAIR_SETS
from workbench.controls.field import Choice, Field, Section, choice, more, number, section, several, text
from workbench.controls.judge_fields import classifier_field, judge_section


SIZED = (
    *(
        "strengths",
        "compare",
        "random",
        "n",
        "examples",
        "best_of",
        "loss",
        "train_steps",
        "train_nats",
        "alignment",
        "alignment_by",
        "helpfulness",
        "questions",
    ),
    *("also", "n_replies", "reply_tokens", "instruction", "opposite", "seed", "classifier", "judge_url"),
)
"""What the size of a run, or whether it is kept already, depends on."""
_COMPARED = {
    "ablation": "Ablation, by its share",
    "prompt": "System prompt",
    "examples": "In-context examples",
    "best_of": "Best of n samples (judged replies)",
    "trained": "Trained vector",
    "pca": "PCA",
    "affine": "Affine edit",
    "shuffled": "Shuffled labels (control)",
}
_QUESTIONS = [("Knowledge", "knowledge"), ("Truth", "truth")]
_ONLY_DEMO = {name for name, told in PAIR_SETS.items() if told.endswith("demo models only")}


def sections() -> list[Section]:
    """Both cards."""
    return [section("What is compared", *_compared()), section("What is measured", *_measured())]


def pair_sets(*, demo: bool) -> list[Choice]:
    """The answer pairs that there are for a model."""
    there = [name for name in PAIR_SETS if demo or name not in _ONLY_DEMO]
    return [("What the recipe's vector is about", ""), *((upper_first(name), name) for name in there)]


def _compared() -> tuple[Field | Section, ...]:
    return (
        text(
            "strengths",
            "Strengths",
            hint="in place of the recipe's own, in its unit; an ablation takes those from 0 to 1",
        ),
        several("compare", "Beside it", [(label, key) for key, label in _COMPARED.items()]),
        number("random", "Random floor", unit="directions", half=True),
        number("n", "Items", unit="an axis", half=True),
        more(
            text("instruction", "System prompt, strength 1", placeholder="the set's own"),
            text("opposite", "Its opposite, strength −1", placeholder="the set's own"),
            number("examples", "In-context examples", unit="at most", half=True),
            number("best_of", "Best of n", unit="samples at most", half=True),
            text("loss", "Loss of a trained vector", half=True),
            number("train_nats", "What it may cost", unit="nats", half=True),
            number("train_steps", "Steps of its training", half=True),
            number("seed", "Seed", half=True),
        ),
    )


def _measured() -> tuple[Field | Section, ...]:
    further = [name for name, each in MEASURES.items() if each.axis == "further" or name == "sums"]
    return (
        choice(
            "alignment",
            "Alignment: answer pairs",
            pair_sets(demo=True),
            own=True,
            hint="or hub:owner/name",
            upload="Upload answer pairs",
            upload_kind="pairs",
        ),
        _measure("alignment_by", "Read by", "alignment"),
        _measure("helpfulness", "Helpfulness", "helpfulness"),
        choice(
            "questions",
            "Questions",
            _QUESTIONS,
            own=True,
            hint="or a file of MMLU, TruthfulQA or BBQ, or hub:owner/name",
            upload="Upload questions",
            upload_kind="questions",
        ),
        several("also", "Also", [(upper_first(MEASURES[name].title), name) for name in further]),
        more(
            number("n_replies", "Replies", unit="a measure", half=True),
            number("reply_tokens", "Tokens", unit="a reply", half=True),
            number("cost_weight", "Lambda", hint="alignment that one unit of helpfulness is worth", step=0.5),
            classifier_field("A text classifier as the judge"),
            text("classifier_label", "Its label that means aligned", placeholder="found by its name"),
        ),
        judge_section(),
    )


def _measure(name: str, label: str, axis: str) -> Field:
    offered = [(upper_first(measure.title), key) for key, measure in MEASURES.items() if measure.axis == axis]
    return choice(name, label, offered)
