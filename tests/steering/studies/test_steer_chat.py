"""Conversations of several columns."""

from __future__ import annotations

from steering.model.prompts import Message, render
from steering.studies.steer.chat import Chat


def test_every_column_goes_on_from_its_own_replies() -> None:
    chat = Chat("Be brief.").ask("Hi").answer({"": "Hello.", "a": "Good day."}).ask("And now?")
    system, first, last = Message("system", "Be brief."), Message("user", "Hi"), Message("user", "And now?")
    assert chat.messages() == (system, first, Message("assistant", "Hello."), last)
    assert chat.messages("a") == (system, first, Message("assistant", "Good day."), last)
    assert chat.turns("a") == [("Hi", "Good day.")]


def test_a_column_that_is_newer_than_a_turn_takes_the_unsteered_reply() -> None:
    chat = Chat().ask("Hi").answer({"": "Hello.", "a": "Good day."}).ask("And?").answer({"": "1", "b": "2"})
    assert chat.turns("b") == [("Hi", "Hello."), ("And?", "2")]
    assert chat.turns("a") == [("Hi", "Good day."), ("And?", "1")]


def test_the_tokens_of_earlier_replies_are_the_assistants(demo) -> None:
    chat = Chat("Be brief.").ask("Hi").answer({"": "Hello there."}).ask("Go on.")
    prompt = render(demo, chat.messages())
    said = {
        role: "".join(t for t, r in zip(prompt.tokens, prompt.roles, strict=True) if r == role)
        for role in ("system", "user", "assistant")
    }
    assert said["assistant"].strip() == "Hello there."
    assert said["system"].strip() == "Be brief."
    assert said["user"].replace(" ", "") == "HiGoon."
