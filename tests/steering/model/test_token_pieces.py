"""Tokens as readable pieces: joined they are the text, whatever the tokenizer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from steering.model.prompts import tokenised
from steering.model.token_pieces import decoded, pieces_of_reply, readable


HARD = "Tell me 🙂 👩‍👩‍👧 about 北京天气 and  naïve cafés,\n\twith e\u0301!"


def byte_level() -> Any:
    """Every byte a token, as GPT-2, Llama 3 and Qwen write them."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def sentence_pieces() -> Any:
    """Spaces as part of words, a space put in front, and bytes for what is not in the vocabulary, as Llama 2."""
    vocabulary = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abcdefghijklmnopqrstuvwxyz,!"]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(vocabulary)},
            merges=[],
            unk_token="<unk>",
            byte_fallback=True,
            fuse_unk=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


TOKENIZERS = {"byte level": byte_level(), "sentence pieces": sentence_pieces()}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_pieces_of_a_prompt_are_its_text(kind, tokenizer) -> None:
    prompt = tokenised(TOKENIZERS[kind], HARD)
    assert len(prompt.tokens) == len(prompt.ids) > len(HARD)  # characters are split here
    assert "".join(prompt.tokens) == HARD
    assert "\ufffd" not in "".join(prompt.tokens)
    assert "🙂" in prompt.tokens
    assert any(piece.startswith(" ") for piece in prompt.tokens)
    assert "".join(tokenised(tokenizer, HARD).tokens) == HARD


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.sampled_from(sorted(TOKENIZERS)))
def test_pieces_of_any_text_are_that_text(text, kind) -> None:
    prompt = tokenised(TOKENIZERS[kind], text)
    assert len(prompt.tokens) == len(prompt.ids)
    assert "".join(prompt.tokens) == (text if prompt.ids else "")


def test_pieces_of_a_reply_are_its_text_and_bytes_that_are_no_character_are_shown_as_bytes() -> None:
    tokenizer = TOKENIZERS["byte level"]
    ids = tokenizer(HARD)["input_ids"]
    assert "".join(pieces_of_reply(tokenizer, ids)) == tokenizer.decode(ids) == HARD
    half = tokenizer("🙂")["input_ids"][:2]
    assert "\ufffd" in tokenizer.decode(half)
    assert pieces_of_reply(tokenizer, half) == ["⟨F0⟩", "⟨9F⟩"]
    assert readable(tokenizer, half[0]) == "⟨F0⟩"
    assert readable(TOKENIZERS["sentence pieces"], 1 + 0xF0) == "⟨F0⟩"


def test_a_number_that_the_tokenizer_does_not_know_is_shown_as_a_number() -> None:
    of_bytes = ByT5Tokenizer()  # 384 tokens, three special ones before the bytes
    ids = [*of_bytes("Hi", add_special_tokens=False)["input_ids"], 500, 501, *of_bytes("é")["input_ids"]]
    with pytest.raises(ValueError, match="bytes must be in range"):
        of_bytes.decode(ids)
    assert decoded(of_bytes, ids, special=False) == "Hi⟨token 500⟩⟨token 501⟩é"
    assert decoded(of_bytes, [500]) == readable(of_bytes, 500) == "⟨token 500⟩"
    assert "".join(pieces_of_reply(of_bytes, ids, special=False)) == "Hi⟨token 500⟩⟨token 501⟩é"
    fast = TOKENIZERS["byte level"]  # passes over it in a text
    assert decoded(fast, [*fast("Hi")["input_ids"], 999]) == "Hi"
    assert readable(fast, 999) == "⟨token 999⟩"
