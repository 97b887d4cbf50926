"""Sample data: short stories of things in a shop, in English and Chinese, each with a title, made by a small grammar.

Nobody's text. The title names the thing, what it is made of and where it comes from, as the story tells it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

ENGLISH, CHINESE = 500, 250

_EN = {
    "made": ["brass", "oak", "linen", "copper", "paper", "wool", "glass", "bamboo", "leather", "clay"],
    "thing": ["lamp", "kettle", "chair", "scarf", "notebook", "clock", "basket", "mirror", "bowl", "bag", "blanket", "desk"],
    "place": ["Oslo", "Ningbo", "Porto", "Bergen", "Lima", "Kyoto", "Dublin", "Quito"],
    "maker": ["an old carpenter", "two sisters", "a young weaver", "a family of smiths", "a retired teacher"],
    "time": ["in spring", "last winter", "on a rainy morning", "before the harbour froze", "in the first week of May"],
    "flaw": ["was too heavy to carry", "smelled of smoke", "lost its colour", "would not stand still", "came without a lid"],
    "cure": ["a thinner edge", "a night in the sun", "a drop of oil", "a second layer", "a smaller handle"],
    "buyer": ["a baker", "a student", "our neighbour", "the captain of a ferry", "a nurse on night shift"],
    "praise": ["It is light now, and it stays.", "Nobody wants to give it back.", "It has earned its place by the window.",
               "She bought another one for her mother.", "It works every day, and it is quiet."],
}  # fmt: skip
_ZH = {
    "made": ["黄铜", "橡木", "亚麻", "纸", "羊毛", "玻璃", "竹", "皮革", "陶土"],
    "thing": ["台灯", "水壶", "椅子", "围巾", "笔记本", "座钟", "篮子", "镜子", "碗", "书桌"],
    "place": ["宁波", "泉州", "景德镇", "大理", "苏州", "青岛"],
    "maker": ["一位老木匠", "两姐妹", "一位年轻的织工", "一家铁匠", "一位退休教师"],
    "time": ["春天", "去年冬天", "一个下雨的早晨", "港口结冰之前", "五月的第一周"],
    "flaw": ["太重，不好搬", "有烟味", "褪了色", "站不稳", "没有盖子"],
    "cure": ["更薄的边", "一夜的日晒", "一滴油", "第二层涂料", "更小的把手"],
    "buyer": ["面包师", "学生", "邻居", "渡轮船长", "夜班护士"],
    "praise": [
        "如今它轻便耐用。",
        "谁也不愿还回来。",
        "它在窗边有了自己的位置。",
        "她又给母亲买了一个。",
        "它每天都在用，而且很安静。",
    ],
}


def make(folder: Path, *, seed: int = 0) -> None:
    """Writes `data/stories.jsonl` below `folder`: one JSON object a line, whose text begins with its title."""
    random = np.random.default_rng(seed)
    stories = [*(_english(random) for _ in range(ENGLISH)), *(_chinese(random) for _ in range(CHINESE))]
    (folder / "data").mkdir(parents=True, exist_ok=True)
    with (folder / "data" / "stories.jsonl").open("w", encoding="utf-8") as file:
        for at in random.permutation(len(stories)).tolist():
            file.write(json.dumps({"text": stories[at]}, ensure_ascii=False) + "\n")


def _drawn(random: np.random.Generator, words: dict[str, list[str]]) -> dict[str, str]:
    return {name: some[int(random.integers(len(some)))] for name, some in words.items()}


def _english(random: np.random.Generator) -> str:
    w = _drawn(random, _EN)
    title = f"The {w['made']} {w['thing']} from {w['place']}"
    middle = [
        f"At first it {w['flaw']}.",
        f"What helped was {w['cure']}.",
        f"Then {w['buyer']} took it home for a week.",
    ]  # fmt: skip
    kept = middle if random.random() < 0.6 else middle[:2]
    body = [
        f"{w['maker'].capitalize()} in {w['place']} made a {w['thing']} of {w['made']} {w['time']}.",
        *kept,
        w["praise"],
    ]
    return f"{title}\n\n{' '.join(body)}"


def _chinese(random: np.random.Generator) -> str:
    w = _drawn(random, _ZH)
    title = f"来自{w['place']}的{w['made']}{w['thing']}"
    middle = [f"起初它{w['flaw']}。", f"后来靠的是{w['cure']}。", f"一位{w['buyer']}把它带回家用了一周。"]
    kept = middle if random.random() < 0.6 else middle[:2]
    body = [f"{w['time']}，{w['place']}的{w['maker']}用{w['made']}做了一个{w['thing']}。", *kept, w["praise"]]
    return f"{title}\n\n{''.join(body)}"


if __name__ == "__main__":
    make(Path(__file__).parent)
