"""Words of the report's part on robustness, in English and Chinese. Not here: its figures (`robustness.py`)."""

from __future__ import annotations

from collections.abc import Mapping

# key → (English, Chinese)
WORDS: Mapping[str, tuple[str, str]] = {
    "robustness": ("Robustness", "稳健性"),
    "rob_lead": (
        "What becomes of {figure} when rows are not as they should be, on {rows} test rows. Nothing of the model is known to "
        "these trials: rows go in changed, answers come out.",
        "在 {rows} 行测试数据上，输入被改动后 {figure} 的变化。试验不了解模型内部：改动后的行进入，只看答案。",
    ),
    "rob_clean": ("The same rows unchanged", "同一批行未改动时"),
    "rob_trial": ("What happens", "扰动"),
    "rob_severity": ("Severity", "强度"),
    "rob_lost": ("Lost", "损失"),
    "rob_changed": ("Other decisions", "决定改变"),
    "rob_step": ("Step of severity", "强度级别"),
    "rob_gate": ("gate", "门槛"),
    "rob_note": (
        "Lost is the difference from the same rows as they are, on the same resamples. The row marked “{gate}” is the one that "
        "a gate such as robust_number_noise asks for.",
        "损失为与同一批未改动行之差（同一重采样）。标有“{gate}”的一行即 robust_number_noise 等门槛所指。",
    ),
    "rob_family_number": ("Numbers", "数值"),
    "rob_family_row": ("Fields", "字段"),
    "rob_family_text": ("Text", "文本"),
    "rob_family_image": ("Pictures", "图像"),
    "rob_family_audio": ("Recordings", "录音"),
    "rob_number_noise": ("Noise on numbers", "数值噪声"),
    "rob_out_of_range": ("A number out of range", "数值越界"),
    "rob_missing": ("Missing fields", "字段缺失"),
    "rob_typing": ("Typing errors", "键入错误"),
    "rob_homophones": ("Characters of the same sound", "同音错字"),
    "rob_lookalikes": ("Characters of the same look", "形近错字"),
    "rob_synonyms": ("Words of like meaning", "同义替换"),
    "rob_image_noise": ("Noise on pixels", "像素噪声"),
    "rob_blur": ("Blur", "模糊"),
    "rob_contrast": ("Less contrast", "对比度降低"),
    "rob_rotation": ("Rotation", "旋转"),
    "rob_audio_noise": ("Noise beside the voice", "背景噪声"),
    "rob_gain": ("Louder or softer", "音量变化"),
    "rob_time_shift": ("Begun early or late", "起始时间偏移"),
    "rob_pace": ("Faster or slower", "语速变化"),
    "rob_unit_number_noise": ("{n} standard deviations", "{n} 个标准差"),
    "rob_unit_out_of_range": ("{n} × the range", "范围的 {n} 倍"),
    "rob_unit_missing": ("{percent} of fields", "{percent} 的字段"),
    "rob_unit_typing": ("{percent} of letters", "{percent} 的字母"),
    "rob_unit_homophones": ("{percent} of characters", "{percent} 的汉字"),
    "rob_unit_lookalikes": ("{percent} of those that have one", "有形近字者的 {percent}"),
    "rob_unit_synonyms": ("{percent} of those that have one", "有同义词者的 {percent}"),
    "rob_unit_image_noise": ("{percent} of full brightness", "满亮度的 {percent}"),
    "rob_unit_blur": ("{percent} of the side", "边长的 {percent}"),
    "rob_unit_contrast": ("{percent} less", "降低 {percent}"),
    "rob_unit_rotation": ("{n}°", "{n}°"),
    "rob_unit_audio_noise": ("{percent} of the recording’s level", "录音电平的 {percent}"),
    "rob_unit_gain": ("{n} dB", "{n} dB"),
    "rob_unit_time_shift": ("{n} s", "{n} 秒"),
    "rob_unit_pace": ("{percent}", "{percent}"),
    "rob_domain": ("Is this row of my kind?", "这一行是否在适用范围内？"),
    "rob_domain_lead": (
        "Beside an answer can stand how much the row is of the kind that the model learnt from, 0 to 1: the share of {held} "
        "rows held back that are at least as surprising.",
        "答案旁可附上该行属于模型适用范围的程度（0 至 1）：{held} 行留出数据中，意外程度不低于它的比例。",
    ),
    "rob_domain_shuffled": (
        "A row whose fields come from different rows surprises more than a real one",
        "字段取自不同行的拼凑行比真实行更意外的概率",
    ),
    "rob_domain_foreign": ("A foreign row surprises more than a real one", "外来行比真实行更意外的概率"),
    "rob_domain_alarms": (
        "Real rows below {alarm}, at most {alarm} by construction",
        "真实行得分低于 {alarm} 的比例（按构造不超过 {alarm}）",
    ),
}

# figure → (English, Chinese)
FIGURES: Mapping[str, tuple[str, str]] = {
    "robust_number_noise": ("Under noise on numbers", "数值噪声下"),
    "robust_out_of_range": ("With a number out of range", "数值越界时"),
    "robust_missing": ("With missing fields", "字段缺失时"),
    "robust_typing": ("With typing errors", "键入错误时"),
    "robust_homophones": ("With characters of the same sound", "同音错字时"),
    "robust_lookalikes": ("With characters of the same look", "形近错字时"),
    "robust_synonyms": ("In other words", "同义改写时"),
    "robust_image_noise": ("Under noise on pixels", "像素噪声下"),
    "robust_blur": ("Blurred", "模糊时"),
    "robust_contrast": ("With less contrast", "对比度降低时"),
    "robust_rotation": ("Rotated", "旋转时"),
    "robust_audio_noise": ("Under noise on recordings", "录音噪声下"),
    "robust_gain": ("Louder or softer", "音量变化时"),
    "robust_time_shift": ("Begun early or late", "起始时间偏移时"),
    "robust_pace": ("Faster or slower", "语速变化时"),
    "domain_auroc": ("Foreign rows told from real ones", "外来行识别 AUROC"),
    "domain_alarms": ("Real rows taken for foreign", "真实行误判为外来"),
}
