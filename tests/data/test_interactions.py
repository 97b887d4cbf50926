"""Events become a dataset: bad rows go with a reason, each user's last two events are held back, tables describe the new."""

import json

import numpy as np
import pytest

from tradewind.artifacts import Workspace
from tradewind.data.interactions import Interactions, load_interactions, prepare_interactions
from tradewind.errors import DataError
from tradewind.product import Product


def prepared(tmp_path, text: str, **data) -> Interactions:
    (tmp_path / "events.csv").write_text(text, encoding="utf-8")
    product = Product.model_validate(
        {"product": "shop", "task": "recommendation", "data": {"source": "events.csv", **data}}
    )
    return prepare_interactions(product, base=tmp_path, workspace=Workspace(tmp_path / "home"))


EVENTS = "user,item,time\n" + "".join(
    f"{user},{item},{at}\n"
    for user, items in {"a": "pqrs", "b": "qrp", "c": "pq", "d": "srqp"}.items()
    for at, item in enumerate(items)
)


def named(dataset: Interactions, places) -> list[str]:
    return [dataset.items[int(place)] for place in places]


def test_the_last_event_is_the_test_and_the_one_before_it_validation(tmp_path):
    dataset = prepared(tmp_path, EVENTS)
    held, test = dataset.asked("validation"), dataset.asked("test")
    users = [dataset.users[int(one)] for one in test.user]
    assert users == ["a", "b", "d"], "who has two events teaches alone"
    assert named(dataset, test.target) == ["s", "p", "p"]
    assert named(dataset, held.target) == ["r", "r", "q"]
    assert named(dataset, test.history(0)) == ["p", "q", "r"]
    assert named(dataset, held.history(0)) == ["p", "q"]


def test_training_never_sees_what_is_held_back(tmp_path):
    dataset = prepared(tmp_path, EVENTS)
    starts, lengths = dataset.starts_U, dataset.trained_U
    for at, user in enumerate(dataset.asked("test").user.tolist()):
        learnt = dataset.item_N[starts[user] : starts[user] + lengths[user]]
        assert len(learnt) == np.diff(starts)[user] - 2
        assert learnt.tolist() == dataset.asked("validation").history(at).tolist()
    assert dataset.counts_I.sum() == lengths.sum()


def test_events_are_ordered_by_time_whatever_their_order_in_the_file(tmp_path):
    lines = EVENTS.splitlines()
    dataset = prepared(tmp_path, "\n".join([lines[0], *reversed(lines[1:])]))
    assert named(dataset, dataset.asked("test").history(0)) == ["p", "q", "r"]


def test_without_a_time_the_order_of_rows_is_the_time(tmp_path):
    dataset = prepared(tmp_path, "1 7\n1 8\n2 7\n1 9\n", source={"path": "events.csv", "header": ["user", "item"]})
    assert named(dataset, dataset.asked("test").history(0)) == ["7", "8"]
    assert named(dataset, dataset.asked("test").target) == ["9"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (",p,9", "event.no_user"),
        ("a,,9", "event.no_item"),
        ("a,p,soon", "event.no_time"),
        ("a,s,3", "event.copy"),
        ("a,s,4", "event.repeat"),
    ],
)
def test_rows_that_cannot_be_used_are_kept_aside_with_a_reason(tmp_path, row, code):
    dataset = prepared(tmp_path, EVENTS + row + "\n")
    (told,) = [json.loads(line) for line in (dataset.folder / "rejected.jsonl").read_text("utf-8").splitlines()]
    assert told["code"] == code
    assert told["line"] == EVENTS.count("\n") + 1


def test_rare_items_and_users_go_until_all_left_have_enough(tmp_path):
    dataset = prepared(tmp_path, EVENTS, recommendation={"fewest_per_user": 3, "fewest_per_item": 3})
    counts = np.bincount(dataset.item_N)
    assert counts.min() >= 3
    assert np.diff(dataset.starts_U).min() >= 3


def test_kinds_of_events_weigh_and_others_are_left_out(tmp_path):
    text = EVENTS.replace("time\n", "time,event\n", 1).replace("0\n", "0,buy\n").replace("1\n", "1,view\n")
    text = text.replace("2\n", "2,view\n").replace("3\n", "3,return\n")
    dataset = prepared(tmp_path, text, recommendation={"weights": {"view": 1, "buy": 3}})
    assert sorted(set(dataset.weight_N.tolist())) == [1.0, 3.0]
    assert dataset.profile["cleaning"]["rejected"] == {"event.no_weight": 2}


def test_items_that_nobody_met_can_be_recommended_by_their_columns(tmp_path):
    (tmp_path / "items.csv").write_text("item,colour\np,red\nq,blue\nr,red\ns,blue\nz,green\n", encoding="utf-8")
    dataset = prepared(tmp_path, EVENTS, items={"source": "items.csv"})
    described = dataset.described("items")
    assert dataset.items[-1] == "z"
    assert described is not None
    assert described.arrays["categories"].shape == (5, 1)
    assert described.arrays["categories"][-1, 0] == 0, "a value of the new item alone was not there to be fitted on"


def test_equal_inputs_are_not_prepared_twice(tmp_path):
    first = prepared(tmp_path, EVENTS)
    assert prepared(tmp_path, EVENTS).artifact.created == first.artifact.created
    assert load_interactions(first.folder).users == first.users


@pytest.mark.parametrize(
    ("text", "data", "code"),
    [
        ("who,what\na,b\n", {}, "data.user_unknown"),
        (EVENTS, {"recommendation": {"user": "usr"}}, "data.column_missing"),
        ("user,item\na,p\nb,q\n", {}, "data.histories_short"),
        ("user,item\na,p\na,p\na,p\n", {"recommendation": {"repeats": "keep"}}, "data.one_item"),
        (EVENTS, {"recommendation": {"weights": {"buy": 1}}}, "data.event_unknown"),
    ],
)
def test_what_cannot_be_meant_is_said_at_its_place(tmp_path, text, data, code):
    with pytest.raises(DataError) as error:
        prepared(tmp_path, text, **data)
    assert error.value.code == code
