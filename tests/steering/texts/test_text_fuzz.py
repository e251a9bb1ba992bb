"""Whatever bytes a file holds, every reader of texts gives a value or one clear message.

120 examples a test here; `make fuzz`, or STEERING_FUZZ=10000, reads that many and holds each against 5 s and 1 GB.
"""

from __future__ import annotations

import copy
import io
import json
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from steering.errors import SteeringError
from steering.texts import formats
from steering.texts.columns import LABELS, LIST_LAYOUTS, POLARITY, REPLIES, SIDES, TEXTS
from steering.texts.contrast import ContrastSet
from steering.texts.formats import ENDINGS
from steering.texts.parquet_files import read_parquet
from steering.texts.question_files import read_pairs, read_questions
from steering.texts.statements import load_statements
from steering.texts.text_lists import read_texts
from steering.texts.understanding import KINDS, understand
from tests.fuzzing import LONG, examples, worked


TRIED = ENDINGS if LONG else tuple(ending for ending in ENDINGS if ending != ".parquet")
"""A Parquet file is read by a process of its own, which takes too long for the short run."""
EXAMPLES = examples(120)
READERS: tuple[Callable[[str], Any], ...] = (
    understand,
    read_texts,
    ContrastSet.load,
    load_statements,
    read_questions,
    read_pairs,
    *(lambda source, kind=kind: understand(source, kind) for kind in KINDS),
)
NAMES = sorted(
    {
        *(name for pair in (*SIDES, *REPLIES) for name in pair),
        *(name for layout in LIST_LAYOUTS for name in layout.columns),
        *TEXTS,
        *LABELS,
        *(POLARITY, "pairs", "split", "train", "test", "messages", "instruction", "questions", "pos", "neg", "data"),
        *("role", "content", "from", "value", "system", "assistant", "options", "choices", "words", "answer"),
        *("mc1_targets", "mc2_targets", "labels", "sentences", "gold_label", "best_answer", "A", "B", "C", "D"),
        *(
            "row",
            "row_idx",
            "columns",
            "index",
            "data",
            "response",
            "completion",
            "is_safe",
            "answerKey",
            "endings",
            "ctx",
        ),
        *(
            "text",
            "label",
            "passage",
            "question_stem",
            "response_0",
            "response_1",
            "safer_response_id",
            "input",
            "output",
        ),
        *("preferred_output", "non_preferred_output", "option1", "option2", "sol1", "sol2", "goal", "history"),
        *("safe", "harmful", "formulation", "fold", "group", "id", "intersentence", "borderline", "title", ""),
    }
)
TROUBLE = (
    *("", " ", "a", "Yes", "true", "0", "1", "positive", "negative", "user", "assistant", "tool", "train", "(A)", "A"),
    *("x\u2028y", "é", "🙂", "\x0b", "a,b", 'a"b', "a\nb", "[1, 2]", "{'a': 1}", "[" * 50, "Human: a\n\nAssistant: b"),
    *("2024-13-01", "9" * 5000, "=1+1", "*a", "&a [*a]", "- - -", "NaN", "1e999", "\ud83d", "[bold]", "@" * 200),
)
WORDS = st.sampled_from(TROUBLE)
SCALARS = st.one_of(
    WORDS,
    st.text(max_size=8),
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**30, 10**31),
    st.floats(),
)
KEYS = st.one_of(st.sampled_from(NAMES), st.text(max_size=4))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=20,
)


@st.composite
def tables(draw: st.DrawFn) -> Any:
    """Rows with columns of the field, most of them alike, sometimes under names of lists."""
    columns = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    cells = draw(st.lists(st.one_of(WORDS, VALUES), min_size=len(columns), max_size=len(columns)))
    rows = [dict(zip(columns, cells, strict=True)) for _ in range(draw(st.integers(0, 12)))]
    for row in rows[:3]:
        row[draw(st.sampled_from(columns))] = draw(VALUES)
    shape = draw(st.integers(0, 5))
    if shape < 3:
        return rows
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    held = {
        name: draw(st.sampled_from([rows, [*row.values()] if (row := (rows or [{}])[0]) else []])) for name in names
    }
    return {draw(st.sampled_from(NAMES)): held} if shape == 5 else held


