"""The dictionary that a study's settings name, on the model that it is used with."""

from __future__ import annotations

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.fit import check_model
from steering.dictionaries.loading import load_dictionary
from steering.dictionaries.normed import on_model
from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies.features.placement import pair_words


DEMO = "demo/block-3-sae"
"""The dictionary that is taken on demo models where none is named."""
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
    found = on_model(found, host)
    said = (
        f"Dictionary {found.source}: {found.architecture}, {found.n_features:,} features, "
        f"{pair_words((found.reads, found.gives))}, digest {found.digest}."
    )
    return found.to(host.device), (said, *found.notes, *notes)
