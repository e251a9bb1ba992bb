"""The one error that users are meant to read; anything else that escapes is a bug."""

from __future__ import annotations


class SteeringError(Exception):
    """A mistake that the user can mend: what was given, what was expected, what to do.

    Args:
        given: One sentence on what was asked for or found, naming file, row and field where there are any.
        expected: What would have been right. Empty where `given` already says it.
        remedy: What to do now.
    """

    def __init__(self, given: str, expected: str = "", remedy: str = "") -> None:
        self.given = given
        self.expected = expected
        self.remedy = remedy
        super().__init__(given, expected, remedy)

    def __str__(self) -> str:
        parts = [self.given, f"Expected: {self.expected}" if self.expected else "", self.remedy]
        return " ".join(part for part in parts if part)
