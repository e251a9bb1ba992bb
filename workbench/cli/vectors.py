"""Commands on vectors and files: import, and the weights that a vector makes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.console import OUT, reported
from workbench.cli.options import Model, WorkspaceFolder, load_host, loads_model


def import_vector(
    file: Annotated[
        Path,
        typer.Argument(
            help="A vector file (.safetensors), a control vector (.gguf), or another tool's tensor: .pt, .npy, .npz or "
            ".safetensors, one vector or a row a layer."
        ),
    ],
    name: Annotated[str, typer.Option(help="Name on the shelf; the vector's own by default.")] = "",
    blocks: Annotated[int | None, typer.Option(min=1, help="Blocks of the model it is for.")] = None,
    first: Annotated[
        str, typer.Option(help="Another tool's row 0: embeddings (as in Hugging Face's hidden states) or block.")
    ] = "",
    block: Annotated[int | None, typer.Option(min=0, help="Another tool's single vector: its block, from 0.")] = None,
    site: Annotated[str, typer.Option(help="Another tool's: where it was read.")] = "block_output",
    sign: Annotated[int, typer.Option(help="Another tool's: -1 turns it round.")] = 1,
    scale: Annotated[float, typer.Option(help="Another tool's: what it is multiplied by.")] = 1.0,
    tensor: Annotated[
        str, typer.Option(help="Another tool's: which of several tensors, or which entry of one: kind, -1, W_dec/12.")
    ] = "",
    workspace: WorkspaceFolder = None,
) -> None:
    """Put a vector from a file on the shelf; nothing in a file is executed."""
    with reported():
        from steering.extraction.sources import read_vector
        from steering.vectors.foreign import Convention
        from workbench.cli.commands import import_note
        from workbench.workspace import Workspace

        told = {"block": block, "blocks": blocks, "sign": sign, "scale": scale, "tensor": tensor}
        given = Convention(first=first or None, site=site, **told)  # type: ignore[arg-type]
        found, said = read_vector(file, given)
        kept = Workspace(workspace).put(found.renamed(name) if name else found)
        for line in filter(None, (*said, import_note(found))):
            OUT.print(line, highlight=False, markup=False)
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
        from workbench.cli.commands import check_new_model, named_vectors, save_orthogonalised

        (found,) = named_vectors([vector], workspace).values()
        check_new_model(vector, out, agreed=save_edited_weights)
        OUT.print(save_orthogonalised(load_host(model, load), found, out, block=block), highlight=False)
