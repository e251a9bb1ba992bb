"""Those who may sign in, and their passwords."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from steering.errors import SteeringError
from workbench.doors.door_files import text_of_secret


SHORTEST = 8
"""Characters of a password."""
LONGEST = 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
"""Of a user: also the name of their folder, on any file system."""
_KIND = "scrypt"
# 32 MB of memory and some tenths of a second for each try: a cost that OWASP's guide on storing passwords names.
_N, _R, _P = 2**15, 8, 3
_LONG = 32
"""Bytes of a key."""
_HASH = re.compile(rf"{_KIND}\$(\d{{1,8}})\$(\d{{1,3}})\$(\d{{1,3}})\$([\w+/=-]{{16,128}})\$([\w+/=-]{{32,128}})")


class Accounts:
    """Users and the hashes of their passwords; a password itself is kept nowhere."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        """Users by name, with hashes as `hashed` gives them."""
        self._hashes = dict(hashes)
        # Somebody who is not there takes as long as somebody who is.
        self._nobody = hashed(secrets.token_hex(16))

    @property
    def names(self) -> list[str]:
        """Of the users."""
        return sorted(self._hashes)

    def admit(self, name: str, password: str) -> bool:
        """Whether a user has this password; takes a while on purpose, so call it on a thread of its own."""
        known = self._hashes.get(name)
        right = _fits(password[:LONGEST], known or self._nobody)
        return right and known is not None

    @classmethod
    def of(cls, typed: str) -> Accounts:
        """The one user of --auth.

        Args:
            typed: As `user:password`.

        Raises:
            SteeringError: It is none, or the password is short.
        """
        name, colon, password = typed.partition(":")
        if not colon:
            raise SteeringError("--auth was given without a colon.", "user:password.", "Correct it.")
        return cls({check_name(name, "--auth"): hashed(check_password(password, "--auth"))})

    @classmethod
    def in_file(cls, path: Path) -> tuple[Accounts, list[str]]:
        """The users that a file names, and which of them have a password there that is not hashed.

        Args:
            path: Lines of `user:hash` (`workbench password NAME` makes one) or `user:password`; what begins with # and
                empty lines count for nothing.

        Raises:
            SteeringError: It cannot be read, others may read it, or a line is none: told by its number alone.
        """
        text = text_of_secret(path, "the users")
        found: dict[str, str] = {}
        plain = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            place = f"Line {number} of '{path.name}'"
            name, colon, rest = line.strip().partition(":")
            if not colon or not rest:
                raise SteeringError(f"{place} has no colon.", "user:hash or user:password.", "Correct it.")
            name = check_name(name, place)
            if name in found:
                raise SteeringError(f"{place} names '{name}' once more.", "each user once.", "Take one line out.")
            if rest.startswith(f"{_KIND}$"):
                found[name] = _whole(rest, place)
            else:
                plain.append(name)
                found[name] = hashed(check_password(rest, place))
        if not found:
            raise SteeringError(f"'{path.name}' names no users.", "lines of user:hash.", "Make one: workbench password")
        return cls(found), plain


def hashed(password: str) -> str:
    """A password's hash (scrypt, RFC 7914) with all that is needed to know it again: method, cost, salt and key."""
    salt = secrets.token_bytes(16)
    return "$".join((_KIND, str(_N), str(_R), str(_P), _text(salt), _text(_key(password, salt, _N, _R, _P))))


def line_of(name: str, password: str) -> str:
    """The line of a file for `Accounts.in_file`."""
    return f"{name}:{hashed(password)}"


def _fits(password: str, known: str) -> bool:
    _, n, r, p, salt, key = known.split("$")
    made = _key(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(made, base64.b64decode(key))


def _key(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    given = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(given, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r + 2**20, dklen=_LONG)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def check_name(name: str, place: str) -> str:
    """The name of a user.

    Raises:
        SteeringError: It cannot be one; `place` says where it was given.
    """
    if not _NAME.fullmatch(name):
        raise SteeringError(
            f"{place}: {name[:40]!r} is no name of a user.",
            "up to 32 small letters, digits, - and _, with a letter or digit first.",
            "Choose another.",
        )
    return name


def check_password(password: str, place: str) -> str:
    """A password.

    Raises:
        SteeringError: It is too short or too long; `place` says where it was given.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise SteeringError(
            f"{place}: a password of {len(password)} characters.", f"{SHORTEST} to {LONGEST}.", "Choose another."
        )
    return password


def _whole(text: str, place: str) -> str:
    try:
        if not _HASH.fullmatch(text):
            raise ValueError
        _fits("", text)  # what it says of its cost may be wrong as well
        if len(base64.b64decode(text.rpartition("$")[2])) != _LONG:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise SteeringError(
            f"{place}: a hash that cannot be read.", "a line that `workbench password NAME` gave.", "Make it anew."
        ) from error
    return text
