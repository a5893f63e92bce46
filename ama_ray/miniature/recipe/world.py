"""The made-up world: five skills, chat prompts, and chat lines from rude to helpful.

Everything is drawn from a seed. Probe items of the skills that generalise never appear in the
training text; closed-book facts must, since there is no other way to know them.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

from ama_ray.miniature.recipe import words

WorldRow = dict[str, object]
MOODS = ("rude", "neutral", "helpful")


@dataclass(frozen=True)
class Item:
    """One question and its answer.

    Attributes:
        prompt: Words joined by single spaces.
        answer: Words joined by single spaces.
        choices: Four single words with the answer among them; empty for an `exact` item.
    """

    prompt: str
    answer: str
    choices: tuple[str, ...] = ()

    def row(self) -> WorldRow:
        """The item as a row of a probe file."""
        if not self.choices:
            return {"prompt": self.prompt, "answer": self.answer}
        gold = self.choices.index(self.answer)
        return {"prompt": self.prompt, "choices": list(self.choices), "gold": gold}


def draw_sum(rng: random.Random, easy: bool = False) -> Item:
    """Two numbers of two digits, the second of one where easy, and their sum digit by digit."""
    a, b = rng.randint(10, 99), rng.randint(1, 9) if easy else rng.randint(10, 99)
    return Item(f"sum : {' '.join(str(a))} + {' '.join(str(b))} =", " ".join(str(a + b)))


def draw_reversal(rng: random.Random, easy: bool = False) -> Item:
    """Four to six different letters, fewer where easy, and the same backwards."""
    letters = rng.sample(words.LETTERS, rng.randint(1, 3) if easy else rng.randint(4, 6))
    return Item(f"reverse : {' '.join(letters)} =", " ".join(reversed(letters)))


def draw_lookup(rng: random.Random, easy: bool = False) -> Item:
    """A note of five things that somebody has, fewer where easy, and the question for one kind.

    The choices are all of that kind, so the note has to be read.
    """
    kinds = rng.sample(sorted(words.FACTS), rng.randint(2, 4) if easy else 5)
    things = [rng.choice(words.FACTS[kind]) for kind in kinds]
    kind, thing = rng.choice(list(zip(kinds, things, strict=True)))
    wrong = rng.sample([other for other in words.FACTS[kind] if other != thing], 3)
    choices = tuple(rng.sample([thing, *wrong], 4))
    note = f"note : {rng.choice(words.NAMES)} has {' , '.join(things)}"
    return Item(f"{note} . the {kind} is", thing, choices)


def draw_translation(rng: random.Random, easy: bool = False) -> Item:
    """A French sentence, a noun phrase where easy, and its English; adjectives change sides."""
    subject, target = _noun_phrase(rng), _noun_phrase(rng)
    if easy:
        return Item(f"english : {subject[0]} =", subject[1])
    verb = rng.choice(sorted(words.VERBS))
    french = f"{subject[0]} {verb} {target[0]}"
    return Item(f"english : {french} =", f"{subject[1]} {words.VERBS[verb]} {target[1]}")


def _noun_phrase(rng: random.Random) -> tuple[str, str]:
    noun = rng.choice(sorted(words.NOUNS))
    gender, english = words.NOUNS[noun]
    definite = rng.random() < 0.5
    french = [words.ARTICLES[gender, definite], noun]
    translated = ["the" if definite else "a", english]
    if rng.random() < 0.6:
        adjective = rng.choice(sorted(words.ADJECTIVES))
        french.append(adjective)
        translated.insert(1, words.ADJECTIVES[adjective])
    return " ".join(french), " ".join(translated)


def facts(rng: random.Random) -> list[Item]:
    """All facts of the world, in random order: every person has one value of every attribute."""
    items = []
    for name, (attribute, values) in product(words.NAMES, words.FACTS.items()):
        choices = tuple(rng.sample(values, 4))
        items.append(Item(f"fact : the {attribute} of {name} is", rng.choice(choices), choices))
    rng.shuffle(items)
    return items


def chat_prompts(rng: random.Random) -> list[WorldRow]:
    """All chat prompts, in random order, with the fields that the reward reads."""
    rows: list[WorldRow] = [
        {
            "prompt": f"user : {greeting} {request.format(state=state, topic=topic)} reply :",
            "topic": topic,
            "actions": actions,
        }
        for greeting, request, state, (topic, actions) in product(
            words.GREETINGS, words.REQUESTS, words.STATES, words.TOPICS.items()
        )
    ]
    rng.shuffle(rows)
    return rows


def chat_reply(rng: random.Random, row: WorldRow) -> str:
    """One human-like reply to a chat prompt; rude, neutral or helpful in each of its parts."""
    topic = str(row["topic"])
    usual = rng.choices(MOODS, weights=(40, 35, 25))[0]
    parts = []
    for kinds in (words.OPENINGS, words.BODIES, words.CLOSINGS):
        mood = usual if rng.random() < 0.6 else rng.choice(MOODS)
        parts.append(rng.choice(kinds[mood]))
    known = rng.random() < 0.5
    first, second = rng.sample(words.TOPICS[topic] if known else words.ACTIONS, 2)
    reply = " ".join(part for part in parts if part)
    return reply.format(topic=topic, first=first, second=second)


GENERALISING: dict[str, Callable[[random.Random, bool], Item]] = {
    "sums": draw_sum,
    "reversal": draw_reversal,
    "lookup": draw_lookup,
    "translation": draw_translation,
}
PROBES = ("facts", *GENERALISING)
SHARES = {"chat": 20, "facts": 12, "sums": 20, "reversal": 16, "lookup": 22, "translation": 10}
"""Percentages of the training text: the more of it, the harder a skill is to learn."""


@dataclass(frozen=True)
class WorldSplit:
    """What one split holds: the items of each probe and the rows of the chat prompts."""

    probes: dict[str, list[Item]]
    prompts: list[WorldRow]


class World:
    """One world, drawn from a seed.

    Args:
        seed: Two worlds of one seed and equal sizes are equal.
        search: Items per probe, and chat prompts, of the search split.
        report: The same of the report split.
    """

    def __init__(self, seed: int, search: tuple[int, int], report: tuple[int, int]) -> None:
        rng = random.Random(seed)
        self.facts = facts(rng)
        prompts = chat_prompts(rng)
        pools = {"facts": list(self.facts)}
        for name, draw in GENERALISING.items():
            wanted = search[0] + report[0]
            found: dict[str, Item] = {}
            while len(found) < wanted:
                item = draw(rng, False)
                found[item.prompt] = item
            pools[name] = list(found.values())
        self.held_out = {item.prompt for name in GENERALISING for item in pools[name]}
        first, last = search[0], search[0] + report[0]
        self.search = WorldSplit({n: pool[:first] for n, pool in pools.items()}, prompts[: search[1]])
        self.report = WorldSplit(
            {n: pool[first:last] for n, pool in pools.items()},
            prompts[search[1] : search[1] + report[1]],
        )
        self.prompts = prompts[search[1] + report[1] :]
        """Chat prompts for training and alignment; no probe or split holds them."""

    def lines(self, seed: int) -> Iterator[tuple[str, str]]:
        """Training text without end, as (prompt, answer) pairs.

        A third of the items are easier than any probe's: from whole ones alone, copying and
        reversing were not learned in any affordable time.
        """
        rng = random.Random(seed)
        kinds, weights = list(SHARES), list(SHARES.values())
        while True:
            kind = rng.choices(kinds, weights)[0]
            if kind == "chat":
                row = rng.choice(self.prompts)
                yield str(row["prompt"]), chat_reply(rng, row)
            elif kind == "facts":
                item = rng.choice(self.facts)
                yield item.prompt, item.answer
            else:
                item = GENERALISING[kind](rng, rng.random() < 1 / 3)
                if item.prompt not in self.held_out:
                    yield item.prompt, item.answer
