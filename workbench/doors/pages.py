"""What somebody sees who is not let in: small pages of our own, without a script."""

from __future__ import annotations

from html import escape

from steering.resources import resource


_STYLE = resource("assets", "doors", "doors.css").read_text(encoding="utf-8")
_LONGEST = 200
"""Characters of an address that are shown."""
SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
OWN_PATHS = frozenset({SIGN_IN[1:], SIGN_OUT[1:]})
"""Names that no panel's page may have."""
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",  # with none, a form that is sent says that it comes from nowhere
}
"""Of each of these pages."""


ALONE = {"content-security-policy": "frame-ancestors 'self'"}
"""Of pages for which somebody signed in: no other page may show them inside of it, and take clicks for its own."""


def missing_token(path: str, *, wrong: bool = False) -> str:
    """Says that the address lacks the token, and where the link is printed.

    Args:
        path: That was asked for.
        wrong: Whether there was a token, and another one.
    """
    first = (
        '<p class="wrong">The token in this address is not that of this page, which may have been started anew.</p>'
        if wrong
        else "<p>This page opens by a link that carries a token, so that nobody else on this machine can use it. "
        "This address has none, and your browser holds no visit that goes on.</p>"
    )
    return _page(
        "This page needs its link",
        f"""{first}
<p>The link was printed where the workbench was started, as <code>The workbench is at …/?token=…</code> In another
terminal of the same user, <code>workbench link</code> prints it again.</p>
<form method="get" action="{_own(path)}">
<label for="token">Or paste the token, or the whole link</label>
<input id="token" name="token" type="password" autocomplete="off" required>
<button>Open</button>
</form>""",
    )


def sign_in(path: str, *, said: str = "", name: str = "") -> str:
    """Asks for a name and a password.

    Args:
        path: That was asked for, with its query: where to go afterwards.
        said: Why it is asked once more.
        name: That was given before.
    """
    typed, here, there = f' value="{escape(name[:64])}"', *(("", " autofocus") if name else (" autofocus", ""))
    wrong = f'<p class="wrong" role="alert">{escape(said)}</p>' if said else ""
    return _page(
        "Sign in",
        f"""<p>This workbench is for those who have an account. Other users do not see what you make here.</p>
{wrong}
<form method="post" action="{_up(path)}{SIGN_IN.lstrip("/")}">
<input type="hidden" name="next" value="{escape(path)}">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" autocapitalize="none" spellcheck="false" required{typed}{here}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required{there}>
<button>Sign in</button>
</form>""",
    )


def sign_out(user: str) -> str:
    """Asks whether somebody wants to sign out."""
    return _page(
        "Sign out",
        f"""<p>You are signed in as <b>{escape(user)}</b>. What runs goes on, and what you made stays.</p>
<form method="post" action=".{SIGN_OUT}"><button>Sign out</button></form>
<p><a href="./">Back to the workbench</a></p>""",
    )


def signed_out() -> str:
    """Says that somebody signed out."""
    return _page("You are signed out", '<p><a href="./">Sign in again</a></p>')


def unknown(path: str) -> str:
    """Says that there is no page under an address.

    Args:
        path: That was asked for.
    """
    shown = path if len(path) <= _LONGEST else f"{path[:_LONGEST]}…"
    return _page(
        "There is no such page",
        f"""<p>The workbench has nothing at <code>{escape(shown)}</code>. A panel that is not installed here has no
page, either.</p>
<p><a href="{_up(path)}">To the start page</a>, which leads to all that there are.</p>""",
    )


def _up(path: str) -> str:
    """From a path to the workbench's own, as a relative address."""
    return "../" * (path.partition("?")[0].count("/") - 1) or "./"


def _own(path: str) -> str:
    """The same path as a relative address, which holds behind a proxy's prefix, too."""
    return f"./{escape(path.rpartition('/')[2])}"


def _page(title: str, inner: str) -> str:
    """A page.

    Args:
        title: As text.
        inner: Markup.
    """
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · Steering Workbench</title>
<style>{_STYLE}</style>
<main>
<h1>{escape(title)}</h1>
{inner}
</main>
</html>
"""
