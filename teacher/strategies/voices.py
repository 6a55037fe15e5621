"""Who might have written an item, about what, how and how long: so that lessons differ in more than a name.

Five lessons made from one item are near-copies of it. The strategies that write from a whole weakness give each item
a voice of its own instead, and go through these tables in such an order that no person meets the same topic twice
before every person has met it once.
"""

from __future__ import annotations

from student.records import text_hash

MANNERS = (
    "short and lower case, a few words only",
    "polite, two sentences, with the circumstances",
    "hurried, with a typo and missing punctuation",
    "rambling, with irrelevant detail before the point",
    "matter-of-fact, one sentence with a concrete name or number",
    "annoyed, because it happened before",
)
PERSONAS = (
    "a ten-year-old", "a retired teacher", "a nurse after a night shift", "a farmer", "a lawyer", "a taxi driver",
    "a student before an exam", "a shop owner", "a new parent", "a plumber", "a journalist", "a librarian",
    "an engineer", "a cook", "a tourist abroad", "an accountant", "a football fan", "a musician", "a gardener",
    "a manager in a hurry", "someone whose first language is another", "a pensioner new to computers", "a soldier",
    "a biologist",
)  # fmt: skip
TOPICS = (
    "food", "travel", "money", "health", "history", "animals", "machines", "school", "sport", "weather and nature",
    "music and films", "home and family", "law and politics", "work",
)  # fmt: skip
REGISTERS = ("plain", "polite", "hurried, lower case", "chatty", "precise, with a name or a number", "annoyed")
LENGTHS = ("as long as the real ones", "shorter than the real ones", "as long as the real ones", "a little longer")


def voice(number: int, *about: str) -> dict[str, str]:
    """The voice of a round's `number`-th item; `about` turns the tables, so that rounds and runs differ."""
    turn, lap = int(text_hash(*about), 16), number // len(PERSONAS)
    tables = {"who": PERSONAS, "topic": TOPICS, "manner": REGISTERS, "length": LENGTHS}
    # One step further in the other tables with each lap through the persons: they do not go in fixed pairs.
    at = {"who": number, "topic": number + lap, "manner": number + lap, "length": number + lap}
    return {
        name: table[(turn // 1009**part + at[name]) % len(table)] for part, (name, table) in enumerate(tables.items())
    }
