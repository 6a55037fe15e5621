"""Say a text differently without changing what it asks: typos, casing, punctuation, contractions, filler, polite wrapping.

No teacher is asked and nothing is paid. In goes a text and the words that must stay as they are (those of the answer and of
the choices); out comes another text, the same one for the same name. Numbers and words with digits are never touched, what
belongs to English (contractions, filler, wrapping) is done to English only, and in code and formulas every mark stays.
Not for tasks about tone or spelling: there noise is what the answer is about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from random import Random

_WORD = re.compile(r"(?<!\w)[^\W\d_]{4,}(?!\w)")
_CODE = re.compile(r"[{}<>\\\[\];=`^|]|\w_\w|\w\(|https?:|@")
_ENGLISH = re.compile(
    r"(?:the|an?|of|to|in|is|are|was|were|do|does|did|what|which|who|how|why|when|where|my|your|his|her|it|i|you|we|can|not|and|for|on|with)",
    re.IGNORECASE,
)
_SHORT = {
    "do not": "don't", "does not": "doesn't", "did not": "didn't", "is not": "isn't", "are not": "aren't",
    "was not": "wasn't", "cannot": "can't", "can not": "can't", "will not": "won't", "would not": "wouldn't",
    "it is": "it's", "that is": "that's", "i am": "I'm", "i have": "I've", "what is": "what's", "who is": "who's",
    "where is": "where's", "there is": "there's", "we are": "we're", "they are": "they're", "you are": "you're",
}  # fmt: skip
_LONG = {short: full for full, short in _SHORT.items() if full not in ("can not", "it is", "that is")}
_BEFORE = ("so, ", "well, ", "um, ", "ok, ", "hm, ", "quick one: ", "just wondering, ")
_POLITE = (
    ("Hello, ", " Thank you!"), ("Hi there, ", ""), ("Could you help me please? ", ""), ("Dear all, ", " Thanks."),
    ("", " Thanks in advance!"), ("Sorry to bother you. ", ""),
)  # fmt: skip
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")

Noise = Callable[[str, Random, Collection[str]], str]


def rephrased(text: str, keep: Collection[str], name: str) -> str:
    """The text with one to three kinds of noise, drawn by `name`; the text itself where nothing can be done to it.

    `keep` holds lower-case words that must not be spelt otherwise.
    """
    chance, said = Random(name), text
    kinds = [*(() if _CODE.search(text) else _ANYWHERE), *(_IN_ENGLISH if is_english(text) else ())]
    for kind in chance.sample(kinds, k=min(len(kinds), chance.choice((1, 2, 2, 3)))):
        said = kind(said, chance, keep)
    return said


def is_english(text: str) -> bool:
    """Whether a fifth of the words, two at least, are small English ones."""
    words = re.findall(r"[^\W\d_]+", text)
    return sum(bool(_ENGLISH.fullmatch(word)) for word in words) >= max(2, len(words) / 5)


def typo(text: str, chance: Random, keep: Collection[str]) -> str:
    """One word with two letters swapped, one left out, doubled, or hit beside; never its first letter."""
    words = [found for found in _WORD.finditer(text) if found.group().lower() not in keep]
    if not words:
        return text
    word = chance.choice(words)
    at = chance.randrange(word.start() + 1, word.end() - 1)
    here, after = text[at], text[at + 1]
    changed = chance.choice((after + here, after, here + here + after, _beside(here, chance) + after))
    return text[:at] + changed + text[at + 2 :]


def _beside(letter: str, chance: Random) -> str:
    row = next((row for row in _KEYS if letter.lower() in row), None)
    if row is None:
        return letter + letter
    at = row.index(letter.lower())
    return chance.choice([row[near] for near in (at - 1, at + 1) if 0 <= near < len(row)])


def casing(text: str, chance: Random, keep: Collection[str]) -> str:
    """All lower case, or no capital at the beginning."""
    if chance.random() < 0.3:
        return text if text.split(" ", 1)[0].lower() in keep else text[:1].lower() + text[1:]
    return re.sub(r"\w+", lambda found: found.group() if found.group().lower() in keep else found.group().lower(), text)


def punctuation(text: str, chance: Random, keep: Collection[str]) -> str:
    """No mark at the end, or too many of it; or no commas between words."""
    body = text.rstrip(" ?!.")
    mark = "?" if text.rstrip().endswith("?") else ""
    if "," in text and chance.random() < 0.3:
        return re.sub(r"(?<=[^\W\d]),(?= )", "", text)
    return body + chance.choice(("", "", " " + mark, mark * 3) if mark else ("", "..", "!"))


def contractions(text: str, chance: Random, keep: Collection[str]) -> str:
    """`do not` as `don't`; where there is none, the other way round."""
    for table in (_SHORT, _LONG):
        said = _respelt(text, table)
        if said != text:
            return said
    return text


def _respelt(text: str, table: dict[str, str]) -> str:
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, table))})\b", re.IGNORECASE)

    def put(found: re.Match[str]) -> str:
        new = table[found.group().lower()] if found.group().lower() in table else found.group()
        return new[:1].upper() + new[1:] if found.group()[:1].isupper() else new

    return pattern.sub(put, text)


def filler(text: str, chance: Random, keep: Collection[str]) -> str:
    """A word or two before the point."""
    return chance.choice(_BEFORE) + text


def polite(text: str, chance: Random, keep: Collection[str]) -> str:
    """A greeting, or thanks."""
    before, after = chance.choice(_POLITE)
    return f"{before}{text}{after}"


_ANYWHERE: tuple[Noise, ...] = (typo, casing, punctuation)
_IN_ENGLISH: tuple[Noise, ...] = (contractions, filler, polite)
