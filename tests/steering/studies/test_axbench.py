"""The AxBench-like comparison: its arithmetic, its judges on texts that are known, and one run on the demo model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from steering.demo.example import words
from steering.demo.sentences import sentences_of
from steering.errors import SteeringError
from steering.judges.ratings import question
from steering.lane import Job, Lane
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row as RowOfBatch
from steering.studies import find_study
from steering.studies.axbench.chat_judge import judge_beside
from steering.studies.axbench.concepts import Concept, Instruction
from steering.studies.axbench.demo_concepts import demo_concepts
from steering.studies.axbench.files import axbench_concepts
from steering.studies.axbench.grammar_judge import GrammarJudge
from steering.studies.axbench.judging import Said
from steering.studies.axbench.marks import Marks, chosen, draws, halves, over_concepts
from steering.studies.axbench.reading import Writer
from steering.studies.axbench.rows import ROWS, Making, Row
from steering.studies.axbench.trained import pairs_on
from steering.studies.axbench.words_judge import WordsJudge
from steering.studies.result import Result
from steering.texts.questions import first_tokens
from steering.writes.operations import Add
from tests.few_replies import few_replies


SEA = "On a ship, a fox wanted to see the sea. The fox counted the waves."
PLAIN = "As I heard, a fox wanted to see the road. The fox counted the letters."
SMALL = {
    "n_concepts": 2,
    "n_instructions": 4,
    "factors": "0.5, 1.5",
    "methods": ["none", "prompt", "random", "mean_difference"],
    "texts_n": 40,
    "reply_tokens": 32,
    "temperature": 0,
}


def test_a_score_is_the_harmonic_mean_and_zero_where_a_mark_is() -> None:
    assert Marks(2, 2, 2).score == 2
    assert Marks(1, 2, 2).score == pytest.approx(3 / (1 + 1 / 2 + 1 / 2))
    assert Marks(2, 1, 1).score == pytest.approx(1.2)
    assert [Marks(*each).score for each in ((0, 2, 2), (2, 0, 2), (2, 2, 0))] == [0, 0, 0]


def test_one_half_chooses_and_the_smallest_of_the_best_is_taken() -> None:
    assert [list(half) for half in halves(5)] == [[0, 1, 2], [3, 4]]
    assert chosen(np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 1.0]])) == 1


def test_intervals_are_of_concepts_and_paired() -> None:
    drawn = draws(20, 500, 0)
    rng = np.random.default_rng(1)
    one = rng.uniform(0, 2, 20)
    apart = over_concepts(one - (one - 0.1), drawn)
    assert [apart.low, apart.high] == pytest.approx([0.1, 0.1])  # each concept by as much
    alone = over_concepts(one, drawn)
    assert alone.low < one.mean() < alone.high
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * one.std() / np.sqrt(20), rel=0.2)  # of a mean of 20


def said(text: str, *names: str, cut: bool = False) -> Said:
    return Said(Instruction((), names), text, (), cut)


def test_the_grammar_marks_its_own_texts_as_they_are(demo: Host) -> None:
    sea = next(each for each in demo_concepts(1, texts=8, instructions=2))
    assert sea.name.startswith("sea")
    replies = [
        said(SEA, "fox"),
        said(PLAIN, "fox"),
        said(SEA, "baker"),
        said("Sea the the waves fox sea sea!", "fox"),
        said(f"{SEA} The fox counted the", "fox", cut=True),
        said("", "fox"),
    ]
    judged = demo.run(lambda job: GrammarJudge().marks(job, sea, replies), title="Judging")
    assert judged[0] == Marks(2, 2, 2)
    assert judged[1] == Marks(0, 2, 2)
    assert judged[2] == Marks(2, 1, 2)
    assert judged[3] == Marks(0, 2, 0)
    assert judged[4] == Marks(2, 2, 2)  # the sentence that the budget cut counts for nothing
    assert judged[5].score == 0


def test_demo_concepts_name_nothing_in_what_they_are_tried_on() -> None:
    concepts = demo_concepts(8, texts=8, instructions=6)
    assert len({each.name for each in concepts}) == 8
    for each in concepts:
        assert each.manner is not None
        named = words({"story": "stories", "review": "reviews", "note": "notes"}[each.manner.kind])
        asks = named["topics"] if each.manner.kind == "story" else named["tone_words"]
        own = [word.lower() for word in asks[each.manner.name]]
        for instruction in each.instructions:
            assert all(name in instruction.text for name in instruction.names)
            assert not any(word in instruction.text.lower().split() for word in own)
        assert len(each.contrast.positive) == len(each.contrast.negative) == 8


@pytest.fixture(scope="module")
def result(demo: Host) -> Result:
    study = find_study("axbench")
    with few_replies():
        return study.start(demo, study.parse(SMALL)).result()


def test_what_is_asked_for_scores_and_what_is_not_does_not(result: Result) -> None:
    table = result.tables["methods"].set_index("method")
    assert table.loc["none", "score"] < 0.3  # plain texts
    assert table.loc["none", ["instruction_mark", "fluency_mark"]].min() > 1.5
    assert table.loc["prompt", "score"] > 1  # the model was taught to do as the system prompt asks
    assert table.loc["mean_difference", "score"] > table.loc["random", "score"] + 0.3
    assert result.notes[0].startswith("AxBench-like, local judges: the demo grammar itself")


def test_scores_are_those_of_the_replies_at_the_factor_that_the_other_half_chose(result: Result) -> None:
    replies, concepts, factors = (result.tables[name] for name in ("replies", "concepts", "factors"))
    for row in concepts.to_dict("records"):
        own = replies[(replies["concept"] == row["concept"]) & (replies["method"] == row["method"])]
        assert len(own) == row["n"] == 2
        marks = own[["concept_mark", "instruction_mark", "fluency_mark"]].to_numpy()
        score = [3 / (1 / each).sum() if each.min() > 0 else 0 for each in marks.astype(float)]
        assert row["score"] == pytest.approx(np.mean(score))
    means = factors[factors["method"] == "mean_difference"]["score"]
    taken = concepts[concepts["method"] == "mean_difference"]["choosing_score"]
    assert taken.mean() >= means.max() - 1e-9  # each concept has its own best


def axbench_rows(n: int = 24) -> pd.DataFrame:
    """AxBench's columns with two concepts and rows that have none."""
    rows = []
    for number, concept, word in ((0, "the sea", "waves"), (3, "music", "songs")):
        for index in range(n):
            output = f"A note of {index % 7} lines about {word} and {word} on day {index}."
            rows.append((f"Request {index}?", output, concept, "text", "positive", "instruction", number))
    for index in range(n):
        output = f"A note of {index % 7} lines about letters and boxes on day {index}."
        rows.append((f"Request {index}?", output, "EEEEE", "text", "negative", "instruction", -1))
    columns = ["input", "output", "output_concept", "concept_genre", "category", "dataset_category", "concept_id"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("generate/train_data.parquet", "inference/latent_eval_data.parquet"):
        (tmp_path / name).parent.mkdir()
        axbench_rows().to_parquet(tmp_path / name)
    return tmp_path


def test_axbench_files_give_concepts_and_the_word_judge_knows_them(demo: Host, folder: Path) -> None:
    concepts = axbench_concepts(str(folder), 10, texts=24, instructions=4)
    assert [(each.number, each.name) for each in concepts] == [(0, "the sea"), (3, "music")]
    assert len({each.text for each in concepts[0].instructions}) == 4
    assert concepts[0].prompted(concepts[0].instructions[0].messages)[-1].content.endswith("the sea.")

    def work(job: Job[list[Marks]]) -> list[Marks]:
        judge = WordsJudge(demo, Writer(demo, {}, tokens=16, temperature=0, seed=0), concepts)
        return judge.marks(job, concepts[0], [answered(demo, concepts[0], text) for text in texts])

    texts = (LOOPED, *(side[place] for side in concepts[0].texts for place in range(1, 24, 2)))
    looped, *marks = demo.run(work, title="Judging")
    assert looped.fluency == 0
    with_it, without = ([each.concept for each in side] for side in (marks[:12], marks[12:]))
    assert min(with_it) > 0
    assert with_it.count(2) >= 6  # half of them lie above their median
    assert without.count(0) >= 11  # 95 % of twelve


def test_a_trained_row_is_written_where_the_others_are_and_adds_its_own_length(demo: Host) -> None:
    concept = demo_concepts(1, texts=8, instructions=2)[0]
    for each in concept.pairs:
        assert all("sea" in sentence.manners for sentence in sentences_of("story", each.chosen))
        assert not any("sea" in sentence.manners for sentence in sentences_of("story", each.rejected))

    def work(job: Job[list[Row]]) -> list[Row]:
        making = Making(demo, concept, ["mean_difference", "sft"], steps=4)
        return [ROWS[key].make(making, (1.0, 2.0), job) for key in ("mean_difference", "sft")]

    extracted, trained = demo.run(work, title="Rows")
    (one,), (twice,) = trained.plans
    assert isinstance(one.operation, Add)
    assert isinstance(twice.operation, Add)
    assert (one.block, one.scope) == (extracted.block, "all")
    assert twice.operation.strength == pytest.approx(2 * one.operation.strength)
    assert one.operation.strength > 0
    assert trained.identities != extracted.identities


def test_replies_that_nobody_wrote_are_the_models_own(demo: Host, folder: Path) -> None:
    concept = axbench_concepts(str(folder), 10, texts=8, instructions=4)[0]
    assert {each.rejected for each in concept.pairs} == {""}
    pairs = demo.run(lambda job: pairs_on(demo, concept), title="Pairs")
    assert [each.chosen for each in pairs] == [each.chosen for each in concept.pairs]
    own = generate(demo, [RowOfBatch(render(demo, pairs[0].messages))], DecodeSettings(max_new_tokens=64))[0]
    assert pairs[0].rejected == own.answer


LOOPED = "waves waves waves waves waves waves waves waves"


def answered(host: Host, concept: Concept, text: str) -> Said:
    return Said(concept.instructions[0], text, tuple(host.tokenizer(text)["input_ids"]), False)


def test_a_chat_model_beside_gives_the_digit_that_is_likeliest(demo: Host, lane: Lane) -> None:
    concept, other = demo_concepts(1, texts=8, instructions=2)[0], Host.load("demo-helpful", lane=lane)
    replies = [said(SEA, "fox"), said("Fox fox.", "fox")]
    replies = [replace(each, instruction=concept.instructions[0]) for each in replies]
    judge = demo.run(lambda job: judge_beside(demo, "demo-helpful", {}), title="Loading")
    marks = demo.run(lambda job: judge.marks(job, concept, replies), title="Marking")
    for each, reply in zip(marks, replies, strict=True):
        prompt = render(other, "\n\n".join(question("concept", reply.text, concept=concept.name)))
        with torch.no_grad():
            chances = other.model._module(torch.tensor([prompt.ids])).logits[0, -1].softmax(dim=-1)
        masses = [float(chances[tokens].sum()) for tokens in first_tokens(other, ("0", "1", "2"))]
        assert each.concept == int(np.argmax(masses))


def test_wrong_files_say_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    axbench_rows().drop(columns=["output_concept"]).to_parquet(path)
    with pytest.raises(SteeringError, match="output_concept"):
        axbench_concepts(str(path), 2, texts=24, instructions=2)
    axbench_rows(6).to_parquet(path)
    with pytest.raises(SteeringError, match="texts with it and without it"):
        axbench_concepts(str(path), 2, texts=24, instructions=2)
    with pytest.raises(SteeringError, match=r"generate/train_data\.parquet"):
        axbench_concepts(str(tmp_path), 2, texts=24, instructions=2)


def test_settings_that_cannot_be_are_refused(tiny_host) -> None:
    study = find_study("axbench")
    with pytest.raises(SteeringError, match="methods"):
        study.parse({"methods": ["magic"]})
    with pytest.raises(SteeringError, match="ascending"):
        study.start(tiny_host("llama"), study.parse({"factors": "1, 0.5"})).result()
    with pytest.raises(SteeringError, match="No concepts were named"):
        study.start(tiny_host("llama"), study.parse({})).result()
