"""Words of the report's part on new intents, in English and Chinese. Not here: its figures (`intents.py`)."""

from __future__ import annotations

from collections.abc import Mapping

# key → (English, Chinese)
WORDS: Mapping[str, tuple[str, str]] = {
    "intents": ("New classes, and texts of no class", "新增类别与范围之外的文本"),
    "int_lead": (
        "A class can be added by a few examples, without training. To measure it, {played} known classes at a time were left out "
        "and brought back with {shots} examples each, {episodes} times.",
        "无需训练，只凭几个例句即可新增类别。衡量方法：每次去掉 {played} 个已知类别，再各用 {shots} 个例句加回，共 {episodes} 次。",
    ),
    "int_frozen": (
        "The vectors are those of a pretrained encoder that has not learnt these classes.",
        "向量来自未学习过这些类别的预训练编码器。",
    ),
    "int_trained": (
        "The vectors come from a network that had learnt these classes: what is truly new will do worse.",
        "向量来自学习过这些类别的网络：真正的新类别效果会差一些。",
    ),
    "int_kept": (
        "The other classes were told right in {kept} of cases, {before} before the new ones came.",
        "其余类别的准确率为 {kept}，加入新类别之前为 {before}。",
    ),
    "int_scope": (
        "A text that lies far from every class belongs to none. Classes left out stand for such texts; their area under the curve "
        "against the others is {area}.",
        "与所有类别都相距较远的文本不属于任何类别。以去掉的类别充当此类文本，与其余类别区分的曲线下面积为 {area}。",
    ),
    "int_accept": ("Asked for", "设定接受率"),
    "int_in": ("known texts accepted", "已知文本被接受"),
    "int_out": ("foreign texts accepted", "外来文本被误收"),
    "int_threshold": ("Threshold", "阈值"),
    "int_serve": ("serve.out_of_scope takes the first column.", "将第一列的值写入 serve.out_of_scope 即可启用。"),
}  # fmt: skip

FIGURES: Mapping[str, tuple[str, str]] = {
    "few_shot_accuracy": ("Accuracy on new classes of five examples", "五个例句的新类别准确率"),
    "few_shot_cost": ("Accuracy that known classes lose to new ones", "新类别给已知类别带来的准确率损失"),
    "scope_auroc": ("Area under the curve, known against foreign texts", "已知与外来文本的曲线下面积"),
    "scope_false_accept": (
        "Foreign texts accepted where 95 % of known ones are",
        "接受 95 % 已知文本时外来文本的误收率",
    ),
}
