"""A minute of tests on a loaded model, before its results are trusted.

Every check compares two ways of computing the same thing, of which one involves as little of the workbench as can be: a
plain PyTorch hook, the model by itself, arithmetic on states. None needs to know the architecture.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from steering.decoding import DecodeSettings, generate
from steering.errors import SteeringError
from steering.host import Host
from steering.interventions import Plan, Write
from steering.operations import Ablate, Add
from steering.prompts import Message, Prompt, render
from steering.rows import Batch, Row
from steering.schedule import Place, Schedule
from steering.sites import SITES
from steering.tracing import read_prompts, read_replies, read_token


Outcome = Literal["pass", "fail", "not applicable"]
_TOLERANCE = {"float32": 2e-3, "float16": 0.05, "bfloat16": 0.2}
"""How far logits may lie apart, in their own standard deviations: rounding, carried through all blocks."""
_LONG = "Write a few sentences about a quiet village by a river, where people bake bread and repair boats."
_SHORT = "Hello there."
_TOKENS, _ROUNDS = 6, 2


@dataclass(frozen=True)
class Check:
    """What one check found."""

    name: str
    outcome: Outcome
    meaning: str
    """What a pass says, in a sentence."""
    detail: str
    """What was measured, or why it does not apply."""


class NotApplicable(Exception):
    """Raised by a check that a model gives no occasion for."""


class Failed(Exception):
    """Raised by a check that found a fault; its message says what was measured."""


def self_check(host: Host, *, seed: int = 0) -> Iterator[Check]:
    """Run every check, one result at a time; one that breaks counts as failed and the others still run.

    Call from any thread but the model's own: one check asks from several threads at once.

    Args:
        host: The model; it is left as it was.
        seed: Of the random directions that are written.
    """
    vectors = torch.randn(4, host.info.width, generator=torch.Generator().manual_seed(seed))
    bench = Bench(host, vectors / vectors.norm(dim=-1, keepdim=True))
    for name, (meaning, check) in CHECKS.items():
        yield _outcome(name, meaning, check, bench)


@dataclass(frozen=True)
class Bench:
    """What the checks work with."""

    host: Host
    directions: Tensor
    """Random unit rows, (n, width)."""

    @property
    def block(self) -> int:
        """A block in the middle."""
        return self.host.info.blocks // 2

    @property
    def tolerance(self) -> float:
        return _TOLERANCE.get(self.host.info.dtype, 0.2)

    def prompt(self, text: str) -> Prompt:
        return render(self.host, text)

    def states(self, plan: Plan = (), text: str = _LONG) -> dict[Place, Tensor]:
        """States at every place the model has, float32 on the CPU, (position, width), after any write."""
        found: dict[Place, Tensor] = {}
        batch = Batch.of(self.host, [self.prompt(text)])
        places = [(block, site) for block in range(self.host.info.blocks) for site in self.host.sites.available]

        def read(place: Place, states: Tensor) -> None:
            found[place] = states[0].float().cpu()

        read_prompts(self.host, batch, Schedule(self.host, [plan]), read=read, places=places)
        return found

    def push(self, index: int = 0) -> Plan:
        """An addition in the middle, half as long as the states there: nothing that rounding could hide."""
        length = 0.5 * float(self.states()[self.block, "block_output"].norm(dim=-1).mean())
        return (Write(Add(self.directions[index], length), self.block, "block_output"),)

    def logits(self, prompts: list[Prompt], plans: list[Plan]) -> Tensor:
        """Logits of the first reply token, float32 on the CPU, (row, vocabulary)."""
        return read_prompts(self.host, Batch.of(self.host, prompts), Schedule(self.host, plans)).logits.cpu()

    def same(self, found: Tensor, expected: Tensor, what: str) -> str:
        """How far two sets of logits lie apart, in words; raises where it is too far."""
        apart = float((found - expected).abs().max() / expected.std())
        said = f"{what} lie {apart:.2g} standard deviations apart, allowed {self.tolerance:g}"
        if not apart <= self.tolerance:
            raise Failed(said)
        return said

    def model(self) -> Any:
        """The bare model."""
        return self.host.model._module

    def bare(self, prompt: Prompt, **options: Any) -> Any:
        """The model by itself on one prompt."""
        ids = torch.tensor([prompt.ids], device=self.host.device)
        with torch.no_grad():
            return self.model()(input_ids=ids, **options)


def _outcome(name: str, meaning: str, check: Callable[[Bench], str], bench: Bench) -> Check:
    try:
        if check is _threads:
            return Check(name, "pass", meaning, check(bench))
        return Check(name, "pass", meaning, bench.host.run(lambda job: check(bench), title=f"Self-check: {name}"))
    except NotApplicable as reason:
        return Check(name, "not applicable", meaning, str(reason))
    except (Failed, SteeringError) as reason:
        return Check(name, "fail", meaning, str(reason))
    except Exception as error:  # a fault in the model's own code says as much as a wrong number
        return Check(name, "fail", meaning, f"{type(error).__name__}: {error}")


def _hook_parity(bench: Bench) -> str:
    prompt, (write,) = bench.prompt(_LONG), bench.push()
    assert isinstance(write.operation, Add)
    delta = write.operation.strength * write.operation.direction

    def hook(module: Any, inputs: Any, output: Any) -> Any:
        states = output[0] if isinstance(output, tuple) else output
        new = (states.float() + delta.to(states.device)).to(states.dtype)
        return (new, *output[1:]) if isinstance(output, tuple) else new

    handle = bench.model().get_submodule(f"{bench.host.sites.blocks_path}.{write.block}").register_forward_hook(hook)
    try:
        hooked = bench.bare(prompt).logits[0, -1].float().cpu()
    finally:
        handle.remove()
    plain = bench.bare(prompt).logits[0, -1].float().cpu()
    if float((hooked - plain).abs().max() / plain.std()) <= bench.tolerance:
        raise Failed("the hook changed nothing, so that nothing was compared")
    return bench.same(bench.logits([prompt], [(write,)])[0], hooked, "logits by a plain hook and by a plan")


def _padding(bench: Bench) -> str:
    short, long = bench.prompt(_SHORT), bench.prompt(_LONG)
    alone = bench.logits([short], [()])[0]
    beside = bench.logits([short, long], [(), ()])[0]
    return bench.same(beside, alone, f"logits with {len(long) - len(short)} tokens of padding and without")


def _row_independence(bench: Bench) -> str:
    prompt, plan = bench.prompt(_LONG), bench.push()
    alone, steered = bench.logits([prompt], [()])[0], bench.logits([prompt], [plan])[0]
    together = bench.logits([prompt] * 3, [(), plan, ()])
    for row in (0, 2):
        bench.same(together[row], alone, "logits of an unsteered row beside a steered one and alone")
    return bench.same(together[1], steered, "logits of a steered row beside unsteered ones and alone")


def _decode_steps(bench: Bench) -> str:
    """A write must reach every decoding step: token by token with the cache, and all at once without it."""
    prompt, plan = bench.prompt(_SHORT), bench.push()
    (reply,) = generate(bench.host, [Row(prompt, plan)], DecodeSettings(max_new_tokens=_TOKENS))
    ids = reply.ids or prompt.ids[-1:] * 2
    schedule, batch = Schedule(bench.host, [plan]), Batch.of(bench.host, [prompt])
    forward, seen = read_prompts(bench.host, batch, schedule), batch.real
    steps = [forward.logits[0].cpu()]
    for token in ids:
        seen = torch.cat([seen, torch.ones(1, 1, dtype=torch.bool)], dim=1)
        forward = read_token(bench.host, torch.tensor([token]), seen, forward.cache, schedule)
        if list(forward.written) != [1]:
            raise Failed("a decoding step was not written")
        steps.append(forward.logits[0].cpu())
    whole = read_replies(
        bench.host, Batch.of(bench.host, [prompt], replies=[ids]), Schedule(bench.host, [plan]), n=len(ids) + 1
    )
    return bench.same(torch.stack(steps), whole[0].cpu(), f"logits of {len(ids)} steps with the cache and without")


def _block_index(bench: Bench) -> str:
    """Block l's output is block l + 1's input, and entry l + 1 of the model's own list of states."""
    states, blocks = bench.states(), bench.host.info.blocks
    listed = bench.bare(bench.prompt(_LONG), output_hidden_states=True).hidden_states
    if len(listed) != blocks + 1:
        raise Failed(f"the model lists {len(listed)} states, its {blocks} blocks should give {blocks + 1}")
    for block in range(blocks - 1):
        own, size = states[block, "block_output"], states[block, "block_output"].abs().max()
        for other, what in ((states[block + 1, "block_input"], "the next input"), (listed[block + 1][0], "the list")):
            if float((own - other.float().cpu()).abs().max() / size) > bench.tolerance:
                raise Failed(f"the output of block {block} is not {what}")
    return f"{blocks - 1} blocks agree with the next one's input and with the model's own list"


