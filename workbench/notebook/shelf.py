"""The shelf of a workspace as a mapping, for cells."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from steering.errors import SteeringError
from steering.names import safe_name
from steering.vectors.vector import SteeringVector
from workbench.library.shown import shelf_html, shelf_text
from workbench.workspace import Workspace


class NotOnShelf(SteeringError, KeyError):
    """There is no vector of that name; a `KeyError` too, so that `in` and `get` work as of any mapping."""


class ShelfMapping(MutableMapping[str, SteeringVector]):
    """Name -> vector, newest first. What is put here is on the page's shelf a moment later, and the other way round."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __getitem__(self, name: str) -> SteeringVector:
        """The vector of that name.

        Raises:
            NotOnShelf: There is none.
            SteeringError: Its file is damaged.
        """
        self._check(name)
        return self._workspace.get(name).vector

    def __setitem__(self, name: str, vector: SteeringVector) -> None:
        """Keep a vector under a name. Another one of that name is removed, which the page can undo.

        Raises:
            SteeringError: It is no vector, the name cannot be a file's, or the workspace cannot be written.
        """
        if not isinstance(vector, SteeringVector):
            raise SteeringError(
                f"The shelf was given a {type(vector).__name__} under the name '{name}'.",
                "a SteeringVector, as `steering.extract` and `load_vector` give it.",
            )
        if not isinstance(name, str) or safe_name(name) != name:
            raise SteeringError(
                f"The shelf cannot keep a vector under the name {str(name)!r}.",
                "a name that can be a file's: letters, digits, spaces and . + - _ ( ).",
                f"Call it {safe_name(str(name))!r}.",
            )
        shelf = self._workspace
        if name in shelf.names():
            if shelf.get(name).vector.digest == vector.digest:
                return
            shelf.remove(name)
        shelf.put(vector, name)

    def __delitem__(self, name: str) -> None:
        """Take a vector off the shelf, which the page can undo.

        Raises:
            NotOnShelf: There is none of that name.
        """
        self._check(name)
        self._workspace.remove(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._workspace.names())

    def __len__(self) -> int:
        return len(self._workspace.names())

    def __repr__(self) -> str:
        return shelf_text(self._workspace)

    def _repr_html_(self) -> str:
        return shelf_html(self._workspace)

    def _check(self, name: str) -> None:
        if name in {entry.name for entry in self._workspace.entries()}:
            return
        try:
            self._workspace.get(name)
        except SteeringError as error:
            raise NotOnShelf(error.given, error.expected, error.remedy) from None
