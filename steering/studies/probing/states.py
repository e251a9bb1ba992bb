"""The states of statements with "No" and with "Yes" behind them: read once, kept as float16 by content."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.lane import Job, note
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.sites import Site
from steering.own_files import set_aside
from steering.parts.part import parts
from steering.passes.activations import DEFAULT_TOKEN_BUDGET, batches_by_length
from steering.passes.schedule import Place
from steering.passes.state_files import is_full, room_for
from steering.store import HandedOn, digest
from steering.studies.probing.answered import Answered
from steering.studies.probing.templates import Template, runs_of


_MOST_KEPT = 12
"""Sets of states that a folder keeps."""
_ROUNDING = 1e-2
"""By which the largest entry of a kept state may differ from 1: float16 is ten times as exact."""
_OWN = re.compile(r"[0-9a-f]{24}\.(states|scales|done)(\.[0-9]+)?\.(npy|damaged)")
"""Names of the files that are kept here; a folder may hold others'."""
Shapes = dict[str, tuple[tuple[int, ...], type]]
"""Of each file: shape and kind of number."""


@dataclass(frozen=True, eq=False)
class StatesHere:
    """States of statements at some places, which may be sent to whoever looks at these alone."""

    index: Mapping[str, int]
    """The row of every statement."""
    kept: Mapping[Place, tuple[np.ndarray, np.ndarray]]
    """Each state divided by its largest entry, float16, (2, row, width), and that entry, (2, row)."""

    def at(self, texts: Sequence[str], block: int, site: Site) -> tuple[Tensor, Tensor]:
        """States with "No" and with "Yes", float32, (statement, width) each.

        Raises:
            SteeringError: Some are not finite, naming the first statement.
        """
        rows = [self.index[text] for text in texts]
        states, scales = (each[:, rows] for each in self.kept[block, site])
        states = states.astype(np.float32) * scales[..., None]
        wrong = ~np.isfinite(states).all(axis=(0, 2))
        if wrong.any():
            raise SteeringError(
                f"At block {block} the states of {int(wrong.sum())} statements are not finite, first of "
                f"'{texts[int(wrong.argmax())]}'.",
                "finite states.",
                "Load the model in bfloat16 or float32, or leave those statements out.",
            )
        return torch.from_numpy(states[0]), torch.from_numpy(states[1])

    def __reduce__(self) -> tuple[Any, ...]:
        """What is kept in files travels as numbers."""
        kept = {place: tuple(np.array(each) for each in both) for place, both in self.kept.items()}
        return StatesHere, (dict(self.index), kept)


class States:
    """States of every statement at the read token, in float16 with a scale of their own, in a file or in memory.

    Each state is divided by its largest entry before it is rounded, so that no state is too large for float16; what is
    read back differs by less than 0.05 % of that entry.
    """

    def __init__(
        self, host: Host, template: Template, texts: Sequence[str], sites: Sequence[Site], folder: str
    ) -> None:
        """Lay out the tokens, and open what is known.

        Args:
            host: The model.
            template: How the statements are asked about.
            texts: The statements, each once.
            sites: Where to read; every block of each.
            folder: Where states are kept; in memory where empty.

        Raises:
            SteeringError: As `runs_of`, a site that the model lacks, or a folder that cannot be written.
        """
        for site in sites:
            host.sites.check(site)
        self._host, self._sites = host, tuple(sites)
        self.runs = [runs_of(host, template, text) for text in texts]
        self._index = {text: row for row, text in enumerate(texts)}
        places = (len(sites), host.info.blocks, 2, len(texts))
        ids = [[list(run.no.ids), list(run.yes.ids), *run.read] for run in self.runs]
        key = digest("statement states", 1, fingerprint(host), list(sites), ids)[:24] if folder else ""
        shapes: Shapes = {
            "states": ((*places, host.info.width), np.float16),
            "scales": (places, np.float32),
            "done": ((len(texts),), np.bool_),
        }
        self._files = _opened(Path(folder), key, shapes) if folder else {}
        for name, (shape, dtype) in shapes.items():
            self._files.setdefault(name, np.zeros(shape, dtype))

    @property
    def known(self) -> int:
        """Statements that have been read."""
        return int(self._files["done"].sum())

    def __len__(self) -> int:
        return len(self.runs)

    def tokens(self, text: str) -> tuple[str, str]:
        """The tokens that are read of a statement, with "No" and with "Yes"."""
        return self.runs[self._index[text]].tokens

    def read(self, job: Job[Any]) -> Iterator[int]:
        """Read what is missing, a batch at a time; yields how many statements are known. On the model thread."""
        places = tuple(self._places)
        batches = [Answered(tuple(rows), tuple(self.runs[row] for row in rows), places) for rows in self._batches()]
        with closing(parts(job, self._host, batches, HandedOn(self._keep))) as told:
            yield from (self.known for each in told if each.n)

    def only(self, places: Sequence[Place]) -> StatesHere:
        """Those at some places."""
        files = self._files["states"], self._files["scales"]
        where = {place: (self._sites.index(place[1]), place[0]) for place in places}
        return StatesHere(self._index, {place: (files[0][at], files[1][at]) for place, at in where.items()})

    def at(self, texts: Sequence[str], block: int, site: Site) -> tuple[Tensor, Tensor]:
        """As `StatesHere.at`."""
        return self.only([(block, site)]).at(texts, block, site)

    @property
    def _places(self) -> list[Place]:
        return [(block, site) for site in self._sites for block in range(self._host.info.blocks)]

    def _batches(self) -> Iterator[list[int]]:
        """Statements whose runs share equally many tokens, since padding in front would fill a sliding window."""
        by_length = defaultdict[int, list[int]](list)
        for row in np.flatnonzero(~self._files["done"]).tolist():
            by_length[self.runs[row].shared].append(row)
        for rows in by_length.values():
            lengths = [len(self.runs[row].no) + len(self.runs[row].yes) for row in rows]
            for batch in batches_by_length(lengths, DEFAULT_TOKEN_BUDGET):
                yield [rows[index] for index in batch]

    def _keep(self, found: Mapping[str, Any]) -> None:
        """What was read of a batch; its statements are known once all of it is there."""
        rows = found["rows"]
        for (block, site), states, scales in zip(self._places, found["states"], found["scales"], strict=True):
            place = (self._sites.index(site), block)
            self._files["states"][place][:, rows] = states
            self._files["scales"][place][:, rows] = scales
        self._files["done"][rows] = True


