"""The same dictionary on a model and on the one that it was tuned from: which features changed, and by how much.

A dictionary is trained on one model. On another it is still a fixed set of functions of the state, so that firing and
activation can be compared token by token; but where it explains that model's states worse, a difference may be its own
and not the models'. So explained variance stands beside, of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from steering.dictionaries.dictionary import Dictionary
from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.names import short_name
from steering.numbers import counted, plain_number, spread
from steering.statistics import Estimate
from steering.studies.features.chosen import dictionary_of
from steering.studies.features.placement import placement
from steering.studies.features.reading import within_context
from steering.studies.features.sums import draws, estimate
from steering.studies.features.two_models_read import Seen, Shift, check_alike, other_model, seen
from steering.studies.features.two_models_settings import ShiftSettings
from steering.studies.size import Size, Work, tokens_of
from steering.studies.study import Measure, Result, Study


BASE, TUNED = "base", "tuned"
_WORSE = 0.05
"""By how much less of the base's states the dictionary may explain before it is said aloud."""
_NAMED = 6
"""Features that a sentence names."""


@dataclass(frozen=True, eq=False)
class Shifts:
    """Everything that was found."""

    host: Host
    other: Host
    dictionary: Dictionary
    settings: ShiftSettings
    n: int
    """Texts."""
    seen: Mapping[str, Seen]
    """By role, `BASE` and `TUNED`."""
    firing: Shift
    activation: Shift

    @property
    def names(self) -> dict[str, str]:
        """The models' names by role."""
        return {BASE: short_name(self.other.name), TUNED: short_name(self.host.name)}

    @property
    def changed(self) -> np.ndarray:
        """Features of which either number changed."""
        found: np.ndarray = np.flatnonzero(self.told(self.firing) | self.told(self.activation))
        return found

    def told(self, shift: Shift) -> np.ndarray:
        """Whether each feature's number changed, by its corrected p-value: each of the two is tested at half of it."""
        small: np.ndarray = shift.p < self.settings.p / 2
        return small

    @property
    def shown(self) -> list[int]:
        """Those that changed, the largest first, by the length that it adds to the mean state; then all others."""
        moved = np.abs(self.activation.after - self.activation.before)
        active = np.flatnonzero(moved)
        lengths = self.dictionary.decoder(active.tolist()).norm(dim=-1).cpu().numpy()
        changed = np.isin(active, self.changed)
        order = np.lexsort((-moved[active] * lengths, ~changed))
        return [int(feature) for feature in active[order][: self.settings.n]]

    @property
    def explained(self) -> dict[str, Estimate]:
        """Explained variance on both models' states, by role, with intervals by bootstrap over texts."""
        drawn = draws(self.n, self.settings.resamples, self.settings.seed)
        return {role: estimate(each.fit.explained(drawn)) for role, each in self.seen.items()}

    @property
    def explained_difference(self) -> Estimate:
        """The fine-tune's explained variance less its base's, texts drawn for both together."""
        drawn = draws(self.n, self.settings.resamples, self.settings.seed)
        base, own = (self.seen[role].fit.explained(drawn) for role in (BASE, TUNED))
        return estimate(own - base)


def run(host: Host, settings: ShiftSettings, job: Job[Result]) -> Result:
    """Read the texts with both models, encode them with one dictionary, and compare."""
    host = host.under(settings.chat)
    settings.check(host)
    dictionary, known = dictionary_of(host, settings.dictionary)
    sources = settings.sources(host)
    prompts, cut = within_context(host, sources.rendered(host, settings.kind))
    job.report(0, None, "loading the other model")
    other = other_model(host, settings.reference, dictionary)
    others, _ = within_context(other, sources.rendered(other, settings.kind))
    check_alike(prompts, others, host, other)
    place = placement(host, dictionary, prompts, first=settings.first_token)
    if settings.check_place:
        place.check()
    first = settings.first_token
    read = {role: seen(job, each, prompts, dictionary, first=first) for role, each in ((BASE, other), (TUNED, host))}
    found = _compared(host, other, dictionary, settings, read)
    return Result.of(
        "feature_shift",
        host,
        settings,
        measures=_measures(found),
        tables={"features": feature_table(found), "models": _model_table(found)},
        notes=(*findings(found), place.says, *known, *sources.notes, *cut, *chat_notes(host)),
    )


def _compared(
    host: Host, other: Host, dictionary: Dictionary, settings: ShiftSettings, read: Mapping[str, Seen]
) -> Shifts:
    base, own = read[BASE], read[TUNED]
    shifts = [
        Shift.of(after, before, own.tokens, permutations=settings.permutations, seed=settings.seed)
        for after, before in ((own.firing, base.firing), (own.activation, base.activation))
    ]
    return Shifts(host, other, dictionary, settings, len(own.tokens), read, *shifts)


