"""Files of texts: one reader for every format, and every limit and mistake told by file, row and what to do."""

# ruff: noqa: E501 - tables have a case a line

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steering import guards
from steering.errors import SteeringError
from steering.recipes.recipe import Recipe
from steering.studies.probing.templates import template_of
from steering.texts.formats import read_file
from steering.texts.tables import read_table
from steering.yaml_files import load_yaml
from workbench.key_values import pairs


ROWS = [
    {"question": "Which one?\n(A) kind\n(B) rude", "answer": 'A, "surely"'},
    {"question": "Two\u2028lines\x0b?", "answer": "B"},
]
CSV = 'question,answer\r\n"Which one?\n(A) kind\n(B) rude","A, ""surely"""\r\n"Two\u2028lines\x0b?",B\r\n'


def write(folder, name: str, content: str | bytes):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def values(path) -> list:
    return [row.value for row in read_table(path).rows]


@pytest.fixture(scope="module")
def same(tmp_path_factory):
    """The same two rows in every format and shape."""
    folder = tmp_path_factory.mktemp("same")
    columns = {key: [row[key] for row in ROWS] for key in ROWS[0]}
    plain = json.dumps(ROWS, ensure_ascii=False)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    files = {
        "list.json": plain,
        "columns.json": json.dumps(columns),
        "by_row_number.json": json.dumps(
            {key: {str(n): each for n, each in enumerate(held)} for key, held in columns.items()}
        ),
        "wrapped.json": json.dumps({"version": "1.0", "data": ROWS}),
        "lines.jsonl": lines,
        "lines.ndjson": lines,
        "lines_in.json": lines,
        "list_in.jsonl": json.dumps(ROWS, indent=1),
        "list.yaml": plain,  # YAML contains JSON
        "table.csv": CSV,
        "semicolons.csv": 'question;answer\n"Which one?\n(A) kind\n(B) rude";"A, ""surely"""\n"Two\u2028lines\x0b?";B\n',
        "excel.csv": b"\xef\xbb\xbf" + CSV.encode(),
        "hinted.csv": "sep=,\r\n" + CSV,
        "utf16.csv": CSV.encode("utf-16"),
        "utf32.jsonl": lines.encode("utf-32"),
        "marked.jsonl": b"\xef\xbb\xbf" + lines.encode(),
        "table.tsv": 'question\tanswer\n"Which one?\n(A) kind\n(B) rude"\t"A, ""surely"""\nTwo\u2028lines\x0b?\tB\n',
    }
    paths = {name: write(folder, name, content) for name, content in files.items()}
    paths["rows.parquet"] = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), paths["rows.parquet"])
    return paths


NAMES = (
    *(
        "list.json",
        "columns.json",
        "by_row_number.json",
        "wrapped.json",
        "lines.jsonl",
        "lines.ndjson",
        "lines_in.json",
    ),
    *(
        "list_in.jsonl",
        "list.yaml",
        "table.csv",
        "semicolons.csv",
        "excel.csv",
        "hinted.csv",
        "utf16.csv",
        "utf32.jsonl",
    ),
    *("marked.jsonl", "table.tsv", "rows.parquet"),
)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_and_shape_gives_the_same_rows(same, name) -> None:
    """Line breaks inside cells, separators that are no line feeds, quotes and commas included."""
    if name == "list.yaml":  # YAML itself folds U+2028 in a quoted text, so its first row is enough
        assert values(same[name])[0] == ROWS[0]
        return
    assert values(same[name]) == ROWS


def test_a_plain_text_is_a_text_a_line(tmp_path) -> None:
    path = write(tmp_path, "texts.txt", "one\u2028still one\r\n\r\n  two \nthree")
    assert values(path) == ["one\u2028still one", "two", "three"]
    assert [row.where for row in read_table(path).rows] == ["texts.txt, row 1", "texts.txt, row 3", "texts.txt, row 4"]


