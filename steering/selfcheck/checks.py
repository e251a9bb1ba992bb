"""The checks. None needs to know the architecture."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.loading.tensor_parallel import apart, parts
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, render
from steering.model.thought_markers import markers_of
from steering.passes.captured import LEAST, TRIALS, Captured, captured, obstacle
from steering.passes.decoding import generate
from steering.passes.hooked import hooks_hold
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts, read_replies, read_token
from steering.selfcheck.bench import LONG, SHORT, Bench, Failed, NotApplicable
from steering.writes.interventions import Write
from steering.writes.operations import Ablate


_TOKENS, _ROUNDS = 6, 2
_REPLY = "Good day."
_BY = {
    True: "; by plain hooks, which gave the traced step's logits to the bit",
    False: "; each traced, since plain hooks gave other logits",
    None: "",
}


def _hook_parity(bench: Bench) -> str:
    prompt, (write,) = bench.prompt(LONG), bench.push()
    with bench.hooked(write):
        hooked = bench.bare(prompt.ids).logits[0, -1].float().cpu()
    plain = bench.bare(prompt.ids).logits[0, -1].float().cpu()
    if bench.apart(hooked, plain) <= bench.tolerance:
        raise Failed("the hook changed nothing, so that nothing was compared")
    return bench.same(bench.logits([prompt], [(write,)])[0], hooked, "logits by a plain hook and by a plan")


def _padding(bench: Bench) -> str:
    short, long = bench.prompt(SHORT), bench.prompt(LONG)
    alone = bench.logits([short], [()])[0]
    beside = bench.logits([short, long], [(), ()])[0]
    return bench.same(beside, alone, f"logits with {len(long) - len(short)} tokens of padding and without")


def _row_independence(bench: Bench) -> str:
    prompt, plan = bench.prompt(LONG), bench.push()
    alone, steered = bench.logits([prompt], [()])[0], bench.logits([prompt], [plan])[0]
    together = bench.logits([prompt] * 3, [(), plan, ()])
    for row in (0, 2):
        bench.same(together[row], alone, "logits of an unsteered row beside a steered one and alone")
    return bench.same(together[1], steered, "logits of a steered row beside unsteered ones and alone")


def _decode_steps(bench: Bench) -> str:
    """A write must reach every decoding step: token by token with the cache, and all at once without it."""
    prompt, plan = bench.prompt(SHORT), bench.push()
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
    said = bench.same_steps(torch.stack(steps), whole[0].cpu(), prompt, ids, plan[0])
    return said + _BY[hooks_hold(bench.host, schedule)]


def _captured_steps(bench: Bench) -> str:
    """One row steered and one not, of other lengths; what was trusted must still hold some tokens later."""
    host, prompts = bench.host, [bench.prompt(SHORT), bench.prompt(LONG)]
    schedule, batch = Schedule(host, [bench.push(), ()]), Batch.of(host, prompts)
    plain, own, seen, launched = *(read_prompts(host, batch, schedule) for _ in range(2)), batch.real, 0
    if why := obstacle(host, plain.cache, schedule):
        raise NotApplicable(why)
    other = replace(own, cache=captured(host, own.cache, schedule, seen, LEAST) or own.cache)
    for token in prompts[1].ids[: TRIALS + _TOKENS]:
        seen, tokens = torch.cat([seen, torch.ones(2, 1, dtype=torch.bool)], dim=1), torch.tensor([token, token])
        plain, other = (read_token(host, tokens, seen, each.cache, schedule) for each in (plain, other))
        said = bench.same(other.logits.cpu(), plain.logits.cpu(), "logits of captured steps and of plain ones")
        launched += isinstance(other.cache, Captured)
    if launched < TRIALS + _TOKENS:
        raise NotApplicable(obstacle(host, plain.cache, schedule) or "captured steps had no room, or met a near tie")
    return f"{said}, {_TOKENS} tokens behind those that were read both ways"


def _block_index(bench: Bench) -> str:
    """Block l's output is block l + 1's input, and entry l + 1 of the model's own list of states, or entry l where the
    list begins with the first block's output (Mamba, RWKV).
    """
    states, blocks = bench.states(), bench.host.info.blocks
    listed = bench.bare(bench.prompt(LONG).ids, output_hidden_states=True).hidden_states
    if len(listed) != blocks + 1:
        raise Failed(f"the model lists {len(listed)} states, its {blocks} blocks should give {blocks + 1}")

    def apart(own: Tensor, other: Tensor) -> bool:
        return float((own - other.float().cpu()).abs().max() / own.abs().max()) > bench.tolerance

    ahead = int(apart(states[0, "block_output"], listed[0][0]))
    for block in range(blocks - 1):
        own, entry = states[block, "block_output"], listed[block + ahead][0]
        for other, what in ((states[block + 1, "block_input"], "the next input"), (entry, "the list")):
            if apart(own, other):
                raise Failed(f"the output of block {block} is not {what}")
    return f"{blocks - 1} blocks agree with the next one's input and with the model's own list"


def _final_norm(bench: Bench) -> str:
    states = bench.states()[bench.host.info.blocks - 1, "block_output"]
    listed = bench.bare(bench.prompt(LONG).ids, output_hidden_states=True).hidden_states[-1][0].float().cpu()
    gap = float((states - listed).abs().max() / states.abs().max())
    if gap <= bench.tolerance:
        raise NotApplicable("the model's list ends with the last block's output itself, without a norm")
    own, after = (float(x.norm(dim=-1).mean()) for x in (states, listed))
    return f"states have a mean norm of {own:.4g} before the final norm, where they are read, and {after:.4g} after it"


def _stream_sum(bench: Bench) -> str:
    shown = {index: block for index, block in enumerate(bench.host.sites.blocks) if block.inner and not block.rest}
    if not shown:
        raise NotApplicable("no block has sites that are all that it adds to the stream")
    states, worst = bench.states(), 0.0
    for index, block in shown.items():
        parts = block.carry * states[index, "block_input"] + sum(states[index, site] for site in block.inner)
        out = states[index, "block_output"]
        worst = max(worst, float((parts - out).abs().max() / out.abs().max()))
    if not worst <= bench.tolerance:
        raise Failed(f"input + attention + MLP miss the block output by {worst:.2g} of its largest number")
    return f"input + attention + MLP miss the block output by {worst:.1g} of its largest number"


def _ablation(bench: Bench) -> str:
    if bench.host.sites.uncovered:
        raise NotApplicable(bench.host.sites.uncovered)
    plan = tuple(Write(Ablate(bench.directions[1]), block, site) for block, site in bench.host.sites.everywhere())
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


def threads_apart(bench: Bench) -> str:
    """Several threads ask at once, each with another direction; each must get what it gets alone."""
    host, settings = bench.host, DecodeSettings(max_new_tokens=_TOKENS)
    if parts(host.model._module) > 1:
        raise NotApplicable("a model that is divided among processes is asked by one thread in each")
    plans = [host.run(lambda job, n=n: bench.push(n), title="Self-check") for n in range(len(bench.directions))]  # type: ignore[misc]
    rows = [Row(bench.prompt(SHORT), plan) for plan in plans]
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


def _processes(bench: Bench) -> str:
    n, states = parts(bench.model()), bench.states()
    difference = apart(states.values(), bench.host.device)
    if difference > 0:
        raise Failed(f"the {n} processes hold other states: they differ by up to {difference:.2g}")
    sites = sorted({site for _, site in states})
    return f"{len(states)} places ({', '.join(sites)}) are whole and the same in {n} processes"


def _overflow(bench: Bench) -> str:
    return room(bench, max(float(x.abs().max()) for x in bench.states().values()))


def room(bench: Bench, largest: float) -> str:
    """How far the largest number in the states is from what the model's precision holds; raises where it is near."""
    dtype = getattr(torch, bench.host.info.dtype, torch.float32)
    if not largest < float("inf"):
        raise Failed("states are not finite even unsteered")
    times = torch.finfo(dtype).max / largest
    if times < 10:
        raise Failed(
            f"the largest state is {largest:.3g}, {times:.2g} times below the most {bench.host.info.dtype} holds"
        )
    return f"the largest state is {largest:.3g}; {bench.host.info.dtype} holds {torch.finfo(dtype).max:.2g}"


