"""The cells of a grid: generated as rows of the same batches, each kept by its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from steering.errors import SteeringError
from steering.extraction.again import extract_again
from steering.lane import Job
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.prompts import conversation, render
from steering.parts.part import parts
from steering.passes.decoding import check, generate_each
from steering.passes.replies import Reply
from steering.passes.rows import Row
from steering.recipes.modes import MODES
from steering.recipes.nats import search_ahead
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Recipe
from steering.store import Kept, digest
from steering.studies.grid.axes import Asked, Axis, method_name
from steering.studies.size import Done, Size, Work
from steering.vectors.token_readings import read_tokens, summary
from steering.vectors.vector import SteeringVector


MOST_CELLS = 1000
BATCH = 16
"""Cells that are decoded together."""


@dataclass(frozen=True)
class Cell:
    """One finished cell."""

    x: int
    """Column, an index into the first axis."""
    y: int
    """Row, an index into the second axis."""
    recipe: Recipe
    user: str
    text: str
    tokens: int
    finish: str
    modified_prompt: int
    modified_generated: int
    divergence: float
    """95th percentile over the reply's tokens of KL(unsteered || recipe), nats."""
    known: bool = False
    """Whether it was taken from the store."""


@dataclass(frozen=True)
class Grid:
    """What is to be generated."""

    x: Axis
    y: Axis | None
    """None for a grid of one row."""
    recipe: Recipe
    user: str
    system: str = ""

    def __post_init__(self) -> None:
        if self.y is not None and self.y.kind == self.x.kind:
            raise SteeringError(
                f"Both axes are {self.x.kind}.", "two different axes.", "Choose another one for the rows."
            )
        if len(self) > MOST_CELLS:
            raise SteeringError(f"The grid has {len(self)} cells.", f"at most {MOST_CELLS}.", "Take fewer values.")

    def __len__(self) -> int:
        return len(self.x.values) * (len(self.y.values) if self.y else 1)

    def asked(self) -> dict[tuple[int, int], Asked]:
        """What every cell does, by (x, y), row by row.

        Raises:
            SteeringError: A value that does not go with the recipe.
        """
        start = Asked(self.recipe, self.user)
        return {
            (x, y): self._at(start, x, y)
            for y in range(len(self.y.values) if self.y else 1)
            for x in range(len(self.x.values))
        }

    @property
    def vectors(self) -> set[str]:
        """Every vector that a cell names, or that a method axis extracts again."""
        axes = [axis for axis in (self.x, self.y) if axis is not None and axis.kind == "vector"]
        named = {name for asked in self.asked().values() for name in asked.recipe.vectors}
        return {*self.recipe.vectors, *named, *(name for axis in axes for name in axis.values)}

    def _at(self, start: Asked, x: int, y: int) -> Asked:
        turns = [(self.x, x)] if self.y is None else [(self.y, y), (self.x, x)]
        # A method is one of a vector, so the vector is chosen first whichever axis it is on.
        for axis, index in sorted(turns, key=lambda turn: turn[0].kind == "method"):
            start = axis.at(start, index)
        return start


def check_grid(host: Host, grid: Grid, vectors: Mapping[str, SteeringVector]) -> None:
    """Raise what running the grid would raise, before anything is generated; strengths in nats are left for later.

    Raises:
        SteeringError: A vector that is missing or does not fit, a block that does not exist, an empty prompt.
    """
    _check_strengths(grid)
    stands_in = {**vectors, **{name: vectors[source] for name, (source, _) in _methods(grid, vectors).items()}}
    for asked in grid.asked().values():
        for name in asked.recipe.vectors:
            if name not in stands_in:
                raise SteeringError(
                    f"There is no vector '{name}'.", f"one of {', '.join(vectors) or 'none: extract one first'}."
                )
        plain = [each for each in asked.recipe.interventions if each.unit != "nats"]
        plan = plan_of(asked.recipe.model_copy(update={"interventions": tuple(plain)}), host, stands_in)
        check(host, [Row(render(asked.recipe.on(host), conversation(asked.user, grid.system)), plan)])


def _check_strengths(grid: Grid) -> None:
    """Raise where an axis of strengths would show the same reply in every cell."""
    kinds = {axis.kind for axis in (grid.x, grid.y) if axis is not None}
    first = next(iter(grid.recipe.interventions), None)
    if first is None or "strength" not in kinds or "mode" in kinds or MODES[first.mode].graded:
        return
    title = MODES[first.mode].title
    scaled = f"'{MODES['feature_scale'].title}' instead, whose factor 0 switches it off, or another axis"
    raise SteeringError(
        f"'{title}' has no strength, so that every cell would be the same.",
        "an axis that changes something, such as prompt or vector.",
        f"Choose {scaled if MODES[first.mode].feature else 'another axis'}.",
    )


def size_of_grid(host: Host, grid: Grid, vectors: Mapping[str, SteeringVector], store: Kept) -> Size:
    """How many replies a grid has, and how many of them are kept; those of vectors that a method axis has yet to make
    count as new.
    """
    asked = list(grid.asked().values())
    made = [each for each in asked if all(name in vectors for name in each.recipe.vectors)]
    known = sum(_key(host, grid, each, vectors) in store for each in made)
    longest = max(each.recipe.decode.max_new_tokens for each in asked)
    work = Work("replies", len(asked), longest, known=known, batch=BATCH)
    done = Done(None) if known == len(asked) else None
    return Size((work,), done=done, beside=search_ahead([grid.recipe]))


