"""What a probe reads, in words: harm, or a cue that the texts give away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steering.statistics import Estimate
from steering.studies.probing.analysis import CCS, line, parts_of, random_floor
from steering.studies.probing.cues import Cue, cues_of


if TYPE_CHECKING:
    from steering.passes.schedule import Place
    from steering.studies.probing.probing import Probing

_CLEAR = 0.6
"""Agreement from which a cue is named."""
PARTS = {
    "all": "all pairs",
    "concurrent": "concurrent pairs",
    "negation": "negation pairs",
    "worded": "pairs with a negation word",
    "unworded": "pairs without a negation word",
}
"""The parts of the pairs that `parts_of` may make."""


@dataclass(frozen=True)
class Reading:
    """What CCS reads at a block, on some of the pairs."""

    part: str
    harm: Estimate
    """ESA: how far its verdicts agree with harm."""
    accuracy: Estimate
    """The same with its sign from training pairs."""
    cue: Cue | None
    """What else they agree with most."""
    floor: float
    """95 % point of the ESA of random directions."""
    text: float
    """ESA of a bag of words."""

    @property
    def finds_harm(self) -> bool:
        """Whether it beats the texts alone, random directions and every cue."""
        rivals = (self.text, self.floor, self.cue.agreement if self.cue else 0.5)
        return self.above_chance and self.harm.low > max(rivals)

    @property
    def above_chance(self) -> bool:
        """Whether its verdicts agree with harm at all."""
        return self.accuracy.low > 0.5

    @property
    def follows_cue(self) -> bool:
        """Whether a cue explains its verdicts better than harm does."""
        return self.cue is not None and self.cue.agreement > max(_CLEAR, self.harm.value)

    @property
    def says(self) -> str:
        """One sentence."""
        where = f"On {PARTS[self.part]}"
        esa = f"ESA {self.harm.value:.2f} [{self.harm.low:.2f}, {self.harm.high:.2f}]"
        if self.follows_cue and self.cue is not None:
            also = "" if self.above_chance else ", not harm"
            return f"{where} the probe separates {self.cue.says} (agreement {self.cue.agreement:.2f}){also}: {esa}."
        if self.finds_harm:
            return f"{where} the probe separates harm: {esa}. Others are below it: {self._against()}."
        if self.above_chance:
            return f"{where} the probe agrees with harm, {esa}, but others come near: {self._against()}."
        return f"{where} the probe does not find harm: {esa}, no better than chance."

    def _against(self) -> str:
        parts = [f"a bag of words {self.text:.2f}", f"one random direction in 20 over {self.floor:.2f}"]
        return ", ".join([*parts, *([f"{self.cue.name} {self.cue.agreement:.2f}"] if self.cue else [])])


def readings_of(found: Probing, place: Place) -> list[Reading]:
    """What CCS reads at a block, on each part of the pairs."""
    at, texts, readings = found.at[place], np.array(found.texts, dtype=object), []
    for part, pairs in parts_of(found).items():
        rows = np.repeat(pairs, 2)
        mine, bag = line(found.lines[place], CCS, part), line(found.text_lines, "words", part)
        cues = cues_of(texts[rows].tolist(), at.ccs.called[rows])
        floor = random_floor(found, at, part)[1]
        readings.append(Reading(part, mine.esa, mine.accuracy, cues[0] if cues else None, floor, bag.esa.value))
    return readings
