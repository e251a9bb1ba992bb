"""How much each visitor of a public page may ask for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from steering.errors import SteeringError
from steering.studies.size import Size


@dataclass(frozen=True)
class Limits:
    """Of one visitor, where nothing else is said; modest, since all visitors share one model."""

    tokens: int = 128
    """Of one reply."""
    rows: int = 6000
    """Replies and texts that one run generates and reads, all together."""
    cells: int = 60
    """Of one grid."""
    prompt: int = 8000
    """Characters of one text that is typed, such as a prompt."""
    queue: int = 2
    """Runs that go on and wait at once."""
    requests: int = 600
    """Events a minute; an open page alone makes up to 60."""
    disk: int = 200
    """Megabytes of vectors, runs and uploads."""
    vectors: int = 40
    """On the shelf."""
    minutes: int = 60
    """Without any request, after which a visitor is gone and all of theirs is removed."""
    visitors: int = 100
    """Of the page, whose things are there at once."""

    @classmethod
    def of(cls, given: Iterable[str]) -> Limits:
        """Limits as they are typed, such as "tokens=200".

        Raises:
            SteeringError: There is no such limit, or it is no number from 1.
        """
        known = [each.name for each in fields(cls)]
        found = {}
        for each in given:
            name, _, value = each.partition("=")
            number = value.strip()
            if name.strip() not in known or not (number.isascii() and number.isdigit() and 0 < len(number) < 8):
                raise SteeringError(
                    f"The limit {each[:60]!r}.", f"NAME=NUMBER, with a name of {', '.join(known)}.", "Correct it."
                )
            found[name.strip()] = int(number)
        made = replace(cls(), **found)
        if not min(getattr(made, name) for name in known):
            raise SteeringError("A limit of 0 lets nobody do anything.", "a number from 1.", "Correct it.")
        return made

    def check_size(self, kind: str, size: Size) -> None:
        """Raise where a run would do too much, before it does anything.

        Args:
            kind: The study's name.
            size: What it does at most.

        Raises:
            SteeringError: It would.
        """
        replies = [work for work in size.works if work.kind == "replies" and work.n]
        if longest := max((int(work.tokens) for work in replies), default=0):
            self.check_tokens(longest)
        if kind == "grid" and size.count("replies") > self.cells:
            raise over(f"The grid has {size.count('replies'):,} cells", f"{self.cells:,}", "Take fewer values.")
        rows = size.count("replies") + size.count("readings")
        if rows > self.rows:
            raise over(
                f"This run generates and reads {rows:,} texts", f"{self.rows:,}", "Press Quick, or take fewer of them."
            )

    def check_tokens(self, tokens: float) -> None:
        """Raise where replies would be too long.

        Raises:
            SteeringError: They would.
        """
        if tokens > self.tokens:
            raise over(f"Replies of {tokens:,.0f} tokens were asked for", f"{self.tokens:,}", "Make them shorter.")

    def check_text(self, text: str) -> None:
        """Raise where a text is too long.

        Raises:
            SteeringError: It is.
        """
        if len(text) > self.prompt:
            raise over(f"A text of {len(text):,} characters was given", f"{self.prompt:,}", "Shorten it.")

    def check_disk(self, used: int) -> None:
        """Raise where a visitor's things take all the room that they may.

        Args:
            used: Bytes.

        Raises:
            SteeringError: They do.
        """
        if used >= self.disk * 10**6:
            raise over(
                f"Your vectors, runs and uploads take {used / 1e6:.0f} MB",
                f"less than {self.disk:,} MB",
                "Delete runs on the page Runs, or begin anew in a private window.",
            )

    def check_vectors(self, there: int) -> None:
        """Raise where a shelf is full.

        Args:
            there: How many vectors lie on it.

        Raises:
            SteeringError: It is.
        """
        if there >= self.vectors:
            raise over(f"The shelf holds {there:,} vectors", f"{self.vectors:,}", "Remove one first.")

    def said(self) -> tuple[str, ...]:
        """What a visitor should know, as sentences."""
        return (
            f"No other visitor sees what you make. It is removed {self.minutes:,} minutes after your last visit, and "
            "when the page ends: download what you want to keep.",
            f"A reply has at most {self.tokens:,} tokens, a grid {self.cells:,} cells, a text {self.prompt:,} "
            f"characters; one run generates and reads at most {self.rows:,} texts.",
            f"{self.queue:,} runs of yours may go on and wait at once; {self.vectors:,} vectors and {self.disk:,} MB "
            "may be kept.",
        )


def over(given: str, most: str, remedy: str) -> SteeringError:
    """The mistake of asking for too much of a public page.

    Args:
        given: What was asked for, without a full stop.
        most: What may be.
        remedy: What to do.
    """
    expected = most if most.startswith("less") else f"at most {most}"
    return SteeringError(f"{given}; this page is public.", f"{expected} here.", remedy)
