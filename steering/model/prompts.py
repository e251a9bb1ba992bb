"""From messages to the tokens a model reads, and which part of the prompt each token belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from jinja2 import TemplateError, TemplateSyntaxError

from steering.bounds import check_prompt
from steering.errors import SteeringError
from steering.model.openings import opening_of
from steering.model.templates import Value, applied
from steering.model.thought_markers import markers_of
from steering.model.token_pieces import pieces_of_reply, pieces_of_text, readable
from steering.names import short_name


if TYPE_CHECKING:
    from steering.model.host import Host

_ALTERNATE = "Start with a user message, and let the roles alternate."
_ALONE = "Give it what it asks for (a template switch, a system prompt), or mend the template."
_TO_USER = "Put it into the user's message (chat settings: chat.system=user or --system-place user), or leave it out."
Role = Literal["template", "system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt: the exact tokens that enter the model."""

    text: str
    """The text after the chat template."""
    ids: tuple[int, ...]
    """Token ids, (tokens,)."""
    roles: tuple[Role, ...]
    """Whose token each one is; special tokens and the words of the template itself are "template"."""
    tokens: tuple[str, ...]
    """Each token as a readable piece; joined they are the text, but for special tokens that a tokenizer adds to plain
    text. "" for a token that is only the beginning of a character.
    """
    opened: bool = False
    """Whether the prompt ends inside a thought, so that a reply begins with one."""
    thought_tokens: int = 0
    """The most tokens of a thought, beside those of the answer, where the model is let think; 0 where it is not."""

    def __len__(self) -> int:
        return len(self.ids)


def conversation(user: str, system: str = "") -> tuple[Message, ...]:
    """A one-turn conversation; an empty system prompt is left out."""
    turns = (Message("system", system),) if system.strip() else ()
    return (*turns, Message("user", user))


def render(host: Host, messages: str | Sequence[Message], *, generation_prompt: bool = True) -> Prompt:
    """Apply the chat template once and tokenise.

    A conversation that ends with an assistant message is left open after it (the model continues, or its tokens are
    read); any other one ends with the template's generation prompt, and with what
    `steering.model.openings` puts behind it.
    A model without a chat template gets the contents joined by blank lines. Special tokens are never added twice: the
    templated text is tokenised as it is.

    Args:
        host: Whose tokenizer, template and chat settings to use.
        messages: A conversation, or the user's text.
        generation_prompt: Whether the template opens the reply after a user message.

    Raises:
        SteeringError: Nothing to say, or the template refuses the roles.
    """
    turns = conversation(messages) if isinstance(messages, str) else tuple(messages)
    if not any(turn.content.strip() for turn in turns):
        raise SteeringError("The prompt is empty.", "some text in the user message.", "Type a prompt.")
    for turn in turns:
        check_prompt(turn.content)
    opening = opening_of(host)
    replies = generation_prompt and turns[-1].role != "assistant"
    begun = opening.text if replies else ""
    if not host.info.chat_template:
        text = "\n\n".join(turn.content for turn in turns)
        frame = "\n\n".join(_marker(index) for index in range(len(turns)))
        spans = _spans(text, frame, turns)
        return _tokenise(host.tokenizer, f"{text}\n\n{begun}" if begun else text, spans, special=True)
    if host.chat.system == "user":
        turns = _system_to_user(turns)
    markers = tuple(Message(turn.role, _marker(index)) for index, turn in enumerate(turns))
    text, frame = (_templated(host, each, generation_prompt, opening.switches) for each in (turns, markers))
    _check_held(host, turns, frame)
    spans = _spans(text, frame, turns)
    said = max((end for _, end, role in spans if role != "assistant"), default=0)
    opened = markers_of(host.tokenizer).opens(text[said:] + begun)
    thought_tokens = host.chat.thought_tokens if opening.thinks and replies else 0
    prompt = _tokenise(host.tokenizer, text + begun, spans, special=False)
    return replace(prompt, opened=opened, thought_tokens=thought_tokens)


def _check_held(host: Host, turns: tuple[Message, ...], frame: str) -> None:
    """Refuse a template that drops what a system or user turn says: the model would not read it."""
    for index, turn in enumerate(turns):
        if turn.role != "assistant" and turn.content.strip() and _marker(index) not in frame:
            movable = turn.role == "system" and any(_marker(other) in frame for other in range(index, len(turns)))
            raise SteeringError(
                f"The chat template of {short_name(host.name)} leaves the {turn.role} message out.",
                "a conversation that the template writes out (some have no place for a system prompt).",
                _TO_USER if movable else _ALTERNATE if index else _ALONE,
            )


def tokenised(tokenizer: Any, text: str) -> Prompt:
    """A text that has been through the template already, as a prompt; all of it is the template's."""
    return _tokenise(tokenizer, text, [], special=False)


def _system_to_user(turns: tuple[Message, ...]) -> tuple[Message, ...]:
    """The conversation with its system prompt before the first user message, for templates that refuse a system
    turn.
    """
    if turns[0].role != "system" or len(turns) == 1:
        return turns
    first = turns[1]
    return (Message(first.role, f"{turns[0].content}\n\n{first.content}"), *turns[2:])


