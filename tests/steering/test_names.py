"""Names as file names and in headlines."""

from __future__ import annotations

import pytest

from steering.names import safe_name, short_name


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("a/b\\c:d", "a-b-c-d"),
        ("<b>bold</b>", "b-bold-b"),
        (".hidden", "hidden"),
        ("   ", "vector"),
        ("tone (kind) + 2", "tone (kind) + 2"),
        ("straße", "straße"),
        ("x" * 500, "x" * 60),
    ],
)
def test_names_are_safe_as_file_names(given: str, safe: str) -> None:
    assert safe_name(given) == safe


def test_a_short_name_is_a_folders_own_and_a_hub_id_stays_whole() -> None:
    names = ("demo", "Qwen/Qwen3-0.6B", "/models/my-model/", "./here", "~/there/x")
    assert [short_name(name) for name in names] == ["demo", "Qwen/Qwen3-0.6B", "my-model", "here", "x"]
