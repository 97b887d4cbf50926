"""Words of the report's part on uncertainty, in English and Chinese. Not here: its figures (`uncertainty.py`)."""

from __future__ import annotations

from collections.abc import Mapping

# key → (English, Chinese)
WORDS: Mapping[str, tuple[str, str]] = {
    "uncertainty": ("Uncertainty", "不确定性"),
    "unc_sets_lead": (
        "Beside an answer can stand the set of classes that are likely enough. The truth is to lie in it for {promise} "
        "of rows.",
        "答案旁可附上足够可能的类别集合，承诺真实类别落在集合内的比例为 {promise}。",
    ),
    "unc_intervals_lead": (
        "Beside an answer can stand an interval. The truth is to lie in it for {promise} of rows.",
        "答案旁可附上一个区间，承诺真实值落在区间内的比例为 {promise}。",
    ),
    "unc_kept": ("kept", "兑现"),
    "unc_chance": ("within chance", "在随机波动内"),
    "unc_below": ("not kept", "未兑现"),
    "unc_above": ("more than promised", "高于承诺"),
    "unc_found": (
        "Found on {rows} test rows, by quantiles of {fitted} validation rows. With so many rows chance alone moves the "
        "figure by up to {room}.",
        "在 {rows} 行测试数据上实测，分位数取自 {fitted} 行验证数据。行数如此，仅随机波动即可达 {room}。",
    ),
    "unc_refitted": (
        "The quantiles come from the model as it was before it also learnt from the validation rows; the released one has "
        "seen more rows, so what holds is what the test rows show.",
        "分位数来自尚未学习验证集的模型；发布的模型多学了这些行，因此以测试集上的实测为准。",
    ),
    "unc_by_class_rule": (
        "Each class has a bound of its own, so the promise is made to the rows of each class.",
        "每个类别各有界限，因此承诺对每个类别的行都成立。",
    ),
    "unc_together": (
        "All classes share one bound, since one of them has fewer than 100 validation rows: the promise is made to all "
        "rows together, not to each class.",
        "有类别的验证数据不足 100 行，故所有类别共用一个界限：承诺针对全部行，而非每个类别。",
    ),
    "unc_empty": (
        "{share} of sets are empty: the model is right more often than was promised, and no class of such a row is "
        "likely enough. Ask a person there.",
        "{share} 的集合为空：模型正确率高于承诺，而这些行没有足够可能的类别，宜转人工。",
    ),
    "unc_coverage": ("Coverage", "覆盖率"),
    "unc_size": ("Mean size", "平均大小"),
    "unc_width": ("Mean width", "平均宽度"),
    "unc_all": ("all", "全部"),
    "unc_value_band": ("Predicted value", "预测值"),
    "unc_below_value": ("below {high}", "低于 {high}"),
    "unc_from_value": ("from {low}", "{low} 及以上"),
    "unc_group": ("Group", "群体"),
    "unc_groups_note": (
        "By group as information: the promise is made to rows as they come, not to each group.",
        "按群体仅供参考：承诺针对全部到来的行，而非每个群体。",
    ),
    "unc_few": ("few rows", "行数少"),
    "unc_abstaining": ("Giving no answer where unsure", "没有把握时不作答"),
    "unc_answered": ("share answered", "作答比例"),
    "unc_error": ("error among the answered", "作答部分的错误率"),
    "unc_mean_error": ("mean absolute error of the answered", "作答部分的平均绝对误差"),
    "unc_confidence": ("Least confidence", "最低置信度"),
    "unc_area": (
        "Mean error over every share: {area}. Giving up rows at random gives {random}, giving up exactly the wrong ones "
        "{ideal}.",
        "对所有作答比例取平均的错误：{area}。随机放弃为 {random}，恰好放弃最差的行为 {ideal}。",
    ),
    "unc_abstain_below": (
        "serve.abstain_below takes such a confidence: below it there is no answer and no charge.",
        "可将该置信度写入 serve.abstain_below：低于它则不作答、不收费。",
    ),
}  # fmt: skip

FIGURES: Mapping[str, tuple[str, str]] = {
    "coverage": ("Coverage of sets or intervals", "集合或区间的覆盖率"),
    "coverage_gap": ("Distance of coverage from the promise", "覆盖率与承诺之差"),
    "set_size": ("Mean size of a set", "集合平均大小"),
    "interval_width": ("Mean width of an interval", "区间平均宽度"),
    "abstention_area": ("Error over all shares answered", "各作答比例下的平均错误"),
}
