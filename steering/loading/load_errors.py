"""Why a model could not be loaded, in the words of the cause that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from steering.errors import SteeringError
from steering.loading.checkpoints import KINDS, Checkpoint


_MISSING_PACKAGE = re.compile(r"pip install ([\w\[\]<>=., -]+)|No module named '([\w.]+)'")


def load_error(name: str, checkpoint: Checkpoint, error: Exception, what: str) -> SteeringError:
    """The error that a user reads.

    Args:
        name: What the user typed.
        checkpoint: Where the model lies.
        error: What transformers, the Hub or the model's own code raised.
        what: What could not be done, such as "its weights cannot be read".
    """
    if isinstance(error, SteeringError):
        return error
    chain = list(_chain(error))
    said = " ".join(str(each) for each in chain)
    if "trust_remote_code" in said:
        return SteeringError(
            f"The model '{name}' comes with its own Python code, which was not run.",
            "a model that transformers knows, or your explicit trust.",
            "Read that code, then load again with trust_remote_code (--trust-remote-code on the command line).",
        )
    if any(isinstance(each, PermissionError) for each in chain):
        return SteeringError(f"'{name}' must not be read by this user: {first_line(error)}", "permission to read it.")
    if checkpoint.source == "hub" and (found := _of_hub(name, chain)):
        return found
    if isinstance(error, ImportError) and (package := _MISSING_PACKAGE.search(said)):
        wanted = (package[1] or package[2]).strip(" .,")
        return SteeringError(
            f"The model '{name}' needs a package that is not installed: {first_line(error)}",
            remedy=f"Install it: pip install {wanted}",
        )
    if "Weights only load failed" in said:
        return SteeringError(
            f"The weights file of '{name}' holds Python objects beside tensors; reading these could run code, so its "
            "weights cannot be read.",
            "tensors by name, as save_pretrained writes them.",
            "Load it where you trust it, and save it again with save_pretrained.",
        )
    if _no_room(said):
        return SteeringError(
            f"There is no room in memory for '{name}': {first_line(error)}",
            remedy="Load it in bfloat16 or 8bit, choose a smaller model, or a machine with more memory.",
        )
    return SteeringError(
        f"The model '{name}' was found, but {what}: {first_line(error)}",
        "a folder as transformers saves it, whose configuration, tokenizer and weights belong together.",
        "Download it again, or mend what is named here.",
    )


def _of_hub(name: str, chain: list[BaseException]) -> SteeringError | None:
    def any_of(*kinds: type[BaseException]) -> bool:
        return any(isinstance(each, kinds) for each in chain)

    if any_of(GatedRepoError):
        return SteeringError(
            f"The model '{name}' is gated: its owner gives access on request.",
            "an account that has access.",
            "Ask for access on its page, then log in: hf auth login.",
        )
    if any_of(RevisionNotFoundError):
        return SteeringError(
            f"The model '{name}' has no such revision.", "a branch, tag or commit of it.", "Correct --revision."
        )
    if any_of(LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError, TimeoutError) or _offline(chain):
        return SteeringError(
            f"The model '{name}' could not be loaded: it is in no local cache, and the Hub cannot be reached.",
            f"{KINDS}.",
            "Check the spelling and your network, and whether HF_HUB_OFFLINE is set.",
        )
    if any_of(EntryNotFoundError):
        return SteeringError(
            f"'{name}' on the Hub has no file that is needed: {first_line(chain[-1])}",
            "a repository with config.json, tokenizer files and weights.",
            "Choose another one; a repository of GGUF files has to be downloaded, and one of its files named.",
        )
    if any_of(RepositoryNotFoundError, HFValidationError) or "is not a local folder" in str(chain[0]):
        return SteeringError(
            f"The model '{name}' could not be loaded: there is neither a local folder nor a public model of that name.",
            f"{KINDS}.",
            "Check the spelling, your network and, for a private model, your Hugging Face login (`hf auth login`).",
        )
    return None


def _offline(chain: list[BaseException]) -> bool:
    said = " ".join(str(each) for each in chain)
    return "couldn't connect" in said or "offline mode" in said or "HF_HUB_OFFLINE" in said


def _no_room(said: str) -> bool:
    return any(sign in said for sign in ("can't allocate memory", "DefaultCPUAllocator", "Cannot allocate memory"))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: BaseException) -> str:
    """What an exception says, in a line; its kind where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:300] if lines else type(error).__name__
