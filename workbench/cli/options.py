"""Command-line options that several commands share: how to load a model."""

from __future__ import annotations

import functools
import inspect
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.console import ERR


if TYPE_CHECKING:
    from steering.model.chat_settings import ChatSettings
    from steering.model.host import Host

# Written out here although they equal the fields of `steering.loading.options.LoadOptions` (a test compares them):
# importing that class costs seconds of torch, and `workbench --help` should not.
_OPTIONS: dict[str, tuple[Any, Any, str]] = {
    "dtype": (str, "auto", "auto, float32, bfloat16 or float16."),
    "device": (str, "auto", "auto, cpu, cuda, cuda:1, mps …"),
    "device_map": (str | None, None, "Placement over several devices, such as auto."),
    "max_memory": (str | None, None, "With --device-map: 0=20GB,cpu=60GB. The rest lies on the disk."),
    "tensor_parallel": (int, 1, "Processes that divide each matrix, started by torchrun (steer and selfcheck)."),
    "revision": (str | None, None, "Branch, tag or commit on the Hub."),
    "quantisation": (str | None, None, "8bit or 4bit (needs the quantisation extra)."),
    "trust_remote_code": (bool, False, "Run Python code that comes with the model."),
    "base": (str | None, None, "Base of a LoRA adapter, where the one that it names is not there."),
    "allow_missing": (bool, False, "Load although weights are missing: they are made anew, at random."),
    "blocks": (str | None, None, "Path of the list of decoder blocks, for an unknown architecture."),
}

_CHAT: dict[str, tuple[Any, Any, str]] = {
    "template_set": (list[str] | None, None, "A switch of the chat template as name=value; may be repeated."),
    "prefill": (str, "", "What every reply begins with; the model goes on from there."),
    "thought": (str, "auto", "skip, think, or auto: skip unless a switch asks for thought."),
    "thought_tokens": (int, 512, "think: the most tokens of a thought, beside the answer's own."),
    "system_place": (str, "system", "system, or user: the system prompt stands before the user's message."),
}
"""As the fields of `steering.model.chat_settings.ChatSettings`, which a test compares."""

_FLAGS = {"blocks": "--block-list"}
"""Where a plain name would be taken for something else: block numbers are given with --at."""

WorkspaceFolder = Annotated[Path | None, typer.Option("--workspace", help="Folder of the shelf.")]
WithoutTexts = Annotated[bool, typer.Option("--without-texts", help="Leave prompts and replies out of the files.")]
Model = Annotated[str, typer.Option("--model", "-m", help="A demo model, a folder, a GGUF file or a Hub id.")]


Command = Callable[..., Any]


def taking(command: Command, name: str, options: Sequence[inspect.Parameter]) -> Command:
    """Give a command further options.

    Args:
        command: It.
        name: Under which it receives them, as one mapping.
        options: What typer reads of each.
    """

    @functools.wraps(command)
    def wrapped(**given: Any) -> Any:
        taken = {each.name: given.pop(each.name) for each in options}
        return command(**given, **{name: taken})

    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != name]
    wrapped.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    del wrapped.__wrapped__  # typer would read the annotations of the inner function
    wrapped.__annotations__ = {p.name: p.annotation for p in wrapped.__signature__.parameters.values()}  # type: ignore[attr-defined]
    return wrapped


def loads_model(command: Command) -> Command:
    """Give a command the options above; it receives them as one mapping named `load`, those of the chat template under
    its key `chat`.
    """

    @functools.wraps(command)
    def loading(load: dict[str, Any], **given: Any) -> Any:
        chat = {name: load.pop(name) for name in _CHAT}
        return command(**given, load={**load, "chat": chat})

    return taking(loading, "load", _parameters())


def _parameters() -> list[inspect.Parameter]:
    """Those of loading, then those of the chat template."""
    return [
        _parameter(name, *each, group)
        for group, options in (("Loading the model", _OPTIONS), ("Using the chat template", _CHAT))
        for name, each in options.items()
    ]


def _parameter(name: str, kind: Any, default: Any, text: str, group: str) -> inspect.Parameter:
    flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    option = typer.Option(flag, help=text, rich_help_panel=group)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def chat_of(given: Mapping[str, Any]) -> ChatSettings:
    """Chat settings from the options.

    Raises:
        SteeringError: A switch that is no name=value, or a value that is none of an option's.
    """
    from pydantic import ValidationError

    from steering.model.chat_settings import ChatSettings
    from steering.validation import validation_error
    from workbench.key_values import pairs

    fields = {
        "switches": pairs(given["template_set"] or [], told="--template-set", example="enable_thinking=false"),
        "system": given["system_place"],
    }
    fields |= {name: given[name] for name in ("prefill", "thought", "thought_tokens")}
    try:
        return ChatSettings.model_validate(fields)
    except ValidationError as error:
        raise validation_error("The chat template's options", error, ChatSettings) from error


def load_defaults() -> dict[str, Any]:
    """The options of loading, where nobody types any."""
    return {name: default for name, (_, default, _) in _OPTIONS.items()}


def load_host(name: str, load: Mapping[str, Any], chat: ChatSettings | None = None, *, together: bool = False) -> Host:
    """Load a model and say on standard error what was loaded.

    Args:
        name: As `Host.load` takes it.
        load: The options, as `loads_model` gives them.
        chat: How its template is used where no option says it.
        together: Whether the command may be done by several processes at once, which share the model.

    Raises:
        SteeringError: Several were asked for, and it may not; what `Host.load` raises.
    """
    from steering.loading.options import LoadOptions
    from steering.model.host import Host
    from steering.model.openings import chat_notes

    options = {key: value for key, value in load.items() if key != "chat"}
    if options["tensor_parallel"] != 1:
        _one_of_several(together=together)
    typed = chat_of(load["chat"])
    chat = typed if chat is None or not typed.default else chat
    with ERR.status(f"Loading {name}"):
        host = Host.load(name, options=LoadOptions(**options)).under(chat)
        chat_notes(host)  # a switch that the template does not read is told now
    ERR.print(f"[bold]{host.name}[/]  {host.info.summary}", highlight=False)
    for note in host.info.notes:
        ERR.print(note, markup=False, highlight=False)
    for warning in host.warnings:
        ERR.print(warning, markup=False, highlight=False, style="bold red")
    return host


def _one_of_several(*, together: bool) -> None:
    """This process is one of several that do the same: the first one speaks."""
    from steering.loading.tensor_parallel import only_by_script, place_among_others

    if not together:
        raise only_by_script("A command that does more than pass after pass")
    if place_among_others()[0]:
        sys.stdout, ERR.quiet = io.StringIO(), True
