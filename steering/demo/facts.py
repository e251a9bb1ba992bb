"""Everyday facts as open questions, as A-D choices, and as statements to be called true or false."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from steering.demo.example import Example, article, lower_first, one, single, upper_first, vary, words


LETTERS = "ABCD"


@dataclass(frozen=True)
class Fact:
    """One subject, its relation and the value that is true of it."""

    relation: str
    """Name of the relation, such as `capital`."""
    subject: str
    """The subject with its article, such as `a spider`."""
    value: str
    """The true value, such as `eight`."""

    def statement(self, value: str | None = None) -> str:
        """The fact as a sentence; with `value`, the same sentence about another value."""
        form = words("facts")["relations"][self.relation]["statement"]
        return form.format(x=self.subject, y=value or self.value)

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
    form = one(rng, words("facts")["relations"][item.relation]["answers"])
    reply = upper_first(form.format(x=item.subject, y=item.value))
    labels = {"relation": item.relation, "topic": item.relation, "subject": item.subject, "answer": item.value}
    return single("fact", vary(rng, prompt), reply, f"fact/{item.relation}/{item.subject}/{which}", **labels)


def choice(rng: Random) -> Example:
    """A question with four lettered options, answered with the letter; held out by fact, options and order."""
    item = _draw(rng)
    which, question = _question(rng, item)
    options = rng.sample(item.others(), 3)
    place = rng.randrange(4)
    options.insert(place, item.value)
    mark, gap = one(rng, (")", ".", ":")), one(rng, ("\n", "\n", " "))
    lines = gap.join(f"{letter}{mark} {option}" for letter, option in zip(LETTERS, options, strict=True))
    wrappers = words("facts")["wrappers"]
    prompt = f"{one(rng, wrappers['choice_starts'])}{question}{gap}{lines}{gap}{one(rng, wrappers['choice_ends'])}"
    letter = LETTERS[place]
    labels = {"relation": item.relation, "topic": item.relation, "subject": item.subject, "answer": letter}
    key = f"choice/{item.relation}/{item.subject}/{which}/{'/'.join(options)}"
    return single("choice", prompt, letter, key, options=tuple(options), value=item.value, **labels)


def truth(rng: Random) -> Example:
    """A statement to be called true or false; held out by fact and wording, both sides together."""
    item = _draw(rng)
    wrappers = words("facts")["wrappers"]
    which = rng.randrange(len(wrappers["truth"]))
    true = rng.random() < 0.5
    said = item.statement(None if true else one(rng, item.others()))
    prompt = vary(rng, wrappers["truth"][which].format(s=said))
    reply = one(rng, wrappers["true_answers" if true else "false_answers"]).format(s=lower_first(item.statement()))
    labels = {"relation": item.relation, "topic": item.relation, "subject": item.subject}
    return single(
        "truth", prompt, reply, truth_key(item, which), truth=true, answer=str(true), statement=said, **labels
    )


def truth_key(item: Fact, which: int) -> str:
    """The key of a fact in the `which`-th true-or-false wording."""
    return f"truth/{item.relation}/{item.subject}/{which}"