def feature_table(found: Shifts) -> pd.DataFrame:
    """One row a feature that changed most: its firing rate and mean activation on both models, and the differences."""
    rows, settings = [], found.settings
    changed = set(found.changed.tolist())
    for feature in found.shown:
        row: dict[str, object] = {"feature": feature, "changed": feature in changed}
        for name, shift in (("rate", found.firing), ("activation", found.activation)):
            value = shift.interval(feature, resamples=settings.resamples, seed=settings.seed)
            row |= {f"{name}_base": shift.before[feature], f"{name}_tuned": shift.after[feature]}
            row |= {f"{name}_change": value.value, f"{name}_change_low": value.low, f"{name}_change_high": value.high}
            row |= {f"{name}_p": shift.p[feature], f"{name}_changed": bool(found.told(shift)[feature])}
        rows.append(row)
    ends = ("_base", "_tuned", "_change", "_change_low", "_change_high", "_p", "_changed")
    columns = [f"{name}{end}" for name in ("rate", "activation") for end in ends]
    return pd.DataFrame(rows, columns=["feature", "changed", *columns])


def _model_table(found: Shifts) -> pd.DataFrame:
    rows = []
    for role, each in found.seen.items():
        value = found.explained[role]
        rows.append(
            {
                "model": found.names[role],
                "role": role,
                "explained_variance": value.value,
                "explained_variance_low": value.low,
                "explained_variance_high": value.high,
                "l0": float(each.tokens @ each.firing.sum(axis=1).A1 / each.tokens.sum()),
                "active_features": int((each.firing.getnnz(axis=0) > 0).sum()),
                "tokens": int(each.tokens.sum()),
            }
        )
    return pd.DataFrame(rows)


def findings(found: Shifts) -> Iterator[str]:
    """What was found, in sentences."""
    base, own, explained = found.names[BASE], found.names[TUNED], found.explained
    tested = int((~np.isnan(found.activation.p)).sum())
    yield (
        f"{counted(len(found.changed), 'feature')} of {tested:,} that are active on either model changed between "
        f"{base} and {own} (p < {found.settings.p:g}, corrected for all features and for both numbers; {found.n} texts "
        "read by both)."
    )
    table = feature_table(found)
    for words, rows in (
        ("More active", table[table["changed"].astype(bool) & (table["activation_change"] > 0)]),
        ("Less active", table[table["changed"].astype(bool) & (table["activation_change"] < 0)]),
    ):
        named = [
            f"{row['feature']} ({plain_number(row['activation_base'])} → {plain_number(row['activation_tuned'])}, at "
            f"{row['rate_base']:.1%} → {row['rate_tuned']:.1%} of tokens)"
            for row in rows.head(_NAMED).to_dict("records")
        ]
        if named:
            yield f"{words} on {own}, those that changed most: {'; '.join(named)}."
    apart = found.explained_difference
    yield (
        f"The dictionary explains {_percent(explained[BASE])} of the variance of {base}'s states and "
        f"{_percent(explained[TUNED])} of {own}'s."
    )
    if abs(apart.value) > _WORSE:
        worse = base if apart.value > 0 else own
        yield (
            f"Beware: it describes {worse} worse, so that a difference may be the dictionary's and not the models'. "
            "Compare by a dictionary that is trained on both (a crosscoder)."
        )


def _percent(value: Estimate) -> str:
    return f"{spread(100 * value.value, 100 * value.low, 100 * value.high)} %"


def _measures(found: Shifts) -> Iterator[Measure]:
    yield Measure("features that changed", float(len(found.changed)), None, None, found.n, "features")
    for role, value in found.explained.items():
        yield Measure(f"explained variance, {role}: {found.names[role]}", value.value, value.low, value.high, found.n)
    value = found.explained_difference
    yield Measure("explained variance, tuned less base", value.value, value.low, value.high, found.n)


def size_of(host: Host, settings: ShiftSettings) -> Size:
    """Readings of every text: twice by each model.

    Raises:
        SteeringError: There is no such dictionary, or as `sources_of`.
    """
    settings.check(host)
    sources = settings.sources(host)
    length = tokens_of([turn.content for each in sources.texts for turn in each.messages])
    return Size((Work("readings", 4 * len(sources.texts), length),), beside="The other model is loaded.")


STUDY = Study(
    name="feature_shift",
    title="Features of two models",
    summary="Compare a model with the one it was tuned from by one dictionary: which features changed, by how much.",
    settings=ShiftSettings,
    run=run,
    size=size_of,
    quick={"texts_n": 30, "permutations": 200, "resamples": 200},
    without=frozenset({"decoding steps"}),
)
