"""A run as a YAML file, which `workbench run FILE` takes."""

from __future__ import annotations

import re
from typing import Any

import yaml

from steering.origins.origin import Origin


_PLAIN = re.compile(r"[A-Za-z][A-Za-z_]*(?:[ -][A-Za-z_]+)*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}
"""What one version of YAML or another takes for no text."""


class _Dumper(yaml.SafeDumper):
    """Texts in quotes wherever a reader may take them for something else."""


def _text(dumper: yaml.SafeDumper, value: str) -> Any:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def run_file(origin: Origin) -> str:
    """The YAML text.

    Args:
        origin: Of the run.
    """
    said = f"# {re.sub(r'[^ -~]', ' ', origin.title)}: workbench run FILE runs it again.\n"
    said += "# Settings that were set; `defaults` are the others, as they were then.\n"
    return said + yaml.dump(origin.plain(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)
