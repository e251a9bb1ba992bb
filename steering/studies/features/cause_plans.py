"""Changes of features as writes of a row."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.edits import switched_off, write_of
from steering.writes.interventions import Plan, Write
from steering.writes.operations import Add


def off_plan(dictionary: Dictionary, features: Sequence[int]) -> Plan:
    """Features switched off at every token: what they add is taken away, and what is not explained stays."""
    return (write_of(switched_off(dictionary, features)),)


def up_plan(dictionary: Dictionary, added: Tensor) -> Plan:
    """A vector added at every token, where the dictionary gives its states; (width,), raw."""
    length = float(added.norm())
    return (Write(Add(added / length, length), *dictionary.gives),)
