"""Steered decoding beside Hugging Face `generate`; beside whatever else steers it, in `peers.py`.

Every side makes as many tokens from the same prompt. What we write is first held against plain hooks, token by token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from bench.harness.pairs import Paired, Work, clocked, often, paired
from bench.harness.row import Aim, BenchRow, skipped
from bench.models import GPU_MODELS, NO_GPU, Model, endless, host, model, random_direction
from bench.opponents.player import Player
from bench.weights import beside_weights
from steering.model.host import Host
from steering.model.prompts import Prompt, render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.writes.interventions import Write
from steering.writes.operations import Add


SECTION = "Steered decoding"
TEXT = "Write a review of the hotel."
HOOKS = "raw hooks"
WEAK = 1e-3
"""Added where time counts; texts stay what they are."""
STRENGTHS = (1.0, 4.0, 16.0, 64.0, 256.0)
"""Of the check, until the hooks change the reply."""
WHY = (
    "A prompt is traced, every written block of a step is a visit in Python, and a stop can take effect between two "
    "tokens: fixed costs, which are a larger share where a step or a reply is short."
)


@dataclass(frozen=True)
class Setting:
    """What is decoded."""

    batch: int
    everywhere: bool
    """Whether every block is written; else the middle one."""
    sampled: bool = False
    tokens: int = 32

    @property
    def words(self) -> str:
        kind = "sampled" if self.sampled else "greedy"
        return f"{'all blocks' if self.everywhere else 'one block'}, batch {self.batch}, {kind}"

    def blocks(self, of: Host) -> list[int]:
        return list(range(of.info.blocks)) if self.everywhere else [of.info.blocks // 2]

    def settings(self) -> DecodeSettings:
        drawn = {"temperature": 0.8, "top_p": 0.95} if self.sampled else {}
        return DecodeSettings(max_new_tokens=self.tokens, **drawn)

    @property
    def aim(self) -> Aim | None:
        """Against `generate`, at batch 1."""
        return Aim(0.93 if self.everywhere else 0.97) if self.batch == 1 else None


def rows(quick: bool) -> Iterator[BenchRow]:
    """Model by model."""
    for name in ("demo", "random 100 M", *GPU_MODELS):
        if name in GPU_MODELS and not torch.cuda.is_available():
            yield skipped(SECTION, name, "steered", "transformers generate", NO_GPU)
            continue
        with endless(host(name)):
            yield from _model(model(name), quick)


def settings(of: Model, quick: bool) -> list[Setting]:
    """All that are timed: a larger model gets fewer tokens of many rows, and in a short run of one."""
    of_many = 32 if of.name == "demo" else 8
    tokens = of_many if quick else 32
    batches = ((1, False), (1, True), (16, False)) if quick else [(n, s) for n in (1, 16, 64) for s in (False, True)]
    return [
        Setting(n, every, sampled, tokens if n == 1 else of_many) for n, sampled in batches for every in (False, True)
    ]


def _model(of: Model, quick: bool) -> Iterator[BenchRow]:
    own = host(of.name)
    prompt = render(own, TEXT)
    with Player(HOOKS, of.folder) as hooks:
        for each in settings(of, quick):
            yield _beside_generate(of, hooks, prompt, each, quick)
        first = Setting(1, True, tokens=1)
        found = _beside_generate(of, hooks, prompt, first, quick)
        yield replace(found, name=f"{of.name}: first token, all blocks", aim=None)
        if not quick:
            long = Setting(16, True, tokens=256 if of.name == "demo" else 64)
            found = _beside_generate(of, hooks, prompt, long, quick)
            yield replace(found, name=f"{of.name}: {long.words}, {long.tokens} tokens each")
        if of.name in GPU_MODELS:
            yield _beside_weights(of, prompt, quick)
        yield from _own_check(of, own, Reference(of.name, hooks, prompt))


def _beside_generate(of: Model, hooks: Player, prompt: Prompt, each: Setting, quick: bool) -> BenchRow:
    hooks.prepare({**task_of(host(of.name), prompt, each, WEAK), "blocks": []})
    found = paired(ours(of.name, prompt, each), hooks.run, **often(quick))
    return found.row(
        SECTION, f"{of.name}: {each.words}", "steered", "transformers generate, unsteered",
        aim=each.aim, why=WHY, note=pace(found, each),
    )  # fmt: skip


def _beside_weights(of: Model, prompt: Prompt, quick: bool) -> BenchRow:
    own = host(of.name)
    row = Row(prompt, plan(own, range(own.info.blocks), WEAK))

    def decode(tokens: int) -> None:
        generate(own, [row], DecodeSettings(max_new_tokens=tokens))

    return beside_weights(
        own, f"{of.name}: all blocks, batch 1, greedy", SECTION, decode, rounds=often(quick)["rounds"]
    )


def pace(found: Paired, each: Setting) -> str:
    """Ours, in words."""
    return f"ours {each.batch * each.tokens / found.ours:,.0f} tokens/s"


def ours(name: str, prompt: Prompt, each: Setting) -> Work:
    """The workbench's side of it."""
    own = host(name)
    row = Row(prompt, plan(own, each.blocks(own), WEAK))
    return clocked(lambda: generate(own, [row] * each.batch, each.settings(), batch_size=each.batch))


