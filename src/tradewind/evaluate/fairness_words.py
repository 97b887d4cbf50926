"""Words of the fairness part of a report, in English and Chinese. Not here: the words of the rest of the page (`strings.py`)."""

from __future__ import annotations

from collections.abc import Mapping

# key → (English, Chinese)
WORDS: Mapping[str, tuple[str, str]] = {
    "fairness": ("Fairness", "公平性"),
    "fair_intro": (
        "What the model says of the groups of {columns}, on the test split. A difference holds up to its bound: that of a gate, "
        "else evaluate.fairness_bound. A group with fewer than {least} rows behind a rate is left out, and then there is no verdict.",
        "模型在测试集上对各分组（{columns}）的表现。差异不超过界限即为成立：有门槛时取门槛，否则取 evaluate.fairness_bound。"
        "某项比率背后不足 {least} 行的分组不计入，此时不作判定。",
    ),
    "fair_favour": ("Rates are those of being decided {positive}.", "各比率均针对判为 {positive} 的情况。"),
    "fair_each_class": (
        "Each class is held against the rest; the worst one counts.",
        "每个类别与其余类别相比，以最差者为准。",
    ),
    "fair_column": ("Sensitive column", "敏感列"),
    "fair_verdict": ("Verdict", "判定"),
    "holds": ("holds", "成立"),
    "violated": ("violated", "不成立"),
    "not enough data": ("not enough data", "数据不足"),
    "fair_unclear": ("its interval crosses the bound", "区间跨越界限"),
    "fair_bound": ("Bound", "界限"),
    "fair_ends": ("Between", "两端分组"),
    "fair_difference": ("Difference", "差异"),
    "fair_value": ("Found", "实测"),
    "fair_together": ("Intersections", "交叉分组"),
    "fair_group": ("Group", "分组"),
    "fair_all_groups": ("All groups", "全部分组"),
    "fair_class_of": ("class {name}", "类别 {name}"),
    "fair_few": ("too few rows", "行数过少"),
    "fair_calibration": ("Calibration by group", "分组校准"),
    "fair_bands": ("Bands of probability with at least {least} rows.", "只画至少有 {least} 行的概率区间。"),
    "fair_grey": ("Grey: too few rows for a verdict.", "灰色：行数过少，不作判定。"),
    "fair_interval": (
        "Small numbers: 95 % bootstrap intervals over rows; those of differences are centred, for the largest of several "
        "differences grows by chance.",
        "小字：对行重抽样的 95% 自助区间；差异的区间经过居中，因为多个分组中的最大差异会因偶然而偏大。",
    ),
    "fair_frontier": ("Quality against the gap between groups", "质量与组间差距的权衡"),
    "fair_frontier_note": (
        "What training tried ({by}) towards {goal} over {columns}: quality on validation rows, the gap on training rows too. It aims at a "
        "gap of at most {bound} (dashed line). Choose another point with train.fairness_strength.",
        "训练（方式：{by}）针对 {columns} 追求{goal}时的各次尝试：质量在验证集上测得，差距还包括训练集。目标差距不超过 {bound}（虚线）。"
        "可用 train.fairness_strength 选择其他点。",
    ),
    "fair_on_test": ("The released model on test: {quality_name} {quality}, gap {gap}.",
                     "发布的模型在测试集上：{quality_name} {quality}，差距 {gap}。"),
    "fair_strength": ("Strength", "强度"),
    "fair_quality": ("Quality", "质量"),
    "fair_gap": ("Gap", "差距"),
    "fair_how": ("How", "方式"),
    "fair_chosen": ("chosen", "已选"),
    "reweighing": ("weights of rows", "行加权"),
    "penalty": ("a penalty while training", "训练中的惩罚项"),
    "adversarial": ("an adversary", "对抗训练"),
    "thresholds": ("a threshold for each group", "分组阈值"),
    "demographic_parity": ("demographic parity", "人口统计均等"),
    "equalized_odds": ("equalized odds", "均等化几率"),
}  # fmt: skip

FIGURES: Mapping[str, tuple[str, str]] = {
    "demographic_parity_difference": ("Demographic parity, difference", "人口统计均等（差）"),
    "demographic_parity_ratio": ("Demographic parity, ratio", "人口统计均等（比）"),
    "equalized_odds_difference": ("Equalized odds, difference", "均等化几率（差）"),
    "equalized_odds_ratio": ("Equalized odds, ratio", "均等化几率（比）"),
    "average_odds_difference": ("Average odds, difference", "平均几率（差）"),
    "equal_opportunity_difference": ("Equal opportunity, difference", "机会平等（差）"),
    "predictive_parity_difference": ("Predictive parity, difference", "预测均等（差）"),
    "calibration_difference": ("Calibration, difference", "校准（差）"),
    "accuracy_difference": ("Accuracy, difference", "准确率（差）"),
    "mae_difference": ("MAE, difference", "MAE（差）"),
    "mae_ratio": ("MAE, ratio", "MAE（比）"),
    "rmse_difference": ("RMSE, difference", "RMSE（差）"),
    "bias_difference": ("Bias, difference", "偏差（差）"),
    "selection_rate": ("Selection rate", "入选率"),
    "true_positive_rate": ("True positive rate", "真阳性率"),
    "false_positive_rate": ("False positive rate", "假阳性率"),
    "base_rate": ("True share", "真实占比"),
    "calibration_bias": ("Said minus found", "预测减实际"),
    "bias": ("Predicted minus true", "预测减真实"),
    "mean_predicted": ("Mean predicted", "预测均值"),
    "mean_true": ("Mean true", "真实均值"),
}

# Sentences of report.json by pattern, for the Chinese page.
PATTERNS: tuple[tuple[str, str], ...] = (
    (r"^there is one group only$", "只有一个分组"),
    (
        r"^fewer than (\d+) rows behind a rate of (.+) and (\d+) more$",
        r"\2 等分组的某项比率背后不足 \1 行（另有 \3 个分组）",
    ),
    (r"^fewer than (\d+) rows behind a rate of (.+)$", r"\2 的某项比率背后不足 \1 行"),
    (r"^(.+): fewer than (\d+) rows behind a rate of (.+)$", r"\1：\3 的某项比率背后不足 \2 行"),
    (r"^(.+): there is one group only$", r"\1：只有一个分组"),
    (r"^(.+): every value is missing$", r"\1：全部缺失"),
    (r"^(.+): nearly every row has a value of its own$", r"\1：几乎每行取值都不同"),
    (r"^(\d+) intersections are more than (\d+)$", r"交叉分组有 \1 个，超过 \2 个"),
)
