"""The host application: panels, workspace, page, notebook and command line. The mathematics is in `steering`.

    import workbench as wb

    page = wb.show("steer", host=host)  # in a notebook: the panel below the cell, on the model that the cells use

Importing it loads nothing else; `show` loads the page.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from workbench.interface_files import leave_out_interface_files


leave_out_interface_files()
_HOME_OF = {"show": "workbench.notebook.show"}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