@pytest.mark.parametrize("name", ["lines.jsonl", "list.json", "table.csv"])
def test_packed_files_are_unpacked(same, tmp_path, name) -> None:
    data = Path(same[name]).read_bytes()
    for ending, pack in {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.items():
        assert values(write(tmp_path, name + ending, pack(data))) == ROWS
    with zipfile.ZipFile(tmp_path / "any.zip", "w") as file:
        file.writestr(f"folder/{name}", data)
        file.writestr("README", "about")
    assert values(tmp_path / "any.zip") == ROWS


def test_texts_that_parquet_keeps_as_bytes_are_texts(tmp_path) -> None:
    table = pa.table({"text": pa.array(["é", "b"], pa.binary()), "image": pa.array([b"\xff\xd8", None], pa.binary())})
    pq.write_table(table, tmp_path / "a.parquet")
    assert values(tmp_path / "a.parquet") == [{"text": "é", "image": None}, {"text": "b", "image": None}]


def test_splits_and_categories_keep_their_names(tmp_path) -> None:
    nested = {"train": {"harmful": ["a"], "harmless": ["b", "c"]}, "test": {"harmful": ["d"], "harmless": []}}
    table = read_table(write(tmp_path, "n.json", json.dumps(nested)))
    assert [(row.part, row.value) for row in table.rows] == [
        (("train", "harmful"), "a"),
        (("train", "harmless"), "b"),
        (("train", "harmless"), "c"),
        (("test", "harmful"), "d"),
    ]
    assert table.rows[2].where == "n.json, train, harmless, row 2"
    titled = read_table(write(tmp_path, "t.yaml", "title: Both\npositive: [a]\nnegative: [b]\n"))
    assert (titled.fields, titled.lists) == ({"title": "Both"}, ("positive", "negative"))


def test_words_of_yaml_are_texts_as_they_stand() -> None:
    """A date of month 13, `no`, `on`, a time and a long number are what people typed; true, 1 and null are not."""
    text = "[2024-13-01, 2024-01-05, no, Yes, on, 12:30, 0o17, " + "9" * 5000 + ", true, 1, 2.5, 1e3, null, ~]"
    assert load_yaml(text) == [
        *("2024-13-01", "2024-01-05", "no", "Yes", "on", "12:30", "0o17", "9" * 5000),
        *(True, 1, 2.5, 1000.0, None, None),
    ]


def test_a_few_aliases_are_what_they_stand_for() -> None:
    assert load_yaml("a: &x [one, two]\nb: *x\nc: {<<: &y {k: 1}, l: 2}\n") == {
        "a": ["one", "two"],
        "b": ["one", "two"],
        "c": {"k": 1, "l": 2},
    }


def _zip(**members: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.csv", content)
    return held.getvalue()


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MISTAKES = {
    "laughs.yaml": (LAUGHS, r"line 6, comes to [\d,]+ values with its aliases.*300,000"),
    "merge.yaml": ("a: &a {k: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [{', '.join(['*a' if not n else f'*b{n - 1}'] * 9)}]}}\n" for n in range(9)), "values with its aliases"),
    "self.yaml": ("a: &a [*a]\n", r"line 1, \*a stands inside what it stands for"),
    "deep.yaml": ("[" * 3000, "nested too deep"),
    "deep_block.yaml": ("".join("  " * n + "a:\n" for n in range(500)), "nested too deep"),
    "twice.yaml": ("positive: [a]\nnegative: [b]\npositive: [c]\n", "line 3 .*'positive' stands twice"),
    "code.yaml": ("!!python/object/apply:os.system [echo]\n", "not valid YAML"),
    "list_key.yaml": ("? [a, b]\n: c\n", "not valid YAML"),
    "deep.json": ("[" * 100_000 + "]" * 100_000, "nested too deep"),
    "deeper.json": ("[" * 60 + "]" * 60, "nested too deep"),
    "deep.jsonl": ('{"a": 1}\n' + '{"a":' * 60 + "1" + "}" * 60, "row 2 is nested too deep"),
    "twice.json": ('{"a": 1, "a": 2}', "'a' stands twice"),
    "half.json": ('[{"text": "whole"}, {"text": "half \\ud83d"}]', r"half\.json, row 2 has half a character \(U\+D83D"),
    "half.jsonl": ('{"text": "whole \\ud83d\\ude00"}\n{"text": "\\ude00"}\n', r"row 2 has half a character \(U\+DE00"),
    "long.json": (json.dumps(["a", "b" * 131_073]), r"long\.json, row 2 has a text of 131,073 characters.*131,072"),
    "long.csv": ("text\na\n" + "b" * 131_073 + "\n", r"long\.csv, row 3 .*a cell of more than 131,072 characters"),
    "long.txt": ("a\n" + "b" * 131_073, r"long\.txt, row 2, has a text of 131,073"),
    "wide.csv": ("text,label\na,b\nc, with a comma,d\n", r"row 3 \(line 3\), has 3 cells, the header 2.*quotes"),
    "short.csv": ("text,label\na\n", "row 2 .*has 1 cell, the header 2"),
    "open.csv": ('text\n"never closed\n', "row 2 .*cannot be read"),
    "stray.csv": ('text\n"one" two\n', "row 2 .*cannot be read"),
    "twins.csv": ("text,text\na,b\n", "two columns 'text'"),
    "nul.csv": ("text\na\x00b\n", "line 2, has a NUL character"),
    "utf16.json": ('["a"]'.encode("utf-16-le"), "NUL character.*UTF-16 without a mark"),
    "latin.txt": ("ok\nCaf\xe9\n".encode("latin-1"), "not UTF-8 text: line 2 has the byte 0xe9"),
    "cut.txt": ("\ufeffabc".encode("utf-16-le")[:-1], "not UTF-16 text"),
    "no.parquet": (b"PAR1 no such thing PAR1", r"no\.parquet cannot be read"),
    "empty.parquet": (b"", r"empty\.parquet cannot be read"),
    "many.json": ("[" + "0," * 1_500_001 + "0]", "some 1,500,00. values.*1,500,000"),
    "lines.txt": ("\n" * 2_000_001, "has 2,000,001 lines.*2,000,000"),
    "columns.csv": (",".join(f"c{n}" for n in range(10_001)), "has 10,001 columns.*10,000"),
    "twins.json": ('[{"Text": "a", "text": "b"}]', "the columns 'Text' and 'text'"),
    "pointer.csv": ("version https://git-lfs.github.com/spec/v1\noid sha256:a\nsize 1\n", "pointer of Git LFS"),
    "pointer.parquet": ("version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
    "page.json": ("\n<!DOCTYPE html><html>404</html>", "is a web page"),
    "packed.json": (gzip.compress(b"[]"), "is packed by gzip, which its ending does not say"),
    "archive.csv": (_zip(a="text\na\n"), "is a zip archive"),
    "two.zip": (_zip(a="text\na\n", b="text\nb\n"), "holds 2 data files: a.csv, b.csv"),
    "table.csv": (b"PAR1" + bytes(20) + b"PAR1", "is a Parquet file"),
    "cut.jsonl.gz": (gzip.compress(b'{"text": "a"}\n' * 50)[:-12], "cannot be unpacked"),
    "cut.jsonl.xz": (lzma.compress(b'{"text": "a"}\n' * 50)[:-12], "cannot be unpacked"),
    "no.zip": (b"PK\x03\x04 no", "cannot be unpacked"),
    "tape.tar.gz": (gzip.compress(b"a"), "holds a file with the ending '.tar'"),
    "rows.parquet.gz": (gzip.compress(b"PAR1"), "the ending '.parquet'"),
    "bomb.txt.gz": (gzip.compress(b"a\n" * 40_000_000, 1), "unpacks to more than 64 MB"),
    "bomb.txt.xz": (lzma.compress(b"a\n" * 40_000_000, preset=0), "unpacks to more than 64 MB"),
    "bare": ("text", "has no ending that says what it is"),
    "void.json": (" \n", "void.json is empty"),
    "odd.docx": ("text", "the ending '.docx'"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_hostile_or_broken_file_is_named_with_its_row(tmp_path, name) -> None:
    content, said = MISTAKES[name]
    with pytest.raises(SteeringError, match=said) as caught:
        read_table(write(tmp_path, name, content))
    assert caught.value.expected or caught.value.remedy
    assert len(str(caught.value)) < 600


def test_nothing_is_unpacked_before_its_size_is_known(tmp_path) -> None:
    """A file of some kilobytes that is 7 GB of texts, flat or in lists, and one with too many rows of nothing."""
    long = "x" * 100_000
    flat = pa.DictionaryArray.from_arrays(pa.array([0] * 70_000, pa.int32()), pa.array([long]))
    lists = pa.ListArray.from_arrays(pa.array([0, 70_000], pa.int32()), pa.array(["x" * 900] * 70_000))
    rows = {"flat": {"text": flat}, "lists": {"text": lists}, "rows": {"text": pa.nulls(300_001, pa.string())}}
    for name, columns in rows.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet", compression="zstd")
    assert (tmp_path / "flat.parquet").stat().st_size < 10_000
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with pytest.raises(SteeringError, match=r"flat\.parquet unpacks to more than 256 MB"):
        read_file(tmp_path / "flat.parquet")
    with pytest.raises(SteeringError, match=r"rows\.parquet has 300,001 rows.*300,000"):
        read_file(tmp_path / "rows.parquet")
    assert len(read_file(tmp_path / "lists.parquet").value[0]["text"]) == 70_000  # 63 MB, one text in Python
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6  # the limit of 256 MB, and some
    assert pa.total_allocated_bytes() - before < 10e6


def test_a_size_is_refused_before_the_file_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(guards, "MOST_BYTES", 100)
    monkeypatch.setattr("steering.texts.formats.MOST_BYTES", 100)
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda path: pytest.fail("read"))
    with pytest.raises(SteeringError, match=r"large\.jsonl has 0\.0 MB"):
        read_file(write(tmp_path, "large.jsonl", b"1\n" * 60))


def test_a_selection_takes_rows_and_says_how_many_it_left(tmp_path) -> None:
    path = write(tmp_path, "x.csv", "prompt,label\na,safe\nb,unsafe\nc,safe\n")
    table = read_table(f"{path}::label=Safe")
    assert [row.value["prompt"] for row in table.rows] == ["a", "c"]
    assert table.notes == ("1 rows were left out, as asked for.",)
    with pytest.raises(SteeringError, match=r"No row of x\.csv has 'odd' in the column 'label'.*safe, unsafe"):
        read_table(f"{path}::label=odd")


def test_yaml_that_is_typed_elsewhere_has_the_same_guards(tmp_path) -> None:
    """A recipe's file, a template's fields, a setting on the command line."""
    with pytest.raises(SteeringError, match=r"laughs\.yaml, line \d+, comes to .* values"):
        Recipe.load(write(tmp_path, "laughs.yaml", LAUGHS))
    with pytest.raises(SteeringError, match="The template"):
        template_of(LAUGHS)
    odd = ["day=2024-13-01", f"n={'9' * 5000}", "x={a: &a [*a]}", f"y={LAUGHS}", "z=[1, 2]", "k=no"]
    assert list(pairs(odd).values()) == ["2024-13-01", "9" * 5000, "{a: &a [*a]}", LAUGHS, [1, 2], "no"]


def test_a_file_on_which_pyarrow_ends_the_process_is_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")  # ends without a word, as an aborted process does
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    with pytest.raises(SteeringError, match=r"a\.parquet cannot be read: it is damaged"):
        read_file(tmp_path / "a.parquet")


def test_a_parquet_file_is_read_within_bounded_memory(tmp_path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("what is used already is read from /proc")
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": ["a" * 100] * 200_000}), path)
    program = (
        "import resource, sys; from steering.texts import parquet_files as files; import pyarrow.parquet;"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        "files._MEMORY = used + int(sys.argv.pop()); files._main()"
    )
    bounds = {"enough": 2 * 1024**3, "too little": 20 * 1024**2}
    told = {}
    for name, more in bounds.items():
        command = [sys.executable, "-c", program, "rows", str(path), "rows.parquet", str(more)]
        done = subprocess.run(command, capture_output=True, check=False)
        told[name] = done.stdout
    assert len(json.loads(told["enough"])["rows"]) == 200_000
    # Where the memory ends decides whether there was any left to say it in; the parent says it then.
    assert not told["too little"] or "more memory than is left" in json.loads(told["too little"])["error"][0]
