"""The form of the Refusal panel: what is read, what drops a candidate, and what is measured."""

from __future__ import annotations

from steering.studies.refusal import ARMS
from steering.studies.refusal.arms import NONE
from steering.texts.contrast_files import presets
from workbench.controls.field import Choice, Field, Section, choice, lines, more, number, section, several, switch, text
from workbench.controls.judge_fields import classifier_field, judge_section


READ = ("data", "target", "control", "system")
"""What the tokens that were found, and a candidate, belong to."""
_LIST = "a file that you upload, or hub:owner/name"


def sets() -> list[Choice]:
    """Sets of requests to choose from."""
    return [
        ("The model's own", ""),
        ("demo", "demo"),
        ("general", "general"),
        *((name, name) for name in presets()),
    ]


def sections() -> list[Section]:
    """The three steps."""
    return [
        section("1  Requests and tokens", *_requests()),
        section("2  Candidates", *_candidates()),
        section("3  Effects", *_effects()),
    ]


def _requests() -> tuple[Field | Section, ...]:
    return (
        choice(
            "data",
            "Requests, target against control",
            sets(),
            own=True,
            hint="demo models have their own, others the general set",
            upload="Upload a contrast set",
            upload_kind="contrast",
        ),
        more(
            text("system", "System prompt before every request", placeholder="none"),
            number("n_train", "For the means", unit="a side"),
            number("n_validation", "To choose on", unit="a side"),
            *(
                choice(name, label, own=True, hint=_LIST, upload=upload, upload_kind="texts")
                for name, label, upload in (
                    ("target", "Your own targets", "Upload targets"),
                    ("control", "Your own controls", "Upload controls"),
                    ("borderline", "Your own borderline requests", "Upload borderline requests"),
                )
            ),
            text("column", "Column that holds the texts", placeholder="text, prompt, instruction, goal …"),
            title="System prompt, sizes, lists of your own",
        ),
        more(
            several(
                "tokens",
                "First tokens of a refusal",
                own=True,
                changing=True,
                hint="found from the model where none is ticked; a text, or #id",
            ),
            title="Refusal tokens",
        ),
    )


def _candidates() -> tuple[Field | Section, ...]:
    return (
        choice(
            "by",
            "Choose by",
            (("Bypass", "bypass"), ("COSMIC", "cosmic")),
            hint="Bypass: least refusal left when ablated. COSMIC: by states alone, without refusal tokens.",
        ),
        text("candidate", "Candidate", placeholder="the chosen one; or click one in the table"),
        more(
            number("min_induce", "Least induce", unit="log-odds", step=0.5),
            number("max_kl", "Most KL", unit="nats", step=0.05),
            number("max_depth", "Blocks up to", unit="share of the depth", step=0.05),
            switch("last_only", "Read at the last token only: fewer candidates"),
            switch("complete", "Score dropped candidates too, for the maps"),
            title="What drops a candidate",
        ),
    )


def _effects() -> tuple[Field | Section, ...]:
    arms = [(title[0].upper() + title[1:], key) for key, title in ARMS.items() if key != NONE]
    return (
        number("n_test", "Requests", unit="of a kind"),
        number("reply_tokens", "Tokens", unit="a reply"),
        number("random", "Random", unit="directions"),
        switch("both_systems", "With and without a system prompt"),
        more(
            several("arms", "Interventions to compare", arms, [key for _, key in arms]),
            number("share", "Partial ablation", unit="share", step=0.1),
            number("directions", "Several directions", unit="count"),
            title="Interventions",
        ),
        more(
            number("questions", "Questions", unit="a set: knowledge, truth, sums"),
            lines(
                "prompts",
                "Prompts to follow along the direction",
                placeholder="one a line; two of each kind where empty",
            ),
            text("reference", "Aligned model to show drift from", placeholder="such as demo"),
            classifier_field("A text classifier as a further judge"),
            text("classifier_label", "Its label that means refusal", placeholder="found by its name"),
            title="Questions, prompts, further judges",
        ),
        judge_section(),
    )
