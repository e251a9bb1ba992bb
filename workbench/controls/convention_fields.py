"""What a direction of another tool does not say of itself, as fields beside the upload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from steering.vectors.foreign import Convention
from workbench.page.blocks import html_block
from workbench.page.markup import note


def place_convention() -> tuple[dict[str, Any], gr.Button]:
    """Lay the fields out, folded; their components by name, for `convention_of`, and the button that reads anew."""
    with gr.Accordion("A direction of another tool", open=False, elem_classes="sw-more sw-told"):
        html_block(
            note("A .pt, .npy, .npz or safetensors tensor: one vector, or a row a layer. Fill in what it does not say.")
        )
        fields = {
            "first": gr.Radio(
                [("as the number of rows tells", ""), ("embeddings", "embeddings"), ("first block", "block")],
                value="",
                label="Row 0",
                info="embeddings: as in Hugging Face's hidden states",
            ),
            # A number field without a value shows 0 and says so, which is a block.
            "block": gr.Textbox("", label="Block of a single vector", placeholder="not said", info="counted from 0"),
            "site": gr.Radio(
                [("block output", "block_output"), ("block input", "block_input")],
                value="block_output",
                label="Read at",
                info="where the other tool took the states",
            ),
            "sign": gr.Checkbox(False, label="Turn it round", info="where the file points away from the concept"),
            "tensor": gr.Textbox(
                "", label="Which tensor", placeholder="the only one", info="its name, or the number of an entry"
            ),
            "scale": gr.Number(1.0, label="Times", info="times the file's length: what 1 × mean difference adds"),
        }
        return fields, gr.Button("Read the file with these", size="sm", elem_id="read-again")


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
