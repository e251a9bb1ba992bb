"""All checks of a panel in order, each with what it did and what to mend."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from steering.errors import SteeringError
from steering.lane import Lane
from workbench.panel import Panel
from workbench.testing.browser import in_a_browser
from workbench.testing.runs import on_other_models, runs_alike, runs_on_the_demo_model, stops
from workbench.testing.settings import answers_bad_fields, imports_alone, lays_out, round_trips
from workbench.testing.trial import Bench, Check, Fault, Skip


_log = logging.getLogger(__name__)


def checks_of(
    panel: Panel, *, source: str = "", given: Mapping[str, Any] | None = None, browser: bool = True
) -> Iterator[Check]:
    """Try a panel out, check by check.

    Args:
        panel: The panel.
        source: The file that it lies in; that of its class where empty.
        given: Settings to try it with in place of its defaults, such as small ones.
        browser: Whether to open it in a browser, where there is one.
    """
    lane = Lane()
    with TemporaryDirectory() as folder:
        bench = Bench(panel, lane, Path(folder), given or {})
        tried: list[tuple[str, Callable[[Bench], str]]] = [
            ("settings go round", round_trips),
            ("no other panel is imported", lambda bench: imports_alone(bench, source)),
            ("lays itself out", lays_out),
            ("every wrong field says so", answers_bad_fields),
            ("runs on the demo model", runs_on_the_demo_model),
            ("runs alike, and leaves nothing behind", runs_alike),
            ("stops within a second", stops),
            ("needs() is honest on other models", on_other_models),
            *([("opens in a browser", in_a_browser)] if browser else []),
        ]
        try:
            for name, check in tried:
                yield _checked(name, check, bench)
        finally:
            with suppress(SteeringError):
                bench.shelf(bench.demo).bin.close()
            lane.close()


def check_panel(panel: Panel, **options: Any) -> None:
    """Try a panel out, for a test.

    Args:
        panel: The panel.
        options: Of `checks_of`.

    Raises:
        AssertionError: Naming every check that failed, what it did and what to mend.
    """
    failed = [each for each in checks_of(panel, **options) if each.outcome == "failed"]
    said = "\n".join(f"{each.name}: {each.did} {each.mend}" for each in failed)
    if failed:
        raise AssertionError(f"The panel {panel.title}:\n{said}")


def _checked(name: str, check: Callable[[Bench], str], bench: Bench) -> Check:
    try:
        return Check(name, "passed", check(bench))
    except Fault as fault:
        return Check(name, "failed", str(fault), fault.mend)
    except Skip as skip:
        return Check(name, "skipped", str(skip), skip.mend)
    except SteeringError as error:
        return Check(name, "failed", f"{error.given} {error.expected}".strip(), error.remedy)
    except Exception as error:  # a third party's panel may raise anything
        _log.info("the check %s failed", name, exc_info=True)
        return Check(name, "failed", f"{type(error).__name__}: {error}", "Mend what raises it.")
