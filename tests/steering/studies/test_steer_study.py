"""Steering as a study: a conversation is gone on with in each column's own words, and vectors come from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from steering.errors import SteeringError
from steering.passes.replies import DecodeSettings
from steering.recipes.recipe import Intervention, Recipe
from steering.studies import find_study
from steering.studies.steer import asked_of
from steering.studies.steer.chat import Chat
from steering.vectors.files import save_vector


STUDY = find_study("steer")


@pytest.fixture(scope="module")
def folder(demo: Any, tmp_path_factory: Any) -> Path:
    found = tmp_path_factory.mktemp("vectors")
    (vector,) = find_study("extract").start(demo, find_study("extract").parse({})).result().vectors.values()
    save_vector(vector, found / "formality.safetensors")
    return found


def test_a_conversation_goes_on_in_each_columns_own_words(demo: Any, folder: Path) -> None:
    recipe = Recipe(interventions=(Intervention(vector="formality"),), decode=DecodeSettings(max_new_tokens=12))
    chat = Chat("Be brief.").ask("Write a note.").answer({"": "Hi.", "a": "Dear colleague."}).ask("And another one.")
    settings = asked_of(chat, {"a": recipe})
    again = STUDY.parse({**settings.model_dump(mode="json"), "vectors": str(folder)})
    assert again.conversation.messages("a") == chat.messages("a") != chat.messages()
    replies = STUDY.start(demo, again).result().tables["replies"]
    assert list(replies["row"]) == ["unsteered", "recipe A"]
    assert replies["modified_prompt"][1] > replies["modified_prompt"][0] == 0
    alone = STUDY.parse({"user": "And another one.", "recipes": [recipe], "vectors": str(folder)})
    other = STUDY.start(demo, alone).result().tables["replies"]
    assert other["modified_prompt"][1] < replies["modified_prompt"][1]  # what was said before stands in the prompt


def test_what_a_turn_lacks_and_a_missing_vector_are_said(demo: Any, tmp_path: Path) -> None:
    with pytest.raises(SteeringError, match="unsteered reply"):
        STUDY.parse({"turns": [{"user": "Hi.", "replies": {"a": "Hello."}}]})
    recipe = {"interventions": [{"vector": "nobody's"}]}
    settings = STUDY.parse({"recipes": [recipe], "vectors": str(tmp_path)})
    with pytest.raises(SteeringError, match="nobody's"):
        STUDY.start(demo, settings).result()
