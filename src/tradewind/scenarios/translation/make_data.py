"""Sample pairs of English and Chinese sentences, made of a small grammar, and a glossary.

Not here: anything that learns. The languages differ in what a translator must learn: times and places stand before the verb in
Chinese, a count has a word that goes with the noun, what is done is marked behind the verb, and questions end with a particle.
What is judged by uses the words of the glossary, which training never saw.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

PAIRS = {"train": 2400, "validation": 120, "test": 200}

# English singular, plural, Chinese, word of measure.
THINGS = [
    ("book", "books", "书", "本"), ("magazine", "magazines", "杂志", "本"), ("dictionary", "dictionaries", "词典", "本"),
    ("letter", "letters", "信", "封"), ("ticket", "tickets", "票", "张"), ("map", "maps", "地图", "张"),
    ("photo", "photos", "照片", "张"), ("kite", "kites", "风筝", "只"), ("cup", "cups", "杯子", "个"),
    ("apple", "apples", "苹果", "个"), ("basket", "baskets", "篮子", "个"), ("lamp", "lamps", "灯", "盏"),
    ("umbrella", "umbrellas", "雨伞", "把"), ("chair", "chairs", "椅子", "把"), ("key", "keys", "钥匙", "把"),
    ("bicycle", "bicycles", "自行车", "辆"), ("car", "cars", "汽车", "辆"), ("shirt", "shirts", "衬衫", "件"),
]  # fmt: skip
PEOPLE = [
    ("the teacher", "老师"), ("the student", "学生"), ("the doctor", "医生"), ("my brother", "我哥哥"), ("my mother", "我妈妈"),
    ("her friend", "她的朋友"), ("our neighbour", "我们的邻居"), ("the old man", "老人"), ("the little girl", "小女孩"), ("the driver", "司机"),
]  # fmt: skip
VERBS = [
    ("buys", "bought", "buy", "买"), ("sells", "sold", "sell", "卖"), ("finds", "found", "find", "找到"),
    ("needs", "needed", "need", "需要"), ("draws", "drew", "draw", "画"), ("brings", "brought", "bring", "带来"),
    ("loses", "lost", "lose", "丢"), ("borrows", "borrowed", "borrow", "借"),
]  # fmt: skip
COLOURS = [
    ("red", "红色的"),
    ("blue", "蓝色的"),
    ("green", "绿色的"),
    ("old", "旧的"),
    ("new", "新的"),
    ("small", "小的"),
    ("", ""),
]
COUNTS = [("one", "一"), ("two", "两"), ("three", "三"), ("four", "四"), ("five", "五"), ("ten", "十")]
PLACES = [
    ("in the shop", "在商店"), ("at school", "在学校"), ("in Beijing", "在北京"), ("at the station", "在车站"), ("in the park", "在公园"),
    ("", ""),
]  # fmt: skip
PAST = [("yesterday", "昨天"), ("last week", "上周"), ("this morning", "今天早上")]
NOW = [("today", "今天"), ("every day", "每天"), ("now", "现在")]
# English, what training says, what the house says.
GLOSSARY = [
    ("kite", "风筝", "纸鸢"),
    ("kites", "风筝", "纸鸢"),
    ("bicycle", "自行车", "单车"),
    ("bicycles", "自行车", "单车"),
]


def make(folder: Path, *, seed: int = 0) -> None:
    """Writes data/{train,validation,test}.{en,zh} and glossary.csv into `folder`. No sentence stands in two files."""
    random = np.random.default_rng(seed)
    seen: set[str] = set()
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name, count in PAIRS.items():
        pairs: list[tuple[str, str]] = []
        while len(pairs) < count:
            pair = _sentence(random)
            if pair[0] not in seen:
                seen.add(pair[0])
                pairs.append(_in_house(pair) if name == "test" else pair)
        for side, code in enumerate(("en", "zh")):
            (data / f"{name}.{code}").write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")
    (folder / "glossary.csv").write_text("".join(f"{term},{ours}\n" for term, _, ours in GLOSSARY), encoding="utf-8")


def _sentence(random: np.random.Generator) -> tuple[str, str]:
    who, colour, count, place = (_one(random, some) for some in (PEOPLE, COLOURS, COUNTS, PLACES))
    thing, verb = THINGS[random.integers(len(THINGS))], VERBS[random.integers(len(VERBS))]
    noun = thing[0] if count[0] == "one" else thing[1]
    what = " ".join(word for word in (count[0], colour[0], noun) if word)
    phrase = f"{count[1]}{thing[3]}{colour[1]}{thing[2]}"
    if random.random() < 0.2:
        when = _one(random, PAST)
        english = f"Did {who[0]} {verb[2]} {what} {place[0]} {when[0]}".split()
        return f"{' '.join(english)}?", f"{who[1]}{when[1]}{place[1]}{verb[3]}了{phrase}吗？"
    is_past = random.random() < 0.6
    when = _one(random, PAST if is_past else NOW)
    english = f"{who[0]} {verb[1] if is_past else verb[0]} {what} {place[0]} {when[0]}".split()
    chinese = f"{who[1]}{when[1]}{place[1]}{verb[3]}{'了' if is_past else ''}{phrase}。"
    sentence = " ".join(english)
    return f"{sentence[0].upper()}{sentence[1:]}.", chinese


def _in_house(pair: tuple[str, str]) -> tuple[str, str]:
    english, chinese = pair
    for _, usual, ours in GLOSSARY:
        chinese = chinese.replace(usual, ours)
    return english, chinese


def _one(random: np.random.Generator, some: list[tuple[str, str]]) -> tuple[str, str]:
    return some[int(random.integers(len(some)))]


if __name__ == "__main__":
    make(Path(__file__).resolve().parent)
