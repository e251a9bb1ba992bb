"""Options of the command line that say where a page is served and who may come in, and the `Entrance` made of them."""

from __future__ import annotations

from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.console import ERR
from workbench.cli.options import Command, taking


if TYPE_CHECKING:
    from steering.errors import SteeringError
    from workbench.doors.accounts import Accounts
    from workbench.doors.entrance import Entrance

_OPTIONS: dict[str, tuple[Any, Any, str, dict[str, Any]]] = {
    "address": (
        str,
        "127.0.0.1",
        "Address to listen on; one that other machines reach, such as 0.0.0.0, needs --auth-file or --public.",
        {"flag": "--host"},
    ),
    "port": (int, 7860, "Port to listen on.", {}),
    "allow_host": (
        list[str] | None,
        None,
        "A name under which a proxy in front is asked for the page. May be repeated.",
        {},
    ),
    "allow_models": (
        list[str] | None,
        None,
        "A model that visitors may load instead; any for any. May be repeated. By default any where only this machine "
        "reaches the page, and none where others do.",
        {},
    ),
    "root_path": (str, "", "The path below which a proxy in front shows the page, such as /workbench.", {}),
    "token_file": (
        Path | None,
        None,
        "A file with the token that the page's link is to carry, which nobody else may read. Or set "
        "STEERING_WORKBENCH_TOKEN. By default a new one each time.",
        {},
    ),
    "no_token": (
        bool,
        False,
        "Let in every user of this machine, without a token in the link.",
        {"flag": "--no-token"},
    ),
    "auth": (
        str | None,
        None,
        "Let in one user who signs in, as user:password; better set in the environment, since other users of the "
        "machine see a command's options.",
        {"envvar": "STEERING_WORKBENCH_AUTH"},
    ),
    "auth_file": (
        Path | None,
        None,
        "Let in users who sign in: a file of lines user:hash, as `workbench password NAME` gives them.",
        {},
    ),
    "public": (
        bool,
        False,
        "Let in anybody, within limits; each visitor has a workspace of their own for a while.",
        {"flag": "--public"},
    ),
    "limit": (list[str] | None, None, "With --public: a limit, such as tokens=200. May be repeated.", {}),
}
"""Name -> type, default, what it is for, and how typer is to read it where its name does not say that."""


def opens_door(command: Command) -> Command:
    """Give a command the options above; it receives them as one mapping named `door`, for `entrance_of`."""
    return taking(command, "door", [_parameter(name, *each) for name, each in _OPTIONS.items()])


def entrance_of(
    *,
    address: str,
    port: int,
    allow_host: list[str] | None,
    allow_models: list[str] | None,
    root_path: str,
    token_file: Path | None,
    no_token: bool,
    auth: str | None,
    auth_file: Path | None,
    public: bool,
    limit: list[str] | None,
) -> Entrance:
    """Where the page is served and who may come in, from the options.

    Raises:
        SteeringError: Two that exclude one another, or a file or limit that cannot be used.
    """
    from steering.errors import SteeringError
    from workbench.doors.door import token_in
    from workbench.doors.entrance import Entrance
    from workbench.doors.limits import Limits

    if no_token and token_file is not None:
        raise _both("--token-file", "--no-token")
    if limit and not public:
        raise SteeringError("--limit was given without --public.", "limits of a public page.", "Add --public.")
    return Entrance(
        address,
        port,
        allow_hosts=tuple(allow_host or ()),
        allow_models=None if allow_models is None else tuple(allow_models),
        root_path=root_path,
        token="" if no_token else token_in(token_file) if token_file is not None else None,
        accounts=_accounts(auth, auth_file),
        public=Limits.of(limit or ()) if public else None,
    )


def _parameter(name: str, kind: Any, default: Any, text: str, more: dict[str, Any]) -> Parameter:
    flag = more.get("flag", f"--{name.replace('_', '-')}")
    option = typer.Option(flag, help=text, envvar=more.get("envvar"), rich_help_panel="Where it is, and who may come")
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _accounts(auth: str | None, auth_file: Path | None) -> Accounts | None:
    """Those who may sign in; None where nobody has to."""
    from workbench.doors.accounts import Accounts

    if auth is not None and auth_file is not None:
        raise _both("--auth", "--auth-file")
    if auth is not None:
        return Accounts.of(auth)
    if auth_file is None:
        return None
    found, plain = Accounts.in_file(auth_file)
    if plain:
        ERR.print(
            f"The passwords of {', '.join(plain)} are not hashed in the file; `workbench password` makes such lines.",
            markup=False,
            highlight=False,
        )
    return found


def _both(first: str, second: str) -> SteeringError:
    """The mistake of two options that exclude one another."""
    from steering.errors import SteeringError

    return SteeringError(f"{first} and {second} were given.", "one of them.", "Leave one out.")