def run_cells(
    job: Job[Any], host: Host, grid: Grid, vectors: Mapping[str, SteeringVector], store: Kept
) -> Iterator[Cell]:
    """Give every cell as it is done: first those in the store, then the others, `BATCH` at a time.

    Call on the model thread. What is done when the job is stopped is in the store.

    Raises:
        SteeringError: As `check_grid`, and `Recipe.plan` for strengths in nats.
    """
    check_grid(host, grid, vectors)
    vectors = with_methods(host, grid, vectors)
    asked = grid.asked()
    keys = {at: _key(host, grid, each, vectors) for at, each in asked.items()}
    for at, key in keys.items():
        if key in store:
            yield Cell(*at, recipe=asked[at].recipe, user=asked[at].user, **store[key], known=True)
    missing = [at for at, key in keys.items() if key not in store]
    known = done = len(asked) - len(missing)
    groups = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
    batches = [Cells(tuple((keys[at], asked[at]) for at in group), grid.system, vectors) for group in groups]
    with closing(parts(job, host, batches, store)) as told:
        for each in told:
            done += each.n
            job.report(done, len(asked), "cells", share=(done - known) / max(1, len(missing)))
            for at in [at for at in groups[each.part] if keys[at] in store]:
                groups[each.part].remove(at)
                yield Cell(*at, recipe=asked[at].recipe, user=asked[at].user, **store[keys[at]])


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells that are decoded together."""

    asked: tuple[tuple[str, Asked], ...]
    """What each does, behind the key that it is kept by."""
    system: str
    vectors: Mapping[str, SteeringVector]

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """Generate them; each is kept as it ends."""
        rows = [self._row(host, each) for _, each in self.asked]
        for index, reply in generate_each(job, host, rows, [each.recipe.decode for _, each in self.asked]):
            kept[self.asked[index][0]] = _values(host, rows[index], reply)
            yield 1

    def pieces(self, host: Host) -> tuple[Cells]:
        """Itself: a reply's digits may depend on which others are decoded beside it."""
        return (self,)

    def _row(self, host: Host, asked: Asked) -> Row:
        prompt = render(asked.recipe.on(host), conversation(asked.user, self.system))
        return Row(prompt, plan_of(asked.recipe, host, self.vectors))


def _values(host: Host, row: Row, reply: Reply) -> dict[str, Any]:
    _, readings = read_tokens(host, [Row(row.prompt), replace(row, against=0)], [(), reply.ids])
    return {
        "text": reply.text,
        "tokens": reply.answer_tokens,
        "finish": reply.finish,
        "modified_prompt": reply.written.prompt,
        "modified_generated": reply.written.generated,
        "divergence": summary(readings[reply.thought_tokens :]).divergence if reply.answer_tokens else 0.0,
    }


def _key(host: Host, grid: Grid, asked: Asked, vectors: Mapping[str, SteeringVector]) -> str:
    """A digest of all that a cell depends on; vectors by their content, not by their names."""
    recipe = asked.recipe.model_copy(update={"model": ""})
    named = recipe.renamed({name: vectors[name].content for name in recipe.vectors})
    return digest(fingerprint(recipe.on(host)), named.to_json(), asked.user, grid.system)


def _methods(grid: Grid, vectors: Mapping[str, SteeringVector]) -> dict[str, tuple[str, str]]:
    """Name of each vector that a method axis needs -> (the vector it comes from, the method)."""
    axis = next((axis for axis in (grid.x, grid.y) if axis is not None and axis.kind == "method"), None)
    if axis is None or not grid.recipe.interventions:
        return {}
    others = next((each for each in (grid.x, grid.y) if each is not None and each.kind == "vector"), None)
    sources = others.values if others else [grid.recipe.interventions[0].vector]
    return {
        method_name(source, method): (source, method)
        for source in sources
        if source in vectors
        for method in axis.values
    }


def with_methods(host: Host, grid: Grid, vectors: Mapping[str, SteeringVector]) -> dict[str, SteeringVector]:
    """`vectors` and those that a method axis makes of them, extracted where they are not known yet.

    Raises:
        SteeringError: A vector whose contrast set is not at hand.
    """
    known = _EXTRACTED.setdefault(host, {})
    for source, method in _methods(grid, vectors).values():
        if (vectors[source].content, method) not in known:
            known[vectors[source].content, method] = extract_again(
                host, vectors[source], method, name=method_name(source, method)
            )
    made = {name: known[vectors[source].content, method] for name, (source, method) in _methods(grid, vectors).items()}
    return {**vectors, **made}


_EXTRACTED: WeakKeyDictionary[Host, dict[tuple[str, str], SteeringVector]] = WeakKeyDictionary()
"""Vectors that a method axis needed, by the content of the vector that they were made after, and the method."""


def cell_table(grid: Grid, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """One record a cell, in grid order, with the axes' values in front."""
    records = []
    for cell in sorted(cells, key=lambda cell: (cell.y, cell.x)):
        axes: dict[str, Any] = {grid.x.kind: grid.x.labels[cell.x]}
        if grid.y:
            axes[grid.y.kind] = grid.y.labels[cell.y]
        values = asdict(cell)
        kept = ("text", "tokens", "finish", "modified_prompt", "modified_generated")
        records.append({**axes, **{name: values[name] for name in kept}, "kl_p95_nats": cell.divergence})
    return records
