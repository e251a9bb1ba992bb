"""Benchmarks one after the other, each in a process of its own, and what they found as they find it."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

from bench.harness.machine import load
from bench.harness.row import BenchRow, skipped
from steering.passes.captured import SWITCH


MODULES = (
    "decoding",
    "peers",
    "vocabulary",
    "extraction",
    "tradeoff",
    "refusal",
    "probing",
    "dictionaries",
    "training",
    "visitors",
    "workers",
    "startup",
    "page",
    "streams",
    "runs",
)
"""Of `bench`, in the order of the table; one that is not there is left out."""
LIMITS = {True: 1800.0, False: 7200.0}
"""Seconds that one of them may take, in a short run and in a whole one."""
_ROW = "row:"
ALONE = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    SWITCH: "on",
}
"""What every process of a benchmark gets: one thread, no network, and steps in one launch where there is a GPU."""


def modules(only: tuple[str, ...] = ()) -> list[str]:
    """The benchmarks that are there."""
    return [name for name in MODULES if (not only or name in only) and find_spec(f"bench.{name}")]


def failed_section(name: str) -> str:
    """The table that says that a benchmark could not go on."""
    return f"Benchmark {name}"


def rows_of(name: str, *, quick: bool) -> Iterator[BenchRow]:
    """What one benchmark finds, as it finds it; a row that says so where it fails or does not end."""
    command = [sys.executable, "-m", "bench.harness.run", name, *(["--quick"] if quick else [])]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, **ALONE}
    )
    late = threading.Event()

    def end() -> None:
        late.set()
        _end(process)

    timer = threading.Timer(LIMITS[quick], end)
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(_ROW):
                yield replace(BenchRow.of_data(json.loads(line.removeprefix(_ROW))), load=load(), short=quick)
            else:
                print(line, end="", file=sys.stderr)
        code = process.wait()
    finally:
        timer.cancel()
        _end(process)
    if code:
        said = f"no end within {LIMITS[quick]:.0f} s" if late.is_set() else f"ended with code {code}"
        note = f"{said}; what it printed says why"
        yield BenchRow(failed_section(name), "the rest of it", "", "", note=note, status="failed", short=quick)


def _end(process: subprocess.Popen[str]) -> None:
    """End a benchmark with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(name: str, quick: bool) -> None:
    """In the benchmark's own process: a line of JSON for each row."""
    import torch

    torch.set_num_threads(1)
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed must not stand between the rows
    for row in _rows(name, quick):
        print(_ROW + json.dumps(row.as_data()), file=pipe, flush=True)


def _rows(name: str, quick: bool) -> Iterator[BenchRow]:
    """What the benchmark finds; a row that says what is missing where one of its packages is not installed."""
    try:
        module = importlib.import_module(f"bench.{name}")
    except ModuleNotFoundError as error:
        yield skipped(failed_section(name), "all of it", "", "", f"{error.name} is not installed")
        return
    yield from module.rows(quick)


if __name__ == "__main__":
    main(sys.argv[1], "--quick" in sys.argv)
