"""An origin inside an address: compressed, with its version in front."""

from __future__ import annotations

import base64
import binascii
import json
import zlib

from steering.errors import SteeringError
from steering.guards import MOST_YAML_BYTES
from steering.origins.origin import Origin, origin_from


VERSION = "1"
LONGEST = 6_000
"""Characters; servers and browsers take addresses of about 8,000."""
_NAME = "The link"
_EXPECTED = "a link as the workbench copies it, whole."


def as_link(origin: Origin) -> str | None:
    """The origin as letters, digits, "-", "_" and "."; None where it is too long for an address.

    Args:
        origin: Its texts are in it.
    """
    packed = base64.urlsafe_b64encode(zlib.compress(origin.to_json().encode("ascii"), 9)).decode("ascii")
    said = f"{VERSION}.{packed.rstrip('=')}"
    return said if len(said) <= LONGEST else None


def from_link(text: str) -> Origin:
    """The origin that an address carries, which anybody may have written.

    Raises:
        SteeringError: It is cut, of a newer version, or says what no origin may.
    """
    version, _, packed = text.partition(".")
    if version.isascii() and version.isdigit() and version != VERSION:
        raise SteeringError(
            f"The link is of version {version[:20]}.", f"version {VERSION}.", "Update the workbench, or ask for a file."
        )
    try:
        if version != VERSION or len(text) > 2 * LONGEST:
            raise ValueError("no version")
        reader = zlib.decompressobj()
        said = reader.decompress(
            base64.b64decode(packed + "=" * (-len(packed) % 4), b"-_", validate=True), MOST_YAML_BYTES
        )
        if not reader.eof:
            raise ValueError("cut, or too large")
        plain = json.loads(said.decode("ascii"))
    except (ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise SteeringError("The link cannot be read.", _EXPECTED, "Copy it again, all of it.") from error
    return origin_from(plain, _NAME)
