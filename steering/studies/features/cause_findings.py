"""What the study found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steering.numbers import counted, plain_number, spread
from steering.ranges import compact
from steering.statistics import Estimate, mean_interval
from steering.studies.features.cause_changes import Done
from steering.studies.features.cause_draws import RULE
from steering.studies.features.cause_effects import Effect
from steering.studies.features.cause_found import Found
from steering.studies.features.cause_tables import WAYS, agreement_table, shares
from steering.studies.features.placement import place_words


_LITTLE = 0.1
"""Share of refusals under which there is nothing to switch off."""
_UNEQUAL = 0.8
"""Share of the chosen features' activity under which random sets are called no equals."""
_WORDS = {"off": "Switching", "up": "Turning"}


def findings(found: Found) -> list[str]:
    """All of them, the main ones first."""
    said = [*_chosen(found)]
    for done, effects in found.effects.items():
        said += [*_rates(found, done, effects), *_logits(found, done, effects)]
    return [*said, *_agreement(found), *_draws(found), found.place.says, *found.requests.notes]


def _chosen(found: Found) -> Iterator[str]:
    settings, dictionary = found.settings, found.dictionary
    how = (
        "as named"
        if settings.features
        else f"those that add most to the logit difference of {found.requests.target_label} prompts, activation times "
        f"gradient, on {len(found.requests.train.target)} training prompts"
    )
    yield (
        f"{counted(len(found.chosen), 'feature')} of {dictionary.name} ({compact(found.chosen)}; {how}), written at "
        f"{place_words(dictionary.gives)}, at every token of prompt and reply; what the dictionary does not "
        "explain stays as it is."
    )
    yield f"Logit difference: {found.difference.said}, as the first token of the reply."


def _rates(found: Found, done: Done, effects: Sequence[Effect]) -> Iterator[str]:
    before, after = effects[0].rates, effects[1].rates
    if before is None or after is None:
        return
    random = [each.rates.refusal.value for each in effects if each.change.draw is not None and each.rates]
    times = "" if done == "off" else f" by {plain_number(found.settings.times)} × typical maximum"
    yield (
        f"{_WORDS[done]} them {done}{times} takes refusal of {before.group} prompts from {_percent(before.refusal)} to "
        f"{_percent(after.refusal)} (n = {after.n}; judged by rules, Wilson's intervals){_floor(random)}."
    )
    if done == "off" and before.refusal.value < _LITTLE:
        refused = round(before.refusal.value * before.n)
        yield (
            f"Beware: the model refuses {refused} of {before.n} {before.group} prompts: there is hardly any refusal "
            "to take away."
        )
    share = shares(found, done, effects[1]).get("refusal")
    if share is not None and share.value == share.value:
        yield (
            f"So {_percent(share)} of the refusals of {before.group} prompts run through these features (bootstrap "
            "over prompts)."
        )
    if after.degenerate.value > before.degenerate.value:
        count = round(after.degenerate.value * after.n)
        yield f"Beware: {count} of {after.n} replies with them {_done(done)} are degenerate (looping or empty)."


def _logits(found: Found, done: Done, effects: Sequence[Effect]) -> Iterator[str]:
    before, after = effects[0].differences.mean(), effects[1]
    value = mean_interval(after.differences, seed=found.settings.seed)
    random = [float(each.differences.mean()) for each in effects if each.change.draw is not None]
    share = shares(found, done, after).get("difference")
    runs = "" if share is None else f"; {_percent(share)} of its distance from the other kind of prompts is gone"
    yield (
        f"With them {_done(done)}, the logit difference of {after.group} prompts goes from {plain_number(before)} to "
        f"{spread(*value)} logits{runs}{_logit_floor(random)}."
    )
    alone = [each for each in found.foretold[done] if each.change.draw is None]
    if len(alone) > 1:
        most = max(alone, key=lambda each: abs(each.measured.mean()))
        moved = mean_interval(most.measured, seed=found.settings.seed)
        total = sum(float(each.measured.mean()) for each in alone)
        together = float(after.differences.mean() - before)
        yield (
            f"Most alone: feature {most.change.features[0]} {_done(done)}, by {spread(*moved)} logits. One by one "
            f"they add up to {plain_number(total)} logits, together they make {plain_number(together)}."
        )


def _agreement(found: Found) -> Iterator[str]:
    for row in agreement_table(found).to_dict("records"):
        value = (row["rank_correlation"], row["rank_correlation_low"], row["rank_correlation_high"])
        way = f"decoder times unembedding ({WAYS['direct']}, the final norm linearised)"
        said = way if row["by"] == "direct" else f"activation times gradient ({WAYS['whole']})"
        yield (
            f"Foretold by {said} against measured, {counted(row['features'], 'feature')} {_done(row['done'])} alone: "
            f"rank correlation {spread(*value)}."
        )


def _draws(found: Found) -> Iterator[str]:
    if not found.random:
        yield "No random features were tried, so that nothing says what any others would do."
        return
    ratios = [draw.ratio for draw in found.random]
    low, high = min(ratios), max(ratios)
    yield (
        f"Random sets: {RULE}; {counted(len(ratios), 'set')} with {low:.2f} to {high:.2f} times the activity of the "
        "chosen features. Turned up, each adds the length that the feature adds that it stands for."
    )
    if low < _UNEQUAL:
        yield (
            "Beware: no other features are as active as the chosen ones, so that random sets are no equal measure. "
            "Choose fewer features."
        )


def _floor(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = f"{min(values):.0%}", f"{max(values):.0%}"
    ends = low if low == high else f"{low} to {high}"
    return f"; under {counted(len(values), 'random set')} of equal activity it is {ends}"


def _logit_floor(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = plain_number(min(values)), plain_number(max(values))
    ends = low if low == high else f"{low} to {high}"
    return f"; under {counted(len(values), 'random set')} it is {ends}"


def _percent(value: Estimate) -> str:
    return f"{value.value:.0%} [{value.low:.0%}, {value.high:.0%}]"


def _done(done: Done) -> str:
    return "switched off" if done == "off" else "turned up"
