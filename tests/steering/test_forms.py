"""What notebooks show of things: readable without a server or a script, every text a text, every number the thing's."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch

from steering.extraction.extract import extract
from steering.forms import markup
from steering.forms.style import STYLE
from steering.model.host import Host
from steering.model.prompts import conversation, render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings, Replies, Reply
from steering.passes.rows import Batch, Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.texts.contrast import ContrastSet
from steering.texts.question_sets import Pairs, Questions
from steering.texts.questions import Pair, Question, load_pairs, load_questions
from steering.texts.statements import StatementPair, Statements, load_statements
from steering.vectors.token_readings import with_readings
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Gate, Write
from steering.writes.operations import Ablate, Add, Affine, Clamp, Erase, Rotate
from tests.conftest import ROOT
from tests.markup_support import HOSTILE, Output


@pytest.fixture(scope="module")
def contrast() -> ContrastSet:
    return ContrastSet.load("formality")


@pytest.fixture(scope="module")
def vector(demo: Host, contrast: ContrastSet) -> SteeringVector:
    return extract(demo, contrast)


@pytest.fixture(scope="module")
def rows(demo: Host, vector: SteeringVector) -> list[Row]:
    prompt = render(demo, "Write a note to my boss about the meeting.")
    recipe = Recipe(interventions=(Intervention(vector="v", strength=1.0),))
    return [Row(prompt), Row(prompt, plan_of(recipe, demo, {"v": vector}), against=0)]


@pytest.fixture(scope="module")
def replies(demo: Host, vector: SteeringVector, rows: list[Row]) -> Replies:
    made = generate(demo, rows, DecodeSettings(max_new_tokens=8))
    return with_readings(demo, rows, made, vector=vector)


def _channels(colour: str) -> list[float]:
    short = colour.lstrip("#")
    full = "".join(2 * each for each in short) if len(short) == 3 else short
    return [int(full[n : n + 2], 16) / 255 for n in (0, 2, 4)]


def _light(channels: list[float]) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: list[float], other: list[float]) -> float:
    low, high = sorted((_light(one), _light(other)))
    return (high + 0.05) / (low + 0.05)


def test_all_rules_are_for_the_wrapper_and_texts_can_be_read_on_both_grounds() -> None:
    assert STYLE.count("{") == STYLE.count("}")
    bare = re.sub(r"@media\([^)]*\)\{(.*?\})\}", r"\1", STYLE)
    for selectors in re.findall(r"([^{}]+)\{", bare):
        for each in re.sub(r"\([^)]*\)", "", selectors).split(","):
            assert re.search(r"(^|\s)\.swf\b", each), each
    grounds = re.findall(r"--paper:(#\w+);.*?--ink:(#\w+);--ink2:(#\w+)", STYLE)
    assert len({paper for paper, _, _ in grounds}) == 2, "a light one and a dark one"
    for paper, ink, ink2 in set(grounds):
        assert _contrast(_channels(paper), _channels(ink)) > 10
        assert _contrast(_channels(paper), _channels(ink2)) > 4.5
        for hue in markup.HUES:
            found = re.search(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", markup.shade(hue, 5.0))
            assert found is not None
            *tone, alpha = map(float, found.groups())
            assert alpha == 0.5, "nothing is coloured more than that"
            mixed = [alpha * t / 255 + (1 - alpha) * p for t, p in zip(tone, _channels(paper), strict=True)]
            assert _contrast(mixed, _channels(ink)) > 4.5, f"{hue or 'unsteered'} on {paper}"


def test_a_vector_says_where_it_is_from_and_how_well_it_separates(vector: SteeringVector) -> None:
    shown = Output(vector._repr_html_())
    block = vector.default_block
    assert vector.auroc is not None
    assert vector.auroc_low is not None
    assert vector.auroc_high is not None
    auroc = f"{vector.auroc[block]:.3f} [{vector.auroc_low[block]:.3f}, {vector.auroc_high[block]:.3f}]"
    for text in (shown.text, str(vector)):
        assert auroc in text
        assert f"n = {sum(vector.provenance.n_validation)}" in text
        assert f"block {block}" in text
        assert f"{float(vector.mean_differences[block]):.3g} raw" in text
        assert "towards formal, from informal" in text
        assert "seed 0" in text
    said = [each for each in shown.titles if each.startswith("block ")]
    assert said == [f"block {n}: AUROC {float(value):.3f}" for n, value in enumerate(vector.auroc)]
    dots = [(float(each["cx"]), float(each["cy"])) for each in shown.every("circle")]
    heights = [y for _, y in dots]
    slopes = {
        round((heights[n] - heights[0]) / float(vector.auroc[0] - vector.auroc[n]), 1)
        for n in range(len(dots))
        if abs(float(vector.auroc[n] - vector.auroc[0])) > 0.05
    }
    assert slopes, "two blocks that differ"
    assert len(slopes) == 1, "one scale for all"


def test_a_vector_that_another_tool_made_and_one_without_held_out_prompts_are_shown(vector: SteeringVector) -> None:
    bare = replace(vector, auroc=None, auroc_low=None, auroc_high=None, accuracy=None)
    assert "held out, n" in Output(vector._repr_html_()).text
    assert "held out, n" not in Output(bare._repr_html_()).text
    assert "% of residual norm" in Output(bare._repr_html_()).text
    nowhere = replace(bare, residual_norms=torch.zeros(vector.n_blocks))
    assert Output(bare._repr_html_()).every("svg")
    assert not Output(nowhere._repr_html_()).every("svg"), "of another tool's vector nothing is known by block"
    made = replace(vector.provenance, n_train=(0, 0), n_validation=(0, 0))
    assert "nothing was measured of it here" in str(replace(bare, provenance=made))


def test_replies_stand_side_by_side_coloured_by_kl(replies: Replies, rows: list[Row], vector: SteeringVector) -> None:
    shown = Output(replies._repr_html_())
    steered = replies[1]
    apart = [each.divergence for each in steered.readings]
    assert max(apart) > 0.1, "it was moved"
    full = max(1.0, *apart)
    tones = [each["style"] for each in shown.every("span") if "style" in each]
    n = sum(bool(each.piece) for each in replies[0].readings)
    alphas = [float(re.findall(r"[\d.]+\)$", tone)[0][:-1]) for tone in tones]
    assert alphas[:n] == [0.0] * n, "the unsteered reply is its own reference"
    assert alphas[n:] == [round(0.5 * each / full, 2) for each in apart]
    assert f"KL {apart[0]:.3g} nats" in " ".join(shown.titles)
    for reply in replies:
        assert reply.answer in shown.run_on
        assert reply.answer in str(replies)
    written = steered.written
    assert f"modified {written.prompt} prompt + {written.generated} generated positions" in shown.text
    assert "nothing was modified" in shown.text
    (add,) = rows[1].plan
    assert isinstance(add.operation, Add)
    assert f"add {add.operation.strength:.3g} raw at block {vector.default_block}" in shown.text
    assert "Write a note to my boss" in shown.folded, "the prompt, folded"
    assert "unsteered" in str(replies)


def test_one_reply_and_replies_that_nobody_read_are_shown_without_colours(replies: Replies) -> None:
    one = Output(replies[1]._repr_html_())
    assert [each for each in one.every("span") if "style" in each]
    plain = replace(replies[1], readings=())
    bare = Output(plain._repr_html_())
    assert plain.answer in bare.text
    assert not [each for each in bare.every("span") if "style" in each]
    assert plain == replies[1], "what was read does not make it another reply"
    many = Replies([plain] * 30)
    assert "18 more are not shown" in Output(many._repr_html_()).text
    assert len(Output(many._repr_html_()).every("div")) < 60


def test_replies_are_a_tuple_that_travels(replies: Replies) -> None:
    assert isinstance(replies, tuple)
    assert replies == (replies[0], replies[1])
    back = pickle.loads(pickle.dumps(Replies(replies)))
    assert back == replies
    assert str(back) == str(Replies(replies))


def test_a_thought_is_folded(replies: Replies) -> None:
    thinking = replace(replies[0], text="<think>hm, a plan</think>Dear boss", parts=None, readings=())
    shown = Output(thinking._repr_html_())
    assert "hm, a plan" in shown.folded
    assert "hm, a plan" not in shown.text
    assert "Dear boss" in shown.text


def test_a_recipe_is_words_and_json(demo: Host) -> None:
    gate = {"vector": "other", "threshold": 0.5}
    steps = (
        Intervention(vector="calm", strength=-1.5),
        Intervention(vector="calm", mode="ablate", blocks="everywhere", gate=gate),  # type: ignore[arg-type]
        Intervention(vector="calm", mode="clamp", clamp="floor", blocks=(2, 3), site="mlp_output", scope="generated"),
    )
    recipe = Recipe(interventions=steps, decode=DecodeSettings(temperature=0.7, seed=5))
    shown = Output(recipe._repr_html_())
    for text in (shown.text, str(recipe)):
        assert "Add calm, -1.5 × its own length at its own block" in text
        assert "where other is above 0.5 × its own length" in text
        assert "kept from falling below at block 2, 3 (MLP output), on generated tokens only" in text
        assert "temperature 0.7, top-p 1, seed 5" in text
    assert Recipe.model_validate_json(shown.folded) == recipe, "as JSON it can be run again"
    assert repr(recipe).startswith("Recipe(interventions=(Intervention("), "what makes it again"
    assert "unsteered" in str(Recipe())


def test_a_plan_a_row_and_a_batch_say_what_they_do(demo: Host, vector: SteeringVector) -> None:
    u = torch.zeros(demo.info.width)
    u[0] = 1.0
    assert repr(Write(Add(u, 3.21), 4, "block_output")) == (
        "<add 3.21 raw at block 4 (block output), on every token, prompt and reply>"
    )
    erase = Erase(u[:, None], u[None], u)
    gate = Gate(u, 1.5, 1, "block_input")
    said = [
        repr(Write(operation, 2, "mlp_output", "last", gate))
        for operation in (
            Ablate(u),
            Ablate(torch.eye(demo.info.width)[:2], 0.5),
            Affine(u, 1.0, 0.5),
            Clamp(u, 2.0, "ceil"),
            Rotate(u, 30.0),
            erase,
        )
    ]
    for words, each in zip(
        ("ablate the", "ablate 0.5 of 2", "projection to 1.5", "rising above 2 raw", "turn by 30°", "LEACE"),
        said,
        strict=True,
    ):
        assert words in each
        assert "at block 2 (MLP output), on the last prompt token only" in each
        assert "where the projection at block 1 (block input) is above 1.5 raw" in each
    everywhere = Recipe(interventions=(Intervention(vector="v", mode="ablate", blocks="everywhere"),))
    prompt = render(demo, "Hello.")
    row = Row(prompt, plan_of(everywhere, demo, {"v": vector}), against=0)
    assert len(row.plan) > 2 * demo.info.blocks
    last = demo.info.blocks - 1
    assert repr(row) == (
        f"<Row: {len(prompt)} prompt tokens, {prompt.text!r}; ablate the direction at blocks 0–{last} (block input, "
        "attention output, MLP output), on every token, prompt and reply; compared with row 0>"
    )
    assert "nothing is written" in repr(Row(prompt))
    long = render(demo, "Write a note to my boss about the meeting.")
    batch = Batch.of(demo, [prompt, long], replies=[(5,), (5, 6, 7)])
    places, short = len(long) + 3, len(prompt)
    assert repr(batch) == (
        f"<Batch: 2 rows × {places} places; prompts of {short} to {len(long)} and replies of 1 to 3 tokens, "
        f"{places - short - 1} places of padding>"
    )


def test_a_contrast_set_and_statements_count_and_fold_their_texts(contrast: ContrastSet) -> None:
    shown = Output(contrast._repr_html_())
    first = contrast.positive[0].text
    assert first in shown.folded
    assert first not in shown.text
    for split, (positive, negative) in contrast.counts.items():
        assert f"{split}: {positive} + {negative}" in str(contrast)
        assert f" {positive} " in shown.text
    assert contrast.digest in str(contrast)
    few = ContrastSet.of(["Be calm."], ["Be angry."])
    assert "Only 1 + 1 prompts" in str(few)
    assert "Only 1 + 1 prompts" in Output(few._repr_html_()).text
    statements = load_statements("general")
    pairs = Output(statements._repr_html_())
    assert statements.pairs[0].harmful in pairs.folded
    assert statements.pairs[0].harmful not in pairs.text
    assert str(len(statements.pairs)) in str(statements)


def test_questions_and_answer_pairs_count_and_fold_their_texts(demo: Host) -> None:
    questions = load_questions(demo, "knowledge", 30)
    shown = Output(questions._repr_html_())
    first = questions[0].messages[-1].content.splitlines()[0]
    assert first in shown.folded
    assert first not in shown.text
    words = questions[0].words
    for text in (shown.text, str(questions)):
        told = {word: int(n) for word, n in re.findall(r"(\w+) \(right (\d+) times\)", text)}
        assert told == {word: sum(each.answer == word for each in questions) for word in words}
        assert "generated" not in text
    assert "by a number that is generated: 5" in str(load_questions(demo, "sums", 5))
    pairs = load_pairs(demo, "harmlessness", 7)
    shown = Output(pairs._repr_html_())
    for text in (pairs[0].aligned, pairs[0].misaligned):
        assert text in shown.folded
        assert text not in shown.text
    assert str(pairs) == "Answer pairs 'harmlessness'\n  pairs: 7"
    assert repr([pairs]) == "[<Pairs 'harmlessness': 7>]"
    again = pickle.loads(pickle.dumps(questions))
    assert (again, again.name) == (questions, "knowledge")
    evil = Questions([Question(conversation(HOSTILE), HOSTILE, (HOSTILE, "A"))], HOSTILE)
    assert "<script" not in evil._repr_html_().lower()
    assert "<script" not in Pairs([Pair(conversation(HOSTILE), HOSTILE, HOSTILE)], HOSTILE)._repr_html_().lower()


def test_a_model_is_shown_without_being_run(demo: Host, tiny_host: Any) -> None:
    shown = Output(demo._repr_html_())
    assert demo.info.summary in shown.text
    assert "tests the method" in shown.text, "that it is a demo model"
    for text in (shown.text, str(demo)):
        assert f"{demo.info.context:,} tokens" in text
        assert "checks passed" in text
    wrapped = tiny_host("llama")
    known = "check" in wrapped.__dict__
    assert ("not run yet" in str(wrapped)) != known
    assert ("check" in wrapped.__dict__) == known, "showing it does not check it"
    thinking = demo.under(demo.chat.model_copy(update={"prefill": HOSTILE}))
    assert "prefill" in Output(thinking._repr_html_()).text


def test_hostile_texts_are_texts(
    vector: SteeringVector, replies: Replies, rows: list[Row], contrast: ContrastSet
) -> None:
    seen = HOSTILE.replace("\x00", "\ufffd")
    made = replace(vector.provenance, **dict.fromkeys(("contrast", "positive_label", "model", "licence"), HOSTILE))
    made = replace(made, warnings=(HOSTILE,))
    evil_vector = replace(vector, name=HOSTILE, provenance=made)
    reading = replace(replies[1].readings[0], piece=HOSTILE, alternatives=((HOSTILE, 0.5, 0.5),))
    evil_reply = replace(replies[1], text=HOSTILE, parts=None, readings=(reading,))
    evil_rows = [replace(rows[0], prompt=replace(rows[0].prompt, text=HOSTILE))]
    named: Mapping[str, Any] = dict.fromkeys(("name", "title", "description", "positive_label", "licence"), HOSTILE)
    message = replace(contrast.positive[0].messages[0], content=HOSTILE)
    example = replace(contrast.positive[0], messages=(message,))
    evil_contrast = replace(contrast, **named, notes=(HOSTILE,), positive=(example, *contrast.positive[1:]))
    pairs = [StatementPair(str(n), f"{n} {HOSTILE}", f"not {n}", "negation", HOSTILE) for n in range(10)]
    everything = (
        evil_vector,
        evil_reply,
        replace(evil_reply, readings=()),
        Replies([evil_reply], evil_rows),
        Recipe(interventions=(Intervention(vector=HOSTILE),), model=HOSTILE),
        evil_contrast,
        Statements(HOSTILE, tuple(pairs), (HOSTILE,)),
    )
    for each in everything:
        shown = Output(each._repr_html_())  # which refuses any element and attribute that a text could bring
        whole = f"{shown.text} {shown.folded} {' '.join(shown.titles)}".replace("\x00", "\ufffd")
        assert "<script>alert('1')</script>" in whole, type(each).__name__
        assert seen[:40] in whole


def test_tables_say_how_many_rows_they_leave_out_and_cut_long_texts() -> None:
    many = pd.DataFrame({"n": range(40), "text": ["word " * 200] * 40})
    shown = Output(markup.output(markup.table(many, "`here`")))
    assert "The first 12 of 40 rows; `here` has all." in shown.text
    assert len(shown.every("tr")) == 1 + 12
    assert len(shown.text) < 12 * 300
    assert "left" not in Output(markup.output(markup.table(many.head(3)))).text


def test_a_reply_that_is_still_written_says_so(replies: Replies) -> None:
    unfinished: Reply = replace(replies[0], finish=None, text="", ids=(), readings=(), parts=None)
    assert "(no text)" in str(unfinished)
    assert "stopped, or still written" in str(unfinished)
    assert "(no text)" in Output(unfinished._repr_html_()).text


def test_alone_a_thing_is_told_whole_and_in_a_line_within_others(
    demo: Host, vector: SteeringVector, replies: Replies, contrast: ContrastSet
) -> None:
    class Printer:
        def __init__(self, depth: int) -> None:
            self.stack, self.said = [0] * depth, ""

        def text(self, text: str) -> None:
            self.said += text

    recipe = Recipe(interventions=(Intervention(vector="calm"),))
    for each in (demo, vector, replies, replies[0], contrast, recipe):
        alone, inside = Printer(1), Printer(2)
        each._repr_pretty_(alone, False)
        each._repr_pretty_(inside, False)
        assert alone.said == str(each)
        assert inside.said == repr(each)
        assert "\n" in str(each)
        assert "\n" not in repr(each)
        assert "tensor" not in repr(each)
    assert repr(vector).startswith("<SteeringVector 'formality': 6 blocks × 192, block ")
    assert repr(replies) == f"({replies[0]!r}, {replies[1]!r})"
    assert repr(contrast) == f"<ContrastSet 'formality': {len(contrast.positive)} + {len(contrast.negative)} prompts>"


def test_the_cell_of_the_documentation_shows_replies_by_kl(demo: Host) -> None:
    text = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    (code,) = [each for each in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "with_readings" in each]
    *before, last = code.strip().splitlines()
    names: dict[str, Any] = {"host": demo}
    exec("\n".join(before), names)
    shown = Output(eval(last, names)._repr_html_())
    assert "KL p95" in shown.text
    assert [each for each in shown.every("span") if re.search(r",0\.[1-5]", each.get("style", ""))]
