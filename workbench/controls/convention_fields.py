"""What a direction of another tool does not say of itself, as fields beside the upload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steering.errors import SteeringError
from steering.vectors.foreign import Convention
from workbench.controls.field import choice, more, number, switch, text
from workbench.controls.fields import Fields, place_fields
from workbench.page.context import PanelContext


_NOTE = "A .pt, .npy, .npz or safetensors tensor: one vector, or a row a layer. Fill in what it does not say."
_FIRST = [("as the number of rows tells", ""), ("embeddings", "embeddings"), ("first block", "block")]
_SITES = [("block output", "block_output"), ("block input", "block_input")]


def place_convention(ui: PanelContext) -> Fields:
    """Lay the fields out, folded, for `convention_of`; `again` fires where the file is to be read with them."""
    parts = (
        choice("first", "Row 0", _FIRST, "", hint="embeddings: as in Hugging Face's hidden states"),
        # Empty is "not said"; 0 is a block.
        text("block", "Block of a single vector", "", placeholder="not said", hint="counted from 0"),
        choice("site", "Read at", _SITES, "block_output", hint="where the other tool took the states"),
        switch("sign", "Turn it round", False, hint="where the file points away from the concept"),
        text("tensor", "Which tensor", "", placeholder="the only one", hint="its name, or the number of an entry"),
        number("scale", "Times", 1.0, hint="times the file's length: what 1 × mean difference adds"),
    )
    folded = more(*parts, title="A direction of another tool", note=_NOTE, act=("Read the file with these", "again"))
    return place_fields(ui, "told", [folded])


def convention_of(values: Mapping[str, Any], blocks: int | None) -> Convention:
    """What the fields say, on a model of so many blocks.

    Raises:
        SteeringError: The block is no whole number.
    """
    block, scale = (values["block"] or "").strip(), values["scale"]
    if block and not (block.isascii() and block.isdigit() and len(block) < 6):
        raise SteeringError(f"The block is '{block}'.", "a number such as 12, counted from 0.", "Correct it.")
    return Convention(
        first=values["first"] or None,
        block=int(block) if block else None,
        blocks=blocks,
        site=values["site"],
        sign=-1 if values["sign"] else 1,
        tensor=(values.get("tensor") or "").strip()[:200],
        scale=1.0 if scale is None else float(scale),
    )
