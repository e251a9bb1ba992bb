"""The dictionary that a study's settings name, on the model that it is used with."""

from __future__ import annotations

from steering.dictionaries.beside import with_others
from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.fit import check_model
from steering.dictionaries.loading import load_dictionary, why_read_only
from steering.dictionaries.normed import on_model
from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies.features.placement import where_words


DEMO = "demo/block-3-sae"
"""The dictionary that is taken on demo models where none is named."""
READ_ONLY = "is read only here:"
"""What the note of a run says where nothing is written by the features of its dictionary."""
DICTIONARY = (
    f"A folder, a file, or release/id of sae-lens; or one that ships, such as {DEMO}, which is taken on demo models "
    "where this is empty."
)
"""What a setting says that names a dictionary."""


def source_of(host: Host, source: str) -> str:
    """What a setting names.

    Args:
        host: The model.
        source: As `load_dictionary` takes it; empty for the demo models' own.

    Raises:
        SteeringError: None is named.
    """
    name = source.strip() or (DEMO if host.info.demo else "")
    if not name:
        raise SteeringError("No dictionary was named.", DICTIONARY, "Name one.")
    return name


def check_written(host: Host, source: str) -> None:
    """Refuse a dictionary that is read only, as far as its files tell before they are read.

    Args:
        host: The model.
        source: As `dictionary_of` takes it.

    Raises:
        SteeringError: Nothing is written by its features; or as `source_of`.
    """
    name = source_of(host, source)
    if why := why_read_only(name):
        raise SteeringError(
            f"'{name}' was named for what changes features or replaces states. {why}",
            "a dictionary of one state: an autoencoder, or a transcoder of one MLP.",
            "Choose another dictionary; this one can be looked at (Find features, Health).",
        )


def dictionary_of(host: Host, source: str) -> tuple[Dictionary, tuple[str, ...]]:
    """The dictionary by its source, on the model's device, and what to know of it before its figures are believed.

    Args:
        host: The model.
        source: As `load_dictionary` takes it; empty for the demo models' own.

    Raises:
        SteeringError: As `source_of`, `load_dictionary`, `check_model` and `on_model`.
    """
    found = load_dictionary(source_of(host, source))
    notes = check_model(found, host)
    found = with_others(on_model(found, host), host)
    said = (
        f"Dictionary {found.source}: {found.architecture}, {found.n_features:,} features, "
        f"{where_words(found)}, digest {found.digest}."
    )
    only = (found.read_only,) if found.read_only else ()
    return found.to(host.device), (*only, said, *found.notes, *notes)
