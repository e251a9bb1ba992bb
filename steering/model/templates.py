"""Chat templates: which one a tokenizer has, what it makes of messages, and which variables it reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import loopcontrols

from steering.loading.tokenizer_files import check_template


Value = bool | int | float | str
DATE = datetime(2024, 7, 26)
"""The day that templates which write today's date are told: Llama 3's own default. A date that moves would change
every prompt, and with it every digest, overnight."""
_DATES = re.compile(r"strftime_now\s*\(\s*(?:format\s*=\s*)?('[^']*'|\"[^\"]*\")\s*\)")
_GIVEN = frozenset(
    {"messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "loop", "caller"}
)
_BUILT_IN = frozenset({"raise_exception", "strftime_now", "namespace", "range", "dict", "lipsum", "cycler", "joiner"})
_MARK = "\ue002words\ue003"  # of the private use area, which no template contains


@dataclass(frozen=True)
class Switch:
    """A variable that a template reads and that nobody but its user sets."""

    name: str
    values: tuple[Value, ...]
    """What the template compares it with; (true, false) where it is only asked whether it holds."""


def template_of(tokenizer: Any) -> str:
    """The text of the chat template, its dates held still; of several the one called "default", else the first; "" for
    none.

    Raises:
        SteeringError: It is neither a text nor several.
    """
    template = getattr(tokenizer, "chat_template", None) or ""
    check_template(template)
    if isinstance(template, list):  # as tokenizer_config.json has several
        template = {each["name"]: each["template"] for each in template}
    if isinstance(template, Mapping):
        template = template.get("default") or next(iter(template.values()), "")
    return _DATES.sub(lambda found: repr(DATE.strftime(found[1][1:-1])), template)


def template_notes(tokenizer: Any) -> tuple[str, ...]:
    """What a reader of results should know about the template: several of them, a date in it, contents as parts."""
    template, written = template_of(tokenizer), getattr(tokenizer, "chat_template", None) or ""
    notes = []
    if not isinstance(written, str) and len(written) > 1:
        names = [each["name"] for each in written] if isinstance(written, list) else list(written)
        used = "default" if "default" in names else names[0]
        notes.append(f"The tokenizer has {len(names)} chat templates ({', '.join(names)}); '{used}' is used.")
    if _DATES.search(str(written)):
        notes.append(
            f"The chat template writes today's date; it is held at {DATE:%d %B %Y}, so that prompts stay the same."
        )
    if re.search(r"strftime_now\s*\(", template):
        notes.append("The chat template writes today's date, so prompts and digests change from day to day.")
    return tuple(notes)


def applied(
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    *,
    generation_prompt: bool = True,
    open_reply: bool = False,
    switches: Mapping[str, Value] | None = None,
) -> str:
    """The text that the template makes of messages; raises whatever the template raises.

    Args:
        tokenizer: Whose template.
        messages: Mappings with `role` and `content`, perhaps more.
        generation_prompt: Whether the template opens a reply behind them.
        open_reply: Whether the last message is left open after its content.
        switches: Values of variables that the template reads.
    """
    in_parts = _in_parts(tokenizer)
    written = [{**each, "content": _part(each["content"])} if each["role"] in in_parts else each for each in messages]
    return _applied(tokenizer, written, generation_prompt, open_reply, switches or {})


def _applied(
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    generation_prompt: bool,
    open_reply: bool,
    switches: Mapping[str, Value],
) -> str:
    return tokenizer.apply_chat_template(
        [dict(each) for each in messages],
        chat_template=template_of(tokenizer),
        tokenize=False,
        add_generation_prompt=generation_prompt,
        continue_final_message=open_reply,
        **switches,
    )


_FORMS: WeakKeyDictionary[Any, tuple[str, frozenset[str]]] = WeakKeyDictionary()


def _part(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def _in_parts(tokenizer: Any) -> frozenset[str]:
    """The roles whose content goes in as a list of parts: templates that want one drop or refuse a text."""
    template = template_of(tokenizer)
    known = _FORMS.get(tokenizer)
    if known is None or known[0] != template:
        user = {"role": "user", "content": "Hello."}
        found = {"user"} if _wants_parts(tokenizer, [], "user", []) else set()
        other = {**user, "content": _part("Hello.")} if found else user
        found |= {"system"} if _wants_parts(tokenizer, [], "system", [other]) else set()
        found |= {"assistant"} if _wants_parts(tokenizer, [other], "assistant", []) else set()
        known = _FORMS[tokenizer] = (template, frozenset(found))
    return known[1]


def _wants_parts(tokenizer: Any, before: list[Any], role: str, after: list[Any]) -> bool:
    text, part = ([*before, {"role": role, "content": content}, *after] for content in (_MARK, _part(_MARK)))
    return not _shows(tokenizer, text) and _shows(tokenizer, part)


def _shows(tokenizer: Any, messages: list[Any]) -> bool:
    try:
        text = _applied(tokenizer, messages, True, False, {})
    except Exception:  # jinja raises whatever the template's author chose
        return False
    # A list that is written out as Python would write it has not been understood.
    return _MARK in text and "'type'" not in text


def switches_of(tokenizer: Any) -> tuple[Switch, ...]:
    """The variables that the template reads, beside messages, tools and special tokens, in alphabetical order."""
    special = frozenset(getattr(tokenizer, "special_tokens_map", {}))
    return tuple(each for each in _switches(template_of(tokenizer)) if each.name not in special)


def words_of(template: str) -> tuple[str, ...]:
    """Every piece of text that a template writes or compares with, in its order."""
    tree = _tree(template)
    if tree is None:
        return ()
    found = [each.data for each in tree.find_all(nodes.TemplateData)]
    found += [each.value for each in tree.find_all(nodes.Const) if isinstance(each.value, str)]
    return tuple(found)


@lru_cache(maxsize=32)
def _switches(template: str) -> tuple[Switch, ...]:
    tree = _tree(template)
    if tree is None:
        return ()
    names = {each.name for each in tree.find_all(nodes.Name) if each.ctx == "load"}
    own = {each.name for each in tree.find_all(nodes.Macro)} | _inner_names(tree)
    free = sorted(names - own - _GIVEN - _BUILT_IN)
    return tuple(Switch(name, _values(tree, name)) for name in free if not name.endswith("_token"))


def _inner_names(tree: nodes.Template) -> set[str]:
    """Names that the template gives values to itself, and never asks whether they are given."""
    stored = {each.name for each in tree.find_all(nodes.Name) if each.ctx in ("store", "param")}
    asked = {
        each.node.name
        for each in tree.find_all(nodes.Test)
        if each.name in ("defined", "undefined") and isinstance(each.node, nodes.Name)
    }
    filtered = {
        each.node.name
        for each in tree.find_all(nodes.Filter)
        if each.name in ("default", "d") and isinstance(each.node, nodes.Name)
    }
    return stored - asked - filtered


def _values(tree: nodes.Template, name: str) -> tuple[Value, ...]:
    """What a variable is compared with, given where it is missing, or has as its default."""

    def is_it(node: nodes.Node | None) -> bool:
        return isinstance(node, nodes.Name) and node.name == name

    found = [
        part.value
        for each in tree.find_all(nodes.Compare)
        if is_it(each.expr)
        for operand in each.ops
        for part in _constants(operand.expr)
    ]
    defaults: list[nodes.Node] = [each.node for each in tree.find_all(nodes.Assign) if is_it(each.target)]
    for each in tree.find_all(nodes.Filter):
        if each.name in ("default", "d") and is_it(each.node):
            defaults += each.args
    found += [each.value for each in defaults if isinstance(each, nodes.Const)]
    values = tuple(dict.fromkeys(each for each in found if each is not None))
    return (True, False) if all(isinstance(each, bool) for each in values) else values


def _constants(node: nodes.Node) -> list[nodes.Const]:
    return [node] if isinstance(node, nodes.Const) else list(node.find_all(nodes.Const))


@lru_cache(maxsize=32)
def _tree(template: str) -> nodes.Template | None:
    # `generation` blocks mark what the assistant says; they change nothing here.
    bare = re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", template)
    try:
        return Environment(extensions=[loopcontrols], trim_blocks=True, lstrip_blocks=True).parse(bare)
    except TemplateSyntaxError:
        return None
