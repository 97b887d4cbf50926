"""Further words of a translator's report, in English and Chinese.

Not here: the words that it shares with other reports (`strings.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tradewind.evaluate.cleaning_words import code_words
from tradewind.evaluate.strings import Strings

# key → (English, Chinese)
_WORDS: Mapping[str, tuple[str, str]] = {
    "translation": ("Translation", "翻译"),
    "from_to": ("{source} → {target}", "{source} → {target}"),
    "sentences": ("sentences", "句"),
    "copy": ("the source itself", "原文照抄"),
    "word_table": ("word by word", "逐词对译"),
    "differences_paired": (
        "Higher is better. Differences are paired: the same sentences and resamples on both sides. Scores are those of sacrebleu.",
        "越高越好。差异为配对比较：两边使用相同的句子与重抽样。得分由 sacrebleu 计算。",
    ),
    "interval_sentences": (
        "Small numbers: 95 % bootstrap interval over {n} resamples of sentences; of shares the exact one.",
        "小字：对句子重抽样 {n} 次得到的 95% 自助区间；比例为精确区间。",
    ),
    "request_cost": ("What a translation costs", "一次翻译的成本"),
    "request_takes": (
        "One {unit} takes {alone} of one processor where a text comes alone; in bulk {bulk}. Measured on {processor}.",
        "单独请求时，每{unit}占用一个处理器核心 {alone}；批量时 {bulk}。测量环境：{processor}。",
    ),
    "request_how": (
        "{calls} texts alone and {rows} texts in bulk, in processor seconds of one thread, over the units that a plan counts of "
        "them. HTTP, keys and metering come on top.",
        "单独翻译 {calls} 条文本、批量翻译 {rows} 条文本，单线程处理器时间除以套餐所计的单位数。HTTP、密钥与计量的开销另计。",
    ),
    "unit_text": ("text", "条文本"),
    "unit_character": ("character", "个字符"),
    "unit_token": ("token", "个词元"),
    "faults": ("What goes wrong", "哪些地方出错"),
    "faults_note": (
        "Cut off: it came to the most tokens before its end. Copied: the source came back. Repeated: a run of words again and again. Shared: the translation of another sentence that means something else.",
        "被截断：在结束前达到词元上限。照抄：返回了原文。重复：同一串词反复出现。雷同：与意思不同的另一句译文完全相同。",
    ),
    "slices": ("By length of the source", "按原文长度"),
    "slice_length": ("Words (Chinese: characters)", "词数（中文为字数）"),
    "worst": ("The worst sentences", "最差的句子"),
    "worst_note": ("By their own chrF, the lowest first.", "按单句 chrF 从低到高。"),
    "samples": ("Sentences from all over the split", "测试集各处的句子"),
    "source": ("Source", "原文"),
    "reference": ("Reference", "参考译文"),
    "said": ("This model", "本模型"),
    "data": ("Pairs", "句对"),
    "split": ("Split", "划分"),
    "train": ("Training", "训练集"),
    "pairs": ("Pairs", "句对"),
    "term_pairs": ("of them with terms", "其中含术语"),
    "source_tokens": ("Source tokens", "原文词元"),
    "target_tokens": ("Target tokens", "译文词元"),
    "vocabulary": ("Tokens of the vocabulary", "词表大小"),
    "left_out": ("Left out", "已排除"),
    "reason": ("Reason", "原因"),
    "none_left_out": ("Nothing was left out.", "没有排除任何内容。"),
    "trained": ("Training", "训练"),
    "train_line": ("training loss", "训练损失"),
    "step": ("step", "步"),
    "epochs": ("Epochs", "轮数"),
    "best_epoch": ("Best epoch", "最佳轮"),
    "seconds_taken": ("Seconds of training", "训练用时（秒）"),
    "threads": ("Threads of training", "训练线程数"),
    "tokens_per_s": ("Tokens a second in training", "训练每秒词元数"),
    "precision": ("Precision that was measured", "测量所用精度"),
    "megabytes": ("Size of the network", "网络大小"),
    "translator": ("translator", "翻译引擎"),
    "beams": ("Translations that are followed at once (beams)", "束搜索宽度"),
    "length_penalty": ("Length penalty", "长度惩罚"),
    "sentences_per_s": ("Sentences a second in translating", "每秒翻译句数"),
    "witness": ("Witness", "见证"),
    "witness_translations": ("Every figure above follows from {files} ({digest}).", "以上每个指标均由 {files} 得出（{digest}）。"),
    "dataset": ("dataset", "数据集"),
    "run": ("run", "训练"),
    "signature": ("Settings of {name}", "{name} 的计算设置"),
    "rule.empty": ("one side is empty", "有一边为空"),
    "rule.too_long": ("too many characters", "字符过多"),
    "rule.too_many_tokens": ("more tokens than the model reads", "词元多于模型上限"),
    "rule.copy": ("both sides say the same", "两边相同"),
    "rule.length_ratio": ("one side is far too long", "一边过长"),
    "rule.wrong_language": ("the wrong language", "语言不符"),
    "rule.duplicate": ("a pair that stood before", "重复的句对"),
    "rule.leak": ("its source stands in validation or test", "原文出现在验证集或测试集中"),
}  # fmt: skip

_FIGURES: Mapping[str, tuple[str, str]] = {
    "bleu": ("BLEU", "BLEU"),
    "chrf": ("chrF", "chrF"),
    "length_ratio": ("Length against the reference", "译文与参考译文的长度比"),
    "terms_kept": ("Terms kept", "术语保留率"),
    "cut": ("Cut off", "被截断"),
    "empty": ("Empty", "空译文"),
    "copied": ("Copied", "照抄原文"),
    "repeated": ("Repeated", "重复"),
    "shared": ("Shared", "雷同"),
    "perplexity": ("Perplexity", "困惑度"),
    "validation_loss": ("Loss per token", "每词元损失"),
}

# Sentences of report.json by pattern, for the Chinese page.
_DRAWN = r"; 95 % percentile bootstrap over (\d+) resamples of sentences"
_EXACT = "; exact 95 % interval"
_REASONS = [
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (r"corpus score by sacrebleu, ([^;]+)", r"由 sacrebleu 计算的语料级得分，\1"),
        (rf"corpus score by sacrebleu, ([^;]+){_DRAWN}", r"由 sacrebleu 计算的语料级得分，\1；对句子重抽样 \2 次的 95% 自助区间"),
        (r"words of all translations over words of all references, as BLEU cuts them", "全部译文词数与全部参考译文词数之比（按 BLEU 的切分）"),
        (rf"words of all translations over words of all references, as BLEU cuts them{_DRAWN}", r"全部译文词数与全部参考译文词数之比（按 BLEU 的切分）；对句子重抽样 \1 次的 95% 自助区间"),
        (rf"share of (\d+) sentences without a translation{_EXACT}", r"\1 句中没有译文的比例；95% 精确区间"),
        (rf"share of (\d+) sentences whose source came back{_EXACT}", r"\1 句中返回原文的比例；95% 精确区间"),
        (rf"share of (\d+) sentences in which a run of words comes again and again{_EXACT}", r"\1 句中同一串词反复出现的比例；95% 精确区间"),
        (rf"share of (\d+) sentences with the translation of another one whose reference differs{_EXACT}", r"\1 句中译文与另一句（参考译文不同）完全相同的比例；95% 精确区间"),
        (rf"share of (\d+) terms of the glossary in a source whose wanted words stand in the translation{_EXACT}", r"原文中 \1 个术语里规定译法出现在译文中的比例；95% 精确区间"),
        (rf"share of (\d+) sentences whose translation came to the most tokens that there may be, before its end{_EXACT}", r"\1 句中译文在结束前达到词元上限的比例；95% 精确区间"),
        ("the source as it is", "原文不作改动"),
        (r"each word's commonest run of characters, learnt from ([\d,]+) pairs \(IBM model 1\), in the order of the source", r"由 \1 个句对学得每个词最常写成的一串字（IBM 模型 1），按原文语序"),
        (r"each word's likeliest word, learnt from ([\d,]+) pairs \(IBM model 1\), in the order of the source", r"由 \1 个句对学得每个词最可能的译词（IBM 模型 1），按原文语序"),
    )
]  # fmt: skip


class TranslationStrings(Strings):
    """The words of one language: those of this page first, then those of every report."""

    def __call__(self, key: str, **values: object) -> str:
        found = _WORDS.get(key)
        return super().__call__(key, **values) if found is None else found[self._at].format(**values)

    def rule(self, code: str) -> str:
        """Why pairs were left out; what is no matter of pairs as other reports say it."""
        key = f"rule.{code}"
        return self(key) if key in _WORDS else code_words(code, chinese=self.language == "zh")

    def figure(self, name: str) -> str:
        return _FIGURES[name][self._at] if name in _FIGURES else super().figure(name)

    def reason(self, sentence: str) -> str:
        if self.language == "zh":
            for pattern, chinese in _REASONS:
                if pattern.fullmatch(sentence):
                    return pattern.sub(chinese, sentence)
        return super().reason(sentence)
