"""Is a candidate in a language the seeds are in? By script, and within the Latin and Cyrillic scripts by stop words.

Small teachers now and then answer in another language than they are asked in. No model is loaded for this: a text is
refused only when most of its letters are of a script the seeds hardly use, or when it holds several stop words of a
language that no seed is in. A text with few of them, a name or a formula, is nobody's language and passes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from student.records import Candidate, Seed, Verdict
from teacher.verdicts import reject

STOP_WORDS = {
    "English": "the of and to is that it was for are with as his they this have from what when where who how which you your "
    "there their not were been would does did can has had will my our please",
    "German": "der die das und ist nicht ein eine einen dem den des mit für auf von zu im ich sie wir wie was wer wo welche "
    "sind wird hat haben auch nach bei aus kann mein meine bitte",
    "French": "le la les des une est et dans que qui pour pas sur avec je vous nous ce cette sont quel quelle quels comment "
    "où du au aux il elle mon ma mes été être s'il c'est",
    "Spanish": "el los las una es y que en por con para del se su como más pero qué cuál cuándo dónde quién está son mi lo "
    "fue hay tiene puede favor",
    "Italian": "il gli le una è e che di per non con del della dei nel sono come più qual quale quando dove chi mi si ha "
    "questo questa stato può",
    "Portuguese": "os as uma é e que em não por com para do da dos das se como mais qual quando onde quem foi está são meu "
    "minha você pode ao pelo",
    "Dutch": "het een en van ik niet dat is met op te zijn voor wat wie waar hoe welke wanneer aan er maar mijn kan heeft "
    "worden naar ook wordt",
    "Polish": "nie się jest że do na i w co jak kto gdzie kiedy dla po od ale jego czy który która przez są mam mój",
    "Swedish": "och att det som en på är av för med den till inte vad vem hur var när jag har om ett min kan vilken",
    "Turkish": "bir ve bu için ile da de ne nasıl kim nerede mi mı çok var olarak daha hangi zaman benim değil",
    "Russian": "и в не на что как это он она я мы с по для из то кто где когда у за но мой есть был какой",
    "Ukrainian": "і в не на що як це він вона я ми з по для із то хто де коли у за але мій є був який",
}
_BY_WORD: dict[str, tuple[str, ...]] = {}
for _language, _words in STOP_WORDS.items():
    for _word in _words.split():
        _BY_WORD[_word] = (*_BY_WORD.get(_word, ()), _language)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_RARE = 0.02
"""A script or language of fewer of the seeds than this share is not theirs."""
_FOREIGN = 0.3
"""A text may hold this share of letters in foreign scripts: names, quotations, symbols."""


class Languages:
    """The scripts and languages some texts are in."""

    def __init__(self, texts: Sequence[str]) -> None:
        letters, found = Counter[str](), Counter[str]()
        for text in texts:
            letters.update(scripts(text))
            found.update(spoken(text))
        self._scripts = {name for name, count in letters.items() if count and count >= _RARE * letters.total()}
        self._languages = {name for name, count in found.items() if count >= _RARE * len(texts)}

    def foreign(self, text: str) -> str | None:
        """What is foreign about a text, for a person; None where nothing is, or nobody could say."""
        if not self._scripts:
            return None  # numbers and signs are of no language
        letters = scripts(text)
        strange = {name: count for name, count in letters.items() if name not in self._scripts}
        if sum(strange.values()) > _FOREIGN * max(1, letters.total()):
            return f"{max(strange, key=lambda name: strange[name]).capitalize()} letters"
        if not self._languages:
            return None  # seeds of a few words, or in a language not known here
        said = _stop_words(text)
        best = max(said.values(), default=0)
        ours = max((said[name] for name in self._languages), default=0)
        # A few words are shared between languages: it takes several, and twice as many as of ours.
        if best < 3 or best < 2 * ours or 5 * best < len(_WORD.findall(text)):
            return None
        return f"reads like {next(name for name, count in said.items() if count == best)}"


class SeedLanguages:
    """The languages of the seeds' questions, and of their answers where those are written."""

    def __init__(self, seeds: Sequence[Seed]) -> None:
        self._prompts = Languages([seed.prompt for seed in seeds])
        self._answers = Languages([seed.answer for seed in seeds if not seed.choices])

    def check(self, candidate: Candidate) -> Verdict | None:
        """The verdict on a candidate in another language than the seeds; None for any other."""
        why = self._prompts.foreign(candidate.prompt)
        if why is None and not candidate.choices:
            why = self._answers.foreign(candidate.answer)
        return reject(candidate, "language", why) if why else None


def scripts(text: str) -> Counter[str]:
    """How many letters of each script."""
    if text.isascii():
        return Counter({"LATIN": sum(map(str.isalpha, text))})
    return Counter(_script(mark) for mark in text if mark.isalpha())


def spoken(text: str) -> list[str]:
    """The languages a text may be in: those with most stop words in it, if there are at least two."""
    said = _stop_words(text)
    best = max(said.values(), default=0)
    return [name for name, count in said.items() if count == best] if best >= 2 else []


def _stop_words(text: str) -> Counter[str]:
    return Counter(name for word in _WORD.findall(text.lower()) for name in _BY_WORD.get(word, ()))


@lru_cache(maxsize=10_000)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "UNKNOWN").split(" ")[0].removesuffix("-COMPATIBILITY")
