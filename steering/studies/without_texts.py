"""A result without prompts and replies, to be shown to others."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd

from steering.origins.origin import bare, is_text
from steering.studies.study import Result
from steering.vectors.vector import SteeringVector


TEXTS = frozenset(
    {
        *("text", "thought", "answer", "prompt", "question", "given", "read", "reply", "reason"),
        *("safe", "harmful", "token", "tokens_read", "chosen", "rejected"),
    }
)
"""Columns of texts that are, quote or spell out prompts, replies or items."""
_NOTE = "Prompts, replies and items are left out, and with them reports, code and trained dictionaries."


def without_texts(result: Result) -> Result:
    """The result without prompts, replies and items: columns of tables, settings, reports, code and what was
    trained on them go.

    Args:
        result: As a study gave it.
    """
    return replace(
        result,
        run=result.origin.without_texts(),
        settings={name: bare(value) for name, value in result.settings.items() if not is_text(name, value)},
        model={**result.model, "chat": bare(result.model.get("chat"))},
        tables={name: _bare_table(table) for name, table in result.tables.items()},
        vectors={name: vector_without_texts(vector) for name, vector in result.vectors.items()},
        files={name: _bare_file(text) for name, text in result.files.items() if name.endswith("recipe.json")},
        dictionaries={},
        notes=(*result.notes, _NOTE),
    )


def vector_without_texts(vector: SteeringVector) -> SteeringVector:
    """The vector without the prompts that its provenance tells."""
    told = vector.provenance.settings
    kept = {name: bare(value) for name, value in told.items() if not is_text(name, value)}
    return replace(vector, provenance=replace(vector.provenance, settings=kept))


def _bare_table(table: pd.DataFrame) -> pd.DataFrame:
    numeric = pd.api.types.is_numeric_dtype
    return table[[name for name in table.columns if name not in TEXTS or numeric(table[name])]]


def _bare_file(recipe: str) -> str:
    return json.dumps(bare(json.loads(recipe)), indent=2)
