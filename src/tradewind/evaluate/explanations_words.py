"""Words of the report's part on explanations, in English and Chinese. Not here: its figures (`explanations.py`)."""

from __future__ import annotations

from collections.abc import Mapping

# key → (English, Chinese)
WORDS: Mapping[str, tuple[str, str]] = {
    "explanations": ("Explanations", "可解释性"),
    "exp_faithful": ("reasons hold", "理由可信"),
    "exp_unclear": ("not shown to hold", "尚不能证明"),
    "exp_unfaithful": ("reasons do not hold", "理由不可信"),
    "exp_absent": ("nothing to compare", "无可比较"),
    "exp_lead_columns": (
        "The {n} columns named as reasons are replaced by values of other rows, and so are {n} columns drawn by lot: the answer "
        "moves by {named} and by {random} ({unit}), on average over {rows} rows.",
        "将作为理由的 {n} 列换成其他行的取值，再随机抽取 {n} 列同样替换：答案平均移动 {named} 与 {random}（{unit}），共 {rows} 行。",
    ),
    "exp_lead_text": (
        "The words named as reasons (at most {n}) are cut out, and so are as many drawn by lot: the answer moves by {named} "
        "and by {random} ({unit}), on average over {rows} rows.",
        "删去作为理由的词（至多 {n} 个），再随机删去同样多的词：答案平均移动 {named} 与 {random}（{unit}），共 {rows} 行。",
    ),
    "exp_lead_image": (
        "The {n} parts of 36 of a picture that are named as reasons are covered, and so are {n} drawn by lot: the answer moves by "
        "{named} and by {random} ({unit}), on average over {rows} pictures.",
        "遮住图像 36 格中作为理由的 {n} 格，再随机遮住 {n} 格：答案平均移动 {named} 与 {random}（{unit}），共 {rows} 张。",
    ),
    "exp_lead_audio": (
        "The stretches of a recording named as reasons (at most {n} of 24) are silenced, and so are as many drawn by lot: the "
        "answer moves by {named} and by {random} ({unit}), on average over {rows} recordings.",
        "把录音中作为理由的片段（24 段中至多 {n} 段）静音，再随机静音同样多的片段：答案平均移动 {named} 与 {random}（{unit}），共 {rows} 条录音。",
    ),
    "exp_log_odds": ("log-odds", "对数几率"),
    "exp_own_unit": ("in the target's unit", "目标单位"),
    "exp_scale": (
        "0: no better than by lot. 1: nothing but the named reasons moves the answer. Below 0: worse than by lot.",
        "0：不比随机好；1：除所列理由外，其余都不影响答案；低于 0：比随机更差。",
    ),
    "exp_importance": ("What the model rests on", "模型依据什么"),
    "exp_importance_note": (
        "Mean size of the Shapley value ({unit}), over {rows} test rows.",
        "沙普利值的平均大小（{unit}），共 {rows} 行测试数据。",
    ),
    "exp_shapley": ("Shapley value", "沙普利值"),
    "exp_shuffled": ("Loss by shuffling", "打乱后的损失"),
    "exp_shuffled_note": (
        "Loss by shuffling: how much worse {what} gets over {rows} test rows when the column's values are exchanged between rows. "
        "Columns that say the same share their importance.",
        "打乱后的损失：在 {rows} 行测试数据间交换该列取值后，{what}变差多少。内容相近的列会分摊重要性。",
    ),
    "exp_log_loss": ("log loss", "对数损失"),
    "exp_error": ("the mean error", "平均误差"),
    "exp_all_columns": ("All columns", "全部列"),
    "exp_dependence": ("How the answer follows {column}", "答案如何随 {column} 变化"),
    "exp_dependence_note": (
        "Mean answer over rows that all get this value of {column}, and where the middle 80 % of them lie. Rows that no such value "
        "ever had are among them.",
        "令各行的 {column} 都取该值时答案的均值，以及其中间 80% 的范围。其中包含实际不会出现的组合。",
    ),
    "exp_mean": ("mean", "均值"),
    "exp_low": ("10 %", "10%"),
    "exp_high": ("90 %", "90%"),
    "exp_probability": ("probability of {name}", "{name} 的概率"),
    "exp_value": ("predicted value", "预测值"),
    "exp_surrogate": ("The model as a small tree", "用小决策树近似模型"),
    "exp_surrogate_classes": (
        "A tree of {leaves} leaves, fitted to the model's answers on {fitted} training rows, decides as the model does on {fidelity} of "
        "{rows} test rows; always the commonest answer would on {plain}.",
        "用模型在 {fitted} 行训练数据上的答案拟合出 {leaves} 个叶子的决策树，在 {rows} 行测试数据中有 {fidelity} 与模型一致；总给最常见答案则为 {plain}。",
    ),
    "exp_surrogate_values": (
        "A tree of {leaves} leaves, fitted to the model's values on {fitted} training rows, explains {fidelity} of their spread on {rows} "
        "test rows.",
        "用模型在 {fitted} 行训练数据上的取值拟合出 {leaves} 个叶子的决策树，可解释 {rows} 行测试数据上 {fidelity} 的差异。",
    ),
    "exp_rule": ("Rule", "规则"),
    "exp_answer": ("Answer", "答案"),
    "exp_share": ("Rows", "行占比"),
    "exp_and": ("and", "且"),
    "exp_always": ("always", "总是"),
}  # fmt: skip

FIGURES: Mapping[str, tuple[str, str]] = {
    "faithfulness": ("Faithfulness of reasons", "理由的可信度"),
    "surrogate_fidelity": ("Fidelity of the surrogate tree", "近似决策树的一致性"),
}
