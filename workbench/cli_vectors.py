"""Commands on vectors and files: export, import, and the weights that a vector makes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.console import OUT, reported
from workbench.options import Model, WorkspaceFolder, load_host, loads_model


def export_vector(
    vector: Annotated[str, typer.Argument(help="Name on the shelf, or a vector file.")],
    out: Annotated[Path, typer.Argument(help="File to write: .safetensors or .gguf.")],
    at: Annotated[str, typer.Option("--at", help="GGUF: all, default, or blocks such as 4 or 2,5-7.")] = "",
    strength: Annotated[float, typer.Option(help="GGUF: what scale 1 adds, in `unit`.")] = 1.0,
    unit: Annotated[str, typer.Option(help="GGUF: mean_difference, residual_norm or raw.")] = "mean_difference",
    workspace: WorkspaceFolder = None,
) -> None:
    """Write a vector to a file; GGUF is what llama.cpp adds at the blocks' outputs."""
    with reported():
        from workbench.commands import export, named_vectors

        (found,) = named_vectors([vector], workspace).values()
        for line in export(found, out, at=at, strength=strength, unit=unit):
            OUT.print(line, highlight=False)


def import_vector(
    file: Annotated[Path, typer.Argument(help="A vector file (.safetensors) or a control vector (.gguf).")],
    name: Annotated[str, typer.Option(help="Name on the shelf; the vector's own by default.")] = "",
    blocks: Annotated[int | None, typer.Option(min=1, help="GGUF: blocks of the model it is for.")] = None,
    workspace: WorkspaceFolder = None,
) -> None:
    """Put a vector from a file on the shelf."""
    with reported():
        from steering.vector_sources import read_vector
        from workbench.workspace import Workspace

        found = read_vector(file, blocks=blocks)
        kept = Workspace(workspace).put(found.renamed(name) if name else found)
        OUT.print(f"On the shelf as '{kept}'.", highlight=False)


@loads_model
def orthogonalise(
    vector: Annotated[str, typer.Argument(help="Name on the shelf, or a vector file.")],
    out: Annotated[Path, typer.Argument(help="New folder for the edited model.")],
    save_edited_weights: Annotated[
        bool, typer.Option("--save-edited-weights", help="Say that you want a model without this direction on disk.")
    ] = False,
    block: Annotated[int | None, typer.Option(help="Whose direction; the vector's default block otherwise.")] = None,
    model: Model = "demo",
    workspace: WorkspaceFolder = None,
    *,
    load: dict[str, Any],
) -> None:
    """Save a copy of a model whose weights cannot write along a vector, as safetensors; from here only, never the page.

    For the refusal direction this is a model that hardly refuses: keep it to yourself, and mind the model's licence.
    """
    with reported():
        from workbench.commands import check_new_model, named_vectors, save_orthogonalised

        (found,) = named_vectors([vector], workspace).values()
        check_new_model(vector, out, agreed=save_edited_weights)
        OUT.print(save_orthogonalised(load_host(model, load), found, out, block=block), highlight=False)
