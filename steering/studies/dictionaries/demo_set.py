"""The dictionaries that ship with the demo model: an autoencoder and a transcoder at two of its blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from steering.lane import Job
from steering.model.host import Host
from steering.studies.dictionaries import SAE, TRANSCODER
from steering.studies.study import Result


BLOCKS = (1, 3)
"""Of `demo`."""


def demo_dictionaries(host: Host, out: Path) -> Iterator[tuple[str, Job[Result]]]:
    """The trainings one after the other, by the names of their folders; each is to be waited for.

    Args:
        host: A demo model.
        out: The folder of their folders.
    """
    for block in BLOCKS:
        for end, study in (("sae", SAE), ("transcoder", TRANSCODER)):
            name = f"block-{block}-{end}"
            given = {"source": "grammar", "block": block, "name": name, "dictionaries": str(out)}
            yield name, study.start(host, study.parse(given))
