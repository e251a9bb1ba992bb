"""What a storm comes upon: two models, a panel that fails, and what every recipe gives before it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import torch
from transformers import AutoTokenizer

from steering.model.host import Host
from steering.resources import resource
from steering.studies import STUDIES
from steering.vectors.files import save_vector
from tests.conftest import tiny_model
from tests.storms.asks import TROUBLE, Ask, asks_of, said
from tests.storms.browser import LIMITS
from tests.storms.storm import PATIENCE, Faults, Storm, own_vector
from tests.storms.visitors import Client
from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.frame.shell import launch


MODELS = ("tiny-one", "tiny-two")


def _models(folder: Path) -> dict[str, Path]:
    """Two models of one shape on the disk, so that every recipe goes with both and gives other texts."""
    tokenizer = AutoTokenizer.from_pretrained(resource("assets", "models", "demo"))
    made = {}
    for seed, name in enumerate(MODELS):
        model = deepcopy(tiny_model("llama"))  # which other tests have, too
        torch.manual_seed(seed)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0, 0.25)
        made[name] = folder / name
        model.save_pretrained(made[name])
        tokenizer.save_pretrained(made[name])
    return made


def _alone(bench: Workbench, models: dict[str, Path], clients: int) -> dict[str, dict[tuple[int, int], list[str]]]:
    """What each recipe gives while nothing else goes on, on each of the models."""
    found: dict[str, dict[tuple[int, int], list[str]]] = {}
    for name, path in models.items():
        host = bench.model.load(str(path)).result(PATIENCE)
        found[name] = {}
        for number in range(clients):
            shelf = models[name].parent / f"shelf-{number}"
            shelf.mkdir(exist_ok=True)
            save_vector(own_vector(number), shelf / "own.safetensors")
            for n, ask in enumerate(asks_of(number)):
                found[name][number, n] = _texts_alone(host, ask, shelf)
    return found


def _texts_alone(host: Host, ask: Ask, shelf: Path) -> list[str]:
    study = STUDIES[ask.kind]
    return said(study.start(host, study.parse({**ask.settings, "vectors": str(shelf)})).result(PATIENCE))


@contextmanager
def served(folder: Path, clients: int, seed: int) -> Iterator[Storm]:
    """A workbench on a public page, with so many clients before it."""
    panels = folder / "panels"
    panels.mkdir()
    (panels / "trouble.py").write_text(TROUBLE, encoding="utf-8")
    models = _models(folder)
    bench = Workbench(workspace=folder / "workspace", panels_dir=panels)
    expected = _alone(bench, models, clients)
    paths = tuple(map(str, models.values()))
    entrance = Entrance(port=0, public=LIMITS, allow_models=paths)
    page = launch("", entrance, bench=bench, prevent_thread_lock=True)
    faults = Faults()
    logging.getLogger().addHandler(faults)
    storm = Storm(bench, [], expected, faults)
    assert bench.rooms is not None
    bench.rooms._clock = lambda: time.monotonic() + storm.later
    address = page.link.address
    storm.clients += [
        Client(number, address, paths, expected, seed, storm.begin, stays=number % 2 == 0) for number in range(clients)
    ]
    try:
        yield storm
    finally:
        for each in storm.clients:
            if each.browser is not None:
                each.browser.close()
        logging.getLogger().removeHandler(faults)
        page.close(verbose=False)
        bench.lane.close()
        bench.close()
