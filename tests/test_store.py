"""The store of finished work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from steering import store
from steering.store import Store


def test_what_is_put_in_is_there_after_opening_again(tmp_path: Path) -> None:
    first = Store(tmp_path / "cells.sqlite")
    assert "a" not in first
    first["a"] = {"text": "ü", "tokens": 2, "divergence": 0.25}
    first["a"] = {"text": "new"}
    assert dict(Store(tmp_path / "cells.sqlite")) == {"a": {"text": "new"}}
    del first["a"]
    assert len(first) == 0
    with pytest.raises(KeyError):
        first["a"]
    with pytest.raises(KeyError):
        del first["a"]


def test_the_oldest_entries_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST", 3)
    kept = Store(tmp_path / "cells.sqlite")
    for n in range(6):
        kept[str(n)] = {"n": n}
    assert list(kept) == ["3", "4", "5"]


def test_several_threads_may_write(tmp_path: Path) -> None:
    stores = [Store(tmp_path / "cells.sqlite") for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: stores[n % 2].update({str(n): {"n": n}}), range(80)))
    assert {int(key) for key in stores[0]} == set(range(80))


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "cells.sqlite"
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    fresh = Store(path)
    fresh["a"] = {"n": 1}
    assert dict(Store(path)) == {"a": {"n": 1}}
    assert path.with_suffix(".damaged").read_bytes().startswith(b"no database")
