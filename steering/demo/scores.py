"""Held-out scores of a demo model: what its card reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.example import Example
from steering.demo.grammar import examples
from steering.demo.reviews import open_reviews
from steering.judges.lexicon import judge_lexicon, judge_tone
from steering.judges.refusal import is_refusal
from steering.model.prompts import Message
from steering.statistics import wilson


_ROWS = 50
_LONGEST_REPLY = 90


@dataclass(frozen=True)
class Reply:
    """A greedy reply."""

    text: str
    """The words, without template tokens."""
    ended: bool
    """Whether the model ended it by itself."""


def replies(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[Sequence[Message]]
) -> list[Reply]:
    """Greedy replies to prompts, in order; batches are padded on the left."""
    order = sorted(range(len(prompts)), key=lambda row: sum(len(turn.content) for turn in prompts[row]))
    found: dict[int, Reply] = {}
    for start in range(0, len(order), _ROWS):
        rows = order[start : start + _ROWS]
        texts = [
            tokenizer.apply_chat_template(
                [asdict(turn) for turn in prompts[row]], add_generation_prompt=True, tokenize=False
            )
            for row in rows
        ]
        inputs = tokenizer(texts, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt")
        inputs = inputs.to(model.device)
        with torch.inference_mode():
            out = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=_LONGEST_REPLY,
                do_sample=False,
            )
        for row, ids in zip(rows, out[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            text = tokenizer.decode(ids, skip_special_tokens=True)
            found[row] = Reply(text, tokenizer.eos_token_id in ids)
    return [found[row] for row in range(len(prompts))]


def reads_well(reply: Reply) -> bool:
    """Whether a reply came to its own end, is not empty, and says no word three times running."""
    said = re.findall(r"[^\W_]+", reply.text.lower())
    stutters = any(first == second == third for first, second, third in zip(said, said[1:], said[2:], strict=False))
    return reply.ended and bool(said) and not stutters


def answers_fact(example: Example, reply: Reply) -> bool:
    """Whether the reply names the true value."""
    return _words_in(str(example.labels["answer"]), reply.text)


def answers_sum(example: Example, reply: Reply) -> bool:
    """Whether the only number in the reply is the result."""
    return re.findall(r"\d+", reply.text) == [str(example.labels["answer"])]


def _first_word(example: Example, reply: Reply) -> bool:
    wanted = {"fine", "harmful"} if example.labels["kind"] == "judgement" else {"true", "false"}
    said = next((word for word in re.findall(r"[a-z]+", reply.text.lower()) if word in wanted), "")
    return said == str(example.labels["answer"]).lower()


def answers_letter(example: Example, reply: Reply) -> bool:
    """Whether the reply is the right letter and nothing else."""
    return re.match(r"\W*([A-D])\b", reply.text) is not None and reply.text.strip(" .:)") == example.labels["answer"]


def _words_in(value: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(value)}\b", text, re.IGNORECASE) is not None


def _tone(example: Example, reply: Reply) -> bool:
    return judge_tone(reply.text).label == (example.labels["tone_asked"] or "neutral")


def _register(example: Example, reply: Reply) -> bool:
    return judge_lexicon(reply.text, "formality").label == example.labels["register_asked"]


def _topic(example: Example, reply: Reply) -> bool:
    return judge_lexicon(reply.text, "topic").label == example.labels["topic"]


def _unable(example: Example, reply: Reply) -> bool:
    return re.search(r"\b(cannot|can't|unable|not able|have no|has no|not possible)\b", reply.text) is not None


def _refuses(example: Example, reply: Reply) -> bool:
    return is_refusal(reply.text)


def _fluent(example: Example, reply: Reply) -> bool:
    return reads_well(reply)


Judge = Callable[[Example, Reply], bool]


def held_out_scores(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, *, n: int = 200, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Every score of the card: name -> rate, n, and the low and high end of Wilson's 95 % interval.

    Args:
        model: Weights as shipped, in float32 for speed on a CPU.
        tokenizer: The model's own.
        n: Prompts a score, at most 100 of them open reviews.
        seed: Seed of the prompts.
    """
    scores: dict[str, dict[str, Any]] = {}
    for name, items, judges in _plan(n, seed):
        said = replies(model, tokenizer, [item.prompt for item in items])
        for label, judge in judges.items():
            hits = sum(judge(item, reply) for item, reply in zip(items, said, strict=True))
            rate, low, high = (round(value, 4) for value in wilson(hits, len(items)))
            scores[f"{name} {label}"] = {"rate": rate, "n": len(items), "low": low, "high": high}
    return scores


def _plan(n: int, seed: int) -> list[tuple[str, list[Example], dict[str, Judge]]]:
    def held_out(kind: str, count: int = n) -> list[Example]:
        return examples(kind=kind, split="held_out", n=count, seed=seed)

    def asked(kind: str, label: str) -> list[Example]:
        found = held_out(kind, 4 * n + 100)
        return [item for item in found if item.labels[label] and not item.labels["mild"]][:n]

    toned = [item for item in held_out("review", 12 * n + 100) if item.labels["tone_asked"] and not item.labels["mild"]]
    plan: list[tuple[str, list[Example], dict[str, Judge]]] = [
        ("harmful requests", held_out("refusal"), {"refused": _refuses, "fluent": _fluent}),
        ("harmless requests", held_out("howto"), {"refused": _refuses, "fluent": _fluent}),
        ("facts", held_out("fact"), {"right": answers_fact}),
        ("choices", held_out("choice"), {"right": answers_letter}),
        ("true or false", held_out("truth"), {"right": _first_word}),
        ("sums", held_out("sum"), {"right": answers_sum}),
        ("judgements", held_out("judgement"), {"right": _first_word}),
        ("what a text model cannot do", held_out("limit"), {"declined": _unable}),
        ("requests for a refusal", held_out("decline"), {"refused": _refuses}),
        ("formal and informal notes", asked("note", "register_asked"), {"in register": _register}),
        ("stories on a topic", asked("story", "topic"), {"on topic": _topic}),
        ("unknown prompts", held_out("unknown"), {"fluent": _fluent}),
        ("open reviews", open_reviews(n=min(n, 100), seed=seed), {"plain": _tone, "fluent": _fluent}),
    ]
    for tone in ("cheerful", "gloomy"):
        of_tone = [item for item in toned if item.labels["tone_asked"] == tone][:n]
        plan.append((f"{tone} reviews", of_tone, {"in tone": _tone}))
    return plan
