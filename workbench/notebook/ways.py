"""Where a browser reaches a port of the kernel's machine, in the notebooks that there are.

A notebook on this machine reaches `localhost`, and so does VS Code, which forwards the ports of a remote machine. A
JupyterHub reaches it below the path of jupyter-server-proxy. Colab has a proxy, whose address only its page knows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from steering.errors import SteeringError


PREFIX = "JUPYTERHUB_SERVICE_PREFIX"
"""Environment variable in which a JupyterHub says below which path it shows somebody's notebooks."""
PUBLIC = "JUPYTERHUB_PUBLIC_URL"
"""Environment variable in which newer ones say the whole address."""


@dataclass(frozen=True)
class Way:
    """How a browser reaches the page."""

    address: str
    """Of the start page, without a slash at its end; a path alone where only the browser knows the server's name."""
    root_path: str = ""
    """As `workbench.frame.shell.launch` takes it."""
    proxied: bool = False
    """Whether something in front of the page is asked, under a name that nobody here knows."""
    note: str = ""
    """What to look at where the frame stays empty."""


def way_to(port: int, address: str | None = None) -> Way:
    """How the browser that shows this notebook reaches a port.

    Args:
        port: It.
        address: What somebody said, with {port} where the port's number belongs; found from the environment where None.

    Raises:
        SteeringError: The address is none.
    """
    if address is not None:
        return _said(address, port)
    if (colab := _colab()) is not None:
        found = str(colab.eval_js(f"google.colab.kernel.proxyPort({port}, {{cache: true}})")).rstrip("/")
        return Way(found, found, proxied=True, note="Colab shows the frame where cookies of its own pages are allowed.")
    if prefix := os.environ.get(PREFIX, "").rstrip("/"):
        path = f"{prefix}/proxy/{port}"
        note = "It needs jupyter-server-proxy where the notebook server runs (pip install jupyter-server-proxy there)."
        return Way(f"{_server()}{path}", path, proxied=True, note=note)
    return Way(f"http://localhost:{port}")


def _said(address: str, port: int) -> Way:
    found = address.replace("{port}", str(port)).rstrip("/")
    parts = urlsplit(found)
    if not (found.startswith("/") or (parts.scheme in ("http", "https") and parts.netloc)):
        raise SteeringError(
            f"The address '{address[:80]}' is neither a path nor an address.",
            'such as "/proxy/{port}" or "https://example.org/proxy/{port}".',
            "Correct it, or leave it out.",
        )
    return Way(found, found if parts.netloc else parts.path, proxied=True)


def _server() -> str:
    """Scheme and name of the hub's server, where it says them."""
    parts = urlsplit(os.environ.get(PUBLIC, ""))
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""


def _colab() -> Any:
    """Colab's own module, None elsewhere."""
    try:
        from google.colab import output  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        return None
    return output