def _marker(index: int) -> str:
    return f"\ue000{index}\ue001"  # of the private use area, which no text or template contains


def render_text(host: Host, text: str) -> Prompt:
    """Tokenise plain text for the model to continue, without a chat template; its tokens have the role "user".

    Raises:
        SteeringError: Nothing to continue.
    """
    if not text.strip():
        raise SteeringError("The text is empty.", "some text to continue.", "Type a text.")
    check_prompt(text)
    return _tokenise(host.tokenizer, text, [(0, len(text), "user")], special=True)


def _templated(host: Host, turns: tuple[Message, ...], generation_prompt: bool, switches: Mapping[str, Value]) -> str:
    """The text of a conversation; a refusal that a system turn has nothing to do with is told without it."""
    try:
        return _applied(host, turns, generation_prompt, switches)
    except Exception as error:  # jinja raises whatever the template's author chose
        without = _system_to_user(turns)
        if without == turns:
            raise _refused(host, [turn.role for turn in turns], error) from error
        try:
            _applied(host, without, generation_prompt, switches)
        except Exception as other:  # as above
            raise _refused(host, [turn.role for turn in without], other) from other
        raise _refused(host, [turn.role for turn in turns], error, movable=True) from error


def _applied(host: Host, turns: tuple[Message, ...], generation_prompt: bool, switches: Mapping[str, Value]) -> str:
    open_reply = turns[-1].role == "assistant"
    return applied(
        host.tokenizer,
        [{"role": turn.role, "content": turn.content} for turn in turns],
        generation_prompt=generation_prompt and not open_reply,
        open_reply=open_reply,
        switches=switches,
    )


def _refused(host: Host, roles: list[str], error: Exception, *, movable: bool = False) -> SteeringError:
    """What a template raises, by its cause.

    Args:
        host: The model.
        roles: Of the turns.
        error: What it raised.
        movable: Whether it takes the conversation with the system prompt in the user's message.
    """
    name = short_name(host.name)
    said = (str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__)[:200]
    if "continue_final_message" in said:
        return SteeringError(
            f"The chat template of {name} does not write the assistant's message as it was said.",
            "a template that writes it as it is, so that the model can go on from it.",
            "End with a user message.",
        )
    # What a template raises by itself is a TemplateError; all else went wrong in it.
    if isinstance(error, TemplateSyntaxError) or (type(error) is not TemplateError and not movable):
        return SteeringError(
            f"The chat template of {name} cannot be applied: {said}.",
            "a whole template in Jinja, with what transformers offers to it.",
            "Set the variable that it misses (--template-set), or mend the template.",
        )
    alternate = all((role == "user") == (index % 2 == 0) for index, role in enumerate(roles))
    return SteeringError(
        f"The chat template of {name} refuses the roles {', '.join(roles)}: '{said}'.",
        "a conversation that the template allows (many templates take no system message).",
        _TO_USER if movable else _ALONE if alternate else _ALTERNATE,
    )


def _spans(text: str, frame: str, turns: tuple[Message, ...]) -> list[tuple[int, int, Role]]:
    """Where each turn's content stands in `text`, found from the same template around markers (`frame`).

    Searching the text for a content would mistake the word "user" typed by a user for the template's own.
    """
    spans: list[tuple[int, int, Role]] = []
    cursor = 0
    for index, turn in enumerate(turns):
        literal, _, frame = frame.partition(_marker(index))
        start = text.find(literal, cursor) + len(literal) if literal in text[cursor:] else cursor
        # Templates commonly strip a content; one that rewrites it (drops old thoughts, say) leaves the turn without a
        # span.
        content = turn.content if text.startswith(turn.content, start) else turn.content.strip()
        if content and text.startswith(content, start):
            cursor = start + len(content)
            spans.append((start, cursor, turn.role))
    return spans


def _tokenise(tokenizer: Any, text: str, spans: list[tuple[int, int, Role]], *, special: bool) -> Prompt:
    fast = bool(getattr(tokenizer, "is_fast", False))
    encoded = tokenizer(text, add_special_tokens=special, return_offsets_mapping=fast)
    ids = tuple(encoded["input_ids"])

    def role(start: int, end: int) -> Role:
        if start == end:
            return "template"
        return next((owner for low, high, owner in spans if start < high and end > low), "template")

    if fast:
        offsets = encoded["offset_mapping"]
        roles = tuple(role(start, end) for start, end in offsets)
        # A token that the tokenizer has put there stands nowhere in the text.
        added = [
            readable(tokenizer, token) if start == end else "" for token, (start, end) in zip(ids, offsets, strict=True)
        ]
        pieces = tuple(map(str.__add__, added, pieces_of_text(text, offsets)))
    else:  # without offsets only special tokens can be told apart
        special_ids = set(tokenizer.all_special_ids)
        roles = tuple("template" if token in special_ids else "user" for token in ids)
        pieces = tuple(pieces_of_reply(tokenizer, ids))
    return Prompt(text=text, ids=ids, roles=roles, tokens=pieces)
