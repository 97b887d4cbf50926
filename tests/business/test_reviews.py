"""The queue of decisions for people: each is taken once, verdicts come back as rows, nothing stands open on the disk."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tradewind.business import reviews
from tradewind.errors import InputError
from tradewind.privacy.subjects import Subject, SubjectKey

CONTENT = {"transaction": {"card": "4111 2222", "amount": 12.5}, "windows": {"n": 3.0}, "reasons": [{"column": "n"}]}


def _add(filled, vault, number, *, score=0.5, content=CONTENT):
    return reviews.add(
        filled, vault, "acc_1", product="cards", release="v1", request_id=f"req_{number}", score=score, content=content
    )


def test_the_likeliest_is_claimed_first_and_by_one_alone(filled, vault):
    _add(filled, vault, 1, score=0.2)
    likelier = _add(filled, vault, 2, score=0.8)
    first = reviews.claim(filled, vault, by="ann")
    assert (first.id, first.claimed_by, first.content) == (likelier, "ann", CONTENT)
    assert reviews.claim(filled, vault, by="bo").score == 0.2
    assert reviews.claim(filled, vault, by="cy") is None


def test_many_reviewers_at_once_never_get_the_same(filled, vault):
    for number in range(20):
        _add(filled, vault, number, score=number / 20)
    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(lambda number: reviews.claim(filled, vault, by=f"r{number}"), range(24)))
    ids = [one.id for one in taken if one is not None]
    assert len(ids) == len(set(ids)) == 20


def test_a_claim_runs_out(filled, vault, clock):
    review = _add(filled, vault, 1)
    reviews.claim(filled, vault, by="ann")
    with pytest.raises(InputError, match="claimed by ann"):
        reviews.claim(filled, vault, by="bo", review_id=review)
    clock.advance(31 * 60)
    assert reviews.claim(filled, vault, by="bo", review_id=review).claimed_by == "bo"


def test_only_who_has_it_closes_it_and_the_verdict_stays(filled, vault):
    review = _add(filled, vault, 1)
    reviews.claim(filled, vault, by="ann")
    with pytest.raises(InputError) as refused:
        reviews.close(filled, vault, review, verdict="fraud", by="bo")
    assert refused.value.code == "input.review_taken"
    assert reviews.close(filled, vault, review, verdict="fraud", by="ann").state == "closed"
    assert reviews.close(filled, vault, review, verdict="fraud", by="ann").verdict == "fraud"
    with pytest.raises(InputError):
        reviews.close(filled, vault, review, verdict="legit", by="ann")


def test_verdicts_come_back_as_rows_with_their_target(filled, vault):
    review = _add(filled, vault, 1)
    _add(filled, vault, 2)
    reviews.close(filled, vault, review, verdict="fraud", by="ann")
    rows = list(reviews.labels(filled, vault, product="cards", target="class"))
    assert rows == [{"card": "4111 2222", "amount": 12.5, "class": "fraud"}]


def test_one_request_waits_once(filled, vault):
    assert _add(filled, vault, 1) == _add(filled, vault, 1)
    assert len(reviews.listed(filled, vault)) == 1


def test_what_was_closed_long_ago_is_destroyed(filled, vault, clock):
    review = _add(filled, vault, 1)
    reviews.close(filled, vault, review, verdict="legit", by="ann")
    assert reviews.sweep(filled, keep_ms=1000) == 0
    clock.advance(2)
    assert reviews.sweep(filled, keep_ms=1000) == 1
    with pytest.raises(InputError, match="no review"):
        reviews.get(filled, vault, review)


def test_an_erased_person_leaves_the_queue_and_others_stay(filled, vault, tmp_path):
    mine, other = _add(filled, vault, 1), _add(filled, vault, 2, content={**CONTENT, "transaction": {"card": "5"}})
    holder = reviews.ReviewedDecisions(filled, vault, actor="test")
    person = Subject.of("4111 2222", SubjectKey.open(tmp_path))
    assert [item.place for item in holder.find(person)] == [f"review {mine}"]
    assert holder.erase(person, redact=False).removed[0].count == 1
    assert [one.id for one in reviews.listed(filled, vault)] == [other]


def test_a_new_key_of_the_vault_takes_every_decision_under_it(filled, vault):
    _add(filled, vault, 1)
    vault.rotate()
    assert reviews.reseal(filled, vault) == 1
    assert reviews.reseal(filled, vault) == 0
    assert reviews.listed(filled, vault)[0].content == CONTENT
