"""Under which names a page may be asked for."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass


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
    """Those of `known` that somebody named, such as that of a proxy in front: its pages are this one's."""

    @classmethod
    def of(cls, host: str, allowed: Iterable[str] = ()) -> Names:
        """Names of a page that listens on `host`; `allowed` are those by which a proxy in front is asked for."""
        named = {bare_name(name) for name in (*allowed, os.environ.get("SPACE_HOST", "")) if name.strip()}
        own = {socket.gethostname().lower()} if host in _EVERYWHERE else {host.lower().strip("[]")}
        return cls(frozenset(_LOOPBACK | own | named), host in _EVERYWHERE, frozenset(named))

    @property
    def only_here(self) -> bool:
        """Whether only this machine reaches the page."""
        return not self.addresses and self.known <= _LOOPBACK

    def has(self, host: str) -> bool:
        """Whether the page may be asked for under a name or address."""
        if host in self.known:
            return True
        try:
            return self.addresses and bool(ipaddress.ip_address(host))
        except ValueError:
            return False


def bare_name(host: str) -> str:
    """A host without its port and in small letters."""
    host = host.strip().lower().removesuffix(".")
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0].removesuffix(".")
