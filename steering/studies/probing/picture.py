"""All that can be said of a probing so far, worked out once for page, tables and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steering.passes.schedule import Place
from steering.studies.probing.analysis import CCS, chance_of, line, null_of_best
from steering.studies.probing.findings import notes_of
from steering.studies.probing.lines import Line
from steering.studies.probing.probing import Probing
from steering.studies.probing.reading import Reading, readings_of


@dataclass(frozen=True, eq=False)
class Picture:
    """Scores with intervals, chance, what the probe reads, and findings in words."""

    found: Probing
    lines: Sequence[Line]
    chances: Mapping[Place, Mapping[str, float]]
    """By place and method: that exchanged labels give as large an ESA at the best of all blocks."""
    null: float
    """95 % point of CCS's ESA at the best of all blocks with labels exchanged inside pairs."""
    readings: Mapping[Place, Sequence[Reading]]
    least: Place
    """Where CCS has its least training loss: a choice that needs no labels."""
    best: Place
    """Where its ESA is largest: a choice that labels made, to be held against `null`."""
    notes: Sequence[str]

    def at(self, place: Place, method: str, part: str = "all") -> Line:
        """One score."""
        return line(self.found.lines[place], method, part)

    def text(self, method: str, part: str = "all") -> Line:
        """One score of the texts alone."""
        return line(self.found.text_lines, method, part)


def picture_of(found: Probing) -> Picture | None:
    """Work it out from what was probed so far; None where nothing was. The probing may go on in another thread."""
    found = found.so_far()
    if not found.at:
        return None
    lines = [each for place in found.at for each in found.lines[place]]
    least = min(found.at, key=lambda place: found.at[place].ccs.train_loss)
    best = max(found.at, key=lambda place: line(found.lines[place], CCS).esa.value)
    readings = {place: readings_of(found, place) for place in dict.fromkeys((least, best))}
    chances, null = chance_of(found), null_of_best(found)
    notes = notes_of(found, least, best, readings, chances, null)
    return Picture(found, lines, chances, null, readings, least, best, notes)
