"""A chosen logit of one prompt, attributed to the features of one block, with the measured effect of each beside it.

A transcoder's features are of what an MLP does to the state that enters it (Dunefsky et al. 2024, arXiv 2406.11944);
where it stands in for the MLP's output, row by row, what changes says how far to believe them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from steering.dictionaries.edits import switched_off
from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.model.prompts import Prompt, conversation, render
from steering.numbers import counted, plain_number, spread
from steering.passes.decoding import next_token_logits
from steering.passes.own_thoughts import behind_thoughts
from steering.passes.rows import Row
from steering.statistics import Estimate
from steering.studies.features.attribution import Shares, read_shares
from steering.studies.features.attribution_found import Attributed, agreement_table, feature_table, tables_of
from steering.studies.features.attribution_logits import LogitDifference, difference_of
from steering.studies.features.attribution_replaced import OWN, TREATMENTS, Replacement, replacements
from steering.studies.features.attribution_settings import AttributionSettings
from steering.studies.features.cause_effects import read_differences
from steering.studies.features.cause_plans import off_plan
from steering.studies.features.chosen import dictionary_of
from steering.studies.features.placement import place_words, placement
from steering.studies.features.reading import within_context
from steering.studies.refusal.requests import load_requests, with_system
from steering.studies.refusal.tokens import token_ids
from steering.studies.size import Size, Work, tokens_of
from steering.studies.study import Measure, Result, Study


def run(host: Host, settings: AttributionSettings, job: Job[Result]) -> Result:
    """Follow a logit back to the features, and measure what the largest ones do."""
    host = host.under(settings.chat)
    settings.check(host)
    dictionary, known = dictionary_of(host, settings.dictionary)
    switched_off(dictionary, (0,))  # before anything is read: a dictionary whose features cannot be changed
    prompt = prompt_of(host, settings)
    difference = _difference(host, prompt, settings)
    texts, notes = _texts(host, settings)
    place = placement(host, dictionary, texts)
    if settings.check_place:
        place.check()
    shares = read_shares(job, host, dictionary, [prompt], difference)
    shown, random = _chosen(shares, settings)
    plans = [(), *(off_plan(dictionary, [feature]) for feature in (*shown, *random))]
    values = read_differences(job, host, [prompt], plans, difference)[:, 0]
    replaced: Sequence[Replacement] = ()
    if settings.replace:
        replaced = replacements(job, host, dictionary, texts, prompt, difference, seed=settings.seed)
    found = Attributed(
        host, dictionary, settings, prompt, difference, shares, shown, random, values[1:] - values[0], tuple(replaced)
    )
    return Result.of(
        "feature_attribution",
        host,
        settings,
        measures=_measures(found),
        tables=dict(tables_of(found)),
        notes=(*findings(found), place.says, *known, *notes, *chat_notes(host)),
    )


def prompt_of(host: Host, settings: AttributionSettings) -> Prompt:
    """The prompt that is read, up to where the answer begins.

    Raises:
        SteeringError: It cannot be rendered.
    """
    messages = conversation(settings.prompt)
    if not settings.prompt.strip():
        messages = load_requests(host, sizes=(4, 2, 2)).test.target[0]
    (prompt,) = behind_thoughts(host, [render(host, with_system(messages, settings.system))])
    return prompt


def _difference(host: Host, prompt: Prompt, settings: AttributionSettings) -> LogitDifference:
    toward = token_ids(host, settings.toward) or (int(next_token_logits(host, [Row(prompt)])[0].argmax()),)
    return difference_of(host, toward, token_ids(host, settings.against))


def _texts(host: Host, settings: AttributionSettings) -> tuple[list[Prompt], tuple[str, ...]]:
    sources = settings.sources(host)
    prompts, cut = within_context(host, sources.rendered(host, "chat"))
    return prompts, (*sources.notes, *cut)


def _chosen(shares: Shares, settings: AttributionSettings) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The features that add or take most, and some of the others that are active on the prompt."""
    whole = shares.total(shares.whole)
    active = shares.features.unique()
    order = active[whole[active].abs().argsort(descending=True)].tolist()
    shown, others = order[: settings.n], order[settings.n :]
    rng = np.random.default_rng(settings.seed)
    drawn = rng.permutation(len(others))[: settings.others]
    return tuple(shown), tuple(others[index] for index in sorted(drawn))