def _opened(folder: Path, key: str, shapes: Shapes) -> dict[str, np.ndarray]:
    """The files of some states: what is known and whole, or new ones; none where the disk is full, which is said."""
    paths = {name: folder / f"{key}.{name}.npy" for name in shapes}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _forget_oldest(folder)
        lost = [path.name for path in paths.values() if not path.is_file()]
        if len(lost) < len(paths):
            files = None if lost else _whole(paths, shapes)
            if files is not None:
                return files
            aside = [set_aside(path).name for path in paths.values() if path.exists()]
            note(
                f"Kept states were {'lost in part' if lost else 'damaged'}; what was left of them was set aside as "
                f"{', '.join(aside)}, and they are computed anew."
            )
        return _new(paths, shapes)
    except OSError as error:
        if is_full(error):
            _say_full(folder, str(error.strerror))
            return {}
        raise SteeringError(
            f"States cannot be kept in '{folder}': {error.strerror or error}.",
            "a folder that you may write to.",
            "Choose another.",
        ) from error


def _new(paths: dict[str, Path], shapes: Shapes) -> dict[str, np.ndarray]:
    """New files; none where the disk has no room for all of them, which is said."""
    try:
        return {name: room_for(paths[name], *shapes[name]) for name in shapes}
    except SteeringError as error:
        if not is_full(error.__cause__):
            raise
        for path in paths.values():  # all are new, and of no use without the others
            path.unlink(missing_ok=True)
        _say_full(paths["states"].parent, error.given)
        return {}


def _say_full(folder: Path, reason: str) -> None:
    note(
        f"There is no room in '{folder}' ({reason.rstrip('.')}): the statements' states are kept in memory until the "
        "program ends, and are read again then."
    )


def _whole(paths: dict[str, Path], shapes: Shapes) -> dict[str, np.ndarray] | None:
    """The files, None where one is cut short, is of another shape or holds what was never written."""
    files = {}
    for name, path in paths.items():
        try:
            files[name] = np.load(path, mmap_mode="r+", allow_pickle=False)
        except (ValueError, EOFError):
            return None
        if (files[name].shape, files[name].dtype) != shapes[name]:
            return None
    done = np.flatnonzero(files["done"])
    for site, block in np.ndindex(*files["scales"].shape[:2]):
        scales = files["scales"][site, block][:, done]
        largest = np.abs(files["states"][site, block][:, done]).max(axis=-1, initial=0)
        # Each state was divided by its largest entry; one that is zero everywhere by 1. NaN is told where it is used.
        zero = (largest == 0) & (scales == 1)
        if ((np.abs(largest - 1) > _ROUNDING) & ~zero).any() or (scales == 0).any():
            return None
    return files


def _forget_oldest(folder: Path) -> None:
    """Leave the states that were read last, and make room for new ones."""
    ours = [path for path in folder.iterdir() if _OWN.fullmatch(path.name)]
    known = sorted((path for path in ours if path.name.endswith(".states.npy")), key=lambda path: path.stat().st_mtime)
    old = {path.name.split(".")[0] for path in known[:-_MOST_KEPT]}
    for path in ours:
        if path.name.split(".")[0] in old:
            path.unlink(missing_ok=True)
