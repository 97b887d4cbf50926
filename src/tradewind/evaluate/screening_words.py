"""Words of the report's part on sensitivity and specificity, in English and Chinese. Not here: its figures (`screening.py`)."""

from __future__ import annotations

import re
from collections.abc import Mapping

# key → (English, Chinese)
WORDS: Mapping[str, tuple[str, str]] = {
    "screening": ("Sensitivity and specificity", "灵敏度与特异度"),
    "scr_lead": (
        "The bound is chosen on {validation} validation rows and judged on {rows} test rows, {ill} of them with a finding. "
        "Intervals are exact, at 95 %.",
        "界限在 {validation} 行验证数据上选定，在 {rows} 行测试数据上检验，其中 {ill} 行有异常。区间为精确的 95 % 区间。",
    ),
    "scr_held": ("Held fixed", "固定项"),
    "scr_bound": ("Alarm from", "报警界限"),
    "scr_sensitivity": ("Sensitivity", "灵敏度"),
    "scr_specificity": ("Specificity", "特异度"),
    "scr_positive_value": ("Right when it alarms", "报警时正确"),
    "scr_negative_value": ("Right when it does not", "不报警时正确"),
    "scr_group": ("Group", "群体"),
    "scr_ill": ("with a finding", "有异常"),
    "scr_few": ("few rows", "行数少"),
    "scr_groups_note": (
        "All groups at the same bound, that of the first line above. Wide intervals say that there are too few rows to tell.",
        "各群体使用同一界限，即上表第一行。区间宽表示行数太少，无法判断。",
    ),
    "scr_benefit": ("Net benefit of acting on the answers", "按答案行动的净收益"),
    "scr_at": ("probability from which one would act", "采取行动的概率下限"),
    "scr_gain": ("net benefit per row", "每行净收益"),
    "scr_model": ("by the model", "按模型"),
    "scr_everybody": ("everybody", "一律行动"),
    "scr_benefit_note": (
        "Findings acted upon less false alarms, weighed by the odds of that probability (Vickers and Elkin 2006). Acting on nobody "
        "gains 0; where the model's line lies above both, it helps.",
        "正确处置的异常数减去按该概率胜算加权的误报（Vickers 与 Elkin 2006）。一律不行动为 0；模型曲线高于两者之处，模型有益。",
    ),
    "specificity": ("specificity", "特异度"),
    "sensitivity": ("sensitivity", "灵敏度"),
}

FIGURES: Mapping[str, tuple[str, str]] = {
    "sensitivity_at_specificity": ("Sensitivity at a specificity of {share} %", "特异度 {share} % 时的灵敏度"),
    "specificity_at_sensitivity": ("Specificity at a sensitivity of {share} %", "灵敏度 {share} % 时的特异度"),
    "specificity_reached": ("Specificity reached, {share} % aimed at", "目标 {share} % 时实测的特异度"),
    "sensitivity_reached": ("Sensitivity reached, {share} % aimed at", "目标 {share} % 时实测的灵敏度"),
}

_NAME = re.compile(rf"({'|'.join(FIGURES)})_([\d_]+)")


def parted(name: str) -> tuple[str, str]:
    """`sensitivity_at_specificity_99_5` as a figure of FIGURES and `99.5`; any other name as it is, and nothing."""
    found = _NAME.fullmatch(name)
    return (found[1], found[2].replace("_", ".")) if found else (name, "")
