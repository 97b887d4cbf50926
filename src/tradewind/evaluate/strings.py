"""Every word of the report page, in English and Chinese.

Not here: words of `report.json`, which is for machines and English; the page translates its reasons by pattern.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tradewind.evaluate import (
    actions_words,
    explanations_words,
    fairness_words,
    intents_words,
    membership_words,
    retrieval_words,
    robustness_words,
    screening_words,
    uncertainty_words,
)

# key → (English, Chinese)
_WORDS: Mapping[str, tuple[str, str]] = {
    "report": ("Evaluation report", "评估报告"),
    "classification": ("Classification", "分类"),
    "regression": ("Regression", "回归"),
    "predicts": ("predicts", "预测目标"),
    "on_test": ("on the test split", "测试集"),
    "rows": ("rows", "行"),
    "gates": ("Gates", "门槛"),
    "gates_passed": ("All gates passed", "全部门槛通过"),
    "gates_failed": ("of {all} gates failed", "项门槛未通过（共 {all} 项）"),
    "no_gates": ("No gates set", "未设门槛"),
    "gate": ("Gate", "门槛"),
    "found": ("Found", "实测"),
    "passed": ("passed", "通过"),
    "failed": ("failed", "未通过"),
    "figures": ("Figures", "指标"),
    "figure": ("Figure", "指标"),
    "test": ("Test", "测试集"),
    "validation": ("Validation", "验证集"),
    "interval_note": (
        "Small numbers: 95 % bootstrap interval over {n} resamples of rows.",
        "小字：对行重抽样 {n} 次得到的 95% 自助区间。",
    ),
    "no_interval_note": ("Intervals were not asked for.", "未要求计算区间。"),
    "worth": ("Is the model worth it?", "这个模型值得吗？"),
    "better": ("better", "更好"),
    "worse": ("worse", "更差"),
    "unclear": ("no clear difference", "无明显差异"),
    "verdict_better": (
        "Better than the best simple model ({name}) by {gain} {figure} ({low} to {high}).",
        "优于最好的简单模型（{name}）：{figure} 领先 {gain}（{low} 至 {high}）。",
    ),
    "verdict_worse": (
        "Worse than a simple model ({name}) by {gain} {figure} ({low} to {high}).",
        "不如简单模型（{name}）：{figure} 落后 {gain}（{low} 至 {high}）。",
    ),
    "verdict_unclear": (
        "No clear difference from the best simple model ({name}): {gain} {figure} ({low} to {high}).",
        "与最好的简单模型（{name}）无明显差异：{figure} 相差 {gain}（{low} 至 {high}）。",
    ),
    "verdict_none": ("No simple model was fitted beside it.", "没有拟合可比较的简单模型。"),
    "predictor": ("Predictor", "预测器"),
    "difference": ("Model minus it", "本模型减去它"),
    "training": ("Training", "训练用时"),
    "per_row": ("Per row", "每行预测"),
    "model": ("this model", "本模型"),
    "majority": ("majority", "多数类"),
    "mean": ("mean", "均值"),
    "linear": ("linear", "线性模型"),
    "lightgbm": ("LightGBM", "LightGBM"),
    "skipped": ("skipped", "跳过"),
    "treated_alike": (
        "Baselines are calibrated and thresholded on validation in the same way as the model. "
        "Differences are paired: the same resampled rows on both sides.",
        "基线与本模型以同样方式在验证集上校准并选择阈值。差异为配对比较：两边使用相同的重抽样行。",
    ),
    "curves": ("Pictures", "图表"),
    "roc": ("ROC curve", "ROC 曲线"),
    "pr": ("Precision and recall", "精确率与召回率"),
    "false_positive": ("false positive rate", "假阳性率"),
    "true_positive": ("true positive rate", "真阳性率"),
    "confusion": ("Confusion matrix", "混淆矩阵"),
    "true_class": ("true class", "真实类别"),
    "predicted_class": ("predicted class", "预测类别"),
    "calibration": ("Calibration", "校准"),
    "calibration_note": (
        "Temperature {t}, fitted on validation. Log loss on test {b} before, {a} after.",
        "温度 {t}，在验证集上拟合。测试集对数损失：校准前 {b}，校准后 {a}。",
    ),
    "uncalibrated_note": ("Temperature 1: probabilities are as the model gave them.", "温度为 1：概率即模型原始输出。"),
    "before": ("before", "校准前"),
    "after": ("after", "校准后"),
    "stated": ("stated probability", "预测概率"),
    "observed": ("observed frequency", "实际频率"),
    "training_curve": ("Training curve", "训练曲线"),
    "epoch": ("epoch", "轮次"),
    "loss": ("loss", "损失"),
    "train_line": ("training", "训练集"),
    "validation_line": ("validation", "验证集"),
    "best_epoch": ("Best weights after epoch {n}.", "最佳权重出现在第 {n} 轮之后。"),
    "refitted": (
        "Then trained again from the start for as many epochs, on training and validation rows together. Temperature, "
        "threshold and validation figures are those of the model before, which had not seen these rows.",
        "之后用训练集与验证集合在一起从头再训练同样的轮数。温度、阈值和验证集指标取自此前未见过验证集的模型。",
    ),
    "scatter": ("Predicted and true", "预测值与真实值"),
    "true_value": ("true value", "真实值"),
    "predicted_value": ("predicted value", "预测值"),
    "mixed_up": ("Most frequent confusions", "最常见的混淆"),
    "by_class": ("By class", "按类别"),
    "class": ("Class", "类别"),
    "hardest_classes": ("The {n} classes with the lowest F1 of {all}.", "F1 最低的 {n} 个类别（共 {all} 个）。"),
    "slices": ("Slices", "切片"),
    "worst_slices": ("Where it is weakest", "最薄弱的部分"),
    "slices_note": (
        "The worst of {n} slices with at least 30 rows. Among many slices some look bad by chance: "
        "trust those marked clear, whose interval lies wholly on the worse side. "
        "Gap: distance from the whole split, negative is worse.",
        "在 {n} 个切片中、至少 30 行的最差者。切片很多时难免有偶然的差值：以标记“显著”者为准，其区间完全差于整体。差距为与整体之差，负值更差。",
    ),
    "no_worst": ("No slice of at least 30 rows is worse than the whole split.", "没有至少 30 行且差于整体的切片。"),
    "all_slices": ("All slices", "全部切片"),
    "slice": ("Slice", "切片"),
    "gap": ("Gap", "差距"),
    "clear": ("clear", "显著"),
    "sensitive": ("sensitive", "敏感"),
    "target": ("target", "目标"),
    "input": ("input", "输入"),
    "dropped": ("dropped", "已舍弃"),
    "weight": ("weight", "权重"),
    "data": ("Data", "数据"),
    "columns": ("Columns", "各列"),
    "cleaning": ("Cleaning", "清洗"),
    "other_columns": ("Columns without a picture", "无图的列"),
    "identifier": ("identifier", "标识符"),
    "column": ("Column", "列"),
    "repair": ("Repair", "处理"),
    "count": ("Count", "数量"),
    "nothing_cleaned": ("Nothing had to be repaired.", "无需处理。"),
    "rejected": ("Rejected rows", "被拒绝的行"),
    "none_rejected": ("No row was rejected.", "没有被拒绝的行。"),
    "reason": ("Reason", "原因"),
    "place": ("Place", "位置"),
    "first_rejected": ("The first of them", "其中最先的几行"),
    "others": ("others", "其他"),
    "missing": ("missing", "缺失"),
    "unlabelled": ("{n} rows of the {split} split have no known target and are left out.",
                   "{split}有 {n} 行目标未知，未计入。"),
    "witness": ("How every figure was obtained", "每个指标的来源"),
    "witness_note": (
        "All figures are computed from {file} ({digest}); tradewind verify computes them again.",
        "所有指标均由 {file}（{digest}）计算；tradewind verify 可重新计算。",
    ),
    "threshold_note": (
        "A row counts as {positive} from a probability of {value} ({rule}, chosen on validation).",
        "概率不低于 {value} 时判为 {positive}（规则：{rule}，在验证集上选定）。",
    ),
    "threshold_fixed": ("A row counts as {positive} from a probability of {value}.", "概率不低于 {value} 时判为 {positive}。"),
    "parameters": ("parameters", "个参数"),
    "absent": ("absent", "无"),
    "to": ("to", "至"),
    "number": ("number", "数值"),
    "category": ("category", "类别"),
    "date": ("date", "日期"),
    "text": ("text", "文本"),
    "image": ("image", "图像"),
    "audio": ("audio", "音频"),
    "request_cost": ("What one request costs", "一次请求的成本"),
    "request_takes": (
        "One request of one row takes {alone} of one processor; in bulk a row takes {bulk}. Measured on {processor}.",
        "单行请求占用一个处理器核心 {alone}；批量时每行 {bulk}。测量环境：{processor}。",
    ),
    "request_money": (
        "That is {alone} alone and {bulk} in bulk, at {hour} for an hour of the machine and full use of its processors ({n}).",
        "折合成本：单独请求 {alone}，批量每行 {bulk}（机器每小时 {hour}，{n} 个处理器核心满载）。",
    ),
    "no_machine_hour": (
        "In money: give serve.machine_hour, the price of an hour of the machine.",
        "如需金额：请设置 serve.machine_hour（机器每小时价格）。",
    ),
    "request_how": (
        "The median of {calls} calls of one row each, and {rows} rows in bulk, in processor seconds of one thread. HTTP, keys "
        "and metering come on top.",
        "取 {calls} 次单行调用的中位数，以及批量 {rows} 行的平均值，均为单线程处理器时间。HTTP、密钥与计量的开销另计。",
    ),
    "plan": ("Plan", "套餐"),
    "units_included": ("included unit, all of them used", "套餐内单位（全部用完时）"),
    "units_further": ("further unit", "超出单位"),
    "price_per_unit": ("Price of a unit", "单位售价"),
    "cost_per_unit": ("Cost of a unit", "单位成本"),
    "margin": ("Margin", "毛利率"),
    "below_cost": ("below cost", "低于成本"),
    "below_cost_allowed": ("below cost, as the plan says", "低于成本（套餐已允许）"),
    "half": ("half", "一半"),
    "fixed": ("fixed", "固定"),
    **robustness_words.WORDS,
    **explanations_words.WORDS,
    **uncertainty_words.WORDS,
    **fairness_words.WORDS,
    **screening_words.WORDS,
    **membership_words.WORDS,
    **intents_words.WORDS,
    **retrieval_words.WORDS,
    **actions_words.WORDS,
}  # fmt: skip

_FIGURES: Mapping[str, tuple[str, str]] = {
    "roc_auc": ("ROC-AUC", "ROC-AUC"),
    "pr_auc": ("PR-AUC", "PR-AUC"),
    "accuracy": ("Accuracy", "准确率"),
    "balanced_accuracy": ("Balanced accuracy", "平衡准确率"),
    "precision": ("Precision", "精确率"),
    "recall": ("Recall", "召回率"),
    "f1": ("F1", "F1"),
    "precision_macro": ("Precision, macro", "精确率（宏平均）"),
    "recall_macro": ("Recall, macro", "召回率（宏平均）"),
    "f1_macro": ("F1, macro", "F1（宏平均）"),
    "f1_micro": ("F1, micro", "F1（微平均）"),
    "f1_weighted": ("F1, weighted", "F1（加权）"),
    "log_loss": ("Log loss", "对数损失"),
    "brier": ("Brier score", "Brier 分数"),
    "ece": ("Calibration error", "校准误差"),
    "mse": ("MSE", "MSE"),
    "rmse": ("RMSE", "RMSE"),
    "mae": ("MAE", "MAE"),
    "r2": ("R²", "R²"),
    "beats_baseline": ("Lead over the best baseline", "对最好基线的领先"),
    **robustness_words.FIGURES,
    **explanations_words.FIGURES,
    **uncertainty_words.FIGURES,
    **fairness_words.FIGURES,
    **screening_words.FIGURES,
    **membership_words.FIGURES,
    **intents_words.FIGURES,
    **retrieval_words.FIGURES,
    **actions_words.FIGURES,
}

# Sentences of report.json by pattern, for the Chinese page. What no pattern knows stays English.
_PATTERNS = [
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (r"^validation has too few rows for the promise: intervals are open$", "验证集行数不足以支撑承诺：区间不封闭"),
        *fairness_words.PATTERNS,
        (r"^the test split has too few rows for so few false alarms$", "测试集行数不足以衡量如此低的误报率"),
        (r"^only the class (.+) occurs in the split$", r"数据中只有类别 \1"),
        (r"^the positive class (.+) does not occur in the split$", r"数据中没有正类 \1"),
        (r"^the split has no rows$", "数据为空"),
        (r"^the target has one value only in the split$", "目标只有一个取值"),
        (r"^it is undefined on this split$", "在此数据上无定义"),
        (r"^no number and no category is read$", "没有数值列或类别列"),
        (r"^no reason moves the score$", "没有理由能改变分数"),
        (r"^no row of a class that was left out is in the split$", "数据中没有被排除类别的行"),
        (r"^nothing is lost without a model$", "不用模型也没有损失"),
        (r"^no test row to judge .+ by$", "没有可用于判断的测试行"),
        (r"^no question with its answer was held out$", "没有留出带答案的问题"),
        (r"^nearly every row has a value of its own$", "几乎每行取值都不同"),
        (r"^its values are files or lists$", "取值为文件或列表"),
        (r"^every value is missing$", "全部缺失"),
        (r"^there is no such column in the test split$", "测试集中没有此列"),
        (r"^the class shares of the training split$", "训练集的类别比例"),
        (r"^the mean of the training target$", "训练集目标的均值"),
        (r"^logistic regression on (.+)$", r"逻辑回归：\1"),
        (r"^ridge on (.+)$", r"岭回归：\1"),
        (r"^(\d+) rounds of boosted trees on (.+)$", r"\1 轮提升树：\2"),
        (r"^pixels are no columns of a table: trees on them say nothing$", "像素不是表格列，树模型没有意义"),
        (r"^text alone with (\d+) classes: .+$", r"纯文本且有 \1 个类别：TF-IDF 线性模型更强也更省"),
        (r"^the training split has no rows$", "训练集为空"),
        (r"^the training split holds only one class$", "训练集只有一个类别"),
        (r"^the product has no column that a linear model can read$", "没有线性模型可用的列"),
    )
]
_PARTS = (
    (re.compile(r"\bnumbers\b"), "数值"), (re.compile(r"\bone-hot\b"), "独热编码"),
    (re.compile(r"\bcategories\b"), "类别"), (re.compile(r"\bpixels\b"), "像素"),
    (re.compile(r"TF-IDF of the (\d+) most frequent words"), r"最常见的 \1 个词的 TF-IDF"),
    (re.compile(r"the (\d+) most frequent words"), r"最常见的 \1 个词"),
    (re.compile(r", fitted on (\d+) of (\d+) rows"), r"，拟合于 \2 行中的 \1 行"),
)  # fmt: skip


class Strings:
    """The words of one language: `words("gates")`, `figure("roc_auc")`, `reason(sentence of report.json)`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._at = 1 if language == "zh" else 0

    def __call__(self, key: str, **values: object) -> str:
        found = _WORDS.get(key)
        text = key if found is None else found[self._at]
        return text.format(**values) if values else text

    def figure(self, name: str) -> str:
        """A figure's name to read; of `NAME:COLUMN` with the column behind it."""
        base, _, column = name.partition(":")
        known, share = screening_words.parted(base)
        words = _FIGURES[known][self._at].format(share=share) if known in _FIGURES else base.replace("_", " ")
        return f"{words} ({column})" if column else words

    def reason(self, sentence: str) -> str:
        if self._at == 0:
            return sentence
        for pattern, chinese in _PATTERNS:
            if pattern.match(sentence):
                text = pattern.sub(chinese, sentence)
                for part, translated in _PARTS:
                    text = part.sub(translated, text)
                return text
        return sentence
