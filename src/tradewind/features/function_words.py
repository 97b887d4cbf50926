"""Words that say how a question is put and not what it is about: in a small knowledge base they are rare, and would tell the most.

Articles, pronouns, auxiliaries, prepositions, question words and courtesies of English and Chinese. Not here: how terms are cut
(`terms.py`), how rare one is (`engines/bm25.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tradewind.features.terms import stem

FEW_PASSAGES = (
    1000  # in more of them words that put a question are common, weigh little, and help to find like questions (LAB.md)
)
_ENGLISH = """
a about all also an and any anybody anyone anything are aren as at be because been before being but by can cannot could couldn did
didn do does doesn doing don done else for from get give got had has hasn have haven having hello hey hi how however i if in into is
isn it its just kindly know let like ll made make makes may me might mine more most much must my need no not of off on once one only
or other our out over please re s shall she should shouldn so some somebody someone something still such t tell than thank thanks that the
their them then there these they thing this those through to too under until up us use used using ve very want wanted was wasn way we well
were what when where which while who whom whose why will with within without won would wouldn yes yet you your yours
"""
_CHINESE = "的了吗呢吧啊呀哦嘛我你您他她它们是在有和与及或就都也很还再又不没无这那哪个些么什怎为何谁能可以会要想请问给把被让对从到于之其所着过得地几多少如果但因而并且则某每各该"


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(map(stem, _ENGLISH.split())) | frozenset(_CHINESE)


def telling(terms: Sequence[str]) -> list[str]:
    """The terms that say what a text is about. Of a pair of characters one must do so."""
    known = _known()
    return [
        term for term in terms if term not in known and not (len(term) == 2 and term[0] in known and term[1] in known)
    ]  # fmt: skip
