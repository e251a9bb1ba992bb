"""What may be sent to the server: so many bytes at once, and files that have names."""

from __future__ import annotations

from collections.abc import Collection

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header


LARGEST_FILE = 64
"""Megabytes of one uploaded file."""
MOST_BYTES = {True: (LARGEST_FILE + 1) * 1024**2, False: 32 * 1024**2}
"""Bytes of one request: an upload, and any other."""
_MOST_FILES = 20


def too_large(length: str, *, upload: bool) -> bool:
    """Whether a request says of itself that it is too large; what says nothing is counted as it comes."""
    return length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > MOST_BYTES[upload])


class Parts:
    """Looks at the heads of an upload's parts as it passes by."""

    def __init__(self, content_type: str, endings: Collection[str] = ()) -> None:
        """None has passed by yet.

        Args:
            content_type: Of the request.
            endings: What files' names may end in; in anything where there are none.
        """
        self._endings = tuple(endings)
        kind, options = parse_options_header(content_type)
        self._files = 0
        self._wrong = ""
        self._field = self._value = b""
        self._head: dict[bytes, bytes] = {}
        self._parser: MultipartParser | None = None
        boundary = options.get(b"boundary")
        if kind == b"multipart/form-data" and boundary:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._add_field,
                    "on_header_value": self._add_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_head,
                },
            )
        else:
            self._wrong = "An upload is a form with files (multipart/form-data)."

    def wrong(self, chunk: bytes) -> tuple[int, str] | None:
        """Status and sentence where something was wrong up to and with this chunk."""
        try:
            if self._parser and chunk:
                self._parser.write(chunk)
        except FormParserError:
            self._wrong = self._wrong or "The upload is no form that can be read."
        return (400, self._wrong) if self._wrong else None

    def _begin(self) -> None:
        self._head = {}

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._head[self._field.lower()] = self._value
        self._field = self._value = b""

    def _end_head(self) -> None:
        _, options = parse_options_header(self._head.get(b"content-disposition", b""))
        if options.get(b"name") != b"files":
            return
        self._files += 1
        name = options.get(b"filename", b"")
        if not name.strip(b" ./\\\0"):
            self._wrong = "A file without a name was sent. Choose a file."
        elif self._endings and not name.lower().decode("latin-1").endswith(self._endings):
            self._wrong = f"A file of a kind was sent that this page does not take: {', '.join(self._endings)}."
        elif self._files > _MOST_FILES:
            self._wrong = f"More than {_MOST_FILES} files were sent at once. Send fewer."
