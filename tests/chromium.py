"""Finds a Chromium for the browser tests, and installs one where there is none: `python tests/chromium.py
--install`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


# The shell has no windows to draw, which is a fifth of all processor time that a test takes.
SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox, since tests often run as root in a container; the rest keeps Chromium from calling home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def executable() -> str | None:
    """Path of a system Chromium; None lets Playwright use its own."""
    return os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


def install() -> None:
    """Make sure that there is one: from Debian's packages where this user may, else Playwright's download."""
    if executable():
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        for package in (SHELL, "chromium"):
            if subprocess.run(["apt-get", "install", "-y", "-qq", package], check=False).returncode == 0:
                return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__" and "--install" in sys.argv:
    install()
