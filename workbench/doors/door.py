"""Who may come in, and the link that lets them."""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from steering.errors import SteeringError
from workbench.doors.accounts import Accounts
from workbench.doors.door_files import text_of_secret
from workbench.doors.limits import Limits
from workbench.host_names import is_loopback


TOKEN = "STEERING_WORKBENCH_TOKEN"
"""Environment variable that names the token of pages on this machine."""
SHORTEST = 16
"""Characters of a token."""


@dataclass(frozen=True)
class Door:
    """How a page lets people in."""

    token: str = ""
    """What the page's link carries; "" where it carries none."""
    accounts: Accounts | None = None
    """Who may sign in, each to a workspace of their own, where nobody else may come in."""
    public: Limits | None = None
    """How much everybody may ask for where anybody may come in, each with a workspace of their own."""

    @classmethod
    def of(
        cls, host: str, *, token: str | None = None, accounts: Accounts | None = None, public: Limits | None = None
    ) -> Door:
        """The door of a page.

        Args:
            host: The address that it listens on.
            token: Of a page on this machine; "" for none. Where None, that of the environment, or a new one.
            accounts: Lets in who signs in.
            public: Lets anybody in, within limits.

        Raises:
            SteeringError: Other machines reach the page and nobody said who may come, or the token can be guessed.
        """
        if accounts is not None and public is not None:
            raise SteeringError(
                "Users who sign in and a public page were asked for.", "one of them.", "Leave --auth or --public out."
            )
        if accounts is not None or public is not None:
            return cls(accounts=accounts, public=public)
        if not is_loopback(host):
            raise SteeringError(
                f"The address {host} lets other machines in, and nobody has said who may come.",
                "an address of this machine alone, such as 127.0.0.1.",
                "Let users sign in with --auth user:password (or --auth-file), or let anybody in, within limits, with "
                "--public.",
            )
        if token is None:
            token = os.environ.get(TOKEN) or secrets.token_urlsafe(24)
        return cls(_checked(token))

    def opens(self, token: str) -> bool:
        """Whether somebody who brings a token may come in."""
        return bool(self.token) and hmac.compare_digest(self.token.encode(), token.encode())

    @property
    def asks(self) -> bool:
        """Whether it asks who comes."""
        return bool(self.token) or self.accounts is not None

    @property
    def proof(self) -> str:
        """What shows that somebody has the token, and does not tell it to whatever listens at the page's address."""
        return hmac.new(self.token.encode(), b"the page of this token", "sha256").hexdigest()

    def knows(self, proof: str) -> bool:
        """Whether somebody has the token; all have where there is none."""
        return hmac.compare_digest(self.proof.encode(), proof.encode()) or not self.token


@dataclass(frozen=True)
class Link:
    """A page's address, with what lets one in."""

    address: str
    """Such as "http://127.0.0.1:7860"."""
    token: str = ""

    def to(self, path: str = "", **query: str) -> str:
        """The address of one of its pages.

        Args:
            path: Such as "steer"; "" for the start page.
            query: What stands behind the question mark.
        """
        said = urlencode({**query, **({"token": self.token} if self.token else {})})
        return f"{self.address}/{path}{f'?{said}' if said else ''}"

    def __str__(self) -> str:
        return self.to()


def token_in(path: Path) -> str:
    """The token that a file holds.

    Raises:
        SteeringError: It cannot be read, others may read it, or it holds no token.
    """
    text = text_of_secret(path, "the token").strip()
    if not text:
        raise SteeringError("The file of the token is empty.", f"a token of {SHORTEST} characters or more.")
    return _checked(text)


def _checked(token: str) -> str:
    good = token.isascii() and token.isprintable() and " " not in token
    if token and not (good and len(token) >= SHORTEST):
        raise SteeringError(
            "The token of the page can be guessed, or cannot stand in an address.",
            f"{SHORTEST} letters and digits or more.",
            "Leave it out: a new one is made each time.",
        )
    return token
