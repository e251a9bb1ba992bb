"""The controls that say how tokens are chosen."""

from __future__ import annotations

from typing import Any

import gradio as gr
from pydantic import ValidationError

from steering.passes.replies import DecodeSettings
from steering.recipes.recipe import validation_error


def place_decoding() -> dict[str, Any]:
    """Length, temperature and seed; give them to a handler and their values to `decode_of`."""
    defaults = DecodeSettings()
    with gr.Row():
        length = gr.Number(defaults.max_new_tokens, precision=0, minimum=1, label="Length", info="tokens", min_width=0)
        temperature = gr.Number(
            defaults.temperature, minimum=0, label="Temperature", info="0: likeliest", step=0.1, min_width=0
        )
        seed = gr.Number(defaults.seed, precision=0, minimum=0, label="Seed", info="fixed", min_width=0)
    return {"temperature": temperature, "seed": seed, "length": length}


def decode_of(temperature: float | None, seed: int | None, length: int | None) -> DecodeSettings:
    """Settings from the values of the controls; the default where a field is empty.

    Raises:
        SteeringError: A value out of its range.
    """
    given = {"temperature": temperature, "seed": seed, "max_new_tokens": length}
    try:
        return DecodeSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise validation_error("The settings under More", error) from error


def decode_shown(controls: dict[str, Any], decode: DecodeSettings) -> dict[Any, Any]:
    """Updates of the controls to given settings."""
    given = {"temperature": decode.temperature, "seed": decode.seed, "length": decode.max_new_tokens}
    return {controls[name]: value for name, value in given.items()}
