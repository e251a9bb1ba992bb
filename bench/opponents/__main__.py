"""`python -m bench.opponents`: make the environments of other libraries, and tell what is in them."""

from __future__ import annotations

import sys

from bench.opponents.environments import ENVIRONMENTS, versions


if __name__ == "__main__":
    if "--again" in sys.argv:
        for each in ENVIRONMENTS:
            each.folder.with_suffix(".json").unlink(missing_ok=True)
    for name, held in versions().items():
        print(f"{name}: {held}")