def _answered(host: Host) -> Prompt:
    """A conversation with a reply in it, at its end or, for templates that end with a user message, before that."""
    said = [Message("user", SHORT), Message("assistant", _REPLY)]
    try:
        return render(host, said)
    except SteeringError:
        return render(host, [*said, Message("user", "Thank you.")])


def _template(bench: Bench) -> str:
    host = bench.host
    if not host.info.chat_template:
        raise NotApplicable("the model has no chat template")
    prompt, start = bench.prompt(SHORT), host.tokenizer.bos_token_id
    if start is not None and prompt.ids[:2] == (start, start):
        raise Failed("the prompt begins with two start tokens")
    if SHORT not in prompt.text:
        raise Failed("the template does not hold the user's text")
    if not prompt.text.rpartition(SHORT)[2].strip():
        raise Failed("no generation prompt was found after the user's text")
    answered = _answered(host)
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt.text, answered.text, strict=False)))
    more = prompt.text[alike:]
    if _without_markers(bench, more).strip() or (not more and answered.ids[: len(prompt)] != prompt.ids):
        raise Failed(
            "a reply is not a continuation of the prompt: the generation prompt is not what comes before replies"
        )
    bare = render(host, SHORT, generation_prompt=False)
    lacking = answered.text[len(bare.text) :].partition(_REPLY)[0]
    if prompt.text == bare.text and not more and _without_markers(bench, lacking).strip():
        raise Failed(
            f"the template opens no reply: '{lacking.strip()}', which comes before replies, is not in the prompt"
        )
    begun = ", which begins inside a thought" if prompt.opened else ""
    count = 0 if start is None else prompt.ids.count(start)
    return f"{count} start token{'' if count == 1 else 's'}, and a generation prompt before the reply{begun}"


