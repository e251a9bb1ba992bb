"""Where a vector comes from that a recipe names: what is at hand, a folder, or the preset of its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from weakref import WeakKeyDictionary

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.extraction.fitting import AlikeSidesError
from steering.model.host import Host
from steering.paths import is_file, is_folder
from steering.texts.contrast import ContrastSet
from steering.texts.contrast_files import presets
from steering.texts.packed_files import check_pointer
from steering.vectors.files import is_vector_file, load_vector
from steering.vectors.foreign import ENDINGS as FOREIGN
from steering.vectors.foreign import Convention, load_foreign
from steering.vectors.gguf import load_gguf
from steering.vectors.vector import SteeringVector


VECTOR_ENDINGS = (*FOREIGN, ".gguf")
"""Of files that hold vectors."""


def find_vector(host: Host, name: str, folder: str, vectors: Mapping[str, SteeringVector]) -> SteeringVector:
    """A vector at hand, or a file of a folder, or one extracted from the preset contrast set of its name.

    Raises:
        SteeringError: None of these.
    """
    if name in vectors:
        return vectors[name].check(host)
    if folder and not is_folder(folder):
        raise SteeringError(f"There is no folder '{folder}' with vectors.", "a folder.", "Check the path.")
    path = Path(folder) / f"{name}.safetensors" if folder else None
    if path is not None and is_file(path):
        return load_vector(path).renamed(name).check(host)
    if name in presets():
        known = _EXTRACTED.setdefault(host, {})
        if name not in known:
            known[name] = _extracted(host, name)
        return known[name]
    where = f"a file {name}.safetensors in {folder}" if folder else "a folder of vectors with that name in it"
    raise SteeringError(
        f"The recipe names the vector '{name}'.",
        f"{where}, a vector on the shelf ({', '.join(vectors) or 'it is empty'}), or a preset: {', '.join(presets())}.",
        "Extract that vector first, or choose another.",
    )


def read_vector(file: Path, given: Convention | None = None) -> tuple[SteeringVector, tuple[str, ...]]:
    """Read a vector file, a control vector or another tool's direction, as the file says.

    Args:
        file: A file with one of `VECTOR_ENDINGS`.
        given: What files of other tools do not say.

    Returns:
        The vector, and sentences on how the file of another tool was understood.

    Raises:
        SteeringError: As `load_vector`, `load_gguf` and `load_foreign`.
    """
    ending = file.suffix.lower()
    if is_file(file):
        check_pointer(_head(file), file.name)
        if ending not in VECTOR_ENDINGS and not is_vector_file(file):
            raise SteeringError(
                f"'{file.name}' has the ending '{file.suffix}'.",
                f"a vector in a file ending in {', '.join(VECTOR_ENDINGS)}; what runs code when it is read, such as a "
                "pickle, is not taken.",
                "Save the tensor by itself, with torch.save, numpy.save or safetensors.",
            )
    if ending == ".gguf":
        return load_gguf(file, blocks=given.blocks if given else None), ()
    if ending not in FOREIGN or (ending == ".safetensors" and (not is_file(file) or is_vector_file(file))):
        return load_vector(file), ()
    return load_foreign(file, given)


def _head(file: Path) -> bytes:
    """A file's first bytes."""
    try:
        with file.open("rb") as held:
            return held.read(64)
    except OSError as error:
        raise SteeringError(
            f"'{file.name}' cannot be read: {error.strerror}.", "a file that may be read.", "Check the file."
        ) from error


def _extracted(host: Host, name: str) -> SteeringVector:
    """A preset's vector, read at the last token, or over the text where that token does not know the sides apart."""
    contrast = ContrastSet.load(name)
    try:
        return extract(host, contrast, name=name)
    except AlikeSidesError:
        return extract(host, contrast, name=name, pooling="mean_content")


def vectors_in(folder: str) -> dict[str, SteeringVector]:
    """All vectors of a folder, by their files' names; none where no folder is named.

    Raises:
        SteeringError: There is no such folder, or a file of it holds no vector.
    """
    if folder and not is_folder(folder):
        raise SteeringError(f"There is no folder '{folder}' with vectors.", "a folder.", "Check the path.")
    paths = sorted(Path(folder).glob("*.safetensors")) if folder else []
    return {path.stem: load_vector(path).renamed(path.stem) for path in paths}


_EXTRACTED: WeakKeyDictionary[Host, dict[str, SteeringVector]] = WeakKeyDictionary()


def origin_of(name: str, vector: SteeringVector) -> str:
    """Where a vector comes from, in one line."""
    made = vector.provenance
    day = f" on {made.created[:10]}" if made.created else ""
    read = f", read at {made.pooling}" if made.pooling not in ("", "last_token") else ""
    where = f"block {vector.default_block}, {vector.site}{read}"
    how = vector.feature.words if vector.feature else made.method or "made elsewhere"
    return f"Vector {name}: {how}, {where}, made{day}."
