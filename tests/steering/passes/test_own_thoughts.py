"""With the thought kept, what is read where a reply begins is read where the answer begins."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from odd_templates import OPENED, SWITCHED

from steering import ContrastSet, Message, extract
from steering.errors import SteeringError
from steering.model.chat_settings import ChatSettings
from steering.model.prompts import conversation, render
from steering.passes import own_thoughts, row_states
from steering.passes.decoding import generate
from steering.passes.own_thoughts import behind_thoughts
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.passes.tail_states import tail_length
from steering.recipes.nats import own_replies
from steering.recipes.recipe import Recipe
from steering.store import Store
from steering.studies.probing.templates import runs_of, template_of
from steering.studies.refusal.arms import ARMS, NONE, Arm, Arms
from steering.studies.refusal.effects import Effects
from steering.studies.refusal.groups import Group
from steering.studies.tradeoff.items import Chunk, Item, Treatment
from steering.studies.tradeoff.readings import Reader
from steering.texts.question_files import Question
from steering.texts.questions import chances_of_answers


THINKS = ChatSettings(thought="think", thought_tokens=20)
THOUGHT = "Hm. Well.\n</think>\n\n"
"""What the scripted model thinks, with the white space before its answer."""
QUESTIONS = tuple(
    Question(conversation(f"Is {thing} blue? A or B."), "A", words=("A", "B")) for thing in ("the sky", "grass")
)


@pytest.fixture
def host(tiny_host, tokenizer, monkeypatch):
    """A tiny model whose template opens a thought, and nothing turns it off."""
    host = tiny_host("llama")
    monkeypatch.setattr(host, "tokenizer", copy.deepcopy(tokenizer))
    host.tokenizer.chat_template = OPENED
    own_thoughts._KNOWN.clear()
    return host


@pytest.fixture
def thinks(host, monkeypatch):
    """The same, let think; every reply it writes is the script, thought and answer."""
    said = ids_of(host, f"{THOUGHT}Yes, of course it is.")

    def scripted(logits, settings, steps):
        return [said[step % len(said)] for step in steps]

    monkeypatch.setattr(row_states, "choose", scripted)
    return host.under(THINKS)


def ids_of(host, text: str) -> list[int]:
    return host.tokenizer(text, add_special_tokens=False)["input_ids"]


def chances(host, ids: list[int], words: tuple[str, ...]) -> list[float]:
    """From the bare model: the probability of each word's first token, with or without a space before it."""
    with torch.no_grad():
        next_one = host.model._module(torch.tensor([ids])).logits[0, -1].double().softmax(dim=-1)
    firsts = [{ids_of(host, word)[0], ids_of(host, f" {word}")[0]} for word in words]
    return [sum(next_one[token].item() for token in tokens) for tokens in firsts]


def in_job(host, work) -> tuple[Any, list[str]]:
    """What some work gives, and the notes of its job."""
    job = host.submit(work, title="A study")
    return job.result(), job.notes


def test_letters_are_read_where_the_answer_begins(host, thinks) -> None:
    starts = [ids_of(host, render(thinks, each.messages).text) for each in QUESTIONS]
    assert host.tokenizer.decode(starts[0]).endswith("<think>\n")
    at_the_thought = torch.tensor([chances(host, ids, ("A", "B")) for ids in starts])
    behind = torch.tensor([chances(host, ids + ids_of(host, THOUGHT), ("A", "B")) for ids in starts])
    assert (at_the_thought / behind).log().abs().min() > 0.1  # the two are told apart
    found = chances_of_answers(thinks, QUESTIONS)
    torch.testing.assert_close(found, behind.double(), rtol=1e-3, atol=1e-9)  # float32 passes, padded and alone


def test_a_prompt_ends_behind_the_thought_and_its_white_space(host, thinks) -> None:
    (prompt,) = behind_thoughts(thinks, [render(thinks, "Hello.")])
    assert prompt.text.endswith(f"<think>\n{THOUGHT}")
    assert "".join(prompt.tokens) == prompt.text
    assert (prompt.opened, prompt.thought_tokens, prompt.roles[-1]) == (False, 0, "template")
    assert behind_thoughts(thinks, [prompt]) == [prompt]
    (reply,) = generate(thinks, [Row(render(thinks, "Hello."))], DecodeSettings(max_new_tokens=3))
    assert reply.answer_tokens == 3
    assert reply.thought_tokens == len(ids_of(host, "Hm. Well.\n</think>"))


def test_prompts_without_a_thought_stay_as_they_are(host, thinks) -> None:
    skipped = render(host, "Hello.")
    given = render(thinks, [*conversation("Hello."), Message("assistant", "Good day.")])
    assert behind_thoughts(host, [skipped]) == [skipped]
    assert behind_thoughts(thinks, [given]) == [given]  # a given reply is no thought's beginning


def test_a_model_that_answers_at_once_has_no_thought(host, monkeypatch) -> None:
    host.tokenizer.chat_template = SWITCHED
    thinks = host.under(THINKS)
    said = ids_of(host, "Yes, of course it is.")
    monkeypatch.setattr(row_states, "choose", lambda logits, settings, steps: [said[step] for step in steps])
    prompt = render(thinks, "Hello.")
    assert prompt.thought_tokens
    (reply,) = generate(thinks, [Row(prompt)], DecodeSettings(max_new_tokens=3))
    assert (reply.thought_tokens, reply.answer_tokens) == (0, 3)
    assert behind_thoughts(thinks, [prompt])[0].ids == prompt.ids


