"""Where a page is served, and who may come in: what the command line, a notebook and a Space each say of it."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.doors.accounts import Accounts
from workbench.doors.door import Door
from workbench.doors.limits import Limits
from workbench.host_names import Names


@dataclass(frozen=True)
class Entrance:
    """One page's."""

    host: str = "127.0.0.1"
    """Address to listen on; "0.0.0.0" for every interface."""
    port: int = 7860
    """Port to listen on; 0 for any free one."""
    allow_hosts: tuple[str, ...] = ()
    """Names under which a proxy in front is asked for the page."""
    allow_models: tuple[str, ...] | None = None
    """Models that visitors may load instead; "any" for any. Where None, any on a page that only this machine reaches,
    and none on one that others reach."""
    root_path: str = ""
    """The path below which a proxy in front shows the page and which it leaves out when it asks here, such as
    "/workbench"; or the whole address where it does not tell under which name it was asked."""
    token: str | None = None
    """What the page's link carries, so that no other user of the machine gets in; "" for none. Where None, that of the
    environment (`STEERING_WORKBENCH_TOKEN`), or a new one. The link is the page's `link`."""
    behind: str | None = None
    """The address at which something in front shows the page, such as a notebook's server: the page is asked under
    names that nobody here knows, and its link alone says who may come."""
    share: bool = False
    """Whether it has an address on the open net, through Gradio's servers, in the page's `share_url`."""
    accounts: Accounts | None = None
    """Lets in who signs in, each to a workspace of their own, which stays."""
    public: Limits | None = None
    """Lets anybody in, each visitor with a workspace of their own that goes when they are gone; nobody may ask for more
    than this, load other models than those allowed, or see anything of the workbench's own workspace."""

    def door(self) -> Door:
        """How it lets people in; each door that makes a token has another one.

        Raises:
            SteeringError: Other machines would reach the page and nobody said who may come, or the token can be
                guessed.
        """
        return Door.of(self.host, token=self.token, accounts=self.accounts, public=self.public)

    def names(self) -> Names:
        """Under which names it may be asked for."""
        return Names.of(self.host, self.allow_hosts, behind=self.behind, shared=self.share)
