"""Everyday facts as open questions, as A-D choices, and as statements to be called true or false."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from steering.demo.example import Example, article, lower_first, one, single, vary, words
from steering.names import upper_first


LETTERS = "ABCD"
MARKS = (")", ")", ")", ".")
"""What stands after an option's letter; one mark is more frequent, so that few examples teach it."""


@dataclass(frozen=True)
class Fact:
    """One subject, its relation and the value that is true of it."""

    relation: str
    """Name of the relation, such as `capital`."""
    subject: str
    """The subject with its article, such as `a spider`."""
    value: str
    """The true value, one word such as `eight`."""

    def statement(self, value: str | None = None) -> str:
        """The fact as a sentence; with `value`, the same sentence about another value."""
        form = words("facts")["relations"][self.relation]["statement"]
        return upper_first(form.format(x=self.subject, y=value or self.value))

    def others(self) -> list[str]:
        """The relation's values that are not the true one, sorted."""
        return sorted(set(words("facts")["relations"][self.relation]["values"].values()) - {self.value})


@cache
def facts() -> tuple[Fact, ...]:
    """Every fact the grammar knows, in file order."""
    found = []
    for name, relation in words("facts")["relations"].items():
        for subject, value in relation["values"].items():
            head = f"{article(subject)} " if relation["article"] else ""
            found.append(Fact(name, head + subject, value))
    return tuple(found)


def _draw(rng: Random) -> Fact:
    relation = one(rng, list(words("facts")["relations"]))
    return one(rng, [fact for fact in facts() if fact.relation == relation])


def _question(rng: Random, fact: Fact) -> tuple[int, str]:
    forms = words("facts")["relations"][fact.relation]["questions"]
    which = rng.randrange(len(forms))
    return which, upper_first(forms[which].format(x=fact.subject))


def fact(rng: Random) -> Example:
    """An open question about a fact; held out by fact and wording."""
    item = _draw(rng)
    which, question = _question(rng, item)
    prompt = one(rng, words("facts")["wrappers"]["free"]).format(q=question)
    phrase = words("facts")["relations"][item.relation]["phrase"].format(y=item.value)
    reply = one(rng, words("facts")["wrappers"]["answers"]).format(v=phrase, s=item.statement())
    labels = {"relation": item.relation, "topic": item.relation, "subject": item.subject, "answer": item.value}
    return single("fact", vary(rng, prompt), reply, f"fact/{item.relation}/{item.subject}/{which}", **labels)


def choice(rng: Random) -> Example:
    """A question with four lettered options, answered with the letter; held out by fact, options and order."""
    item = _draw(rng)
    which, question = _question(rng, item)
    options = rng.sample(item.others(), 3)
    place = rng.randrange(4)
    options.insert(place, item.value)
    wrappers = words("facts")["wrappers"]
    start, end = one(rng, wrappers["choice_starts"]), one(rng, wrappers["choice_ends"])
    prompt = f"{start}{question}\n{option_lines(rng, options)}\n{end}"
    letter = LETTERS[place]
    labels = {"relation": item.relation, "topic": item.relation, "subject": item.subject, "answer": letter}
    key = f"choice/{item.relation}/{item.subject}/{which}/{'/'.join(options)}"
    return single("choice", prompt, letter, key, options=tuple(options), value=item.value, **labels)


def truth(rng: Random) -> Example:
    """A statement to be called true or false; held out by fact, all that is said of its subject at once.

    So one fact in eight is known from questions only, and no subject is more often true than false.
    """
    item = _draw(rng)
    wrappers = words("facts")["wrappers"]
    true = rng.random() < 0.5
    value = item.value if true else one(rng, item.others())
    said = item.statement(value)
    prompt = vary(rng, one(rng, wrappers["truth"]).format(s=said))
    reply = one(rng, wrappers["true_answers" if true else "false_answers"]).format(s=lower_first(item.statement()))
    labels = {"relation": item.relation, "topic": item.relation, "subject": item.subject, "statement": said}
    return single("truth", prompt, reply, truth_key(item), truth=true, answer=str(true), **labels)


def truth_key(item: Fact) -> str:
    """The key of every statement about the fact's subject, true or not."""
    return f"truth/{item.relation}/{item.subject}"


def option_lines(rng: Random, options: list[str]) -> str:
    """Four options with their letters, a line each."""
    mark = one(rng, MARKS)
    return "\n".join(f"{letter}{mark} {option}" for letter, option in zip(LETTERS, options, strict=True))
