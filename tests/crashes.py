"""Runs of the command line that are killed at random moments: nothing that was reported finished is lost or changed,
nothing half-written is listed, and what was interrupted goes on to the same end.

    python -m tests.crashes 200              # `make crash`
    python -m tests.crashes 200 --only 17    # that try again: same kind, phase and moment

Each try is a process of its own, forked from one that has all modules, on one workspace. It tells through a pipe which
phase begins; the kill follows at a random moment of the phase that was drawn.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from typing import Any


os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import nnsight.modeling.tp.envoys  # noqa: F401 - what a try needs is here before it is forked
import plotly.io  # noqa: F401
import pyarrow.parquet  # noqa: F401
import scipy.optimize  # noqa: F401
import sklearn.feature_extraction.text
import sklearn.linear_model  # noqa: F401
import torch
import transformers.models.llama.modeling_llama
import transformers.pipelines.text_generation  # noqa: F401
from typer.main import get_command

from steering.store import Store
from steering.studies.study import Result
from workbench.cli import commands, kept_runs, main  # noqa: F401
from workbench.home import HOME
from workbench.runs import files
from workbench.runs.run import Run
from workbench.runs.runs import Runs
from workbench.workspace import Workspace


BEFORE, BEGIN, COMPUTE, WRITE, LIST, AFTER = PHASES = (
    "before it begins",
    "taking it down",
    "computing",
    "writing what it found",
    "telling the list",
    "after",
)
AIMED = (COMPUTE, WRITE, LIST, WRITE, COMPUTE, BEGIN, LIST, BEFORE, WRITE, AFTER)
"""Phases in which kills are to fall, in turn: most where most is written."""
STEER = '{"interventions": [{"vector": "formality", "strength": 1}], "decode": {"max_new_tokens": 6, "temperature": 1}}'
TRAINED = (
    *("--set", "features=16", "--set", "active=4", "--set", "tokens=300", "--set", "steps=12", "--set", "batch=64"),
    *("--set", "silent_after=5"),
)
KINDS: dict[str, list[str]] = {
    "extract": ["extract", "formality"],
    "steer": ["steer", "Write a note to my boss.", "-v", "formality", "--length", "12", "--temperature", "1"],
    "grid": ["run", "grid", "--set", f"recipe={STEER}", "--set", "x=strength: 0, 1", "--set", "y=seed: 0..2"],
    "methods": ["run", "methods", "--set", "methods=[mean_difference, random]", "--set", "split_half=false"],
    "refusal": [
        *("run", "refusal", "--set", "n_train=4", "--set", "n_validation=2", "--set", "n_test=2", "--set", "random=1"),
        *("--set", "reply_tokens=4", "--set", "questions=2", "--set", "arms=[ablate]", "--set", "complete=false"),
        *("--set", "last_only=true", "--set", "tokens=[I]"),
    ],
    "tradeoff": [
        *("run", "tradeoff", "--set", f"recipes=[{STEER}]", "--set", "strengths=-1, 1", "--set", "n=4"),
        *("--set", "n_replies=2", "--set", "random=1", "--set", "reply_tokens=4", "--set", "also=[]"),
    ],
    "probe": [
        *("run", "probe", "--set", "n=10", "--set", "steps=5", "--set", "restarts=1", "--set", "folds=2"),
        *("--set", "random=5", "--set", "permutations=100", "--set", "aqi_n=5", "--set", "cause=[]"),
        *("--set", "blocks=3", "--set", "controls=[]"),
    ],
    "pairs": ["run", "pairs", "--set", "n=4", "--set", "reply_tokens=24"],
    "train": [
        *("run", "train", "--set", "n=12", "--set", "steps=3", "--set", "batch=2", "--set", "replies=2"),
        *("--set", "reply_tokens=4", "--set", "random=1"),
    ],
    "pair_worth": [
        *("run", "pair_worth", "--set", "n=5", "--set", "n_held_out=3", "--set", "steps=3", "--set", "points=2"),
        *("--set", "sizes=2, 4", "--set", "draws=2"),
    ],
    "self_rewarding": [
        *("run", "self_rewarding", "--set", "n=3", "--set", "rounds=1", "--set", "steps=3", "--set", "replies=3"),
        *("--set", "reply_tokens=16"),
    ],
    "axbench": [
        *("run", "axbench", "--set", "n_concepts=2", "--set", "n_instructions=2", "--set", "factors=1"),
        *("--set", "methods=[none, mean_difference]", "--set", "texts_n=8", "--set", "reply_tokens=4"),
        *("--set", "resamples=100"),
    ],
    "overoptimisation": [
        *("run", "overoptimisation", "--set", "n_requests=4", "--set", "samples=2", "--set", "loss="),
        *("--set", "reply_tokens=8", "--set", "resamples=100"),
    ],
    "dictionary_health": ["run", "dictionary_health", "--set", "texts_n=2", "--set", "resamples=100"],
    "features": [
        *("run", "features", "--set", "texts_n=8", "--set", "n=2", "--set", "permutations=100", "--set", "parts=2"),
        *("--set", "prompt=Hello.", "--set", "keep=1"),
    ],
    "feature_cause": [
        *("run", "feature_cause", "--set", "n_train=4", "--set", "n_test=2", "--set", "n_features=2"),
        *("--set", "random_sets=1", "--set", "reply_tokens=4", "--set", "toward=[I]"),
    ],
    "feature_attribution": [
        *("run", "feature_attribution", "--set", "texts_n=2", "--set", "n=2", "--set", "others=1"),
        *("--set", "dictionary=demo/block-1-transcoder"),
    ],
    "feature_shift": [
        *("run", "feature_shift", "--set", "texts_n=4", "--set", "n=3", "--set", "permutations=100"),
        *("--set", "resamples=100"),
    ],
    **{kind: ["run", kind, *TRAINED] for kind in ("sae", "transcoder", "crosscoder")},
}
"""By kind of run, the smallest command that has all its parts."""
COMMAND = get_command(main.app)
"""Made once: each try would spend a tenth of a second on it."""
_MARK = "=bd"
"""What a try writes into its pipe: the number of a phase, and when it began."""
_LOCK = re.compile(r"\.(alive-\w+|mending)")
KEPT = re.compile(r"Kept as run (\w{16})")


class Try:
    """A command in a process of its own."""

    def __init__(self, command: list[str], home: Path) -> None:
        self.said = home / "said.txt"
        self.marks: list[tuple[str, float]] = []
        """Phases that began, and when."""
        self._pipe, told = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            _be(command, home, self.said, told)
        os.close(told)
        os.set_blocking(self._pipe, False)

    def kill_in(self, phase: str, after: float) -> str:
        """Kill it so many seconds after a phase began; gives the phase in which it was."""
        while not self._began(phase):
            if self._ended():
                return AFTER
            select([self._pipe], [], [], 0.05)  # until it tells something, or ends
        end = dict(self.marks)[phase] + after
        while time.perf_counter() < end:  # a sleep would come too late for what takes a millisecond
            time.sleep(0.001 if end - time.perf_counter() > 0.01 else 0)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._began(AFTER)
        return self.marks[-1][0]

    def wait(self) -> str:
        """Let it end; gives what it said.

        Raises:
            AssertionError: It failed.
        """
        _, status = os.waitpid(self._pid, 0)
        self._began(AFTER)
        said = self.said.read_text()
        assert status == 0, said
        return said

    def _ended(self) -> bool:
        return os.waitpid(self._pid, os.WNOHANG)[0] != 0

    def _began(self, phase: str) -> bool:
        """Read which phases began meanwhile; says whether this one did."""
        try:
            for mark, when in struct.iter_unpack(_MARK, os.read(self._pipe, 100 * struct.calcsize(_MARK))):
                self.marks.append((PHASES[mark], when))
        except BlockingIOError:
            pass
        return phase in dict(self.marks)

    def close(self) -> None:
        os.close(self._pipe)


def _be(command: list[str], home: Path, said: Path, told: int) -> None:
    """Be the process of a try; never returns."""
    code = 1
    try:
        os.environ[HOME] = str(home)
        torch.set_num_threads(1)  # torch makes its pool anew behind a fork, and not for two threads at once
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)

        def mark(phase: str) -> None:
            os.write(told, struct.pack(_MARK, PHASES.index(phase), time.perf_counter()))

        mark(BEFORE)
        commands.tell_size = lambda *asked: None  # which takes as long as the run, and writes nothing
        _marked(Runs, "begin", mark, BEGIN, COMPUTE)
        _marked(files, "end", mark, WRITE, LIST)
        _marked(Runs, "end", mark, None, AFTER)
        COMMAND.main(command, standalone_mode=False)
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _marked(owner: Any, name: str, mark: Callable[[str], None], before: str | None, after: str) -> None:
    function = getattr(owner, name)

    def call(*args: Any, **options: Any) -> Any:
        if before:
            mark(before)
        found = function(*args, **options)
        mark(after)
        return found

    setattr(owner, name, call)


class Crashes:
    """One workspace, and what is known of it."""

    def __init__(self, home: Path, kinds: list[str]) -> None:
        self.home = home / "workspace"
        self._known: dict[str, tuple[Run, str]] = {}
        """Runs that were reported finished: what the list says of them, and the digest of their folder."""
        self.expected: dict[str, dict[str, str]] = {}
        """By kind, the digests of what an undisturbed run finds."""
        self.length: dict[str, dict[str, float]] = {}
        """By kind, how many seconds each phase takes."""
        self._vector, self._undisturbed = self.home / "shelf" / "formality.safetensors", home / "undisturbed"
        for kind in {"extract": None} | dict.fromkeys(kinds):
            self._measure(kind, self._undisturbed)
        shutil.copytree(self._undisturbed / "shelf", self.home / "shelf")

    def _measure(self, kind: str, home: Path) -> None:
        """Run a kind undisturbed in another workspace."""
        home.mkdir(exist_ok=True)
        _forget_parts(home)
        done = Try(KINDS[kind], home)
        said, end = done.wait(), time.perf_counter()
        done.close()
        ends = [when for _, when in done.marks[1:]] + [end]
        self.length[kind] = {phase: end - began for (phase, began), end in zip(done.marks, ends, strict=True)}
        with _opened(home) as runs:
            self.expected[kind] = digests(runs.result(_id(said)))

    def kill(self, kind: str, phase: str, when: float) -> str:
        """Kill a run at a share of a phase, look whether all stands, and go on with it; gives the phase it fell in."""
        _forget_parts(self.home)
        if kind == "extract":
            self._vector.unlink()
        tried = Try(KINDS[kind], self.home)
        fell = tried.kill_in(phase, when * self.length[kind][phase])
        tried.close()
        reported = KEPT.findall(tried.said.read_text())
        interrupted = self._look(reported)
        if not self._vector.exists():
            shutil.copy(self._undisturbed / "shelf" / self._vector.name, self._vector)
        for id in interrupted:
            again = _whole(["runs", "resume", id], self.home)
            with _opened(self.home) as runs:
                self._check(runs, _id(again), kind, "it went on to another end")
                runs.delete(id)
        self._look([_id(again)] if interrupted else [])
        return fell

    def _look(self, reported: list[str]) -> list[str]:
        """Look at all that a workbench finds when it opens the workspace; gives the ids of interrupted runs."""
        assert all(not hasattr(each, "error") for each in Workspace(self.home).entries()), "a damaged vector"
        with _opened(self.home) as runs:
            assert not runs.mended, runs.mended
            found = {run.id: runs.get(run.id) for run in runs.find()}
            assert {*self._known, *reported} <= {*found}, "a finished run is lost"
            for run in found.values():
                self._look_at(run, runs)
            strange = [
                path for path in runs.folder.rglob(".*") if not re.fullmatch(r"\.(alive-\w+|mending)", path.name)
            ]
            assert not strange, f"half-written files are left: {strange}"
            return [id for id, run in found.items() if run.state == "interrupted"]

    def _look_at(self, run: Run, runs: Runs) -> None:
        folder = runs.folder / run.id
        if run.state == "interrupted":
            assert run.id not in self._known, "a finished run is interrupted"
            return
        assert run.state == "done", f"a run is {run.state}: {run.error}"
        if run.id in self._known:
            assert self._known[run.id] == (run, _stamp(folder)), "a finished run has changed"
            return
        self._check(runs, run.id, run.kind, "a finished run is half-written")
        self._known[run.id] = run, _stamp(folder)

    def finish(self) -> None:
        """Read every finished run once more, whole."""
        with _opened(self.home) as runs:
            for id, (run, _) in self._known.items():
                self._check(runs, id, run.kind, "a finished run has changed")

    def _check(self, runs: Runs, id: str, kind: str, otherwise: str) -> None:
        other = differing(digests(runs.result(id)), self.expected[kind])
        assert not other, f"{otherwise}: {', '.join(other)}"


def digests(result: Result | None) -> dict[str, str]:
    """Of measures, each table, text and vector; not of which parts were known, and of paths."""
    assert result is not None, "a finished run has no result"
    parts = {"measures": str(result.measures), "notes": str(result.notes)}
    for name, table in result.tables.items():
        parts[f"table {name}"] = table.drop(columns="known", errors="ignore").to_csv()
    parts |= {f"text {name}": text for name, text in _texts(result).items()}
    parts |= {f"vector {name}": vector.digest for name, vector in result.vectors.items()}
    return {name: hashlib.sha256(part.encode("utf-8", "backslashreplace")).hexdigest() for name, part in parts.items()}


def differing(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """The parts of two results that differ."""
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


def _texts(result: Result) -> dict[str, str]:
    """Without the folders that settings name, and the time at which a report was made."""
    places = [str(Path(each).parent) for each in result.settings.values() if isinstance(each, str) and "/" in each]
    texts = {name: re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "", text) for name, text in result.files.items()}
    for place in places:
        texts = {name: text.replace(place, "") for name, text in texts.items()}
    return texts


def _stamp(folder: Path) -> str:
    """Of the names, sizes and times of a folder's files: what was not written is as it was."""
    stats = [(str(path), path.stat()) for path in sorted(folder.rglob("*"))]
    return json.dumps([(path, stat.st_size, stat.st_mtime_ns, stat.st_ino) for path, stat in stats])


