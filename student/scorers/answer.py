"""What a student finally said: the output without its reasoning, and whether it declines to answer.

In: a whole output. Out: the part that counts as the answer. Thoughts between `<think>` tags are not the answer, and an
output that ends while still thinking has none. A refusal is no answer either, even where it names the right one.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"<(/?)(?:think(?:ing)?|reasoning|thought)>", re.IGNORECASE)

_REFUSAL = re.compile(
    r"""\s*+
    (?:(?:(?:i'm|i\s+am|we\s+are)\s+)?(?:(?:very|so|really|terribly)\s+)?
       (?:sorry|afraid|unfortunately|regrettably|(?:my\s+)?apologies)[,.;!]?\s+(?:but\s+)?(?:that\s+)?)?
    (?:as\s+an?\s+(?:ai|language|large)\b[^.,]{0,60},\s*)?
    (?: (?:i|we)\s+(?:can\s?not|can't|won't|will\s+not|could\s?n't|could\s+not|(?:am|are)\s+(?:unable|not\s+able)\s+to)\s+
          (?:answer|help|assist|determine|say|tell|provide|comply|know|do|give|find|solve)\b
      | i'm\s+(?:unable|not\s+able)\s+to\b
      | (?:i|we)\s+(?:really\s+)?(?:do\s+not|don't)\s+(?:know|have\s+(?:enough|sufficient|access))\b
      | i(?:'m|\s+am)\s+not\s+sure\b | i\s+have\s+no\s+idea\b
      | (?:there\s+is\s+)?(?:not\s+enough|insufficient)\s+information\b
      | it\s+is\s+(?:impossible|not\s+possible)\s+to\s+(?:say|tell|know|determine|answer)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_ANSWERED = re.compile(
    r"####\s*\S|\\boxed\s*\{|\banswer\s*(?:is|:|=)|\bbut\s+(?:i\s+(?:think|guess|believe)|it|my|the|probably|perhaps)\b",
    re.IGNORECASE,
)


def conclusion(output: str) -> str | None:
    """The output after its reasoning, stripped; None when it is empty or still thinking where it ends."""
    kept, at, thinking = list[str](), 0, False
    for tag in _TAG.finditer(output) if "<" in output else ():
        if not tag[1]:
            kept.append("" if thinking else output[at : tag.start()])
            thinking = True
        else:
            kept = kept if thinking else []  # no opening: some chat templates put it into the prompt
            at, thinking = tag.end(), False
    return None if thinking else "".join([*kept, output[at:]]).strip() or None


def declines(text: str) -> bool:
    """Whether the text opens by declining to answer and gives no answer after all. English only."""
    opening = _REFUSAL.match(text.replace("\u2019", "'") if not text.isascii() else text)
    return opening is not None and not _ANSWERED.search(text, opening.end())
