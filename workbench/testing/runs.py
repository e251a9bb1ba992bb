"""Checks that run a panel without a screen."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from tempfile import TemporaryDirectory
from types import FunctionType, ModuleType
from typing import Any

import pandas as pd
from pydantic import BaseModel

from steering.errors import SteeringError
from steering.figures.plain import plain
from steering.lane import Stopped
from steering.model.host import Host
from steering.numbers import counted
from steering.studies import study_of
from steering.studies.study import Result
from workbench.testing.models import tiny_host
from workbench.testing.trial import Bench, Fault


SOON = 1.0
"""Seconds in which a run ends that was asked to."""
_MOMENTS = (0.1, 0.4, 0.7)
"""Shares of a whole run after which it is stopped."""


def runs_on_the_demo_model(bench: Bench) -> str:
    """A headless run gives a result whose files can be written, and figures that say their units."""
    begun = time.monotonic()
    result = bench.run(bench.demo, bench.settings(bench.demo))
    took = time.monotonic() - begun
    with TemporaryDirectory() as folder:
        written = sorted(path.name for path in result.write(folder).iterdir())
    if not (result.measures or result.tables or result.figures or result.files or result.vectors):
        raise Fault("The result says nothing.", "Give it measures, tables, figures, files or vectors.")
    for title, figure in result.figures.items():
        _check_figure(title, figure)
    return f"{took:.1f} s; {counted(len(result.figures), 'figure')} with units; files: {', '.join(written)}."


def runs_alike(bench: Bench) -> str:
    """The same settings give the same numbers, another instance too, and nothing outside of a run has changed."""
    host, settings = bench.demo, bench.settings(bench.demo)
    module = sys.modules.get(type(bench.panel).__module__)
    before, own = _state_of(module), _contents(vars(bench.panel))
    first = bench.run(host, settings)
    if changed := [name for name, value in _state_of(module).items() if before.get(name) != value]:
        raise Fault(f"A run changed {', '.join(changed)} of its module.", "Keep what a run needs within run().")
    if _contents(vars(bench.panel)) != own:
        raise Fault("A run changed the panel itself.", "Two people run it at once: keep what it needs within run().")
    other = Bench(type(bench.panel)(), bench.lane, bench.folder, bench.given)
    for said, again in (("A second run", bench), ("Another instance", other)):
        if where := _difference(first, again.run(host, settings)):
            raise Fault(f"{said} with the same settings gave other numbers: {where}.", "Draw from a seed in settings.")
    return "Three runs with the same settings, two of them of one instance, gave the same numbers."


def stops(bench: Bench) -> str:
    """A run that is asked to end does so soon, whenever that is."""
    host, settings, slowest, stopped = bench.demo, bench.settings(bench.demo), 0.0, 0
    begun = time.monotonic()
    bench.run(host, settings)
    whole = time.monotonic() - begun
    for moment in _MOMENTS:
        waited = min(_stopped(bench, host, settings, moment * whole) for _ in range(2))
        if waited > SOON:
            raise Fault(
                f"Asked to stop after {moment * whole:.1f} of {whole:.1f} s, a run went on for {waited:.1f} s.",
                "Call job.report(done, total, …) or job.check() between steps.",
            )
        slowest, stopped = max(slowest, waited), stopped + 1
    return f"Asked at {stopped} moments of a run of {whole:.1f} s; it ended within {slowest:.2f} s."


def on_other_models(bench: Bench) -> str:
    """Where `needs` says that a panel works, it does; where it does not, `needs` says so."""
    said = []
    for architecture, template in (("llama", False), ("gpt2", True), ("gpt_neox", True)):
        host = tiny_host(architecture, template=template, lane=bench.lane)  # type: ignore[arg-type]
        reason = bench.panel.needs(host)
        if reason is not None:
            if not isinstance(reason, str) or not reason.strip():
                raise Fault(f"On {host.name}, needs() gave {reason!r}.", "Give a sentence, or None.")
            said.append(f"{host.name}: “{reason}”")
            continue
        try:
            bench.run(host, bench.settings(host))
        except SteeringError as error:
            raise Fault(
                f"On {host.name}, needs() says that it works, and run() refuses: {error.given}", "Say so in needs()."
            ) from error
        said.append(f"{host.name}: works")
    return "; ".join(said) + "."


def _stopped(bench: Bench, host: Host, settings: BaseModel, after: float) -> float:
    """Seconds from a stop, asked for `after` seconds of a run, to its end."""
    study = study_of(bench.panel)
    job: Any = host.submit(lambda job: study.run(host, settings, job), title=bench.panel.title)
    deadline = time.monotonic() + after
    while time.monotonic() < deadline and not job.finished:
        time.sleep(0.005)
    asked = time.monotonic()
    job.stop()
    try:
        job.result()
    except Stopped:
        return time.monotonic() - asked
    except Exception as error:
        raise Fault(
            f"Asked to stop, a run ended with {type(error).__name__}: {error}.",
            "Let steering.lane.Stopped pass: an `except Exception` around steps must raise it again.",
        ) from error
    return time.monotonic() - asked  # it was done before, or finished the step that it was at


def _check_figure(title: str, figure: Any) -> None:
    try:
        plain(figure)
    except Exception as error:
        raise Fault(
            f"The figure “{title}” is not drawn on the page: {error}",
            "Use scatter, bar and heatmap traces of Plotly (see workbench/page/pictures.py).",
        ) from error
    for name in ("xaxis", "yaxis"):
        if not (figure.layout[name].title.text or "").strip():
            raise Fault(
                f"The figure “{title}” does not say what its {name} is.",
                'Title it with the unit, such as styled(figure, "block", "norm, raw") of steering.figures.styling.',
            )


def _state_of(module: ModuleType | None) -> dict[str, str]:
    """The values that a module holds, those that a run might change."""
    held = vars(module) if module else {}
    passing = (ModuleType, FunctionType, type)
    return _contents(
        {name: each for name, each in held.items() if not name.startswith("__") and not isinstance(each, passing)}
    )


def _contents(held: Mapping[str, Any]) -> dict[str, str]:
    """What values hold, as texts; an object's own attributes with it."""
    return {name: f"{value!r} {vars(value) if hasattr(value, '__dict__') else ''}" for name, value in held.items()}


def _difference(first: Result, second: Result) -> str:
    """Where two results differ; "" where they do not."""
    if first.measures != second.measures and repr(first.measures) != repr(second.measures):  # NaN is not itself
        return "measures"
    if set(first.tables) != set(second.tables):
        return "names of tables"
    return next(iter(_other_tables(first, second)), "")


def _other_tables(first: Result, second: Result) -> Iterator[str]:
    for name, table in first.tables.items():
        try:
            pd.testing.assert_frame_equal(table, second.tables[name], check_exact=True)
        except AssertionError:
            yield f"the table {name}"
