"""Where a dictionary belongs by what its files and its user say; nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steering.dictionaries.dictionary import Where
from steering.dictionaries.hooks import Hook, read_hook, say_where
from steering.dictionaries.told import Told
from steering.errors import SteeringError


def said_places(
    name: str, metadata: Mapping[str, Any], transcoder: bool, said: Told
) -> tuple[Where, Where, tuple[str, str], tuple[str, ...]]:
    """What it reads and gives: as told, else as its files say; never guessed."""
    reads, reading, notes = _place(name, "reads", said.reads, metadata.get("hf_hook_name"), metadata.get("hook_name"))
    if not transcoder:
        if said.gives not in (None, reads):
            raise SteeringError(
                f"'{name}' is an autoencoder, which gives the state that it reads: {reads[0]}:{reads[1]}.",
                "no other place for what it gives.",
                "Leave `gives` out.",
            )
        return reads, reads, (reading, reading), notes
    gives, giving, more = _place(
        name, "gives", said.gives, metadata.get("hf_hook_name_out"), metadata.get("hook_name_out")
    )
    return reads, gives, (reading, giving), (*notes, *more)


def _place(name: str, end: str, told: Where | None, path: Any, lens: Any) -> tuple[Where, str, tuple[str, ...]]:
    """One end, by what was told, or by a module's path and TransformerLens' name, whichever the files have."""
    if told is not None:
        said = [each for each in (path, lens) if each]
        return told, "", (f"What it {end} was told; its files say {said[0]}.",) if said else ()
    hooks: dict[str, Hook] = {}
    wrong: list[SteeringError] = []
    for each in (path, lens):
        if each:
            try:
                hooks[str(each)] = read_hook(str(each))
            except SteeringError as error:
                wrong.append(error)
    if not hooks:
        raise (
            wrong[0]
            if wrong
            else SteeringError(
                f"The files of '{name}' do not say what it {end}.", "a block and a site.", say_where("Say it")
            )
        )
    first, *others = hooks
    meant = [(hooks[each].where, hooks[each].before_weight) for each in hooks]
    if others and meant[0] != meant[1]:
        raise SteeringError(
            f"The files of '{name}' name two places for what it {end}: {first} and {others[0]}.",
            "one block and site.",
            say_where("Say which is right"),
        )
    return hooks[first].where, first, ()
