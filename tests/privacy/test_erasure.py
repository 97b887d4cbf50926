"""Every holder is asked in turn; what one cannot do stops the walk, and the next walk goes on."""

import pytest

from tradewind.errors import EnvironmentFailure
from tradewind.privacy.erasure import Done, Item, Kept, Removed, erase, find
from tradewind.privacy.subjects import Subject, SubjectKey

ANN = Subject.of("Ann", SubjectKey(b"k" * 32))


class Box:
    """A holder of plain texts."""

    def __init__(self, name, *texts, fails=False):
        self.name, self.texts, self.fails = name, list(texts), fails

    def find(self, subject):
        return [Item(self.name, text) for text in self.texts if subject.appears_in(text)]

    def erase(self, subject, *, redact):
        if self.fails:
            raise EnvironmentFailure("The disk is full.", code="disk_full")
        found = self.find(subject)
        self.texts = [text for text in self.texts if not subject.appears_in(text)]
        kept = [] if redact else [Kept(self.name, "index", 1, "because", "never")]
        return Done([Removed(self.name, "texts", len(found))] if found else [], kept)


def test_every_holder_tells_what_it_took_and_what_it_kept():
    walk = erase([Box("a", "Ann", "Bo"), Box("b")], ANN)
    assert walk.removed == 1
    assert [one.place for one in walk.kept] == ["a", "b"]
    assert [one["holder"] for one in walk.as_json()] == ["a", "b"]


def test_what_was_erased_before_a_failure_stays_erased_and_the_next_walk_goes_on():
    first, second = Box("a", "Ann"), Box("b", "Ann", fails=True)
    with pytest.raises(EnvironmentFailure):
        erase([first, second], ANN)
    assert first.texts == []
    second.fails = False
    assert erase([first, second], ANN, redact=True).removed == 1
    assert find([first, second], ANN) == {}
