"""How a statement is asked about: two runs that differ in the answer alone, and the token that is read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, render, render_text
from steering.names import short_name
from steering.passes.rows import check_length
from steering.plugins import Registry
from steering.resources import resource
from steering.validation import validation_error
from steering.yaml_files import load_yaml


class Template(BaseModel):
    """One way to ask; `presets/statements/templates.yaml` holds those that ship."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    says: str = ""
    chat: bool = False
    text: str = ""
    """Without `chat`: the whole text."""
    user: str = ""
    assistant: str = ""
    """With `chat`: the turns; a user's turn alone is followed by the opening of the reply."""
    answers: tuple[str, str]
    """Yes and no; whatever stands between the statement and the answer belongs to it, a space too."""
    read: Literal["last", "answer"] = "last"

    @model_validator(mode="after")
    def _checked(self) -> Template:
        whole = self.user + self.assistant if self.chat else self.text
        for name in ("{statement}", "{answer}"):
            if whole.count(name) != 1:
                raise ValueError(f"{name} must stand in it once, not {whole.count(name)} times")
        if whole.index("{answer}") < whole.index("{statement}"):
            raise ValueError("{answer} must stand behind {statement}")
        if not all(map(str.strip, self.answers)) or self.yes.strip() == self.no.strip():
            raise ValueError("answers must be two different texts")
        return self

    @property
    def yes(self) -> str:
        """The first answer."""
        return self.answers[0]

    @property
    def no(self) -> str:
        """The second one."""
        return self.answers[1]

    def prompt(self, host: Host, statement: str, answer: str) -> Prompt:
        """The tokens of one run."""

        def filled(text: str) -> str:
            return text.replace("{statement}", statement).replace("{answer}", answer)

        if not self.chat:
            return render_text(host, filled(self.text))
        reply = (Message("assistant", filled(self.assistant)),) if self.assistant else ()
        return render(host, (Message("user", filled(self.user)), *reply))


@cache
def templates() -> dict[str, Template]:
    """Those that ship, by name."""
    path = resource("presets", "statements", "templates.yaml")
    return {name: Template.model_validate(given) for name, given in load_yaml(path.read_text(encoding="utf-8")).items()}


def _read(name: str, offered: Any) -> Template:
    """What a package offers as a template: one, or its fields.

    Raises:
        SteeringError: They make none.
    """
    try:
        return offered if isinstance(offered, Template) else Template.model_validate(offered)
    except ValidationError as error:
        raise validation_error(f"The probing template '{name}'", error, Template) from error


TEMPLATES: Registry[Template] = Registry("template", _read, templates())
"""Every template by its name, those of packages behind those that ship."""


def template_of(given: str) -> Template:
    """A template by its name, or its own fields as YAML, `{text: "{statement}{answer}", answers: [" Yes", " No"]}`.

    Raises:
        SteeringError: No such template, or fields that make none.
    """
    if given in TEMPLATES:
        return TEMPLATES[given]
    try:
        fields = load_yaml(given, "The template")
    except SteeringError:
        fields = None
    if not isinstance(fields, dict):
        raise SteeringError(
            f"The template '{given}' was asked for.",
            f"one of {', '.join(TEMPLATES)}, or its own fields as YAML: "
            "{text: '{statement}{answer}', answers: [' Yes', ' No']}.",
        )
    try:
        return Template.model_validate(fields)
    except ValidationError as error:
        raise validation_error("The template", error, Template) from error


@dataclass(frozen=True)
class Runs:
    """A statement's two runs."""

    shared: int
    """Tokens that both begin with."""
    no: Prompt
    yes: Prompt
    read: tuple[int, int]
    """Index of the token that is read in each."""

    @property
    def tokens(self) -> tuple[str, str]:
        """The tokens that are read, as text."""
        return self.no.tokens[self.read[0]], self.yes.tokens[self.read[1]]


def runs_of(host: Host, template: Template, statement: str) -> Runs:
    """Both runs of a statement.

    Raises:
        SteeringError: They differ in more than the answer, or are too long.
    """
    no, yes = (template.prompt(host, statement, answer) for answer in (template.no, template.yes))
    if no.thought_tokens and template.read != "answer":
        raise SteeringError(
            f"This template reads where the reply begins, and {short_name(host.name)} is let think there: the two runs "
            "would differ in their thoughts too.",
            "runs that differ in nothing but the answer.",
            "Skip the thought (chat.thought=skip), or take a template that reads an answer, such as assistant.",
        )
    head = _alike(no.ids, yes.ids)
    tail = _alike(no.ids[head:][::-1], yes.ids[head:][::-1])
    for prompt, answer in ((no, template.no), (yes, template.yes)):
        check_length(host, len(prompt))
        apart = host.tokenizer.decode(list(prompt.ids[head : len(prompt) - tail])).strip()
        if not apart or apart not in answer:
            raise SteeringError(
                f"In {host.name}'s tokenizer the two runs of '{statement}' differ in the tokens '{apart}', which is "
                f"more than the answer '{answer.strip()}', or less than a token of it.",
                "runs that differ in nothing but the answer.",
                "Put a space before the answer, or take another template.",
            )
    ends = [len(prompt) - (tail if template.read == "answer" else 0) - 1 for prompt in (no, yes)]
    return Runs(head, no, yes, (ends[0], ends[1]))


def _alike(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """How many tokens both begin with."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