def plan(of: Host, blocks: Sequence[int], strength: float) -> tuple[Write, ...]:
    """An Add at the output of some blocks."""
    direction = random_direction(of.info.width)
    return tuple(Write(Add(direction, strength), block, "block_output") for block in blocks)


def task_of(of: Host, prompt: Prompt, each: Setting, strength: float) -> dict[str, Any]:
    """The same as an opponent takes it."""
    return {
        "kind": "decode",
        "ids": list(prompt.ids),
        "batch": each.batch,
        "new_tokens": each.tokens,
        "blocks": each.blocks(of),
        "strength": strength,
        "direction": random_direction(of.info.width).tolist(),
        "sampled": each.sampled,
    }


class Reference:
    """What plain hooks write under a vector that is strong enough to change it, and not in the first pass alone."""

    def __init__(self, name: str, hooks: Player, prompt: Prompt) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.replies: list[Any] = []
        for everywhere in (False, True):
            given = task_of(host(name), prompt, Setting(2, everywhere, tokens=12), 0.0)
            plain = self._of(hooks, given)
            for strength in STRENGTHS:
                given = {**given, "strength": strength}
                steered, once = (self._of(hooks, {**given, "once": each}) for each in (False, True))
                if plain != steered != once:
                    break
            else:
                raise AssertionError("no strength changes the reply at every step, so nothing could be told apart")
            self.tasks.append(given)
            self.replies.append(steered)

    def _of(self, player: Player, given: dict[str, Any]) -> Any:
        player.prepare(given)
        player.run()
        return player.result()

    def differs(self, answer: Callable[[dict[str, Any]], Any]) -> str:
        """How an answer differs from that of the hooks; "" where it is the same."""
        for given, right in zip(self.tasks, self.replies, strict=True):
            said = answer(given)
            alike = sum(
                one == other
                for row, true in zip(said, right, strict=False)
                for one, other in zip(row, true, strict=False)
            )
            total = sum(map(len, right))
            if said != right:
                where = "every block" if len(given["blocks"]) > 1 else "one block"
                return f"{alike} of {total} tokens as plain hooks give them, {where} written"
        return ""

    def of_player(self, player: Player) -> str:
        """The same of a library."""
        return self.differs(lambda given: self._of(player, given))


def _own_check(of: Model, own: Host, reference: Reference) -> Iterator[BenchRow]:
    def answer(given: dict[str, Any]) -> list[list[int]]:
        row = Row(render(own, TEXT), plan(own, given["blocks"], given["strength"]))
        made = generate(own, [row] * given["batch"], DecodeSettings(max_new_tokens=given["new_tokens"]))
        return [list(reply.ids) for reply in made]

    if differs := reference.differs(answer):
        yield BenchRow(SECTION, f"{of.name}: check", "steered", HOOKS, note=differs, status="wrong")
