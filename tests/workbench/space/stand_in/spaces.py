"""Stands in for the package `spaces` on ZeroGPU, as far as a program can tell without a GPU.

As the real one (0.51.3) it gives each decorated function a forked child of its own, which is kept while it is idle,
with arguments and results pickled through queues; it looks after a stop when something was yielded; it stands in for
CUDA on the thread that imports it and on no other, and takes the weights away when the page is launched: in the parent
they are NaN from then on, and each child begins with getting them back. What it was asked is a line each in the file
that STAND_IN_LOG names.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from gradio.context import LocalContext
from torch.overrides import TorchFunctionMode


ZERO = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
_fork = multiprocessing.get_context("fork")
_moved: list[torch.Tensor] = []
_packed: list[torch.Tensor] = []
_forked = False


def _log(**said: Any) -> None:
    with Path(os.environ["STAND_IN_LOG"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(said) + "\n")


class _FakeCuda(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.to and any(str(each).startswith("cuda") for each in (*args[1:], *kwargs.values())):
            if not any(each is args[0] for each in _moved):  # tied weights come twice
                _moved.append(args[0])
            return args[0]
        return func(*args, **kwargs)


def _pack(page: gr.Blocks) -> None:
    for tensor in _moved:
        _packed.append(tensor.data)
        tensor.data = torch.full_like(tensor.data, torch.nan)
    _log(packed=len(_packed), waiting=page._queue.max_size)


def _unpack() -> None:
    for tensor, data in zip(_moved, _packed, strict=True):
        tensor.data = data


def GPU(task: Any = None, *, duration: Any = None, size: Any = None) -> Any:
    """As the real one, for functions that yield."""
    if task is None:
        return partial(GPU, duration=duration, size=size)
    return _decorated(task, duration) if ZERO else task


def _decorated(task: Callable[..., Iterator[Any]], duration: Any) -> Any:
    idle: list[_Worker] = []

    @wraps(task)
    def handler(*args: Any) -> Iterator[Any]:
        if _forked:
            yield from task(*args)
            return
        request = LocalContext.request.get(None)
        headers = {} if request is None else dict(request.headers)
        seconds = duration(*args) if callable(duration) else duration
        worker = idle.pop() if idle and idle[-1].process.is_alive() else _Worker(task)
        _log(asked=task.__name__, seconds=seconds, token=headers.get("x-ip-token"), pid=worker.process.pid)
        worker.given.put(args)
        while True:
            kind, value = worker.told.get()
            if kind == "gone":
                raise gr.Error("GPU task aborted", title="ZeroGPU worker error", print_exception=False)
            if kind == "error":
                raise gr.Error(value, title="ZeroGPU worker error", print_exception=False)
            if kind == "end":
                idle.append(worker)
                return
            try:
                yield value
            except GeneratorExit:
                worker.stop.set()
                while worker.told.get()[0] not in ("end", "gone"):
                    pass
                idle.append(worker)
                raise

    return handler


class _Worker:
    def __init__(self, task: Callable[..., Iterator[Any]]) -> None:
        self.given: Any = _fork.SimpleQueue()
        self.told: Any = _fork.SimpleQueue()
        self.stop = _fork.Event()
        self.process = _fork.Process(target=self._work, args=(task,), daemon=True)
        self.process.start()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        self.process.join()
        self.told.put(("gone", None))

    def _work(self, task: Callable[..., Iterator[Any]]) -> None:
        global _forked
        _forked = True
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        first = True
        while True:
            args = self.given.get()
            self.stop.clear()
            if first:
                _unpack()
            first = False
            with ThreadPoolExecutor() as pool:
                pool.submit(copy_context().run, self._iterate, task, args).result()
            self.told.put(("end", None))

    def _iterate(self, task: Callable[..., Iterator[Any]], args: tuple[Any, ...]) -> None:
        steps = task(*args)
        while True:
            try:
                value = next(steps)
            except StopIteration:
                return
            except Exception as error:
                self.told.put(("error", type(error).__name__))
                return
            if self.stop.is_set():
                steps.close()
                return
            self.told.put(("value", value))


if ZERO:
    _FakeCuda().__enter__()
    _launch = gr.Blocks.launch

    def _one_launch(page: gr.Blocks, **options: Any) -> Any:
        _pack(page)
        gr.Blocks.launch = _launch
        return _launch(page, **options)

    gr.Blocks.launch = _one_launch
