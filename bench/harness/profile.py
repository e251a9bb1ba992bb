"""Where the time of a piece of work goes: in which rooms of the project, or libraries, threads are when looked at."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any


ROOT = Path(__file__).parents[2]
EVERY = 0.002
"""Seconds between two looks."""
SECONDS, MOST = 1.0, 20
"""For which the work is done again and again, and how often at most."""
SHOWN = 6
_WAITS = ("threading.py", "queue.py", "selectors.py", "socket.py", "subprocess.py", "_asyncio.py", "thread.py")
"""Files of Python in which a thread waits for another, or for the network."""
_LIBRARIES = {
    "transformers": "the model's own modules",
    "nnsight": "nnsight",
    "gradio": "Gradio",
    "anyio": "Gradio",
    "starlette": "Gradio",
}
_OWN = ("steering", "workbench", "panels")
Profile = tuple[tuple[str, float], ...]
"""Where, and the share of the looks at which a thread was there, largest first."""


def profiled(work: Callable[[], Any]) -> Profile:
    """Do the work for about a second under a thread that looks where the others are.

    Work of torch counts where it was asked for. A thread that waits for another counts nowhere; of several that could
    go on, each counts, although Python runs one at a time.
    """
    seen: Counter[str] = Counter()
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(seen, over), daemon=True)
    watcher.start()
    end = time.perf_counter() + SECONDS
    for _ in range(MOST):
        work()
        if time.perf_counter() > end:
            break
    over.set()
    watcher.join()
    total = sum(seen.values())
    return tuple((where, count / total) for where, count in seen.most_common(SHOWN))


def _watch(seen: Counter[str], over: threading.Event) -> None:
    own = threading.get_ident()
    while not over.wait(EVERY):
        for thread, frame in sys._current_frames().items():
            where = None if thread == own else place_of(frame)
            if where:
                seen[where] += 1


def place_of(frame: FrameType | None) -> str | None:
    """In which room or library a thread works, by the innermost frame that is in one; None where it waits."""
    if frame is None or Path(frame.f_code.co_filename).name in _WAITS:
        return None
    computes = False  # a module of torch, which nnsight has wrapped
    while frame is not None:
        parts = Path(frame.f_code.co_filename).parts
        computes |= "torch" in parts
        for library, name in _LIBRARIES.items():
            if library in parts:
                return _LIBRARIES["transformers"] if computes and library == "nnsight" else name
        if str(ROOT) == str(Path(*parts[: len(ROOT.parts)])) and parts[len(ROOT.parts)] in _OWN:
            inside = parts[len(ROOT.parts) : -1]
            return "/".join(inside[:3] if inside[:2] == ("steering", "studies") else inside[:2])
        frame = frame.f_back
    return None
