"""Time to score all candidates of a refusal direction, beside the plain loop over candidates, in one run. `make bench`.

How much is saved where dropped candidates are left alone depends on how many are dropped. On the random model the rule
for induce is set so that 72 % break it, the mean over the five models whose scores Arditi et al. published; on demo the
rules are the usual ones.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from plain_screen import plain_scores
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig, LlamaForCausalLM

from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.tail_states import tail_length
from steering.studies.refusal.candidates import Directions, read_directions
from steering.studies.refusal.requests import load_requests, prompts_of
from steering.studies.refusal.rules import Rules, Score, choose
from steering.studies.refusal.screen import Screen
from steering.vectors.vector import Provenance


ROUNDS = 3
DROPPED = 0.72
VOCABULARY = 32_000
"""Of the random model: as large as Llama 2's, since logits are a part of the work."""
Sides = tuple[Sequence[Prompt], Sequence[Prompt]]


def random_host(demo: Host) -> Host:
    """A random-weight Llama of about 100 million parameters, its embedding among them."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=768,
        intermediate_size=2304,
        num_hidden_layers=10,
        num_attention_heads=12,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=None,
    )
    return Host.wrap(LlamaForCausalLM(config).to(demo.device), demo.tokenizer, name="random", lane=demo.lane)


def screened(
    host: Host, sides: Sides, directions: Directions, tokens: Sequence[int], rules: Rules, complete: bool
) -> list[Score]:
    """Every candidate's last score."""
    found = {}
    screen = Screen(host, *sides, directions, tokens)
    host.run(
        lambda job: found.update({s.candidate: s for s in screen.scores(job, rules, complete=complete)}), title="screen"
    )
    return list(found.values())


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes, the median of a few runs."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def row(name: str, host: Host, tokens: Sequence[int], n: int, *, published: bool) -> list[str]:
    """One line of the table."""
    requests = load_requests(host, data="demo", sizes=(64, n, 2))
    train, validation = (
        (prompts_of(host, each.target), prompts_of(host, each.control))
        for each in (requests.train, requests.validation)
    )
    tail = tail_length([*train[0], *train[1]])
    nobody = Provenance.made_elsewhere()
    directions = host.run(lambda job: read_directions(host, *train, tail, nobody), title="read")
    rules = Rules()
    if published:
        induced = [
            s.induce for s in screened(host, validation, directions, tokens, rules, True) if s.induce is not None
        ]
        rules = Rules(min_induce=float(np.quantile(induced, DROPPED)), max_kl=float("inf"))
    base = timed(
        lambda: host.run(lambda job: plain_scores(host, *validation, directions.differences, tokens), title="plain")
    )
    parts = [timed(lambda c=c: screened(host, validation, directions, tokens, rules, c)) for c in (True, False)]  # type: ignore[misc]
    scores = [screened(host, validation, directions, tokens, rules, complete) for complete in (True, False)]
    chosen = [choose(each, rules, host.info.blocks).score.candidate for each in scores]
    total = sum(not score.flat for score in scores[1])
    early = sum(score.kl is None for score in scores[1] if not score.flat)
    return [
        name,
        f"{base / parts[0]:.1f}",
        f"{base / parts[1]:.1f}",
        f"{early} of {total}",
        "yes" if chosen[0] == chosen[1] else "NO",
    ]


def main() -> None:
    table = Table(title="Scoring candidates, as a multiple of the plain loop's speed (higher is faster)", box=None)
    for column in ("model", "every score", "dropped ones left alone", "left alone", "same choice"):
        table.add_column(column, justify="left" if column == "model" else "right")
    demo = Host.load("demo", options=LoadOptions(dtype="float32"))
    refusals = [demo.tokenizer(text, add_special_tokens=False)["input_ids"][0] for text in ("I", "Sorry", "No")]
    table.add_row(*row("demo", demo, refusals, 32, published=False))
    # Half the vocabulary, so that the log-odds lie around zero.
    table.add_row(*row("random 100 M", random_host(demo), range(0, VOCABULARY, 2), 8, published=True))
    Console().print(table)


if __name__ == "__main__":
    main()