def test_thoughts_that_do_not_end_are_closed_counted_and_kept(host, tmp_path, monkeypatch) -> None:
    thinks, store = host.under(THINKS), Store(tmp_path / "kept.db")  # random weights never end one
    prompts = [render(thinks, text) for text in ("Hello.", "Good day.", "Hello.")]
    ended, notes = in_job(host, lambda job: behind_thoughts(thinks, prompts, store))
    assert all(prompt.text.endswith("\n</think>\n\n") for prompt in ended)
    assert ended[0].ids[len(prompts[0]) :][:20] == generate(thinks, [Row(prompts[0])])[0].ids
    (said,) = notes
    assert "behind 2 thoughts" in said
    assert "2 of them did not end" in said
    assert "chat.thought_tokens" in said
    assert len(store) == 2
    monkeypatch.setattr(own_thoughts, "generate_each", None)  # asked again, nothing is generated
    again, notes = in_job(host, lambda job: behind_thoughts(thinks, prompts, Store(tmp_path / "kept.db")))
    assert [each.ids for each in again] == [each.ids for each in ended]
    assert notes == [said]


def test_a_note_counts_all_thoughts_of_a_job(thinks) -> None:
    def work(job):
        for text in ("Hello.", "Good day."):
            behind_thoughts(thinks, [render(thinks, text)])

    _, notes = in_job(thinks, work)
    (said,) = notes
    assert "behind 2 thoughts" in said
    assert "all of which ended" in said


def test_a_thought_that_fills_the_context_leaves_room_for_the_answer(host) -> None:
    thinks = host.under(ChatSettings(thought="think", thought_tokens=2000))
    prompt = render(thinks, "Hello.")
    (ended,), _ = in_job(host, lambda job: behind_thoughts(thinks, [prompt]))
    assert len(generate(thinks, [Row(prompt)])[0].ids) == host.info.context - len(prompt)  # it fills it
    assert len(ended) <= host.info.context - 60
    assert ended.text.endswith("\n</think>\n\n")


def test_positions_from_the_end_are_the_answers_and_the_users_words_need_no_thought(thinks, monkeypatch) -> None:
    prompts = [render(thinks, text) for text in ("Hello there.", "Good day to you.")]
    ended = behind_thoughts(thinks, prompts)
    assert tail_length(ended) >= len(ids_of(thinks, "</think>\n\n"))
    contrast = ContrastSet.load("formality")
    behind = extract(thinks, contrast, split_half=False)
    monkeypatch.setattr(own_thoughts, "generate_each", None)  # from here on nobody thinks
    words = extract(thinks, contrast, pooling="last_content", split_half=False)
    monkeypatch.setattr("steering.extraction.reading.behind_thoughts", lambda host, prompts: prompts)
    began = extract(thinks, contrast, split_half=False)
    assert not torch.allclose(behind.directions, began.directions, atol=1e-2)
    assert torch.equal(words.directions, extract(thinks, contrast, pooling="last_content", split_half=False).directions)


def test_kl_and_lengths_are_of_the_answer(host, thinks) -> None:
    ((prompt, _),) = own_replies(thinks, ("Hello.",))
    assert prompt.text.endswith(THOUGHT)
    group = Group.of(thinks, "harmless", [conversation("Hello.")], "")
    effects = Effects(
        thinks, Arms((Arm(NONE, ARMS[NONE], Recipe()),), {}), [group], tokens=(), longest=4, questions=0, kept={}
    )
    (rates, cost), _ = in_job(host, lambda job: list(effects.run(job)))
    assert rates.said[0].tokens == 4
    assert cost.n_tokens == 4
    start, answer = ids_of(host, f"{render(thinks, 'Hello.').text}{THOUGHT.strip()}"), ids_of(host, "\n\nYes")
    with torch.no_grad():
        scores = host.model._module(torch.tensor([start + answer])).logits[0].double().log_softmax(dim=-1)
    losses = [-scores[len(start) - 1 + place, token].item() for place, token in enumerate(answer)]
    assert cost.perplexity == pytest.approx(torch.tensor(losses).mean().exp().item(), rel=1e-3)


def test_a_system_prompt_is_compared_behind_the_same_thought(host, thinks) -> None:
    ((bare, ids),) = own_replies(thinks, ("Hello.",))
    item = Item("own-001", conversation("Hello."), "own", own=ids)
    chunk, treatment = Chunk((item,)), Treatment((), "system", (Message("system", "Be brief."),))
    reader = Reader(thinks, {})
    in_job(host, lambda job: list(reader.read(job, chunk, [treatment])))
    asked = render(thinks, conversation("Hello.", "Be brief."))
    prompt = ids_of(host, f"{asked.text}{THOUGHT}")
    with torch.no_grad():
        told, base = (
            host.model._module(torch.tensor([[*start, *ids]])).logits[0, -len(ids) - 1 :].double().log_softmax(dim=-1)
            for start in (prompt, bare.ids)
        )
    kl = (base.exp() * (base - told)).sum(dim=-1).tolist()
    (seen,) = reader.seen(chunk, treatment)
    assert seen["kl"] == pytest.approx(kl, rel=1e-3, abs=1e-5)


def test_two_runs_of_a_statement_are_not_compared_behind_two_thoughts(host) -> None:
    thinks = host.under(THINKS)
    assert runs_of(host, template_of("reply"), "Hello.").tokens
    with pytest.raises(SteeringError, match=r"chat\.thought=skip"):
        runs_of(thinks, template_of("reply"), "Hello.")
    assert runs_of(thinks, template_of("assistant"), "Hello.").tokens
