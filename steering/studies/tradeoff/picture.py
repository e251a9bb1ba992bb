"""All that can be said of a comparison so far, worked out once for page, tables and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steering.recipes.recipe import Recipe
from steering.statistics import Estimate
from steering.studies.tradeoff.analysis import Floor, Line, floor_of, lines_of, unsteered_points
from steering.studies.tradeoff.comparison import Comparison
from steering.studies.tradeoff.findings import notes_of
from steering.studies.tradeoff.recommendation import Best, Front, best_of, pareto


@dataclass(frozen=True, eq=False)
class Picture:
    """Curves with intervals, fits and slopes, the floor, what is recommended, and findings in words."""

    found: Comparison
    lines: Sequence[Line]
    floor: Floor | None
    chosen: Mapping[str, Sequence[Best]]
    """By a curve's key, what each rule takes."""
    front: Sequence[Front]
    unsteered: Mapping[str, Estimate]
    notes: Sequence[str]

    @property
    def shown(self) -> list[Line]:
        """The curves that are no random directions."""
        return [line for line in self.lines if not line.curve.floor]

    @property
    def main(self) -> Line | None:
        """The first recipe's curve."""
        return self.shown[0] if self.shown else None

    @property
    def recommended(self) -> Recipe | None:
        """The first recipe at the strength of most utility, for this model; None where no strength is recommended."""
        best = self.best(self.main) if self.main is not None else None
        if best is None or best.point is None or not best.gains:
            return None
        recipe = best.point.curve.recipes[best.point.index]
        return recipe.stamped(self.found.host) if recipe is not None else None

    def best(self, line: Line) -> Best | None:
        """The strength of most utility of a curve."""
        return next((each for each in self.chosen.get(line.curve.key, ()) if each.rule == "utility"), None)


def picture_of(found: Comparison) -> Picture:
    """Work it out from what was measured so far."""
    lines = lines_of(found)
    floor = floor_of(lines)
    methods = [line for line in lines if not line.curve.floor and not line.curve.control]
    chosen = {line.curve.key: best_of(line, found.settings.cost_weight) for line in methods}
    unsteered = unsteered_points(found)
    return Picture(found, lines, floor, chosen, pareto(lines), unsteered, notes_of(found, lines, floor, chosen))
