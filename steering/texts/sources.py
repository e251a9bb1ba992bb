"""Where a file comes from: a path or the Hub, and which of its columns and rows are meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steering.confines import check_hub, named_file
from steering.errors import SteeringError
from steering.paths import is_file
from steering.texts.formats import ENDINGS, FORMATS
from steering.texts.packed_files import PACKED


HUB = "hub:"
"""What a source on the Hub begins with: `hub:owner/name`, perhaps with a file, `hub:owner/name/data/train.csv`."""
SELECT = "::"
"""Between a source and its selection: `list.csv::goal`, `pairs.json::good,bad`, `xstest.csv::label=safe`."""


_SELDOM = (".txt", ".yaml", ".yml")
"""Endings that are data where there is nothing else: otherwise they are licences and settings."""


@dataclass(frozen=True)
class Selection:
    """Which columns or lists of a file are meant, and which rows."""

    columns: tuple[str, ...] = ()
    """Columns, or lists of a file that has several, in the order asked for."""
    rows: tuple[tuple[str, str], ...] = ()
    """(column, value): only rows that have all of these."""

    @classmethod
    def parse(cls, text: str) -> Selection:
        """`goal`, `good,bad`, `label=safe` or `prompt,label=safe`."""
        parts = [part.strip() for part in text.split(",") if part.strip()]
        named = tuple(part for part in parts if "=" not in part)
        pairs = (part.partition("=") for part in parts if "=" in part)
        return cls(named, tuple((column.strip(), value.strip()) for column, _, value in pairs))


def split_source(source: str | Path) -> tuple[str | Path, Selection]:
    """A source without its selection, and the selection."""
    if not isinstance(source, str) or SELECT not in source:
        return source, Selection()
    place, _, chosen = source.rpartition(SELECT)
    return place.strip(), Selection.parse(chosen)


def is_source_file(source: str | Path) -> bool:
    """Whether a path, perhaps with a home's `~`, names a file that may be read here; no error where it cannot."""
    try:
        return is_file(named_file(source).expanduser())
    except (SteeringError, OSError, RuntimeError, ValueError):  # not to be read, no path, nobody's home
        return False


def local_file(source: str | Path) -> Path:
    """The file of a path, or of a data set on the Hub, which is downloaded once.

    Every file that a user names is found here.

    Raises:
        SteeringError: There is none, it may not be read here (see `steering.confines`), or the Hub cannot be reached.
    """
    if isinstance(source, str) and source.startswith(HUB):
        check_hub(source)
        return _from_hub(source.removeprefix(HUB))
    path = named_file(source)
    if not is_source_file(source):
        raise SteeringError(
            f"There is no file '{str(source)[:200]}'.", f"a path, or a data set as {HUB}owner/name.", "Check the path."
        )
    return path.expanduser()


def _from_hub(name: str) -> Path:
    from huggingface_hub import HfApi, hf_hub_download

    parts = name.strip("/").split("/")
    repo, inside = "/".join(parts[:2]), "/".join(parts[2:])
    if len(parts) < 2:
        raise SteeringError(f"The data set '{HUB}{name}' was asked for.", f"{HUB}owner/name, perhaps with a file.")
    try:
        if not inside:
            known = HfApi().list_repo_files(repo, repo_type="dataset")
            inside = _first_data_file(repo, known)
        return Path(hf_hub_download(repo, inside, repo_type="dataset"))
    except SteeringError:
        raise
    except Exception as error:  # the Hub's client raises a dozen kinds, all of which mean this
        raise SteeringError(
            f"The data set {repo} cannot be read from the Hub: {type(error).__name__}.",
            "a public data set, or one that you are logged in for, and a network.",
            "Check the name, or download a file of it and give its path.",
        ) from error


def _first_data_file(repo: str, known: list[str]) -> str:
    data = [path for path in known if _ending(path) in ENDINGS and not _about(path)]
    data = [path for path in data if not path.lower().endswith(_SELDOM)] or data
    train = [path for path in data if "train" in path.lower()]
    if not data:
        raise SteeringError(
            f"The data set {repo} has no data file.",
            f"a file ending in {FORMATS}; it has {', '.join(known[:5]) or 'none'}.",
            "Name a file of it: hub:owner/name/path/in/it.csv.",
        )
    return (train or data)[0]


def _about(path: str) -> bool:
    """Whether a file tells about a data set and holds nothing of it."""
    return "readme" in path.lower() or Path(path).name.startswith(("dataset_info", "dataset_dict"))


def _ending(path: str) -> str:
    """The ending of a name, or what stands before that of a packed file; an archive may hold anything."""
    place = Path(path.lower())
    return Path(place.stem).suffix if place.suffix in PACKED and place.suffix != ".zip" else place.suffix
