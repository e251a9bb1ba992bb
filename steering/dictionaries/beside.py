"""The second model of a crosscoder of two, loaded beside the one at hand and read with it, token by token."""

from __future__ import annotations

from dataclasses import replace

from steering.confines import check_model
from steering.dictionaries.dictionary import Dictionary
from steering.errors import SteeringError
from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.names import short_name


def with_others(dictionary: Dictionary, host: Host) -> Dictionary:
    """The dictionary with the other models that it reads; itself where it reads none. Call on the model thread.

    Args:
        dictionary: Of some model.
        host: The model at hand.

    Raises:
        SteeringError: The other model may not be loaded, or its states cannot stand beside these.
    """
    names = dict.fromkeys(each.model for each in dictionary.inputs if each.model)
    return replace(dictionary, others={name: _loaded(name, dictionary, host) for name in names})


def _loaded(name: str, dictionary: Dictionary, host: Host) -> Host:
    remedy = "Say which model it was trained on beside this one: 'FOLDER?base=MODEL'."
    other = like(host, name, f"'{dictionary.name}' reads {name} too, which", remedy)
    for each in dictionary.inputs:
        if each.model == name:
            for block, site in each.places:
                other.sites.check_read(site, block)
    return other


def like(host: Host, name: str, said: str, remedy: str) -> Host:
    """A second model of the same shape and tokens, on the same model thread.

    Args:
        host: The first.
        name: Of the second, or its folder.
        said: What an error begins with, before what the second one has.
        remedy: What it ends with.

    Raises:
        SteeringError: It has other blocks, another width or other tokens.
    """
    check_model(name)
    other = Host.load(name, lane=host.lane, options=LoadOptions(dtype=host.info.dtype)).under(host.chat)
    mine, its = ((each.info.blocks, each.info.width, each.tokenizer.get_vocab()) for each in (host, other))
    if mine != its:
        what = "other tokens" if mine[:2] == its[:2] else f"{its[0]} blocks of width {its[1]}"
        expected = f"{mine[0]} blocks of width {mine[1]} and the tokens of {short_name(host.name)}."
        raise SteeringError(f"{said} has {what}.", expected, remedy)
    return other