def in_format(value: Any, ending: str) -> bytes:
    """A value as a file of this ending, as far as it can be one."""
    rows = value if isinstance(value, list) else [value]
    if ending in (".jsonl", ".ndjson"):
        return "\n".join(json.dumps(row) for row in rows).encode()
    if ending == ".json":
        return json.dumps(value).encode()
    if ending in (".yaml", ".yml"):
        return yaml.safe_dump(json.loads(json.dumps(value).replace("\\ud83d", "")), allow_unicode=True).encode()
    if ending == ".parquet":
        return _parquet(rows)
    mark = "\t" if ending == ".tsv" else ","
    named = [row for row in rows if isinstance(row, dict)]
    lines = [mark.join(map(_cell, row.values())) for row in named] or [_cell(row) for row in rows]
    return "\n".join([mark.join(map(_cell, named[0])) if named else "text", *lines]).encode("utf-8", "surrogatepass")


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return '"' + text.replace('"', '""') + '"'


def _parquet(rows: list[Any]) -> bytes:
    out = io.BytesIO()
    named = [row if isinstance(row, dict) else {"text": row} for row in rows] or [{"text": "a"}]
    try:
        table = pa.Table.from_pylist([{key or "_": each for key, each in row.items()} for row in named])
        pq.write_table(table, out)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):  # mixed columns: as JSON texts
        texts = [{key or "_": json.dumps(each) for key, each in row.items()} for row in named]
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(texts or [{"text": "a"}]), out)
    return out.getvalue()


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, bytes]:
    """A valid file with a few bytes changed, cut, doubled or put in."""
    ending = draw(st.sampled_from(TRIED))
    data = bytearray(in_format(draw(tables()), ending))
    for _ in range(draw(st.integers(1, 4))):
        place, other = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        how = draw(st.integers(0, 4))
        if how == 0:
            data[place:other] = b""
        elif how == 1:
            data[place:place] = data[place:other][:100]
        elif how == 2 and place < len(data):
            data[place] = draw(st.integers(0, 255))
        elif how == 3:
            data[place:place] = draw(st.binary(max_size=6))
        else:
            data[place:place] = draw(
                st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"[" * 90, b"\\ud800", b"&a *a"])
            )
    return ending, bytes(data)


def check(reader: Callable[[str], Any], source: str) -> None:
    """A value, or an error for people that says something and not everything."""
    said = ""
    try:
        reader(source)
    except SteeringError as error:
        said = str(error)
    assert not said or 10 < len(said) < 5000


def hold(path: Path, chosen: str = "") -> None:
    """Read a file by every reader: a value or a `SteeringError` that says something."""
    for reader in READERS:
        began = worked()
        check(reader, f"{path}{chosen}")
        assert not LONG or worked() - began < 5
    if LONG:
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1_500_000  # kB, torch and pyarrow included


@pytest.fixture(scope="module", autouse=True)
def asked_once() -> Iterator[None]:
    """All the readers read each file; the process that reads Parquet is asked once for all of them."""
    known: dict[bytes, tuple[Any, SteeringError | None]] = {}

    def remembered(path: Path, name: str) -> Any:
        data = path.read_bytes()
        if data not in known:
            known.clear()
            try:
                known[data] = read_parquet(path, name), None
            except SteeringError as error:
                known[data] = None, error
        rows, error = known[data]
        if error:
            raise error
        return copy.deepcopy(rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "read_parquet", remembered)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


CHOICES = st.one_of(
    st.just(""),
    st.sampled_from(["::text", "::positive,negative", "::label=1", "::a,b,c", "::=", "::,", "::train", "::::"]),
    KEYS.map(lambda key: f"::{key}"),
)


@EXAMPLES
@given(ending=st.sampled_from(TRIED), value=st.one_of(tables(), VALUES), chosen=CHOICES)
def test_any_rows_in_any_format(folder, ending, value, chosen) -> None:
    path = folder / f"rows{ending}"
    path.write_bytes(in_format(value, ending))
    hold(path, chosen)


@EXAMPLES
@given(file=broken())
def test_a_file_that_is_broken_somewhere(folder, file) -> None:
    ending, data = file
    path = folder / f"broken{ending}"
    path.write_bytes(data)
    hold(path)


@EXAMPLES
@given(ending=st.sampled_from(TRIED), data=st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode)))
def test_any_bytes(folder, ending, data) -> None:
    path = folder / f"bytes{ending}"
    path.write_bytes(data)
    hold(path)


@EXAMPLES
@given(
    source=st.one_of(
        st.text(max_size=50), st.sampled_from(["/", "~nobody/x", "a" * 5000, "\x00", "hub:", "hub:a", "::", "."])
    )
)
def test_any_name(source) -> None:
    if not source.startswith("hub:") or "/" not in source:  # a name on the Hub would go out and ask
        for reader in READERS:
            check(reader, source)
