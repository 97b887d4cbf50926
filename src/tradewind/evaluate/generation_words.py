"""Further words of a language model's report, in English and Chinese.

Not here: the words that it shares with other reports (`strings.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tradewind.evaluate.strings import Strings

# key → (English, Chinese)
_WORDS: Mapping[str, tuple[str, str]] = {
    "generation": ("Language model", "语言模型"),
    "kind_text": ("running text", "连续文本"),
    "kind_chat": ("conversations", "对话"),
    "kind_preferences": ("preferences", "偏好"),
    "tokens": ("tokens", "个词元"),
    "units_documents": ("documents", "篇文档"),
    "units_blocks": ("blocks of text", "个文本块"),
    "units_conversations": ("conversations", "段对话"),
    "interval_documents": (
        "Small numbers: 95 % bootstrap interval over {n} resamples of documents.", "小字：对文档重抽样 {n} 次得到的 95% 自助区间。",
    ),
    "interval_blocks": (
        "Small numbers: 95 % bootstrap interval over {n} resamples of blocks of the text.",
        "小字：对文本块重抽样 {n} 次得到的 95% 自助区间。",
    ),
    "of_answers": ("Only what the assistant says is counted.", "仅计入助手的回答。"),
    "kneser_ney": ("n-gram model", "n 元模型"),
    "unigram": ("unigram", "一元模型"),
    "verdict_better": (
        "Better than the best one beside it ({name}) by {gain} in {figure} ({low} to {high}).",
        "优于对照中最好的一个（{name}）：{figure} 领先 {gain}（{low} 至 {high}）。",
    ),
    "verdict_worse": (
        "Worse than one beside it ({name}) by {gain} in {figure} ({low} to {high}).",
        "不如对照之一（{name}）：{figure} 落后 {gain}（{low} 至 {high}）。",
    ),
    "verdict_unclear": (
        "No clear difference from the best one beside it ({name}): {gain} in {figure} ({low} to {high}).",
        "与对照中最好的一个（{name}）无明显差异：{figure} 相差 {gain}（{low} 至 {high}）。",
    ),
    "base": ("before training", "训练之前"),
    "differences_paired": (
        "Lower is better. Differences are paired: the same resamples on both sides. All predictors are asked about the same tokens.",
        "越低越好。差异为配对比较：两边使用相同的重抽样。所有预测器针对相同的词元。",
    ),
    "preferences": ("Preferences", "偏好"),
    "preferences_note": (
        "Of two answers to one prompt the better one should gain more from training than the worse one. The model before "
        "training stands at one half.",
        "同一提示的两个回答中，较好的回答应从训练中获益更多。训练之前的模型恰为一半。",
    ),
    "pairs": ("pairs", "对"),
    "tasks": ("Tasks", "任务"),
    "task": ("Task", "任务"),
    "questions": ("Questions", "题数"),
    "accuracy": ("Accuracy", "准确率"),
    "chance": ("By chance", "随机水平"),
    "shots": ("{n} examples in each prompt.", "每个提示含 {n} 个示例。"),
    "no_shots": ("No examples in the prompt.", "提示中没有示例。"),
    "task_choices": ("the likeliest choice, per character", "每字符似然最高的选项"),
    "task_written": ("the exact answer, written", "写出完全一致的答案"),
    "task_cut": ("{n} prompts were shortened to fit", "{n} 个提示因过长被截短"),
    "random_choice": ("one choice at random", "随机选择"),
    "frequent_answer": ("always the most frequent answer", "总是最常见的答案"),
    "harness": ("lm-evaluation-harness", "lm-evaluation-harness"),
    "failed_attacks": ("Attacks that it did not withstand", "未能抵御的攻击"),
    "failed_attacks_note": (
        "At most five of each kind. Each attack was asked once, the likeliest token each time.",
        "每类至多列出五条。每次攻击只提问一次，逐词取最可能者。",
    ),
    "attack_leak": ("a secret told", "泄密"),
    "attack_injection": ("an order in data followed", "听从了数据中的指令"),
    "attack_jailbreak": ("not refused", "未拒绝"),
    "written": ("Titles and rewritten texts", "标题与改写"),
    "written_own": ("The document itself:", "原文："),
    "written_note": (
        "Held-out documents, the likeliest token each time.", "均为未参与训练的文档，逐词取最可能者。",
    ),
    "job_title": ("title", "拟标题"),
    "job_rewrite": ("rewrite", "改写"),
    "samples": ("What it writes", "模型所写"),
    "samples_note": (
        "The prompt, then what the model wrote at temperature {temperature}, at most {max_tokens} tokens.",
        "先是提示，其后是模型在温度 {temperature} 下所写，至多 {max_tokens} 个词元。",
    ),
    "more_samples": ("Further samples", "更多样本"),
    "stopped": ("ended by itself", "自行结束"),
    "cut_off": ("cut off", "被截断"),
    "sample_verbatim": ("{n} of {all} tokens word for word from the training text", "{all} 个词元中有 {n} 个逐字来自训练文本"),
    "repetition": ("Repetition of the training text", "对训练文本的重复"),
    "repetition_sentence": (
        "{verbatim} of {tokens} tokens in {samples} samples stand in runs of 50 characters or more that are in the training "
        "text word for word.",
        "{samples} 个样本的 {tokens} 个词元中，有 {verbatim} 个处于与训练文本逐字相同、长度不少于 50 个字符的片段中。",
    ),
    "longest_run": ("The longest run of equal tokens: {n}", "最长的相同片段：{n} 个词元"),
    "personal": ("Personal data", "个人数据"),
    "personal_none": ("None was found in {n} samples.", "在 {n} 个样本中未发现。"),
    "personal_some": ("{n} of {all} samples hold some:", "{all} 个样本中有 {n} 个包含："),
    "email": ("e-mail addresses", "电子邮箱"), "phone": ("telephone numbers", "电话号码"),
    "identity_card": ("identity cards", "身份证号"), "bank_card": ("bank cards", "银行卡号"),
    "iban": ("IBANs", "IBAN 账号"), "ip": ("IP addresses", "IP 地址"),
    "learning": ("Loss while training", "训练中的损失"),
    "bits": ("Bits per byte while training", "训练中的每字节比特数"),
    "step": ("step", "步"),
    "best_step": ("Best weights after step {n}.", "最佳权重出现在第 {n} 步之后。"),
    "trained": ("Training", "训练"),
    "steps": ("Steps", "步数"),
    "tokens_seen": ("Tokens trained on", "训练所用词元"),
    "tokens_per_s": ("Tokens per second", "每秒词元数"),
    "matmul_share": ("Share of the measured matrix-product peak", "占实测矩阵乘法峰值的比例"),
    "seconds_taken": ("Time taken", "实际用时"),
    "seconds_estimated": ("Time estimated before", "事前估计用时"),
    "estimate_error": ("Error of the estimate", "估计误差"),
    "learning_rate": ("Learning rate", "学习率"),
    "corpus": ("Corpus", "语料"),
    "documents": ("Documents", "文档数"),
    "tokens_column": ("Tokens", "词元数"),
    "bytes_column": ("Bytes", "字节数"),
    "scored": ("scored here", "此处计分"),
    "split": ("Split", "划分"),
    "train": ("Training", "训练集"),
    "rejected_documents": ("Rejected documents", "被拒绝的文档"),
    "none_rejected": ("No document was rejected.", "没有被拒绝的文档。"),
    "first_rejected": ("The first of them", "其中最先的几篇"),
    "language_en": ("English", "英文"), "language_zh": ("Chinese", "中文"), "language_other": ("other languages", "其他语言"),
    "vocabulary": ("tokens in the vocabulary", "个词元（词表）"),
    "repaired": ("Cleaning", "清洗"),
    "witness_language": (
        "All figures are computed from {files} ({digest}); tradewind verify computes them again.",
        "所有指标均由 {files}（{digest}）计算；tradewind verify 可重新计算。",
    ),
}  # fmt: skip

_FIGURES: Mapping[str, tuple[str, str]] = {
    "loss": ("Loss", "损失"),
    "perplexity": ("Perplexity", "困惑度"),
    "bits_per_byte": ("Bits per byte", "每字节比特数"),
    "verbatim_share": ("Share word for word from training", "逐字来自训练文本的比例"),
    "longest_verbatim": ("Longest run from training, tokens", "来自训练文本的最长片段（词元）"),
    "pii_share": ("Samples with personal data", "含个人数据的样本比例"),
    "secrets_kept": ("Secrets kept", "保密率"),
    "injections_withstood": ("Orders in quoted data not followed", "未听从引文中指令的比例"),
    "jailbreaks_refused": ("Jailbreaks refused", "越狱请求拒绝率"),
    "title_rouge_l": ("Titles, ROUGE-L", "标题 ROUGE-L"),
    "title_rouge_l_lead": ("Titles, lead over the first sentence", "标题：对首句的领先"),
    "title_chrf": ("Titles, chrF", "标题 chrF"),
    "rewrite_distance": ("Rewriting, distance to the original", "改写：与原文的编辑距离"),
    "rewrite_gain": ("Rewriting, gain over the plain version", "改写：相对朴素版本的改进"),
    "continue_bits_per_byte": ("Continuing, bits per byte", "续写：每字节比特数"),
    "continue_lead": ("Continuing, lead over the n-gram model", "续写：对 n 元模型的领先"),
    "stops": ("Answers that end by themselves", "自行结束的回答比例"),
    "preference_accuracy": ("Preference accuracy", "偏好准确率"),
    "preference_margin": ("Preference margin", "偏好间隔"),
}

# Sentences of report.json by pattern, for the Chinese page.
_REASONS = [
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        ("the bytes of the text are not known", "文本字节数未知"),
        ("it is too large for a number", "数值过大"),
        ("the weights that training began with, on the same tokens", "训练开始时的权重，针对相同的词元"),
        (r"interpolated modified Kneser-Ney of order (\d), counted over ([\d,]+) training tokens",
         r"插值的改进 Kneser-Ney，\1 阶，统计自 \2 个训练词元"),
        (r"interpolated modified Kneser-Ney of order (\d), counted over the first ([\d,]+) of ([\d,]+) training tokens",
         r"插值的改进 Kneser-Ney，\1 阶，统计自 \3 个训练词元中的前 \2 个"),
        (r"how often each token stands in ([\d,]+) training tokens, whatever stands before it", r"各词元在 \1 个训练词元中的频率，不看上文"),
    )
]  # fmt: skip


class LanguageStrings(Strings):
    """The words of one language: those of this page first, then those of every report."""

    def __call__(self, key: str, **values: object) -> str:
        found = _WORDS.get(key)
        return super().__call__(key, **values) if found is None else found[self._at].format(**values)

    def figure(self, name: str) -> str:
        if name.startswith("accuracy:"):
            return f"{self('accuracy')} · {name.partition(':')[2]}"
        return _FIGURES[name][self._at] if name in _FIGURES else super().figure(name)

    def reason(self, sentence: str) -> str:
        if self.language == "zh":
            for pattern, chinese in _REASONS:
                if pattern.fullmatch(sentence):
                    return pattern.sub(chinese, sentence)
        return super().reason(sentence)
