"""Under which names a page may be asked for."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})


@dataclass(frozen=True)
class Names:
    """The names of one page."""

    known: frozenset[str]
    """Names and addresses in small letters."""
    addresses: bool
    """Whether any IP address will do, as for a page that listens on every interface: a number cannot be bound anew."""
    named: frozenset[str]
    """Those that somebody named, such as that of a proxy in front: its pages are this one's."""
    any: bool = False
    """Whether it is asked for under names that nobody here knows, as behind a notebook's server: then the page's link
    alone says who may come, which a page that binds a name anew does not have."""
    shared: bool = False
    """Whether it has an address on the open net as well."""
    https: bool = False
    """Whether the way to what is in front of it is encrypted, which may not say so when it asks."""

    @classmethod
    def of(cls, host: str, allowed: Iterable[str] = (), *, behind: str | None = None, shared: bool = False) -> Names:
        """Names of a page that listens on `host`; `allowed` are those by which a proxy in front is asked for.

        Args:
            host: An address of this machine.
            allowed: Names.
            behind: The address at which a notebook's server shows it to its user alone; a path where only browsers know
                that server's name.
            shared: Whether it has an address on the open net as well.
        """
        named = {bare_name(name) for name in (*allowed, os.environ.get("SPACE_HOST", "")) if name.strip()}
        own = {socket.gethostname().lower()} if host in _EVERYWHERE else {host.lower().strip("[]")}
        front = urlsplit(behind or "")
        known = frozenset(_LOOPBACK | own | named)
        named |= {front.hostname} if front.hostname else set()
        anything = behind is not None or shared
        return cls(known, host in _EVERYWHERE, frozenset(named), anything, shared, front.scheme == "https")

    @property
    def only_here(self) -> bool:
        """Whether only this machine, or a notebook's own user, reaches the page."""
        return not self.addresses and not self.shared and self.known <= _LOOPBACK

    def has(self, host: str) -> bool:
        """Whether the page may be asked for under a name or address."""
        if self.any or host in self.known:
            return True
        try:
            return self.addresses and bool(ipaddress.ip_address(host))
        except ValueError:
            return False


def is_loopback(host: str) -> bool:
    """Whether a page that listens on an address is reached from this machine alone."""
    host = host.lower().strip("[]")
    try:
        return host in _LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bare_name(host: str) -> str:
    """A host without its port and in small letters."""
    host = host.strip().lower().removesuffix(".")
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0].removesuffix(".")
