"""The files of the vectors on a shelf, as they lie there now."""

from __future__ import annotations

from pathlib import Path

from steering.errors import SteeringError
from steering.vectors.files import save_vector
from steering.vectors.vector import SteeringVector
from workbench.library.entries import Entry, Unreadable, load_entry, stamp_of


_SUFFIX = ".safetensors"


class VectorFiles:
    """A folder of vectors; for one thread at a time. Other processes may change it at any moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache: dict[Path, tuple[tuple[int, int], Entry | Unreadable]] = {}

    def entries(self) -> list[Entry | Unreadable]:
        """All of them, newest first."""
        try:
            files = list(self._folder.glob(f"*{_SUFFIX}"))
        except OSError:  # the folder is gone, or may no longer be read
            files = []
        paths = [path for path in files if not path.name.startswith(".")]
        found = [(path, stamp) for path in paths if (stamp := stamp_of(path))]
        found.sort(key=lambda item: (-item[1][0], item[0].name))
        return [self._read(path, stamp) for path, stamp in found]

    def find(self, name: str) -> Entry | Unreadable | None:
        """The one with a name; None where there is none."""
        return next((entry for entry in self.entries() if entry.name == name), None)

    def path(self, name: str) -> Path:
        """Where a vector with a name lies."""
        return self._folder / f"{name}{_SUFFIX}"

    def free(self, wanted: str) -> str:
        """A name that nothing has yet: the one that is wanted, or with a number."""
        # Some file systems do not tell capitals apart.
        taken = {path.stem.casefold() for path in self._folder.glob(f"*{_SUFFIX}")}
        candidate, number = wanted, 2
        while candidate.casefold() in taken:
            candidate, number = f"{wanted} {number}", number + 1
        return candidate

    def write(self, vector: SteeringVector, wanted: str) -> str:
        """Write one more; gives the name that it got.

        Raises:
            SteeringError: It cannot be written.
        """
        while True:
            chosen = self.free(wanted)
            try:
                save_vector(vector.renamed(chosen), self.path(chosen), new=True)
            except FileExistsError:  # another process was quicker
                continue
            except SteeringError as error:
                why = getattr(error.__cause__, "strerror", None) or error.__cause__
                raise SteeringError(
                    f"'{chosen}' cannot be kept on the shelf: {why}.",
                    "a workspace folder that can be written, with room on its disk.",
                    "Free some space, or start the workbench with another --workspace.",
                ) from error
            return chosen

    def _read(self, path: Path, stamp: tuple[int, int]) -> Entry | Unreadable:
        cached = self._cache.get(path)
        if cached is None or cached[0] != stamp:
            self._cache[path] = cached = (stamp, load_entry(path))
        return cached[1]
