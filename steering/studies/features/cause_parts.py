"""What changes of features do, in parts that any process can compute that has the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.decoding import generate_each
from steering.passes.given import Given, slices
from steering.passes.gradients import OfLogits
from steering.passes.many_plans import read_many, together
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.store import Kept
from steering.writes.interventions import Plan


@dataclass(frozen=True, eq=False)
class Differences:
    """A number made of the logits of each prompt's next token, under every plan: what is found are `values`, float64,
    (plan, item), of some `plans` and `items`, by their numbers.
    """

    prompts: Mapping[int, Prompt]
    plans: Mapping[int, Plan]
    of: OfLogits

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """Read them."""
        prompts, plans = list(self.prompts), list(self.plans)
        given = [Given(prompt) for prompt in self.prompts.values()]
        for read in read_many(job, host, given, list(self.plans.values())):
            values = self.of(read.logits[:, :, 0, 0]).cpu().double()
            names = [plans[index] for index in read.plans], [prompts[index] for index in read.items]
            kept[repr(names)] = {"plans": names[0], "items": names[1], "values": values}
            yield values.numel()

    def pieces(self, host: Host) -> Sequence[Differences]:
        """Plans that share their passes, and prompts, stay together."""
        prompts, plans = list(self.prompts), list(self.plans)
        groups = [(block, [plans[index] for index in own]) for block, own in together(host, list(self.plans.values()))]
        bare = [each for block, own in groups if block is None for each in own]  # read by every piece on its way
        changed = [own for block, own in groups if block is not None]
        given = [Given(prompt) for prompt in self.prompts.values()]
        return [
            Differences(
                {prompts[index]: self.prompts[prompts[index]] for index in indices},
                {each: self.plans[each] for each in own},
                self.of,
            )
            for indices in slices(host, given)
            for own in ([[*bare, *changed[0]], *changed[1:]] if changed else [bare])
        ]


@dataclass(frozen=True, eq=False)
class Spoken:
    """Greedy replies that are decoded together: what is found is a `reply` by its `row`."""

    rows: Mapping[tuple[int, int], Row]
    longest: int
    """The most tokens of a reply."""

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """Decode them."""
        names, settings = list(self.rows), DecodeSettings(max_new_tokens=self.longest)
        for index, reply in generate_each(job, host, list(self.rows.values()), [settings] * len(names)):
            kept[repr(names[index])] = {"row": names[index], "reply": reply}
            yield 1

    def pieces(self, host: Host) -> tuple[Spoken]:
        """Itself: a reply's digits may depend on which others are decoded beside it."""
        return (self,)
