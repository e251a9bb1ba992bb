"""What was found, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from steering.statistics import wilson
from steering.studies.refusal.arms import NONE
from steering.studies.refusal.location import GOOD_F1, Drift, Surrogate, TwoProbes
from steering.studies.refusal.outcomes import Cost, Rates
from steering.studies.refusal.phases import Prepared
from steering.studies.refusal.requests import own_systems
from steering.studies.refusal.rules import BYS, By, Choice, Rules


LITTLE = 0.5
"""Under this rate of refused target requests there is little to ablate."""
HARDLY = 0.05
_P = 0.05
_MUCH = 0.2
"""Share of degenerate replies from which a note says so."""
READABLE = 0.8
"""AUROC under which a probe says little."""


def of_requests(prepared: Prepared) -> list[str]:
    """What was read, and what stands in the way."""
    requests, tokens = prepared.requests, prepared.tokens
    kept = [len(side) for side in (*prepared.train, *prepared.validation)]
    read = [f"{kept[0]} {requests.target_label}", f"{kept[1]} {requests.control_label}"]
    if tokens.chosen:
        kinds = f"{read[0]} that the model refuses and {read[1]} that it answers"
    else:
        kinds = f"{' and '.join(read)}, unfiltered, since there are no refusal tokens to filter by"
    notes = [f"Means are over training requests: {kinds}. The choice is made on {kept[2]} and {kept[3]} others."]
    notes += requests.notes
    if not prepared.template:
        notes.append(
            "This model has no chat template, so there are no tokens between the instruction and the reply: directions "
            "are read at the last token only."
        )
    elif prepared.tail == 1:
        notes.append("Directions are read at one token only: the last one of the template.")
    own, uneven = own_systems(requests)
    if uneven:
        notes.append(
            f"Beware: {own} bring a system prompt of their own. The two sides differ by that, so a direction between "
            "them may tell system prompts apart and not what is asked for."
        )
    rate = wilson(tokens.refused, tokens.looked_at)
    notes += [each for each in (_little(rate.value, tokens.refused, tokens.looked_at, requests.target_label),) if each]
    warning = "" if prepared.obstacle.startswith(tokens.warning) else tokens.warning
    notes += [each for each in (warning, prepared.obstacle) if each]
    return list(dict.fromkeys(notes))


def of_choice(choice: Choice, rules: Rules, by: By, blocks: int) -> str:
    """What was chosen and why, or that nothing passes."""
    score, n = choice.score, choice.n_candidates
    where = f"token {score.candidate.position} ({score.token!r}), block {score.candidate.block} of {blocks}"
    if choice.passes:
        rules_asked = "every rule" if by == "bypass" else "the rules that need no refusal tokens"
        return f"Chosen: {where}, by {BYS[by]}; {choice.n_passing} of {n} candidates pass {rules_asked}."
    reasons = "; ".join(score.reasons(rules, blocks, by)) or "it could not be scored"
    return (
        f"None of the {n} candidates passes every rule. Shown is the one that breaks fewest, {where}: {reasons}. Do "
        "not take its effects for those of a refusal direction without a look at the table."
    )


def of_effects(rates: Sequence[Rates], costs: Sequence[Cost], target: str, control: str) -> list[str]:
    """What the interventions do, beside what random directions do."""
    notes: list[str] = []
    base = _rate(rates, NONE, target)
    if base is None:
        return notes
    hits = round(base.refusal.value * base.n)
    little = _little(base.refusal.value, hits, base.n, target)
    if little:
        notes.append(little)
    ablated = _rate(rates, "ablate", target)
    if ablated is not None and not little:
        floor = [each.refusal.value for each in rates if each.floor == "random ablate" and each.group == target]
        beside = (
            f"; {len(floor)} random direction{'s leave' if len(floor) > 1 else ' leaves'} {_span(floor)}"
            if floor
            else "; no random direction was tried"
        )
        notes.append(
            f"Ablating the direction everywhere takes refusal of {target} requests from {_share(base)} to "
            f"{_share(ablated)}{beside}."
        )
    notes += _harm(rates, costs, control)
    notes += _broken(rates)
    weights = _rate(rates, "weights", target)
    if ablated is not None and weights is not None:
        same = sum(a.text == b.text for a, b in zip(ablated.said, weights.said, strict=True))
        notes.append(
            f"Orthogonalised weights give the very replies of ablation on {same} of {weights.n} {target} requests."
        )
    return notes


def of_location(found: Surrogate, moved: Drift | None, probes: TwoProbes | None) -> list[str]:
    """Where the model's decision can be read, and how far it has drifted."""
    notes = []
    if probes and probes.auroc.low < READABLE:
        value, low, high = probes.auroc
        notes.append(
            f"At the last instruction token harmfulness is not surely read by mean difference: AUROC {value:.2f} "
            f"[{low:.2f}, {high:.2f}] on test requests. Do not lean on that axis of the two probes."
        )
    if not found.f1:
        notes.append(
            f"The model refuses {found.refused} of {found.n} test requests: too few on one side for a surrogate "
            "classifier of its decisions."
        )
    elif found.first_good is None:
        notes.append(
            f"At no block does a linear head tell the model's own refusals with F1 above {GOOD_F1} and above the "
            f"{found.trivial:.2f} of calling all of them refusals."
        )
    else:
        notes.append(
            f"From block {found.first_good} on, a linear head tells the model's own refusals with F1 above {GOOD_F1} "
            f"({found.refused} of {found.n} test requests refused; calling all refusals gives {found.trivial:.2f})."
        )
    if moved:
        worst = min(range(len(moved.target)), key=lambda block: moved.target[block])
        notes.append(
            f"Drift from {moved.reference}: the mean states of {moved.n} target requests have their lowest cosine, "
            f"{moved.target[worst]:.2f}, after block {worst}."
        )
    return notes


