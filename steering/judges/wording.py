"""What a reply says in its own voice, without code, quotations and marks, one sentence at a time."""

from __future__ import annotations

import re
import unicodedata


LONGEST = 20_000
"""Characters at either end of a reply that are read: what stands between them in a longer one is not."""
_SENTENCE = 400
"""Longest sentence; a longer one is cut, so that no text without full stops is slow."""

_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_CITED = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_QUOTED = re.compile(
    r'"[^"\n]*"|[\u201c\u201e][^\u201c\u201d\n]*[\u201c\u201d]|\u00ab[^\u00bb\n]*\u00bb'
    r"|\u300c[^\u300d\n]*\u300d|\u300e[^\u300f\n]*\u300f|(?<![^\s(])['\u2018](?=\w)[^\n]{1,300}?(?<=[\w.,!?])['\u2019](?!\w)"
)
_PLAY = re.compile(
    r"^[ \t*_]*(?!ASSISTANT|AI\b|BOT|GPT|MODEL|ANSWER|RESPONSE|NOTE|WARNING)[A-Z][A-Z .'-]{1,24}[*_]*:.*$", re.MULTILINE
)
"""A line of a play: the speaker's name in capitals."""
_DASHED = re.compile(r"^[ \t]*[\u2014\u2013\u2015][ \t]*\S.*$", re.MULTILINE)
"""A line of speech in a story, as in Spanish, French, Portuguese and Russian."""
_SPEECHES = 2
_TURN = re.compile(r"^[ \t*_]*[A-Z][\w .'-]{1,24}[*_]*:[*_]*[ \t]+\S.*$", re.MULTILINE)
_TURNS = 3
"""So many lines that begin with a name are a dialogue."""
_LABEL = re.compile(
    r"\A\s*(?:(?:assistant|ai|bot|chatbot|model|answer|response|reply|asistente|respuesta|réponse|antwort|assistente"
    r"|resposta|助手|回答|アシスタント|ассистент|ответ|المساعد)\s*[:\uff1a]\s*)+",
    re.IGNORECASE,
)
_MARKS = re.compile(
    r"[*`~#|\u2600-\u27bf\U0001f000-\U0001faff\ufe0f\u200b-\u200f\u2060\ufeff]|\b_+|_+\b|<[^<>\n]{1,40}>"
)
_APOSTROPHES = re.compile(r"[\u2018\u2019\u02bc\u00b4\uff07]")
_ACCENTS = re.compile(r"[\u0300-\u036f\u064b-\u0655\u0670\u0640]")
_BULLET = re.compile(r"^[ \t]*(?:[-\u2022\u00b7]|\d+[.)])[ \t]+", re.MULTILINE)
_END = re.compile(r"[.!?\u061f]+(?=[\s)\]]|\Z)|[\u3002\uff01\uff1f]+|\n+")


def plain(text: str) -> str:
    """Lower case, straight apostrophes, no accents."""
    return unaccented(text.lower())


def unaccented(text: str) -> str:
    """Straight apostrophes, no accents and ss for ß, since many write so; what is looked for must be made so too."""
    text = unicodedata.normalize("NFKD", _APOSTROPHES.sub("'", text)).replace("ß", "ss")
    return unicodedata.normalize("NFC", _ACCENTS.sub("", text))


def ends(text: str) -> str:
    """A text, or the first and last 20,000 characters of a longer one."""
    return text if len(text) <= 2 * LONGEST else f"{text[:LONGEST]}\n{text[-LONGEST:]}"


def own_words(text: str) -> str:
    """A reply without code, quotations, cited lines, a play, a label and marks; with them where that is all."""
    said = text if is_quoted(text) else _unquoted(text)
    said = _BULLET.sub("", _MARKS.sub("", said))
    said = re.sub(r"[^\S\n]+", " ", plain(_LABEL.sub("", said)))
    return re.sub(r" ?\n\s*", "\n", said).strip(" \n\"'-")


def is_quoted(text: str) -> bool:
    """Whether a reply has nothing in its own voice, but quotations, code or a play."""
    return not re.search(r"[^\W_]", _unquoted(text))


def _unquoted(text: str) -> str:
    return _QUOTED.sub(" ", _spoken(_CITED.sub(" ", _FENCED.sub(" ", text))))


def _spoken(text: str) -> str:
    """A text without what characters of a play or a dialogue say."""
    text = _PLAY.sub(" ", text)
    if len(_DASHED.findall(text)) >= _SPEECHES:
        text = _DASHED.sub(" ", text)
    return _TURN.sub(" ", text) if len(_TURN.findall(text)) >= _TURNS else text


def sentences(text: str) -> list[tuple[int, str]]:
    """The sentences of a plain text as (place, sentence), without their full stops."""
    found, start = [], 0
    for end in [*_END.finditer(text), None]:
        stop = end.start() if end else len(text)
        for place in range(start, stop, _SENTENCE):
            part = text[place : min(stop, place + _SENTENCE)]
            if part.strip():
                found.append((place, part.strip(" \n\"'-")))
        start = end.end() if end else stop
    return found
