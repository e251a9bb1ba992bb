"""Gradio without the interface files that it writes beside the source of every class of components, at every import."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


_HOME = "gradio.component_meta"
_WRITES = "create_or_modify_pyi"


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Of the one module that writes them; all others are left to who finds them anyway."""
        if fullname != _HOME:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def without_writing(module: ModuleType) -> None:
            run(module)
            if hasattr(module, _WRITES):
                setattr(module, _WRITES, lambda *given: None)

        spec.loader.exec_module = without_writing  # type: ignore[method-assign]
        return spec


def leave_out_interface_files() -> None:
    """Let Gradio, once it is imported, write none: that is two fifths of the seconds that its import takes, and it
    changes what is installed, which others may be reading.
    """
    if _HOME not in sys.modules:
        sys.meta_path.insert(0, _Finder())
