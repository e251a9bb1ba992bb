"""The second model of a crosscoder of two, loaded beside the one at hand and read with it, token by token."""

from __future__ import annotations

from dataclasses import replace

from steering.confines import check_model
from steering.dictionaries.dictionary import Dictionary
from steering.errors import SteeringError
from steering.loading.options import LoadOptions
from steering.model.host import Host


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
    check_model(name)
    other = Host.load(name, lane=host.lane, options=LoadOptions(dtype=host.info.dtype)).under(host.chat)
    mine, its = ((each.info.blocks, each.info.width, each.tokenizer.get_vocab()) for each in (host, other))
    if mine != its:
        what = "other tokens" if mine[:2] == its[:2] else f"{its[0]} blocks of width {its[1]}"
        raise SteeringError(
            f"'{dictionary.name}' reads {name} too, which has {what}.",
            f"{mine[0]} blocks of width {mine[1]} and the tokens of {host.info.name}.",
            "Say which model it was trained on beside this one: 'FOLDER?base=MODEL'.",
        )
    for each in dictionary.inputs:
        if each.model == name:
            for block, site in each.places:
                other.sites.check_read(site, block)
    return other
