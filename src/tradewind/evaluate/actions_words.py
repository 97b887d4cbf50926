"""Words of the report's parts on actions, rare positives and drift, in English and Chinese. Not here: figures (`actions.py`,
`drift.py`)."""

from __future__ import annotations

from collections.abc import Mapping

# key → (English, Chinese)
WORDS: Mapping[str, tuple[str, str]] = {
    "actions": ("Allow, review, refuse", "放行、复核、拒绝"),
    "act_lead": (
        "By the least expected cost: a false alarm costs {alarm}, a positive that is allowed {missed}, a review {review}.",
        "按最小期望成本决定：误拒成本 {alarm}，漏放成本 {missed}，复核成本 {review}。",
    ),
    "act_nobody": ("(nobody reviews)", "（无人复核）"),
    "act_column": ("what {column} says", "以 {column} 列为准"),
    "act_saves": ("saves {share} of the cost without a model", "比不用模型节省 {share} 的成本"),
    "act_cost": (
        "{cost} a row, against {without} where every row is {best}.", "平均每行成本 {cost}；全部“{best}”为 {without}。"
    ),
    "act_moved": (
        "Odds times {odds}: on validation rows this saved more than chance explains.",
        "胜算乘以 {odds}：在验证集上节省的成本超出随机波动。",
    ),
    "act_action": ("Action", "动作"),
    "act_allow": ("allow", "放行"),
    "act_review": ("review", "复核"),
    "act_refuse": ("refuse", "拒绝"),
    "act_positives": ("positives", "正类"),
    "act_paid": ("cost", "成本"),
    "act_rare": ("{positives} of {rows} test rows are positive.", "{rows} 行测试数据中有 {positives} 行为正类。"),
    "act_alerts": ("{a_day} alerts a day among {of} rows.", "每天 {of} 行中可处理 {a_day} 条警报。"),
    "drift": ("Have columns moved?", "数据是否漂移"),
    "dri_lead": (
        "Between training and test rows: population stability index (from {bound} on it counts as moved, where chance does not "
        "explain it) and Kolmogorov-Smirnov distance.",
        "训练行与测试行之间：群体稳定性指标（不低于 {bound} 且非随机波动所致时视为漂移）与 KS 距离。",
    ),
    "dri_none": ("no column has moved", "没有列发生漂移"),
    "dri_some": ("{count} columns have moved", "有 {count} 列发生漂移"),
    "dri_column": ("Column", "列"),
    "dri_psi": ("Stability index", "稳定性指标"),
    "dri_ks": ("KS distance", "KS 距离"),
}  # fmt: skip

FIGURES: Mapping[str, tuple[str, str]] = {
    "recall_fpr_0.1": ("Recall at 0.1 % false alarms", "误报率 0.1% 时的召回率"),
    "recall_fpr_1": ("Recall at 1 % false alarms", "误报率 1% 时的召回率"),
    "precision_alerts": ("Precision of the day's alerts", "每日警报的精确率"),
    "cost_per_row": ("Cost of the actions, a row", "每行动作成本"),
    "saving": ("Saved against no model", "相对不用模型节省的成本"),
    "column_drift": ("Largest drift of a column", "列的最大漂移"),
}