def _final_norm(bench: Bench) -> str:
    states = bench.states()[bench.host.info.blocks - 1, "block_output"]
    listed = bench.bare(bench.prompt(_LONG), output_hidden_states=True).hidden_states[-1][0].float().cpu()
    gap = float((states - listed).abs().max() / states.abs().max())
    if gap <= bench.tolerance:
        raise NotApplicable("the model's list ends with the last block's output itself, without a norm")
    own, after = (float(x.norm(dim=-1).mean()) for x in (states, listed))
    return f"states have a mean norm of {own:.4g} before the final norm, where they are read, and {after:.4g} after it"


def _stream_sum(bench: Bench) -> str:
    if not {"attention_output", "mlp_output"} <= set(bench.host.sites.available):
        raise NotApplicable("this architecture has no attention or MLP output of its own")
    states, worst = bench.states(), 0.0
    for block in range(bench.host.info.blocks):
        parts = sum(states[block, site] for site in SITES[:3])
        out = states[block, "block_output"]
        worst = max(worst, float((parts - out).abs().max() / out.abs().max()))
    if not worst <= bench.tolerance:
        raise Failed(f"input + attention + MLP miss the block output by {worst:.2g} of its largest number")
    return f"input + attention + MLP give the block output to {worst:.1g} of its largest number"


