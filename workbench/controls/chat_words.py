"""Chat settings in words."""

from __future__ import annotations

from steering.model.chat_settings import ChatSettings


def typed(chat: ChatSettings) -> str:
    """Switches as they are typed."""
    return ", ".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in chat.switches.items()
    )


def in_words(chat: ChatSettings) -> str:
    """What is set, as a line."""
    said = [f"thought {chat.thought}"] if chat.thought != "auto" else []
    said += [f"at most {chat.thought_tokens} tokens of thought"] if chat.thought == "think" else []
    said += [typed(chat)] if chat.switches else []
    said += [f"replies begin with “{chat.prefill}”"] if chat.prefill else []
    said += ["the system prompt in the user's message"] if chat.system == "user" else []
    return "; ".join(said) or "nothing set"
