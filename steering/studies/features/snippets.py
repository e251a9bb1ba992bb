"""Where a feature is most active in somebody's own texts: a few words around the token, which is marked."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from steering.studies.features.output_score import strongest
from steering.studies.features.reading import FeatureReading, Tokens
from steering.studies.features.sources import Source


AROUND = 10
"""Tokens on either side of the marked one."""
MARKS = ("⟦", "⟧")
"""Around the token at which the feature is most active."""


def snippet_table(
    reading: FeatureReading, sources: Sequence[Source], features: Sequence[int], n: int, labels: tuple[str, str]
) -> pd.DataFrame:
    """The texts on which each feature is most active, one row a text and feature.

    Args:
        reading: Of the texts.
        sources: The texts, in the order of the reading.
        features: Which.
        n: Texts a feature.
        labels: Of the positive and the negative side.
    """
    named = {"positive": labels[0], "negative": labels[1], "": ""}
    tokens, rows = reading.tokens, []
    values = reading.activations.of(features) if len(features) else None
    for column, feature in enumerate(features):
        assert values is not None
        for place in strongest(reading, feature, n).tolist():
            text = int(tokens.text[place])
            rows.append(
                {
                    "feature": feature,
                    "activation": float(values[place, column]),
                    "text": marked(tokens, place),
                    "token": tokens.pieces[place],
                    "role": tokens.roles[place],
                    "side": named[sources[text].side],
                    "text_number": text + 1,
                }
            )
    columns = ["feature", "activation", "text", "token", "role", "side", "text_number"]
    return pd.DataFrame(rows, columns=columns)


def marked(tokens: Tokens, place: int) -> str:
    """The words around one token, with marks around it and an ellipsis where more follows."""
    prompt, here = tokens.prompts[int(tokens.text[place])], int(tokens.place[place])
    low, high = max(0, here - AROUND), min(len(prompt), here + AROUND + 1)
    before, after = "".join(prompt.tokens[low:here]), "".join(prompt.tokens[here + 1 : high])
    start, end = "…" * (low > 0), "…" * (high < len(prompt))
    return f"{start}{before}{MARKS[0]}{prompt.tokens[here]}{MARKS[1]}{after}{end}"
