"""What preparation did to rows and values, in words of both languages. Codes are those of `profile.json`.

Not here: the report's other words (`strings.py`), the rules themselves (`data/clean.py`, `data/checks.py`).
"""

from __future__ import annotations

import re

# code → English, Chinese
_CODES: dict[str, tuple[str, str]] = {
    "whitespace": ("spaces trimmed", "去除多余空格"),
    "missing_word": ("words that mean missing", "表示缺失的词"),
    "units": ("numbers read with their unit", "按单位读出的数值"),
    "not_a_number": ("not a number, taken as missing", "不是数值，按缺失处理"),
    "label_full_stop": ("full stop after the label removed", "去除标签末尾的句点"),
    "impossible": ("impossible value", "不可能的取值"),
    "duplicate": ("exact copies", "完全重复的行"),
    "near_duplicate": ("near copies", "近似重复的行"),
    "duplicate_in_own_file": ("copies within a file of its own, kept", "自带文件中的重复行，保留"),
    "copy_across_splits": ("copies on both sides of a split", "跨数据划分的重复行"),
    "label_unknown": ("truth not yet known when it would have been learnt", "训练时结果尚未知晓"),
    "label_conflict": ("equal inputs with different targets", "输入相同而目标不同"),
    "class_unseen": ("class that training never sees", "训练集中没有的类别"),
    "target_missing": ("target is missing", "目标缺失"),
    "weight_invalid": ("weight is missing or negative", "权重缺失或为负"),
    "time_missing": ("moment is missing", "时间缺失"),
    "image_unreadable": ("image cannot be read", "图片无法读取"),
    "audio_unreadable": ("recording cannot be read", "录音无法读取"),
    "audio_silent": ("silent recording", "录音无声"),
    "audio_too_long": ("recording too long", "录音过长"),
    "audio_too_short": ("recording too short", "录音过短"),
    "row.fields": ("wrong number of fields", "字段数不符"),
    "row.json": ("line is no JSON object", "该行不是 JSON 对象"),
    "duplicates": ("exact copies", "完全重复的文档"),
    "near_duplicates": ("near copies", "近似重复的文档"),
    "contamination": ("training text that validation or test holds", "与验证集或测试集重叠的训练文档"),
    "line_ends": ("line ends made one", "统一换行符"),
    "subject_missing": ("rows that say nobody whom they are about", "未注明当事人的行"),
    "consent_missing": ("without consent", "未获同意"),
    "erased": ("the person was erased", "当事人已删除"),
    "pii": ("personal data", "个人信息"),
    "pii_email": ("e-mail addresses", "电子邮箱"),
    "pii_phone": ("phone numbers", "电话号码"),
    "pii_identity_card": ("identity cards", "身份证号"),
    "pii_bank_card": ("bank cards", "银行卡号"),
    "pii_iban": ("IBANs", "国际银行账号"),
    "pii_ip": ("IP addresses", "IP 地址"),
}

# Why one row was rejected, by pattern.
_REASONS = [
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (r"^(\d+) fields?, but (\d+) were expected$", r"有 \1 个字段，应为 \2 个"),
        (r"^A copy of (.+)\.$", r"与 \1 重复。"),
        (r"^Equal inputs stand with another target\.$", "输入相同的另一行目标不同。"),
        (r"^A copy stands in a later split\.$", "后面的数据划分中有相同的行。"),
        (r"^Its class has no row in the training split\.$", "训练集中没有该类别。"),
        (r"^The target (.+) is missing or no number\.$", r"目标 \1 缺失或不是数值。"),
        (r"^The target (.+) is missing\.$", r"目标 \1 缺失。"),
        (r"^The weight (.+) is missing or negative\.$", r"权重 \1 缺失或为负。"),
        (r"^(.+) is no moment, and the split goes by time\.$", r"\1 不是时间，而数据按时间划分。"),
        (r"^(.+) is impossible; its bounds are (.+)\.$", r"\1 的取值不可能，范围为 \2。"),
        (r"^Its subject was erased and stays out\.$", "当事人已删除，不再使用。"),
        (r"^There is no yes in (.+)\.$", r"\1 中没有同意。"),
        (r"^(.+): the image cannot be read \((.+)\)\.$", r"\1：图片无法读取（\2）。"),
        (r"^(.+): The recording is silent\.$", r"\1：录音无声。"),
        (r"^(.+): The recording cannot be read: (.+)\.$", r"\1：录音无法读取（\2）。"),
        (r"^(.+): The recording lasts (.+) s, more than (.+) s\.$", r"\1：录音长 \2 秒，超过 \3 秒。"),
        (r"^(.+): The recording lasts (.+) s, less than (.+) s\.$", r"\1：录音长 \2 秒，不足 \3 秒。"),
    )
]


def repair_words(rule: str, *, chinese: bool) -> str:
    """A line of the cleaning table: `whitespace income` is a rule and the column it touched."""
    code, _, column = rule.partition(" ")
    words = code_words(code, chinese=chinese)
    if not column:
        return words
    return f"{column}：{words}" if chinese else f"{column}: {words}"


def code_words(code: str, *, chinese: bool) -> str:
    found = _CODES.get(code)
    return code.replace("_", " ") if found is None else found[chinese]


def reason_words(reason: str, *, chinese: bool) -> str:
    """Why a row was rejected; what no pattern knows stays English."""
    if chinese:
        for pattern, words in _REASONS:
            if pattern.match(reason):
                return pattern.sub(words, reason)
    return reason
