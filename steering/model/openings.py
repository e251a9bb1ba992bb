"""What stands before a reply: the template's switches, an empty thought where none is wanted, and a prefill."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steering.errors import SteeringError
from steering.model.forwards import likeliest
from steering.model.templates import Switch, Value, applied, switches_of, template_notes, template_of
from steering.model.thought_markers import markers_of
from steering.model.thoughts import Markers
from steering.names import short_name


if TYPE_CHECKING:
    from steering.model.host import Host

_USER = "\ue006"  # of the private use area, which no template contains
_ABOUT_THOUGHT = re.compile(r"think|thought|reason", re.IGNORECASE)
_OFF = ("off", "none", "no_think", "nothink", "disabled", "no")


@dataclass(frozen=True)
class Opening:
    """How replies of a model begin under its chat settings."""

    switches: Mapping[str, Value]
    """What the template is told."""
    text: str
    """What is put behind the template's generation prompt: an empty thought, and the prefill."""
    thinks: bool
    """Whether the model is let think first."""
    notes: tuple[str, ...]
    """What a reader of results should know."""


def opening_of(host: Host) -> Opening:
    """How replies begin; worked out once for each template and setting.

    A thought is skipped by the template's own switch where it has one. A generation prompt that opens a thought, or a
    model whose likeliest first token opens one, gets an empty thought instead, so that what is read at the end of the
    prompt is the beginning of the answer.

    Raises:
        SteeringError: A switch that the template does not read, or one that it refuses.
    """
    template = template_of(host.tokenizer)
    known: dict[str, Opening] = host.openings
    key = f"{template}\n{host.chat.to_json()}"
    if key not in known:
        known[key] = _opening(host, template)
    return known[key]


def chat_notes(host: Host) -> tuple[str, ...]:
    """What a reader of results should know about template, thought and prefill; nothing where all is plain."""
    return opening_of(host).notes if host.info.chat_template or host.chat.prefill else ()


def _opening(host: Host, template: str) -> Opening:
    chat, tokenizer = host.chat, host.tokenizer
    if not template or not host.info.chat_template:
        return Opening({}, chat.prefill, False, _prefilled(chat.prefill))
    _check(host)
    markers, notes = markers_of(tokenizer), template_notes(tokenizer)
    own = _own_switches(tokenizer, chat.switches)
    if not markers.pairs and not own:
        return Opening(chat.switches, chat.prefill, False, (*notes, *_prefilled(chat.prefill)))
    asked = [name for name in own if name in chat.switches]
    on = chat.thought == "think" or (chat.thought == "auto" and any(not _is_off(chat.switches[each]) for each in asked))
    name = next(iter(own), None)
    told_by_itself = None if asked or name is None else own[name][on]
    switches = chat.switches if name is None or told_by_itself is None else {**chat.switches, name: told_by_itself}
    if on:
        said = (
            f"The model thinks first, for at most {chat.thought_tokens} tokens: judges, token limits, KL and counted "
            "lengths are of the answer, and what is read where a reply begins is read behind the unsteered model's own "
            "thought."
        )
        return Opening(switches, chat.prefill, True, (*notes, said, *_prefilled(chat.prefill)))
    empty = _empty_thought(host, switches, markers, switched=bool(own))
    told = {each: switches[each] for each in own if each in switches}
    return Opening(switches, empty + chat.prefill, False, (*notes, *_skipped(told, empty), *_prefilled(chat.prefill)))


def _prefilled(prefill: str) -> tuple[str, ...]:
    return (f"Every reply begins with the given text '{prefill[:60]}'.",) if prefill else ()


def _skipped(switches: Mapping[str, Value], empty: str) -> tuple[str, ...]:
    told = ", ".join(f"{name}={value}" for name, value in switches.items())
    how = [f"the template is told {told}"] if told else []
    how += ["replies begin behind an empty thought"] if empty else []
    return (f"The model can think, and is kept from it: {' and '.join(how)}.",) if how else ()


def _check(host: Host) -> None:
    known = [each.name for each in switches_of(host.tokenizer)]
    for name in host.chat.switches:
        if name not in known:
            raise SteeringError(
                f"The template switch '{name}' was set.",
                f"one that the chat template of {short_name(host.name)} reads: {', '.join(known) or 'it reads none'}.",
                "Correct its name, or leave it out.",
            )


def _own_switches(tokenizer: Any, given: Mapping[str, Value]) -> dict[str, tuple[Value, Value | None]]:
    """The template's switches of thought with their values for off and on, None where on is to leave it unset: those
    that change how a reply begins.
    """
    found: dict[str, tuple[Value, Value | None]] = {}
    for switch in switches_of(tokenizer):
        others = {name: value for name, value in given.items() if name != switch.name}
        for off, on, whole in _sides(switch):
            told = {**others, switch.name: off}, others if on is None else {**others, switch.name: on}
            without, thinking = (_behind_user(tokenizer, each, whole=whole) for each in told)
            if without is not None and without != thinking:
                found[switch.name] = off, on
                break
    return found


def _sides(switch: Switch) -> list[tuple[Value, Value | None, bool]]:
    """What may be (off, on) of a switch of thought, the best first; none for any other variable, such as an effort
    that knows no "none". And whether a change anywhere in the prompt tells: a budget of 0 or an effort of "none" is a
    switch only where the beginning of the reply changes with it.
    """
    if not _ABOUT_THOUGHT.search(switch.name):
        return []
    if set(switch.values) == {True, False}:
        return [(False, True, True)]
    off = next((value for value in switch.values if _is_off(value)), None)
    if off is None:
        return []
    on = [value for value in switch.values if not _is_off(value)]
    if isinstance(off, str):
        return [*((off, value, True) for value in on[:1]), (off, None, False)]
    return [(off, None, False), *((off, value, False) for value in on[:1])]


def _is_off(value: Value) -> bool:
    return value.lower() in _OFF if isinstance(value, str) else not value


def _behind_user(tokenizer: Any, switches: Mapping[str, Value], *, whole: bool = False) -> str | None:
    """The generation prompt: what the template writes behind a user message; None where it refuses."""
    try:
        text = applied(tokenizer, [{"role": "user", "content": _USER}], switches=switches)
    except Exception:  # jinja raises whatever the template's author chose
        return None
    return text if whole else text.rpartition(_USER)[2]


def _empty_thought(host: Host, switches: Mapping[str, Value], markers: Markers, *, switched: bool) -> str:
    """What closes a thought before it begins; "" where the template has done that, or the model does not think."""
    start = _behind_user(host.tokenizer, switches)
    if start is None or not markers.pairs or markers.closes(start):
        return ""
    opening, closing = markers.pairs[0]
    if markers.opens(start):
        opening, closing = next((pair for pair in markers.pairs if pair[0] in start), markers.pairs[0])
        return f"\n{closing}\n\n" if start.endswith("\n") else closing
    if switched or not _begins_with(host, switches, opening):
        return ""
    return opening + closing if "|" in opening else f"{opening}\n\n{closing}\n\n"


def _begins_with(host: Host, switches: Mapping[str, Value], opening: str) -> bool:
    """Whether the likeliest reply to a greeting begins with an opening, as the model itself says."""
    text = applied(host.tokenizer, [{"role": "user", "content": "Hello."}], switches=switches)
    first = host.tokenizer(opening, add_special_tokens=False)["input_ids"][:1]
    ids = host.tokenizer(text, add_special_tokens=False)["input_ids"]
    return [host.run(lambda job: likeliest(host.model._module, ids), title="Looking for a thought")] == first
