"""Extraction methods, one a file, and the function that runs them.

A method is a fitter: it sees every training state once, in batches, and then gives one unit direction per block. To add
one, put a file here with a class under `@register`; a package offers a `Method` (docs/plugins.md).
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from steering.extraction.fitter import METHODS, BaseFitter, Fitter, Method, StoredFitter, register


__all__ = ["METHODS", "BaseFitter", "Fitter", "Method", "StoredFitter", "register"]

_NO_METHODS = ("again", "component", "default_block", "extract", "fitting", "provenance", "reading")

for _module in iter_modules(__path__):
    if _module.name not in _NO_METHODS:
        import_module(f"{__name__}.{_module.name}")

_ordered = sorted(METHODS.own.items(), key=lambda item: (item[1].control, item[0] != "mean_difference"))
METHODS.own.clear()
METHODS.own.update(_ordered)  # the default first, controls last
