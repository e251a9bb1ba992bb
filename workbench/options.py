"""Command-line options that several commands share: how to load a model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.console import ERR


if TYPE_CHECKING:
    from steering.host import Host

# Written out here although they equal the fields of `steering.host.LoadOptions` (a test compares them): importing that
# class costs seconds of torch, and `workbench --help` should not.
_OPTIONS: dict[str, tuple[Any, Any, str]] = {
    "dtype": (str, "auto", "auto, float32, bfloat16 or float16."),
    "device": (str, "auto", "auto, cpu, cuda, cuda:1, mps …"),
    "device_map": (str | None, None, "Placement over several devices, such as auto."),
    "revision": (str | None, None, "Branch, tag or commit on the Hub."),
    "quantisation": (str | None, None, "8bit or 4bit (needs the quantisation extra)."),
    "trust_remote_code": (bool, False, "Run Python code that comes with the model."),
    "base": (str | None, None, "Base of a LoRA adapter, where the one that it names is not there."),
    "allow_missing": (bool, False, "Load although weights are missing: they are made anew, at random."),
    "blocks": (str | None, None, "Path of the list of decoder blocks, for an unknown architecture."),
}

_FLAGS = {"blocks": "--block-list"}
"""Where a plain name would be taken for something else: block numbers are given with --at."""

WorkspaceFolder = Annotated[Path | None, typer.Option("--workspace", help="Folder of the shelf.")]
Model = Annotated[str, typer.Option("--model", "-m", help="A demo model, a local folder or a Hub id.")]


def loads_model(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options above; it receives them as one mapping named `load`."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> Any:
        load = {name: given.pop(name) for name in _OPTIONS}
        return command(**given, load=load)

    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "load"]
    wrapped.__signature__ = inspect.Signature(own + [_parameter(name) for name in _OPTIONS])  # type: ignore[attr-defined]
    del wrapped.__wrapped__  # typer would read the annotations of the inner function
    wrapped.__annotations__ = {p.name: p.annotation for p in wrapped.__signature__.parameters.values()}  # type: ignore[attr-defined]
    return wrapped


def _parameter(name: str) -> inspect.Parameter:
    kind, default, text = _OPTIONS[name]
    flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    option = typer.Option(flag, help=text, rich_help_panel="Loading the model")
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def load_host(name: str, load: dict[str, Any]) -> Host:
    """Load a model and say on standard error what was loaded."""
    from steering.host import Host
    from steering.loading import LoadOptions

    with ERR.status(f"Loading {name}"):
        host = Host.load(name, options=LoadOptions(**load))
    ERR.print(f"[bold]{host.name}[/]  {host.info.summary}", highlight=False)
    for note in host.info.notes:
        ERR.print(note, markup=False, highlight=False)
    return host
