"""What a direction of another tool does not say of itself, as fields beside the upload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from steering.foreign_vectors import Convention
from workbench.blocks import html_block
from workbench.markup import note


def place_convention() -> dict[str, Any]:
    """Lay the fields out, folded; their components by name, for `convention_of`."""
    with gr.Accordion("A direction of another tool", open=False, elem_classes="sw-more"):
        html_block(
            note("A .pt, .npy or safetensors tensor: one vector, or a row a layer. Fill in what it does not say.")
        )
        return {
            "first": gr.Radio(
                [("as the number of rows tells", ""), ("embeddings", "embeddings"), ("first block", "block")],
                value="",
                label="Row 0",
                info="embeddings: as in Hugging Face's hidden states",
            ),
            "block": gr.Number(None, label="Block of a single vector", info="counted from 0", precision=0),
            "site": gr.Radio(
                [("block output", "block_output"), ("block input", "block_input")],
                value="block_output",
                label="Read at",
            ),
            "sign": gr.Checkbox(False, label="Turn it round"),
            "scale": gr.Number(1.0, label="Times", info="what 1 x mean difference adds"),
        }


def convention_of(values: Mapping[str, Any], blocks: int | None) -> Convention:
    """What the fields say, on a model of so many blocks."""
    block, scale = values["block"], values["scale"]
    return Convention(
        first=values["first"] or None,
        block=None if block is None else int(block),
        blocks=blocks,
        site=values["site"],
        sign=-1 if values["sign"] else 1,
        scale=1.0 if scale is None else float(scale),
    )
