"""`workbench data`: what a file of texts is understood as, before it is used."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from workbench.cli.console import OUT, reported, table


_WIDTH = 300
"""Characters of a text that are shown."""


def data(
    file: Annotated[
        str,
        typer.Argument(help="A file, or hub:owner/name; FILE::COLUMN, FILE::GOOD,BAD or FILE::COLUMN=VALUE chooses."),
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--as", help="contrast, texts, statements, questions, pairs or preferences; found from the file by default."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what a file holds: its kind, columns and rows, the first three, and what was left out and why."""
    with reported():
        import pandas as pd

        from steering.texts.understanding import KINDS, understand

        found = understand(file, kind)
        if as_json:
            print(json.dumps(asdict(found), ensure_ascii=False))
            return
        OUT.print(f"[bold]{escape(found.name)}[/]: {KINDS[found.kind].title}, {escape(found.how)}.", highlight=False)
        OUT.print(f"{found.rows:,} rows; {escape(found.counts)}.", highlight=False)
        if found.columns:
            OUT.print(f"Columns or lists: {escape(', '.join(found.columns))}.", highlight=False)
        shown = [[escape(text[:_WIDTH] + " …" * (len(text) > _WIDTH)) for text in row] for row in found.first]
        OUT.print(table(pd.DataFrame(shown, columns=[escape(head) for head in found.heads]), "The first"))
        for note in found.notes:
            OUT.print(escape(note), highlight=False)
        if found.also:
            OUT.print(f"It can also be read as: {', '.join(found.also)} (--as).", highlight=False)