def findings(found: Attributed) -> Iterator[str]:
    """What was found, in sentences."""
    shares, dictionary = found.shares, found.dictionary
    yield (
        f"Logit difference: {found.difference.said}, as the first token of the reply: "
        f"{plain_number(found.value)} logits."
    )
    linear = float(shares.linear[0])
    yield (
        f"To first order the features of {dictionary.name} at {place_words(dictionary.gives)} add "
        f"{plain_number(found.held)} of {plain_number(linear)} logits that the whole state there adds; the rest is the "
        "dictionary's bias and what it does not explain."
    )
    table = feature_table(found)
    first = table.iloc[0] if len(table) else None
    if first is not None:
        yield (
            f"Feature {first['feature']} adds or takes most: {plain_number(first['whole'])} logits by activation times "
            f"gradient, {plain_number(first['direct'])} of it straight to the output; without it "
            f"{plain_number(first['measured'])} are gone."
        )
    for row in agreement_table(found).to_dict("records"):
        value = (row["rank_correlation"], row["rank_correlation_low"], row["rank_correlation_high"])
        yield (
            f"Foretold by {row['in_words']} against measured, {counted(row['features'], 'feature')}: rank correlation "
            f"{spread(*value)}."
        )
    yield from _of_replaced(found)


def _of_replaced(found: Attributed) -> Iterator[str]:
    for each in found.replaced:
        other = "" if each.name == OWN else ", as a measure"
        yield (
            f"{TREATMENTS[each.name].capitalize()} in place of {place_words(found.dictionary.gives)}{other}: KL "
            f"{spread(*each.kl)} nats a token (95th percentile {plain_number(each.kl_p95)}), the likeliest token "
            f"stays at {each.same.value:.0%} of {each.tokens:,} tokens; the logit difference of the prompt goes to "
            f"{plain_number(each.value)}."
        )


def _measures(found: Attributed) -> Iterator[Measure]:
    yield Measure("logit difference", found.value, None, None, 1, "logits")
    yield Measure("added by all features, to first order", found.held, None, None, len(found.shares.features), "logits")
    for row in agreement_table(found).dropna(subset="rank_correlation").to_dict("records"):
        value = Estimate(row["rank_correlation"], row["rank_correlation_low"], row["rank_correlation_high"])
        yield Measure(f"agreement of {row['by']} with measured", *value, row["features"], "rank correlation")
    for each in found.replaced:
        yield Measure(f"KL, {TREATMENTS[each.name]}", *each.kl, each.tokens, "nats")


def size_of(host: Host, settings: AttributionSettings) -> Size:
    """Readings of the prompt without each feature, and of texts with states replaced.

    Raises:
        SteeringError: There is no such dictionary, or as `sources_of`.
    """
    settings.check(host)
    works = [Work("readings", 3 + settings.n + settings.others, tokens_of([settings.prompt]))]
    if settings.replace:
        sources = settings.sources(host)
        length = tokens_of([turn.content for each in sources.texts for turn in each.messages])
        works.append(Work("readings", (2 + len(TREATMENTS)) * len(sources.texts), length))
    return Size(tuple(works))


STUDY = Study(
    name="feature_attribution",
    title="Attribution to features",
    summary="Attribute a logit to the features of one block, with what each does beside it, and put a transcoder in an "
    "MLP's place.",
    settings=AttributionSettings,
    run=run,
    size=size_of,
    quick={"texts_n": 10, "n": 6, "others": 6},
    without=frozenset({"decoding steps"}),
)
