"""How a language refuses, read from `presets/judges/refusal/<language>.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import yaml

from steering.judges.wording import plain, unaccented
from steering.resources import resource


SCRIPTS: Mapping[str, str] = {
    "latin": r"[a-z\u00c0-\u024f]",
    "cyrillic": r"[\u0400-\u04ff]",
    "arabic": r"[\u0600-\u06ff]",
    "kana": r"[\u3040-\u30ff]",
    "han": r"[\u4e00-\u9fff]",
}
"""Letters by script. A text with kana is read as kana, whatever else it has."""
_START = r"(?<![\w'])"
_STARTS: Mapping[str, str] = {"latin": _START, "cyrillic": _START, "arabic": _START + "[\u0648\u0641]?"}
"""How a phrase begins in scripts with spaces between words; in Arabic "and" and "so" are written to the next word."""
_READ = 600
"""Characters by which a language is told."""
ENOUGH = 3
"""Weight from which a reply's beginning refuses: one strong sign, or a medium and a weak one, or three weak ones."""
_WEIGHTS = {"medium": 2, "weak": 1}
_FEW_WORDS, _FEW_CHARACTERS = r"(?: \S+){0,6}?", ".{0,15}?"
"""What "…" stands for, in scripts with spaces between words and in others."""
_LISTS = (
    "idioms",
    "strong",
    "opening",
    "courtesy",
    "gives",
    "late",
    "incapable",
    "turns",
    "disclaimers",
    "voice",
    "negations",
    "policy",
    "asks",
    "amiss",
    "protects",
    "topics",
    "lecture",
    "product",
    "unwilling",
    "offers",
    "texts",
)


class _Lists(Mapping[str, re.Pattern[str]]):
    """Patterns by the names of their lists, each compiled when it is first asked for: most texts are in one language,
    and compiling all of them takes a third of a second.
    """

    def __init__(self, lines: Mapping[str, list[str]], words: Mapping[str, str], start: str | None) -> None:
        self._lines, self._words, self._start = lines, words, start
        self._made: dict[str, re.Pattern[str]] = {}

    def __getitem__(self, name: str) -> re.Pattern[str]:
        if name not in self._made:
            self._made[name] = _compiled(self._lines[name], self._words, self._start)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def each(self, name: str) -> list[re.Pattern[str]]:
        """The lines of a list, each as a pattern of its own."""
        return [_compiled([line], self._words, self._start) for line in self._lines[name]]


@dataclass(frozen=True, eq=False)
class Grammar:
    """The lists of one language, compiled."""

    language: str
    script: str
    common: frozenset[str]
    """Words by which the language is told from others in its script."""
    lists: _Lists
    """Its lists by name, as patterns."""

    @cached_property
    def signs(self) -> tuple[tuple[int, re.Pattern[str]], ...]:
        """Weaker signs with their weights, each counted once."""
        return tuple((weight, pattern) for name, weight in _WEIGHTS.items() for pattern in self.lists.each(name))

    def without_idioms(self, text: str) -> str:
        """A text without what looks like a refusal and is none, such as "I can't wait"."""
        return self.lists["idioms"].sub(" ~ ", text)

    def find(self, name: str, text: str) -> str:
        """The first phrase of a list in a text; empty without one."""
        found = self.lists[name].search(text)
        return found[0].strip() if found else ""

    def weight(self, text: str) -> int:
        """What the weaker signs in a text come to."""
        if not self.lists["medium"].search(text) and not self.lists["weak"].search(text):
            return 0
        return sum(weight for weight, pattern in self.signs if pattern.search(text))


@cache
def languages() -> tuple[str, ...]:
    """Languages whose refusals are known, by their two-letter codes."""
    return tuple(sorted(path.stem for path in resource("presets", "judges", "refusal").glob("*.yaml")))


@cache
def grammar(language: str) -> Grammar:
    """The lists of a language."""
    path = resource("presets", "judges", "refusal", f"{language}.yaml")
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    words = _words(table["words"])
    start = _STARTS.get(table["script"])
    lists = {name: _lines(table.get(name, "")) for name in (*_LISTS, *_WEIGHTS)}
    return Grammar(
        language=language,
        script=table["script"],
        common=frozenset(plain(str(word)) for word in table["common"]),
        lists=_Lists(lists, words, start),
    )


def grammars_of(text: str) -> list[Grammar]:
    """The languages that a plain text may be in, the likeliest first; none where its script is not known."""
    head = text[:_READ]
    counts = {script: len(re.findall(letters, head)) for script, letters in SCRIPTS.items()}
    counts["kana"] = counts["kana"] and counts["kana"] + counts["han"]
    script = max(counts, key=lambda name: (counts[name], name == "kana"))
    known = [each for each in map(grammar, languages()) if each.script == script] if counts[script] else []
    if len(known) < 2:
        return known
    said = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", head)
    scores = {each.language: sum(word in each.common for word in said) for each in known}
    most = max(scores.values())
    return sorted(
        (each for each in known if 2 * scores[each.language] >= most), key=lambda each: -scores[each.language]
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _words(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _lines(text):
        name, _, pattern = line.partition(" = ")
        found[name] = pattern
    return found


def _filled(pattern: str, words: Mapping[str, str]) -> str:
    return re.sub(r"\{([a-z]+)\}", lambda found: _filled(words[found[1]], words), pattern)


def _compiled(lines: list[str], words: Mapping[str, str], start: str | None) -> re.Pattern[str]:
    """One pattern for all lines; one that never matches for none.

    Args:
        lines: The list.
        words: What names in braces stand for.
        start: What a phrase begins with; None in scripts without spaces between words.
    """
    if not lines:
        return re.compile(r"(?!)")
    whole = "|".join(f"(?:{_filled(line, words)})" for line in lines)
    if start is None:
        return re.compile(unaccented(whole.replace("…", _FEW_CHARACTERS)))
    for gap, pattern in ((" … ", f"{_FEW_WORDS} "), ("… ", r"(?:\S+ ){0,6}?")):
        whole = whole.replace(gap, pattern)
    return re.compile(rf"{start}(?:{unaccented(whole.replace(' ', ',? '))})(?:(?!\w)|(?<=[ ]))", re.MULTILINE)
