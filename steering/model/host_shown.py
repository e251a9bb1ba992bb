"""A loaded model as a notebook shows it; nothing here runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from steering.forms.markup import facts, head, listed, note, output, warned
from steering.model.chat_settings import ChatSettings
from steering.model.model_info import DEMO_CAVEAT
from steering.model.outcome import Check, warnings
from steering.model.sites import site_words
from steering.names import short_name
from steering.numbers import counted


if TYPE_CHECKING:
    from steering.model.host import Host

_MOST_VALUE = 200


def host_html(host: Host) -> str:
    """A whole output."""
    return output(
        head(short_name(host.name), "loaded model"),
        warned(_warnings(host)),
        note(host.info.summary),
        facts(_facts(host)),
        listed(_notes(host)),
    )


def host_text(host: Host) -> str:
    """The same in plain text."""
    rows = [f"{name}: {value}" for name, value in _facts(host) if value]
    said = [f"Note: {each}" for each in (*_warnings(host), *_notes(host))]
    return "\n  ".join([f"Host '{host.name}': {host.info.summary}", *rows, *said])


def _facts(host: Host) -> Iterator[tuple[str, str]]:
    info = host.info
    yield "loaded from", f"{info.source}{f', revision {info.revision}' if info.revision else ''}"
    yield "context", f"{info.context:,} tokens, vocabulary of {info.vocabulary:,}"
    yield "can be written at", ", ".join(map(site_words, host.sites.available))
    default = ChatSettings().model_dump()
    chat = {name: value for name, value in host.chat.model_dump().items() if value != default[name]}
    yield "chat settings", "; ".join(f"{name}: {str(value)[:_MOST_VALUE]}" for name, value in chat.items())
    template = f"digest {info.template_digest}" if info.template_digest else "none"
    yield "chat template", template
    yield "self-check", _checked(host)
    jobs = [job.title for job in host.lane.jobs()]
    yield "on the model thread", ", ".join(jobs) if jobs else "nothing"


def _known(host: Host) -> tuple[Check, ...] | None:
    """What the self-check found; None where it has not run."""
    return host.__dict__.get("check", host.base.__dict__.get("check"))


def _checked(host: Host) -> str:
    checks = _known(host)
    if checks is None:
        return "not run yet"
    failed = [each.name for each in checks if each.outcome == "fail"]
    passed = sum(each.outcome == "pass" for each in checks)
    return f"fails {', '.join(failed)}" if failed else counted(passed, "check") + " passed"


def _warnings(host: Host) -> tuple[str, ...]:
    return warnings(host.name, _known(host) or ())


def _notes(host: Host) -> tuple[str, ...]:
    return (*host.info.notes, *([DEMO_CAVEAT] if host.info.demo else []))