@contextmanager
def _opened(home: Path) -> Iterator[Runs]:
    """The runs of a workspace as a workbench that starts anew finds them; closed again, since a process forks next."""
    runs = Runs(home / "runs")
    try:
        yield runs
    finally:
        runs.close()


def _whole(command: list[str], home: Path) -> str:
    done = Try(command, home)
    try:
        return done.wait()
    finally:
        done.close()


def _id(said: str) -> str:
    found = KEPT.search(said)
    assert found, said
    return found[1]


def _forget_parts(home: Path) -> None:
    """Empty the store of finished parts, so that there is something to compute."""
    store = Store(home / "cells.sqlite", own=True)
    for key in [*store]:
        del store[key]
    store._file.close()


def crash(n: int, seed: int, only: int | None, kinds: list[str]) -> Counter[tuple[str, str]]:
    """Kill `n` runs; gives how many of which kind fell in which phase.

    Raises:
        AssertionError: Something was lost, changed, half-written or went on to another end.
    """
    fell: Counter[tuple[str, str]] = Counter()
    with TemporaryDirectory(prefix="crashes-") as folder:
        crashes = Crashes(Path(folder), kinds)
        for number in range(n) if only is None else [only]:
            kind, phase = kinds[number % len(kinds)], AIMED[number // len(kinds) % len(AIMED)]
            when = random.Random(f"{seed} {number}").random()
            told = f"try {number} of seed {seed}: {kind}, {when:.0%} into {phase}"
            try:
                fell[kind, landed := crashes.kill(kind, phase, when)] += 1
            except AssertionError:
                print(f"FAILED at {told}; again: python -m tests.crashes {n} --seed {seed} --only {number}", flush=True)
                raise
            print(f"{told}: fell {landed}", flush=True)
        crashes.finish()
    return fell


def print_fell(fell: Counter[tuple[str, str]], kinds: list[str]) -> None:
    """Where the kills fell, as a table."""
    width = max(map(len, kinds))
    print(f"\n{'':{width}}  {'  '.join(PHASES)}  all")
    for kind in [*kinds, "all"]:
        counts = [sum(n for key, n in fell.items() if key[1] == phase and kind in (key[0], "all")) for phase in PHASES]
        cells = "  ".join(f"{count:>{len(phase)}}" for count, phase in zip(counts, PHASES, strict=True))
        print(f"{kind:{width}}  {cells}  {sum(counts):>3}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kill runs at random moments and look what is left.")
    parser.add_argument("n", type=int, nargs="?", default=200, help="How many kills.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="The number of one try, to repeat it.")
    parser.add_argument("--kinds", default=",".join(KINDS), help="Kinds of runs, with commas between.")
    asked = parser.parse_args()
    chosen = asked.kinds.split(",")
    began = time.monotonic()
    print_fell(crash(asked.n, asked.seed, asked.only, chosen), chosen)
    print(f"Nothing was lost, changed or half-written, in {time.monotonic() - began:.0f} s.")
