"""The demo tokenizer: any text comes back, one beginning token, and the template agrees with the training encoder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from steering.demo import examples
from steering.demo.tokens import BOS, END, encode, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    folder: Path = tmp_path_factory.mktemp("tokens")
    train_tokenizer(vocabulary=1024).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    "text",
    ["Hello there.", "zxqv Blörgh 東京 🙂", "12 + 345 = 357", "two\n\nlines \t and  spaces ", "don't , do !", ""],
)
def test_any_text_comes_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text


def test_digits_stand_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    assert [token for token in tokenizer.tokenize("What is 12 + 345?") if token.isdigit()] == list("12345")


def test_plain_text_gets_one_beginning_token(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer("Hello there.")["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids[0] == tokenizer.bos_token_id


def test_template_has_one_beginning_token_and_asks_for_a_reply(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == f"{BOS}<|system|>Be brief.{END}<|user|>Hi{END}<|assistant|>"
    assert tokenizer(text, add_special_tokens=False)["input_ids"].count(tokenizer.bos_token_id) == 1


def test_template_refuses_other_roles(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(Exception, match="roles system, user and assistant only"):
        tokenizer.apply_chat_template([{"role": "tool", "content": "x"}], tokenize=False)


def test_training_sees_what_the_template_makes(tokenizer: PreTrainedTokenizerFast) -> None:
    for item in examples(n=200, seed=9):
        ids, written = encode(tokenizer, item.messages)
        assert ids == tokenizer.apply_chat_template([asdict(turn) for turn in item.messages])["input_ids"]
        said = tokenizer.decode([token for token, own in zip(ids, written, strict=True) if own])
        assert said == "".join(turn.content + END for turn in item.messages if turn.role == "assistant")


def test_training_again_gives_the_same_tokenizer() -> None:
    text = ["the cat sat on the mat", "the dog sat on the cat"] * 20
    first, second = (train_tokenizer(vocabulary=300, texts=text) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    assert len(first) <= 300
