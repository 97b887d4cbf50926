"""What was said so far, as far as the next answer needs it: the language, the last messages, a question that stands on
what came before. Not here: what is answered (`policy.py`), nor where messages are kept (`business/conversations.py`).

A question that cannot stand alone ("and for shoes?", "那运费呢") is asked together with the ones before it; one that can is
asked alone, so that an old subject does not pull a new one to it (Dalton et al., TREC CAsT 2019: context helps turns that
refer back and harms those that do not).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tradewind.features.function_words import telling
from tradewind.features.terms import terms
from tradewind.product.answers import Language

DECAY = 0.5
_TURNS = 2  # earlier messages of the user that a question may stand on
_HAN = re.compile(r"[㐀-䶿一-鿿]")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[㐀-䶿一-鿿]|[^\W_㐀-䶿一-鿿]+")
_ZH_SHARE = 0.3
_SHORT_EN, _SHORT_ZH = 3, 5
_OWN_EN, _OWN_ZH = 3, 8  # terms that tell; of Chinese characters and their pairs

# Words that point back, or begin a sentence that goes on from another one.
_BACK_EN = re.compile(
    r"^(and|but|also|then|so|or|what about|how about|what if|why|why not|ok|okay|still|same)\b"
    r"|\b(it|its|that|this|those|these|they|them|there|one|ones|him|her|the same)\b",
    re.IGNORECASE,
)
_BACK_ZH = re.compile(
    r"^(那么|那|如果|然后|还有|但是|可是|所以|另外|再|也)|(它|这个|那个|这些|那些|这样|那样|这种|那种|上面|刚才)|呢[？?。!！]*$"
)


# Said at the end of something: nothing is asked, so nothing is looked up again.
_CLOSING = re.compile(
    r"^\W*((ok|okay|great|perfect|thanks|thank you|thx|bye|goodbye|good|fine|got it|all|so much|very much|谢谢|多谢|感谢|好的|好|"
    r"再见|拜拜|明白了|知道了|没有了|您|你|了)\W*)+$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Query:
    """A text to be looked for, and how much it counts beside the others of the same message."""

    text: str
    weight: float


def language_of(text: str, *, otherwise: Language) -> Language:
    """Chinese where three letters in ten are Han characters; `otherwise` where there are no letters."""
    letters = len(_LETTER.findall(text))
    if not letters:
        return otherwise
    return "zh" if len(_HAN.findall(text)) >= _ZH_SHARE * letters else "en"


def points_back(text: str) -> bool:
    """Whether a message goes on from what came before, by its words."""
    if _CLOSING.match(text):
        return False
    pattern = _BACK_ZH if _HAN.search(text) else _BACK_EN
    return pattern.search(text.strip()) is not None


def is_short(text: str) -> bool:
    """Whether a message is so short that what came before may belong to it."""
    words = len(_WORD.findall(text))
    return not _CLOSING.match(text) and words <= (_SHORT_ZH if _HAN.search(text) else _SHORT_EN)


def says_enough(text: str) -> bool:
    """Whether a message holds so many words of its own that what it points at may stand in it."""
    return len(set(telling(terms(text)))) >= (_OWN_ZH if _HAN.search(text) else _OWN_EN)


def queries(text: str, earlier: Sequence[str]) -> list[Query]:
    """What to look for. A message is always asked alone. One that points back is asked together with those before it too, each
    further back counting half as much, and half of that where the message says by itself what it is about ("send tea back if I do
    not like it"); a short one together with the last one, counting half.

    `earlier` are the user's messages before it, oldest first.
    """
    before = list(reversed(earlier))[:_TURNS]
    alone = Query(text, 1.0)
    if not before:
        return [alone]
    if points_back(text):
        found, whole = [alone], text
        for place, one in enumerate(before, int(says_enough(text))):
            whole = f"{one}\n{whole}"
            found.append(Query(whole, DECAY**place))
        return found
    return [alone, Query(f"{before[0]}\n{text}", DECAY)] if is_short(text) else [alone]
