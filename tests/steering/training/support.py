"""What tests of trainings share: preference data, and the plain loop that a training must equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from steering.model.host import Host
from steering.model.prompts import Message
from steering.passes.forced import Replied
from steering.texts.preferences import Labelled, Preference


def asked(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


PAIRS = [
    Preference(asked("Write a note."), "Dear colleague, kindly attend.", "Hey you, come over."),
    Preference(
        asked("Write a longer note to my boss, please."), "We hereby inform you.", "Gotta go, see you there, mate."
    ),
    Preference(asked("Hello."), "Good day.", "Hi!"),
    Preference(asked("What is two plus three?"), "It is five, sir.", "Five, mate."),
]
LABELS = [Labelled(each.messages, each.chosen, True) for each in PAIRS[:2]] + [
    Labelled(each.messages, each.rejected, False) for each in PAIRS[1:]
]


def blocks_of(host: Host) -> Any:
    """The decoder's blocks as modules."""
    return host.model._module.get_submodule(host.sites.blocks_path)


def plain_log_probabilities(host: Host, module: nn.Module, write: Any, replied: Sequence[Replied]) -> list[Tensor]:
    """Log-probabilities of every reply's tokens, one text after the other, with a PyTorch hook on a module.

    Args:
        host: The model.
        module: Whose output is written.
        write: From its states to new ones.
        replied: Prompts and replies.
    """

    def hook(_: Any, __: Any, output: Any) -> Any:
        return (write(output[0]), *output[1:]) if isinstance(output, tuple) else write(output)

    handle, found = module.register_forward_hook(hook), []
    try:
        for prompt, ids in replied:
            logits = host.model._module(torch.tensor([[*prompt.ids, *ids[:-1]]])).logits[0].float()
            chances = torch.log_softmax(logits, dim=-1)[len(prompt) - 1 :]
            found.append(chances.gather(1, torch.tensor(ids)[:, None])[:, 0])
    finally:
        handle.remove()
    return found
