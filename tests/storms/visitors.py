"""Visitors of a storm: each opens pages, runs, stops, leaves, loads another model and sends nonsense, over HTTP as a
browser does, and looks whether what it is shown is its own and right.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from steering.errors import SteeringError
from tests.storms.asks import LONG, SAID, Ask, asks_of
from tests.storms.browser import Browser, nonsense
from workbench.doors.answers import API
from workbench.doors.visits import Visit
from workbench.space.visitor import text_of


NOTHING = ("Nothing was written.", "(no text)")
"""What a pane says of a reply that ended before its first token, and of one whose tokens are no letters."""


@dataclass
class Client:
    """One of those in a storm, with a browser of its own and another one to be rude with."""

    number: int
    address: str
    models: tuple[str, ...]
    """Folders of the models that may stand."""
    expected: Mapping[str, Mapping[tuple[int, int], list[str]]]
    """By the model's name, and by client and number of what it asks for, the texts that it gives alone."""
    seed: int
    arrives: Callable[[Visit, int], None]
    """Called with a visit that begins, and the client's number."""
    stays: bool = True
    """Whether it is one visitor all the while; else another one each round."""
    browser: Browser | None = None
    done: dict[str, int] = field(default_factory=dict)
    """How often it did what."""
    refused: int = 0
    """What it was refused in words, as it may be."""
    failures: list[str] = field(default_factory=list)

    def round(self, number: int, steps: int) -> None:
        """Do so many things, drawn by seed, client, round and step alone."""
        if self.browser is None or not self.stays:
            self._arrive()
        rude = Browser(self.address)
        try:
            for step in range(steps):
                drawn = random.Random(f"{self.seed} {self.number} {number} {step}")
                act = drawn.choices(ACTS, [each.weight for each in ACTS])[0]
                try:
                    act.do(self, rude if act.rude else self.browser, drawn)
                except Exception as error:  # told with what it takes to see it again
                    told = f"{type(error).__name__}: {error}"
                    where = f"round {number}, client {self.number}, step {step}, {act.name}"
                    self.failures.append(f"{where}: {told[:1500]}")
                self.done[act.name] = self.done.get(act.name, 0) + 1
        finally:
            rude.close()
            assert self.browser is not None
            self.browser.leave()

    def _arrive(self) -> None:
        if self.browser is not None:
            self.browser.close()
        self.browser = Browser(self.address)
        self.browser.open("/")
        self.arrives(self.browser.visit, self.number)

    # -- what it does -----------------------------------------------------------

    def run(self, browser: Browser, drawn: random.Random) -> None:
        """Run to the end, and read the replies."""
        n, ask = self._ask(drawn, longest=6)
        browser.open(ask.path)
        for _ in browser.press(ask.button, ask.values):
            pass
        assert not browser.errors(), browser.errors()
        if ask.kind == "steer":
            self._read(browser, n, lambda text, whole: text == whole)

    def stop(self, browser: Browser, drawn: random.Random) -> None:
        """Stop a long run in its middle, or before it begins."""
        n, ask = self._ask(drawn, least=LONG)
        browser.open(ask.path)
        at = drawn.randint(1, 4)
        for step, _ in enumerate(browser.press(ask.button, ask.values)):
            if step == at:
                browser.push("steer-stop")
        assert not browser.errors(), browser.errors()
        if text_of(str(browser.value("panes"))):
            self._read(browser, n, lambda text, whole: whole.startswith(text))

    def leave(self, browser: Browser, drawn: random.Random) -> None:
        """Close the tab while a run goes on, which then ends by itself; perhaps come back to it."""
        _, ask = self._ask(drawn)
        browser.open(ask.path)
        steps = browser.press(ask.button, ask.values)
        for _ in itertools.islice(steps, drawn.randint(0, 3)):
            pass
        steps.close()  # type: ignore[attr-defined]
        browser.leave()
        if drawn.random() < 0.5:
            browser.open(ask.path)
            assert not browser.errors(), browser.errors()

    def fail(self, browser: Browser, drawn: random.Random) -> None:
        """Have a run fail in the middle of a pass."""
        kind = drawn.choice([*SAID])
        browser.open("/trouble")
        for _ in browser.press("trouble-run", {"trouble-fields": {"error": kind, "steps": drawn.randint(0, 3)}}):
            pass
        assert any(SAID[kind] in each for each in browser.errors()), (kind, browser.errors())

    def switch(self, browser: Browser, drawn: random.Random) -> None:
        """Load a model."""
        browser.open("/")
        given = {"name": drawn.choice(self.models), "dtype": "auto", "device": "auto", "base": ""}
        for _ in browser.press("load", {"model-fields": given}):
            pass
        for error in browser.errors():
            assert "still being loaded" in error, error
            self.refused += 1

    def look(self, browser: Browser, drawn: random.Random) -> None:
        """Open any page."""
        path = drawn.choice(
            ["", "vectors", "train", "steer", "grid", "refusal", "tradeoff", "probe", "features", "runs"]
        )
        browser.open(f"/{path}")
        assert not browser.errors(), browser.errors()

    def press(self, browser: Browser, drawn: random.Random) -> None:
        """Fire any event of any page with values that no control has."""
        browser.open(f"/{drawn.choice(['', 'vectors', 'steer', 'grid', 'refusal', 'tradeoff', 'probe', 'runs'])}")
        for _ in range(5):
            event = drawn.choice(browser.events)
            n = len(event["inputs"])
            places = drawn.sample(range(n), min(n, drawn.randint(0, 3)))
            try:
                browser.hostile(event, {place: nonsense(drawn) for place in places})
            except SteeringError as refusal:  # the page shows it
                told = str(refusal)
                assert "answers 5" not in told, told
                self.refused += 1
            except ValueError:  # what JSON does not hold, httpx does not send
                self.refused += 1

    def send(self, browser: Browser, drawn: random.Random) -> None:
        """Send what no page sends."""
        browser.open("/")
        known = {"fn_index": drawn.randrange(200), "session_hash": browser.session, "data": []}
        join, upload = ("POST", f"{API}queue/join"), ("POST", f"{API}upload")
        strange: tuple[tuple[str, str, dict[str, Any]], ...] = (
            (*join, {"content": drawn.randbytes(200)}),
            (*join, {"content": json.dumps(nonsense(drawn))}),
            (*join, {"json": {**known, "fn_index": 10**6}}),
            (*join, {"json": {**known, "session_hash": ["another"]}}),
            ("POST", f"{API}run/predict", {"json": {**known, "data": None}}),
            ("POST", f"{API}component_server", {"json": {**known, "component_id": 3}}),
            (*upload, {"files": {"files": ("../x.yaml", drawn.randbytes(99))}}),
            (*upload, {"content": b"--x\r\nno end"}),
            ("GET", f"{API}file=/etc/passwd", {}),
            ("GET", f"{API}heartbeat/%00", {}),
            ("GET", f"/steer?{'x' * 9000}", {}),
            ("DELETE", f"{API}queue/join", {}),
        )
        for method, path, given in drawn.sample(strange, 5):
            status = browser.send(method, path, **given)
            assert status < 500, (method, path, status)
            self.refused += status >= 400

    # -- what it looks at -------------------------------------------------------

    def _ask(self, drawn: random.Random, longest: int = LONG, least: int = 0) -> tuple[int, Ask]:
        asks = [(n, each) for n, each in enumerate(asks_of(self.number)) if least <= each.tokens <= longest]
        return drawn.choice(asks)

    def _read(self, browser: Browser, n: int, agree: Callable[[str, str], bool]) -> None:
        """Hold the panes against what the recipe gives alone, on one of the models: which of them stood is its run's to
        say, which is looked at later."""
        shown = [_bare(text_of(str(pane["now"]))) for pane in browser.value("panes")]
        shown = ["" if text in map(_bare, NOTHING) else text for text in shown]
        alone = [[_bare(text) for text in texts[self.number, n]] for texts in self.expected.values()]
        assert any(
            len(shown) == len(texts) and all(agree(*each) for each in zip(shown, texts, strict=True)) for texts in alone
        ), f"shown {shown}, alone {alone}"


@dataclass(frozen=True)
class Act:
    """One of the things that clients do."""

    name: str
    weight: int
    do: Callable[[Client, Browser, random.Random], None]
    rude: bool = False
    """Whether the client's other browser does it."""


ACTS = (
    Act("run", 6, Client.run),
    Act("stop", 2, Client.stop),
    Act("leave", 2, Client.leave),
    Act("fail", 2, Client.fail),
    Act("switch", 1, Client.switch),
    Act("look", 2, Client.look),
    Act("press", 2, Client.press, rude=True),
    Act("send", 1, Client.send, rude=True),
)


def _bare(text: str) -> str:
    """Without spaces, and without bytes of half a character, which a pane shows as what they are."""
    return re.sub("⟨[0-9A-F]{2}⟩|[\ufffd\\s]", "", text)
