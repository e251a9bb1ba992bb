"""Which list of modules in a model holds the decoder's blocks, and what a pass over a few tokens shows of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from steering.errors import SteeringError
from steering.loading.configurations import stated_width
from steering.loading.placement import entrance


ROWS, TOKENS, SHARED = 2, 7, 4
"""Size of the pass, and how many tokens its rows begin with alike. Two rows, so that a layout with tokens before rows
cannot be taken for the stream's, and a row that sees what comes behind its tokens is found out.
"""


@dataclass
class _Calls:
    """How the modules of one list were called in a pass."""

    order: list[int] = field(default_factory=list)
    shapes: set[tuple[int, ...]] = field(default_factory=set)
    left: Tensor | None = None
    """What the last module called gave."""
    links: int = 0
    """How many modules were given what the one before gave."""


def find_blocks(model: nn.Module, n_blocks: int | None, path: str | None = None) -> str:
    """The dotted path of the list of decoder blocks.

    It is the list of the right length whose modules a pass over text calls, each once and in order, each with what the
    one before gave: a vision tower's layers are not called, and lists of experts are called otherwise.

    Args:
        model: The Hugging Face model.
        n_blocks: Number of decoder layers according to its configuration; None where it does not say.
        path: The path itself, for an architecture that the search gets wrong.

    Raises:
        SteeringError: No such list, a model that does not run on text, or blocks that hold no residual stream.
    """
    lists = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList) and len(module)
    }
    if path is not None and path not in lists:
        raise SteeringError(
            f"'{path}' is not a list of blocks in {type(model).__name__}.",
            f"the path of a list of modules; this model has: {', '.join(lists) or 'none'}.",
            "Correct the path given as `blocks`.",
        )
    calls = _calls(model, lists)
    asked = [path] if path is not None else list(lists)
    running = [name for name in asked if calls[name].order == list(range(len(lists[name])))]
    if not running:
        raise _no_blocks(model, lists, calls, asked, n_blocks)
    # A configuration may count other layers (mBART's counts the encoder's): then the decoder is the longest list. Lists
    # inside blocks lie deeper.
    _check_one_stack(model, running, calls, lists, n_blocks)
    best = min(running, key=lambda each: (len(lists[each]) != n_blocks, -calls[each].links, each.count("."), len(each)))
    _check_stream(model, best, calls[best])
    return best


def _check_one_stack(
    model: nn.Module,
    running: list[str],
    calls: dict[str, _Calls],
    lists: dict[str, nn.ModuleList],
    n_blocks: int | None,
) -> None:
    """Refuse a model that runs several stacks of blocks, of which its configuration does not say which is meant: the
    longest may be one that only cuts the text into patches (BLT).
    """
    stacks = [
        name for name in running if calls[name].links and not any(name.startswith(f"{other}.") for other in lists)
    ]
    if len(stacks) > 1 and [len(lists[name]) for name in stacks].count(n_blocks or 0) != 1:
        found = ", ".join(f"{name} ({len(lists[name])})" for name in stacks)
        raise SteeringError(
            f"{type(model).__name__} runs several stacks of blocks, each with a stream of its own: {found}.",
            "a decoder with one list of blocks from its tokens to its logits.",
            "Name the one that is meant: LoadOptions(blocks='path.to.layers'), or --block-list path.to.layers on the "
            "command line.",
        )


def _check_stream(model: nn.Module, path: str, calls: _Calls) -> None:
    name = type(model).__name__
    width = stated_width(getattr(model, "config", None))
    expected = (ROWS, TOKENS) if width is None else (ROWS, TOKENS, width)
    odd = next((each for each in calls.shapes if len(each) != 3 or each[: len(expected)] != expected), None)
    if odd is not None:
        said = "" if width is None else f" and a width of {width}"
        raise SteeringError(
            f"The blocks of {name} pass on states of shape {odd} for {ROWS} rows of {TOKENS} tokens{said}: several "
            "residual streams side by side, or another layout.",
            "one residual stream, (row, token, width).",
            "Load a model with one stream, as Llama, Qwen or Gemma 3 have it: of several, none is the place at which a "
            "direction is read, added or taken away.",
        )
    if not calls.links and len(calls.order) > 1:
        raise SteeringError(
            f"No module of {path} in {name} is given what the one before it gave.",
            "a list of blocks, each of which goes on with the residual stream of the one before.",
            "Load another model, or name another list: LoadOptions(blocks='path.to.layers'), or --block-list.",
        )
    if calls.left is not None:
        first, second = calls.left[:, :SHARED].float()
        # Equal tokens in equal places: only the kernel's order of sums, and half precision, may part them.
        if float((first - second).abs().max()) > 0.05 * float(first.abs().max()):
            raise SteeringError(
                f"{name} lets a token see those behind it: it is an encoder, a decoder whose configuration does not "
                "say so (is_decoder), or it reads prompts both ways (PaliGemma).",
                "a causal language model, in which a token sees those before it alone.",
                "Load a decoder.",
            )


def _same(left: Tensor | None, entered: Tensor | None) -> bool:
    return left is not None and entered is not None and torch.equal(left, entered)


def _no_blocks(
    model: nn.Module, lists: dict[str, nn.ModuleList], calls: dict[str, _Calls], asked: list[str], n: int | None
) -> SteeringError:
    name = type(model).__name__
    for path in sorted(asked, key=lambda each: each.count(".")):
        order, length = calls[path].order, len(lists[path])
        if len(order) > length:
            return SteeringError(
                f"{name} runs the {length} blocks of {path} {len(order)} times in one pass: some run again and again.",
                "a decoder that runs every block once.",
                "Load another model: a read or write at a block would not say which of its runs is meant.",
            )
        if order:
            return SteeringError(
                f"{name} runs {len(set(order))} of the {length} blocks of {path} in a pass over text.",
                "a decoder that runs every block once, in order.",
                "Load another model, or name another list: LoadOptions(blocks='path.to.layers'), or --block-list.",
            )
    found = ", ".join(f"{path} ({len(module)})" for path, module in list(lists.items())[:8]) or "none"
    return SteeringError(
        f"No list of {n or 'decoder'} blocks that a pass over text runs was found in {name}. Lists of modules in it: "
        f"{found}.",
        "the path of the list that holds the decoder layers.",
        "Name it: LoadOptions(blocks='path.to.layers'), or --block-list path.to.layers on the command line.",
    )


def _calls(model: nn.Module, lists: dict[str, nn.ModuleList]) -> dict[str, _Calls]:
    calls = {name: _Calls() for name in lists}
    hooks = []

    def watch(name: str, index: int) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            own, entered, left = calls[name], first_tensor(entering(args, kwargs)), first_tensor(output)
            own.order.append(index)
            own.shapes |= {tuple(states.shape) for states in (entered, left) if states is not None}
            own.links += _same(own.left, entered)
            own.left = None if left is None else left.clone()

        return hook

    for name, modules in lists.items():
        for index, module in enumerate(modules):
            hooks.append((module, watch(name, index)))
    with hooked(hooks):
        run(model)
    return calls


def name_outputs(model: nn.Module) -> None:
    """Let every part of a model give its outputs by name, which `return_dict: false` in a configuration turns off."""
    for part in model.modules():
        if isinstance(part, PreTrainedModel):
            part.config.return_dict = True


def run(model: nn.Module) -> None:
    """A pass over a few fixed random tokens, as the workbench makes them.

    Raises:
        SteeringError: The model does not run on token ids alone.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]  # type: ignore[operator]
    device = entrance(model)
    numbers = torch.rand(ROWS, TOKENS, generator=torch.Generator().manual_seed(0))
    ids = (numbers * vocabulary).long().clamp(max=vocabulary - 1).to(device)
    ids[1, :SHARED] = ids[0, :SHARED]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(input_ids=ids, **_accepted(model, attention_mask=torch.ones_like(ids), use_cache=False))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a model's own code raises
        raise SteeringError(
            f"{type(model).__name__} does not run on a few tokens of text: {type(error).__name__}: "
            f"{str(error).strip().splitlines()[0][:200] if str(error).strip() else 'no reason given'}",
            "a decoder that takes token ids alone.",
            "Load another model, or mend its configuration.",
        ) from error
    finally:
        model.train(training)


def _accepted(model: nn.Module, **options: Any) -> dict[str, Any]:
    known = inspect.signature(model.forward).parameters
    open_ended = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())
    return {name: value for name, value in options.items() if open_ended or name in known}


@contextmanager
def hooked(hooks: list[tuple[nn.Module, Callable[..., Any]]]) -> Iterator[None]:
    """Plain forward hooks (module, args, kwargs, output), taken off again whatever happens."""
    handles = [module.register_forward_hook(hook, with_kwargs=True) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def entering(args: Any, kwargs: Any) -> Any:
    """What a module is given first."""
    return args[0] if args else next(iter(kwargs.values()), None)


def first_tensor(value: Any) -> Tensor | None:
    """The states in what a module is given or gives: itself, or the first entry of a tuple or list."""
    value = value[0] if isinstance(value, tuple | list) and value else value
    return value if isinstance(value, Tensor) else None
