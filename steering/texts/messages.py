"""Conversations as files have them: a text, fields by role, a list of messages, or a transcript."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from steering.errors import SteeringError
from steering.model.prompts import Message, conversation
from steering.texts.columns import CHATS, FURTHER_REQUESTS, REQUESTS, SYSTEMS, lowered


_ROLES: dict[str, Any] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "ai", "chatgpt"), "assistant"),
}
_FIELDS = {
    "system": ("system", "system_prompt"),
    "user": ("user", "prompt", "question", "instruction"),
    "assistant": ("assistant", "response", "answer", "reply", "completion", "output"),
}
_PASSED = ("split", "id", "label", "category", "source", "note", "title")
_TRANSCRIPT = re.compile(r"(?:^|\n\n)(Human|Assistant):[ \t]?")


def messages_of(value: Any, where: str, system: str = "") -> tuple[Message, ...]:
    """A conversation from a text, a mapping by role or a list of messages.

    Args:
        value: What stands in the file.
        where: File, row and field, for messages.
        system: A system prompt, where the value has none of its own.

    Raises:
        SteeringError: Empty, an unknown role, or a field that would be dropped.
    """
    if isinstance(value, Mapping) and ("content" in value or "value" in value):  # one message
        return messages_of([value], where, system)
    if isinstance(value, Mapping):
        chat = next((value[key] for low, key in lowered(value).items() if low in CHATS), None)
        return messages_of(chat, where, system) if chat is not None else _by_role(value, where, system)
    if isinstance(value, list):
        turns = tuple(_turn(each, f"{where}, message {number}") for number, each in enumerate(value, start=1))
        if not any(turn.role == "user" for turn in turns):
            raise SteeringError(f"{where} has no message of the user.", "one at least.", "Correct that row.")
        return turns if turns[0].role == "system" or not system else (Message("system", system), *turns)
    return conversation(text_of(value, where), system)


def text_of(value: Any, where: str) -> str:
    """A text that is there.

    Raises:
        SteeringError: Missing, empty, or something else.
    """
    if not isinstance(value, str) or not value.strip():
        held = "" if value is None or isinstance(value, str) or value != value else f": {str(value)[:60]!r} is no text"
        raise SteeringError(
            f"{where} is missing or empty{held}.",
            "a text.",
            "Fill it in, or delete the row.",
        )
    return value


def transcript(text: str) -> tuple[Message, ...]:
    """The messages of a transcript with "Human:" and "Assistant:" before each, as in HH-RLHF; none for other texts."""
    if not text.lstrip().startswith("Human:"):
        return ()
    parts = _TRANSCRIPT.split("\n\n" + text.lstrip())[1:]
    turns = (Message(_ROLES[role.lower()], said.strip()) for role, said in zip(parts[::2], parts[1::2], strict=True))
    return tuple(turns)


def reply_of(value: Any) -> str | None:
    """The text of a reply that stands alone: a text, a message of the assistant, or a list of just that; else None."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping) and role_of(value) == "assistant":
        value = value.get("content", value.get("value"))
    return value if isinstance(value, str) else None


def request_of(row: Mapping[str, Any], where: str) -> tuple[Message, ...]:
    """What the replies of a row answer: its request, Alpaca's input behind its instruction, or its conversation so far.

    Returns:
        The messages; none where the row has nothing of the kind.

    Raises:
        SteeringError: It is no text and no conversation, or ends with a reply already.
    """
    names = lowered(row)
    name = next((each for each in (*REQUESTS, *FURTHER_REQUESTS, *CHATS) if each in names), None)
    if name is None:
        return ()
    value, place = row[names[name]], f"{where}, field {names[name]}"
    further = row[names["input"]] if name == "instruction" and "input" in names else None
    if isinstance(value, str) and isinstance(further, str) and further.strip():
        value = f"{value}\n\n{further}"
    system = next((row[names[key]] for key in SYSTEMS if key in names), None)
    turns = messages_of(value, place, text_of(system, f"{where}, system") if system else "")
    if answered(turns):
        raise SteeringError(
            f"{place} ends with a reply already.", "a conversation that ends with the user.", "Mend it."
        )
    return turns


def role_of(message: Mapping[str, Any]) -> Any:
    """Who says a message, under `role`, `from` (ShareGPT) or `type` (LangChain); None for others than these three."""
    said = message.get("role", message.get("from", message.get("type")))
    return _ROLES.get(str(said).strip().lower())


def first_request(value: Any, where: str) -> str:
    """What the user says first in a conversation; what comes behind it, calls of tools too, is not looked at.

    Raises:
        SteeringError: The user says nothing.
    """
    if isinstance(value, list):
        told = (role_of(each) if isinstance(each, Mapping) else None for each in value)
        place = next((at for at, role in enumerate(told) if role == "user"), None)
        if place is not None:
            return _turn(value[place], f"{where}, message {place + 1}").content
    return next(turn.content for turn in messages_of(value, where) if turn.role == "user")


def answered(turns: tuple[Message, ...]) -> bool:
    """Whether a conversation ends with a reply."""
    return turns[-1].role == "assistant"


def without_reply(turns: tuple[Message, ...]) -> tuple[Message, ...]:
    """A conversation up to its last reply: what a model is to answer itself."""
    return turns[:-1] if answered(turns) else turns


def _by_role(value: Mapping[str, Any], where: str, system: str) -> tuple[Message, ...]:
    names = lowered(value)
    found: dict[str, Any] = {}
    for role, fields in _FIELDS.items():
        held = [names[field] for field in fields if field in names]
        if len(held) > 1:
            raise SteeringError(
                f"{where} has {' and '.join(map(str, held))}.", f"one field for {role}.", "Leave one of them out."
            )
        found[role] = value[held[0]] if held else None
    known = [*(field for fields in _FIELDS.values() for field in fields), *_PASSED]
    odd = next((key for low, key in names.items() if low not in known), None)
    if odd is not None:
        raise SteeringError(
            f"{where} has the field '{str(odd)[:60]}'.", "system, user and assistant.", "Rename it, or leave it out."
        )
    own = found["system"] if found["system"] not in (None, "") else system
    turns = conversation(text_of(found["user"], where), text_of(own, f"{where}, system") if own else "")
    if found["assistant"] in (None, ""):
        return turns
    return (*turns, Message("assistant", text_of(found["assistant"], f"{where}, assistant")))


def _turn(value: Any, where: str) -> Message:
    if not isinstance(value, Mapping):
        raise SteeringError(f"{where} is {str(value)[:60]!r}.", "a mapping with role and content.", "Correct that row.")
    said = value.get("role", value.get("from", value.get("type")))
    role = role_of(value)
    if role is None:
        raise SteeringError(f"{where} has the role {said!r}.", "system, user or assistant.", "Correct that row.")
    content = value.get("content", value.get("value"))
    if isinstance(content, list):  # parts, of which only texts can be read
        kinds = [part.get("type", "text") if isinstance(part, Mapping) else "?" for part in content]
        if any(kind != "text" for kind in kinds):
            raise SteeringError(f"{where} holds {', '.join(map(str, kinds))}.", "texts alone.", "Leave that row out.")
        content = "\n".join(str(part.get("text", "")) for part in content)
    return Message(role, text_of(content, where))
