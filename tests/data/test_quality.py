from __future__ import annotations

import random

import numpy as np
import pytest

from tradewind.data.overlap import Judged
from tradewind.data.quality import Verdict, judge
from tradewind.data.shingles import units
from tradewind.product import Quality

SHIP = "The ship left the harbour at dawn, the wind was fair and the crew sang while the gulls turned above the masts."
SHIP_ZH = "船在黎明时分离开了港口，风很好，船员们唱着歌，海鸥在桅杆上空盘旋。大海平静得像一面镜子。"
SHIP_DE = "Das Schiff verließ den Hafen bei Tagesanbruch, der Wind war günstig und die Mannschaft sang."


def verdict(text: str, **rules) -> Verdict:
    (one,) = judge([text], units([text]), Quality(**rules))
    return one


def prose(words: int, seed: int) -> str:
    drawn = random.Random(seed)
    return " ".join("".join(drawn.choices("abcdefghij", k=drawn.randint(2, 8))) for _ in range(words))


# ---------------------------------------------------------------- units


def test_letter_case_blanks_and_punctuation_make_no_difference() -> None:
    found = units(["Hello, world! 你好", "hello   WORLD 你…好"])
    first, second = np.split(found.hashes, [found.offsets[1]])
    assert first.tolist() == second.tolist()
    assert len(first) == 4


def test_the_same_letters_in_another_order_are_another_word() -> None:
    found = units(["stop pots tops spot opts"])
    assert len(set(found.hashes.tolist())) == 5


def test_runs_stay_inside_their_text() -> None:
    together, offsets = units(["a b c d", "e f", "", "a b c"]).runs(3)
    assert offsets.tolist() == [0, 2, 3, 3, 4]
    assert together[0] == together[3]
    alone, _ = units(["e f"]).runs(3)
    assert together[2] == alone[0]


def test_characters_are_counted_by_kind_for_each_text() -> None:
    texts = ["ab 1", "", "船か한", "x\x01"]
    assert units(texts).kinds.sum(axis=1).tolist() == [len(text) for text in texts]


def test_units_of_a_block_are_those_of_each_text_alone() -> None:
    texts = [SHIP, SHIP_ZH, "", "x", SHIP_DE]
    block = units(texts)
    for place, text in enumerate(texts):
        alone = units([text])
        assert block.hashes[block.offsets[place] : block.offsets[place + 1]].tolist() == alone.hashes.tolist()
        assert block.kinds[place].tolist() == alone.kinds[0].tolist()


def test_signatures_of_like_texts_are_alike() -> None:
    text = prose(400, 1)
    rows = units([text, text + " and one more", prose(400, 2)]).signatures()
    assert (rows[0] == rows[1]).mean() > 0.95
    assert (rows[0] == rows[2]).mean() < 0.05


# ---------------------------------------------------------------- rules


@pytest.mark.parametrize(
    "text",
    ["Yes.", "好的", SHIP, SHIP_ZH, SHIP_DE, prose(500, 3), "- milk\n- bread\n- eggs", "x = {'a': [1, 2, 3]}\nprint(x)",
     "\n".join(f"Question {n}: what is {n} plus {n}?\nAnswer: {2 * n}." for n in range(40)),
     "la la la\n" * 6 + SHIP],
)  # fmt: skip
def test_honest_text_passes(text) -> None:
    assert verdict(text).rule is None


@pytest.mark.parametrize(
    ("text", "rules", "rule"),
    [
        (" \n ", {}, "too_short"),
        ("abc", {"least_characters": 4}, "too_short"),
        ("abc def", {"most_characters": 6}, "too_long"),
        ((SHIP + "\n") * 12, {}, "repeated_lines"),
        (SHIP * 12, {}, "repeated_runs"),
        (SHIP_ZH * 12, {}, "repeated_runs"),
        ("=-=-=-=-> ### ***" * 30, {}, "symbols"),
        (SHIP_DE, {"languages": ["en", "zh"]}, "language"),
    ],
)
def test_a_text_that_fails_a_rule_says_which(text, rules, rule) -> None:
    assert verdict(text, **rules).rule == rule


def test_bounds_are_those_of_the_product_file() -> None:
    repeated = (SHIP + "\n") * 12
    assert verdict(repeated, repeated_lines=1.0, repeated_runs=1.0).rule is None


@pytest.mark.parametrize(
    ("text", "language"),
    [(SHIP, "en"), (SHIP_ZH, "zh"), (SHIP_DE, "de"), ("船は夜明けに港を出た。", "ja"), ("배가 새벽에 항구를 떠났다.", "ko"),
     ("Корабль вышел из гавани.", "ru"), ("غادرت السفينة الميناء", "ar"), ("Le navire a quitté le port à l'aube et les marins", "fr"),
     ("El barco salió del puerto al amanecer y los marineros", "es"), ("1234 !!", "other"), ("使用 Python 的 print 函数打印结果", "zh")],
)  # fmt: skip
def test_the_language_is_seen(text, language) -> None:
    assert verdict(text).language == language


# ---------------------------------------------------------------- contamination


def contaminated(judged: list[str], train: list[str]) -> list[bool]:
    return Judged([units(judged)]).contaminated(units(train)).tolist()


def test_a_copy_of_a_judged_text_is_found_in_any_dress() -> None:
    judged = [prose(60, 1), SHIP_ZH]
    assert contaminated(judged, [judged[0].upper() + "!", SHIP_ZH.replace("，", "\n"), prose(60, 2)]) == [
        True,
        True,
        False,
    ]


def test_a_long_text_that_holds_a_judged_one_is_found() -> None:
    assert contaminated([prose(40, 1)], [f"{prose(2000, 2)} {prose(40, 1)} {prose(2000, 3)}"]) == [True]


def test_a_part_of_a_judged_text_is_found() -> None:
    long = prose(500, 1)
    assert contaminated([long], [" ".join(long.split()[100:200])]) == [True]


def test_a_shared_sentence_is_no_contamination() -> None:
    saying = prose(16, 9)
    assert contaminated([f"{prose(80, 1)} {saying} {prose(80, 2)}"], [f"{prose(80, 3)} {saying} {prose(80, 4)}"]) == [
        False
    ]


def test_short_texts_are_the_same_only_as_a_whole() -> None:
    assert contaminated(["Where is my parcel?"], ["where is my parcel", "Where is my parcel now?"]) == [True, False]


def test_of_very_many_runs_a_part_tells_as_much() -> None:
    judged = [prose(300, seed) for seed in range(40)]
    train = [judged[3], judged[17].upper(), *(prose(300, seed) for seed in range(100, 140))]
    few = Judged([units(judged[:20]), units(judged[20:])], most=1000)
    assert few.contaminated(units(train)).tolist() == [True, True, *[False] * 40]


def test_without_judged_documents_nothing_is_found() -> None:
    assert Judged([]).contaminated(units([SHIP, "x"])).tolist() == [False, False]