def _ablation(bench: Bench) -> str:
    places = [
        (block, site)
        for block in range(bench.host.info.blocks)
        for site in bench.host.sites.available
        if site != "block_output"
    ]
    plan = tuple(Write(Ablate(bench.directions[1]), block, site) for block, site in places)
    before, after = (
        max(
            float((x @ bench.directions[1]).abs().max() / x.norm(dim=-1).max())
            for (_, site), x in bench.states(each).items()
            if site == "block_output"
        )
        for each in ((), plan)
    )
    if before <= 0.01:
        raise NotApplicable("the random direction had no projection to remove")
    if not after <= 0.05 * before + 0.1 * bench.tolerance:
        raise Failed(f"a projection of {before:.2g} of the norm is still {after:.2g} after ablation everywhere")
    return f"a projection of {before:.2g} of the norm is {after:.1g} after ablation everywhere"


def _threads(bench: Bench) -> str:
    """Several threads ask at once, each with another direction; each must get what it gets alone."""
    host, settings = bench.host, DecodeSettings(max_new_tokens=_TOKENS)
    plans = [host.run(lambda job, n=n: bench.push(n), title="Self-check") for n in range(len(bench.directions))]  # type: ignore[misc]
    rows = [Row(bench.prompt(_SHORT), plan) for plan in plans]
    alone = [generate(host, [row], settings)[0].ids for row in rows]
    together: dict[int, list[tuple[int, ...]]] = {}

    def ask(n: int) -> None:
        together[n] = [generate(host, [rows[n]], settings)[0].ids for _ in range(_ROUNDS)]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(rows))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wrong = sum(ids != alone[n] for n in range(len(rows)) for ids in together.get(n, [()] * _ROUNDS))
    if wrong:
        raise Failed(f"{wrong} of {len(rows) * _ROUNDS} replies differ when {len(rows)} threads ask at once")
    if len(set(alone)) == 1:
        raise NotApplicable("the directions changed no reply, so that nothing could have leaked")
    return f"{len(rows) * _ROUNDS} replies to {len(rows)} threads at once are those of each alone"


def _overflow(bench: Bench) -> str:
    dtype = getattr(torch, bench.host.info.dtype, torch.float32)
    largest = max(float(x.abs().max()) for x in bench.states().values())
    if not largest < float("inf"):
        raise Failed("states are not finite even unsteered")
    room = torch.finfo(dtype).max / largest
    if room < 10:
        raise Failed(
            f"the largest state is {largest:.3g}, {room:.2g} times below the most {bench.host.info.dtype} holds"
        )
    return f"the largest state is {largest:.3g}; {bench.host.info.dtype} holds {torch.finfo(dtype).max:.2g}"


def _template(bench: Bench) -> str:
    host = bench.host
    if not host.info.chat_template:
        raise NotApplicable("the model has no chat template")
    prompt, start = bench.prompt(_SHORT), host.tokenizer.bos_token_id
    if start is not None and prompt.ids[:2] == (start, start):
        raise Failed("the prompt begins with two start tokens")
    if _SHORT not in prompt.text:
        raise Failed("the template does not hold the user's text")
    answered = render(host, [Message("user", _SHORT), Message("assistant", "Good day.")])
    if answered.ids[: len(prompt)] != prompt.ids:
        raise Failed(
            "a reply is not a continuation of the prompt: the generation prompt is not what comes before replies"
        )
    if prompt.roles[-1] != "template":
        raise Failed("no generation prompt was found after the user's text")
    count = 0 if start is None else prompt.ids.count(start)
    return f"{count} start token{'' if count == 1 else 's'}, and a generation prompt before the reply"


CHECKS: dict[str, tuple[str, Callable[[Bench], str]]] = {
    "hook parity": ("A plan changes the model as a plain PyTorch hook does.", _hook_parity),
    "padding": ("What stands beside a prompt in a batch does not change its reply.", _padding),
    "rows": ("A steered row leaves the others of its batch alone.", _row_independence),
    "decoding steps": ("A write reaches every generated token, with the cache as without.", _decode_steps),
    "block index": ("Block numbers mean what they say.", _block_index),
    "final norm": ("The last block is read before the model's final norm.", _final_norm),
    "residual stream": ("Attention and MLP output are what is added to the stream.", _stream_sum),
    "ablation": ("Ablation everywhere leaves nothing of a direction.", _ablation),
    "threads": ("Users at the same time do not get each other's steering.", _threads),
    "overflow": ("States leave room in the model's precision.", _overflow),
    "template": ("The chat template is applied once and opens the reply.", _template),
}
"""Name -> what a pass means, and the check; it returns what was measured, or raises."""