def _without_markers(bench: Bench, text: str) -> str:
    """A part of a prompt without the delimiters of thoughts, which generation prompts open, or pass by, and which
    finished replies do without.
    """
    for pair in markers_of(bench.host.tokenizer).pairs:
        for mark in pair:
            text = text.replace(mark, "")
    return text


CHECKS: dict[str, tuple[str, Callable[[Bench], str]]] = {
    "hook parity": ("A plan changes the model as a plain PyTorch hook does.", _hook_parity),
    "padding": ("What stands beside a prompt in a batch does not change its reply.", _padding),
    "rows": ("A steered row leaves the others of its batch alone.", _row_independence),
    "decoding steps": ("A write reaches every generated token, with the cache as without.", _decode_steps),
    "block index": ("Block numbers mean what they say.", _block_index),
    "final norm": ("The last block is read before the model's final norm.", _final_norm),
    "residual stream": ("Attention and MLP output are what is added to the stream.", _stream_sum),
    "ablation": ("Ablation everywhere leaves nothing of a direction.", _ablation),
    "threads": ("Users at the same time do not get each other's steering.", threads_apart),
    "overflow": ("States leave room in the model's precision.", _overflow),
    "template": ("The chat template is applied once and opens the reply.", _template),
}
"""Name -> what a pass means, and the check; it returns what was measured, or raises."""
DIVIDED = {"processes": ("Every process of a divided model holds the same whole states.", _processes)}
"""The same, of a model whose matrices are divided among processes."""
LAUNCHED = {"captured steps": ("What a GPU launches as one is what the steps do one by one.", _captured_steps)}
"""The same, of a model whose steps may be captured."""
