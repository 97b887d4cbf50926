"""Further words of a recommender's report, in English and Chinese.

Not here: the words that it shares with other reports (`strings.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tradewind.evaluate.strings import Strings

# key → (English, Chinese)
_WORDS: Mapping[str, tuple[str, str]] = {
    "recommendation": ("Recommendation", "推荐"),
    "users": ("users", "位用户"),
    "items": ("items", "个物品"),
    "events": ("events", "个事件"),
    "parameters": ("parameters", "个参数"),
    "popularity": ("most popular", "最热门"),
    "item_knn": ("similar items", "相似物品"),
    "implicit_als": ("factors (ALS)", "隐语义分解（ALS）"),
    "differences_paired": (
        "Higher is better. Differences are paired: the same users and resamples on both sides. All predictors learnt from the same events.",
        "越高越好。差异为配对比较：两边使用相同的用户与重抽样。所有预测器学习相同的事件。",
    ),
    "full": ("Among all items", "在全部物品中"),
    "sampled": ("Among {n} drawn items", "在抽取的 {n} 个物品中"),
    "sampled_note": (
        "The published protocol of Kang and McAuley. It may order predictors differently from the ranking of all items.",
        "Kang 与 McAuley 发表的评估方式；其排序可能与全部物品排序的结论不同。",
    ),
    "recall_note": ("Each user has one right item, so recall equals the hit rate.", "每位用户只有一个正确物品，因此召回率等于命中率。"),
    "lists": ("What the lists are like", "推荐列表的特点"),
    "lists_note": (
        "Coverage: share of all items that anybody is shown. Novelty: bits, more for items met less. Popularity: 1 is what people meet anyway. Gini: 0 shows all items alike.",
        "覆盖率：被展示过的物品比例。新颖度：以比特计，越少见越高。热门度：1 即人们平时遇到的水平。基尼系数：0 表示各物品展示均等。",
    ),
    "interval_users": (
        "Small numbers: 95 % bootstrap interval over {n} resamples of users.", "小字：对用户重抽样 {n} 次得到的 95% 自助区间。",
    ),
    "slices": ("For whom, and for what", "对谁、对什么有效"),
    "slice_history": ("Items met before", "此前接触的物品数"),
    "slice_target": ("Events of what came next, in training", "目标物品在训练中的事件数"),
    "best_baseline": ("best of the simple ones", "最好的简单模型"),
    "data": ("Events", "事件"),
    "kept": ("kept", "保留"),
    "mean_history": ("events a user", "每位用户事件数"),
    "unseen": ("items in no training event", "训练事件中没有的物品"),
    "left_out": ("Left out", "已排除"),
    "reason": ("Reason", "原因"),
    "count": ("Count", "数量"),
    "none_left_out": ("Nothing was left out.", "没有排除任何内容。"),
    "columns_used": ("Columns", "列"),
    "trained": ("Training", "训练"),
    "learning": ("Learning", "学习曲线"),
    "train_line": ("training loss", "训练损失"),
    "step": ("step", "步"),
    "epochs": ("Epochs", "轮数"),
    "best_epoch": ("Best epoch", "最佳轮"),
    "seconds_taken": ("Seconds of the first training", "首次训练用时"),
    "epoch_seconds": ("Seconds an epoch", "每轮用时"),
    "refit_line": ("Trained again with validation events", "连同验证事件再次训练"),
    "weight_line": ("Weight of the factors' scores", "分解得分的权重"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "witness": ("Witness", "见证"),
    "witness_ranks": ("Every figure above follows from {files} ({digest}).", "以上每个指标均由 {files} 得出（{digest}）。"),
    "event.no_user": ("no user", "没有用户"),
    "event.no_item": ("no item", "没有物品"),
    "event.no_time": ("no moment", "没有时间"),
    "event.no_weight": ("a kind of event without weight", "无权重的事件类型"),
    "event.copy": ("a copy", "重复行"),
    "event.repeat": ("the same item again at once", "紧接着重复同一物品"),
    "event.rare_item": ("an item of too few events", "事件过少的物品"),
    "event.rare_user": ("a user of too few events", "事件过少的用户"),
    "item.twice": ("an item described twice", "物品重复描述"),
    "user.twice": ("a user described twice", "用户重复描述"),
}  # fmt: skip

_FIGURES: Mapping[str, tuple[str, str]] = {
    "ndcg": ("NDCG", "NDCG"),
    "hit": ("Hit rate", "命中率"),
    "recall": ("Recall", "召回率"),
    "mrr": ("MRR", "MRR"),
    "coverage": ("Coverage", "覆盖率"),
    "novelty": ("Novelty", "新颖度"),
    "popularity": ("Popularity", "热门度"),
    "gini": ("Gini", "基尼系数"),
}

# Sentences of report.json by pattern, for the Chinese page.
_REASONS = [
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        ("how often each item stands in the events", "按物品在事件中出现的次数"),
        (r"cosine of who met what, the (\d+) nearest items, each later event weighs more", r"按共同用户的余弦相似度，最近 \1 个物品，越近的事件权重越大"),
        (r"implicit ALS, (\d+) factors, alpha (\d+), (\d+) rounds", r"隐式 ALS，\1 个因子，alpha \2，\3 轮"),
        ("no item was recommended", "没有推荐任何物品"),
    )
]  # fmt: skip


class RecommendationStrings(Strings):
    """The words of one language: those of this page first, then those of every report."""

    def __call__(self, key: str, **values: object) -> str:
        found = _WORDS.get(key)
        return super().__call__(key, **values) if found is None else found[self._at].format(**values)

    def figure(self, name: str) -> str:
        """`ndcg@10` and its like; drawn items are told by where the figure stands."""
        base, _, k = name.removeprefix("sampled_").partition("@")
        return f"{_FIGURES[base][self._at]}@{k}" if base in _FIGURES else super().figure(name)

    def reason(self, sentence: str) -> str:
        if self.language == "zh":
            for pattern, chinese in _REASONS:
                if pattern.fullmatch(sentence):
                    return pattern.sub(chinese, sentence)
        return super().reason(sentence)
