"""An origin in a file of each kind: written where other programs leave it alone, and read back from the file's head.

- CSV: two lines before the header that begin with `#`; a table with a `#` in it is quoted, so that
  `pandas.read_csv(path, comment="#")` reads the same table.
- HTML: `<script type="application/json" id="steering-workbench-origin">` in the head.
- SVG: the element `metadata`. PNG: a chunk tEXt with the keyword `steering-workbench-origin`, which the page writes.
- safetensors: the key `origin` of its metadata.
- result.json: its key `origin`; a notebook: that key of its metadata; YAML: the file itself.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from steering.errors import SteeringError
from steering.origins.origin import Origin, check_origin_size, no_origin, origin_from
from steering.paths import is_file
from steering.texts.csv_files import ORIGIN
from steering.texts.formats import decode
from steering.yaml_files import load_yaml


HEAD = 4_000_000
"""Bytes of a file in which its origin lies."""
_CSV = f"# {ORIGIN} "
_CHARSET = rb"<meta charset=.utf-8.>"
_SCRIPT = f'<script type="application/json" id="{ORIGIN}">'


def stamped(name: str, content: bytes, origin: Origin) -> bytes:
    """The content of a file with its origin in it; as it is where files of that kind carry none.

    Args:
        name: The file's name, whose ending says what it is; of a ZIP, each file in it is stamped.
        content: The file, as the workbench wrote it.
        origin: Where it comes from.
    """
    write = _WRITERS.get(PurePath(name).suffix.lower())
    return write(content, origin) if write else content


def stamp(path: Path, origin: Origin) -> None:
    """Put its origin into a file that was just written.

    Raises:
        OSError: It cannot be read or written.
    """
    if path.suffix.lower() in _WRITERS:
        path.write_bytes(stamped(path.name, path.read_bytes(), origin))


def file_origin(path: Path) -> Origin:
    """The origin that a file carries.

    Raises:
        SteeringError: As `read_origin`, or it cannot be read.
    """
    if not is_file(path):
        raise SteeringError(f"There is no file '{path}'.", "a file that the workbench exported.", "Check the path.")
    try:
        with path.open("rb") as file:
            return read_origin(path.name, file.read(HEAD))
    except OSError as error:
        raise SteeringError(f"'{path.name}' cannot be read: {error.strerror}.", "a file that you may read.") from error


def read_origin(name: str, head: bytes) -> Origin:
    """The origin that a file carries, from its head.

    Args:
        name: The file's name, whose ending says what it is.
        head: Its first `HEAD` bytes.

    Raises:
        SteeringError: It carries none, or one that is wrong or of a newer version.
    """
    read = _READERS.get(PurePath(name).suffix.lower())
    said = read(head) if read else None
    if said is None:
        raise no_origin(name)
    check_origin_size(name, len(said))
    if PurePath(name).suffix.lower() in (".yaml", ".yml"):
        return origin_from(load_yaml(said, name), name)
    try:
        found = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise no_origin(name) from error
    return origin_from(_inner(found), name)


def _inner(found: Any) -> Any:
    """Of a result.json or a notebook, the origin in it."""
    if not isinstance(found, dict) or "format" in found:
        return found
    metadata = found.get("metadata")
    return found.get("origin", metadata.get("origin") if isinstance(metadata, dict) else None)


def _to_csv(content: bytes, origin: Origin) -> bytes:
    text = content.decode("utf-8")
    end = "\r\n" if "\r\n" in text[:HEAD] else "\n"
    if "#" in text:
        try:
            text = _quoted(text, end)
        except csv.Error:  # a cell longer than the reader takes: the table goes before its origin
            return content
    packed = base64.urlsafe_b64encode(origin.to_json().encode()).decode()
    title = re.sub(r"[^\w .:/-]", " ", origin.title)  # a spreadsheet shows it in one cell, and takes it for no formula
    return f"# Steering Workbench: {title}{end}{_CSV}{packed}{end}{text}".encode()


def _quoted(text: str, end: str) -> str:
    """The table with every cell in quotes."""
    quoted = io.StringIO()
    rows = csv.reader(io.StringIO(text, newline=""))
    csv.writer(quoted, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(rows)
    return quoted.getvalue()


def _from_csv(head: bytes) -> str | None:
    for line in head.split(b"\n", 2)[:2]:
        if line.startswith(_CSV.encode()):
            try:
                return base64.urlsafe_b64decode(line[len(_CSV) :].strip()).decode("utf-8")
            except ValueError:
                return None
    return None


def _to_html(content: bytes, origin: Origin) -> bytes:
    said = origin.to_json().replace("<", "\\u003c")
    # Behind what says how the page is encoded, which a browser looks for in the first kilobyte.
    return re.sub(_CHARSET, lambda found: found[0] + f"{_SCRIPT}{said}</script>".encode(), content, count=1)


def _from_html(head: bytes) -> str | None:
    return _between(head, _SCRIPT, "</script>")


def _to_svg(content: bytes, origin: Origin) -> bytes:
    said = f'<metadata id="{ORIGIN}">{html.escape(origin.to_json(), quote=False)}</metadata>'
    return re.sub(rb"<svg\b[^>]*>", lambda found: found[0] + said.encode(), content, count=1)


def _from_svg(head: bytes) -> str | None:
    said = _between(head, f'<metadata id="{ORIGIN}">', "</metadata>")
    return None if said is None else html.unescape(said)


def _from_png(head: bytes) -> str | None:
    if not head.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    at = 8
    while at + 12 <= len(head):
        length, kind = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
        content = head[at + 8 : at + 8 + length]
        keyword, _, text = content.partition(b"\0")
        if kind == b"tEXt" and keyword == ORIGIN.encode() and len(content) == length:
            return text.decode("latin-1")
        at += 12 + length
    return None


def _to_safetensors(content: bytes, origin: Origin) -> bytes:
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = {**header.get("__metadata__", {}), "origin": origin.to_json()}
    said = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    said += b" " * (-len(said) % 8)  # tensors stay aligned
    return len(said).to_bytes(8, "little") + said + content[8 + length :]


def _from_safetensors(head: bytes) -> str | None:
    length = int.from_bytes(head[:8], "little")
    if not 2 <= length <= len(head) - 8:
        return None
    try:
        said = json.loads(head[8 : 8 + length])["__metadata__"]["origin"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return said if isinstance(said, str) else None


def _to_zip(content: bytes, origin: Origin) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part, stamped(part.filename, old.read(part), origin))
    return whole.getvalue()


def _between(head: bytes, start: str, end: str) -> str | None:
    _, there, rest = head.partition(start.encode())
    said, closed, _ = rest.partition(end.encode())
    return said.decode("utf-8", "replace") if there and closed else None


def _text(head: bytes) -> str | None:
    return decode(head, "The file")


_WRITERS: dict[str, Callable[[bytes, Origin], bytes]] = {
    ".csv": _to_csv,
    ".html": _to_html,
    ".svg": _to_svg,
    ".safetensors": _to_safetensors,
    ".zip": _to_zip,
}
_READERS: dict[str, Callable[[bytes], str | None]] = {
    ".csv": _from_csv,
    ".html": _from_html,
    ".svg": _from_svg,
    ".png": _from_png,
    ".safetensors": _from_safetensors,
    **dict.fromkeys((".json", ".ipynb", ".yaml", ".yml"), _text),
}
