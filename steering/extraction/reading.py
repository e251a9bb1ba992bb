"""How a contrast set's prompts become what the model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, render
from steering.passes.decoding import generate
from steering.passes.own_thoughts import behind_thoughts
from steering.passes.replies import DecodeSettings
from steering.passes.reply_parts import answer_of, followed
from steering.passes.rows import Row


REPLY_TOKENS = 32


@dataclass(frozen=True)
class Reading:
    """What is put around a prompt."""

    system: str = ""
    """System prompt before every prompt; none where empty."""
    generation_prompt: bool = True
    """Whether the template opens the reply after a prompt."""
    reply_tokens: int = 0
    """The most tokens that the model itself replies to a prompt without a reply; 0 lets it say nothing."""

    def prompts(
        self, host: Host, conversations: Sequence[Sequence[Message]], *, to_the_end: bool = True
    ) -> list[Prompt]:
        """Render conversations, and let the model answer where its replies are what is read.

        Args:
            host: The model; one that is let think does so before what is read at the end of a prompt.
            conversations: Any number.
            to_the_end: Whether anything behind the messages is read.

        Raises:
            SteeringError: A system prompt for a conversation that has its own, or a reply without a token.
        """
        rendered = [
            render(host, self._with_system(turns), generation_prompt=self.generation_prompt) for turns in conversations
        ]
        bare = [index for index, turns in enumerate(conversations) if turns[-1].role != "assistant"]
        if not self.reply_tokens or not bare:
            return behind_thoughts(host, rendered) if to_the_end and self.generation_prompt else rendered
        asked = [render(host, self._with_system(conversations[index])) for index in bare]
        said = generate(host, [Row(prompt) for prompt in asked], DecodeSettings(max_new_tokens=self.reply_tokens))
        for index, prompt, reply in zip(bare, asked, said, strict=True):
            if not reply.answer_tokens:
                raise SteeringError(
                    f"The model answers nothing to the prompt '{conversations[index][-1].content[:60]}'.",
                    "a reply to read.",
                    "Read another token, give the set replies, or let the thought be longer (chat.thought_tokens).",
                )
            behind, answer = answer_of(host, prompt, reply)
            rendered[index] = followed(host, behind, answer, "assistant")
        return rendered

    def _with_system(self, turns: Sequence[Message]) -> tuple[Message, ...]:
        if not self.system:
            return tuple(turns)
        if turns[0].role == "system":
            raise SteeringError(
                "A system prompt was given, but the contrast set has its own.", "one of both.", "Leave yours out."
            )
        return (Message("system", self.system), *turns)