def _broken(rates: Sequence[Rates]) -> list[str]:
    """Replies that say less than their shares seem to: thoughts without an answer, loops and empty ones."""
    notes = []
    of_interest = [each for each in rates if not each.floor]
    for each in of_interest:
        if each.unfinished.value:
            count = round(each.unfinished.value * each.n)
            notes.append(
                f"{count} of {each.n} replies to {each.group} requests, {each.title}, ended inside their thought: they "
                "count as neither refused nor answered. Let the model think longer, or not at all."
            )
        if each.degenerate.value >= _MUCH:
            count = round(each.degenerate.value * each.n)
            notes.append(
                f"Beware: {count} of {each.n} replies to {each.group} requests, {each.title}, are degenerate "
                "(looping or empty), whatever else they count as."
            )
    return notes


def _harm(rates: Sequence[Rates], costs: Sequence[Cost], control: str) -> list[str]:
    """Interventions meant to take refusal away that bring refusals of control requests, or cost answers."""
    notes = []
    for each in rates:
        meant = each.arm not in (NONE, "add") and not each.floor
        base = _rate(rates, NONE, control)
        if meant and base and each.group == control and each.p_value < _P and each.refusal.value > base.refusal.value:
            notes.append(f"Beware: {each.title} raises refusal of {control} requests to {_share(each)}.")
    before = next((each for each in costs if each.arm == NONE), None)
    for cost in costs:
        for name, answers in cost.answers.items():
            lost = before is not None and answers.accuracy.value < before.answers[name].accuracy.value
            if lost and not cost.floor and answers.p_value < _P:
                right = answers.accuracy
                notes.append(
                    f"Beware: {cost.title} lowers {name} to {right.value:.0%} [{right.low:.0%}, {right.high:.0%}]."
                )
    return notes


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.0%}", f"{max(values):.0%}"
    return low if low == high else f"{low} to {high}"


def _little(rate: float, hits: int, n: int, label: str) -> str:
    if rate >= LITTLE:
        return ""
    how = "hardly any" if rate < HARDLY else "little"
    return f"The model refuses {hits} of {n} {label} requests: there is {how} refusal to ablate."


def _rate(rates: Sequence[Rates], arm: str, group: str) -> Rates | None:
    return next((each for each in rates if each.arm == arm and each.group == group), None)


def _share(rate: Rates) -> str:
    low, high = rate.refusal.low, rate.refusal.high
    return f"{rate.refusal.value:.0%} [{low:.0%}, {high:.0%}]"
