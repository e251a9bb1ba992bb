"""Where the judge that is optimised and one that is held out part."""

from __future__ import annotations

from steering.studies.overoptimisation.overoptimisation import STUDY


__all__ = ["STUDY"]
