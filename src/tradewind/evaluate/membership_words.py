"""Words of the report's part on membership, in English and Chinese. Not here: its figures (`membership.py`)."""

from __future__ import annotations

from collections.abc import Mapping

# key → (English, Chinese)
WORDS: Mapping[str, tuple[str, str]] = {
    "membership": ("Can training rows be told?", "训练数据能被识别吗？"),
    "mem_lead": (
        "Who has the model's answer to a row and its true value guesses whether it was trained on that row. "
        "{members} training rows against {others} test rows; 0.5 is pure guessing.",
        "已知模型对某行的答案和真实值，猜测该行是否参与训练。{members} 行训练数据对 {others} 行测试数据；0.5 即纯猜测。",
    ),
    "mem_loud": ("they can", "能"),
    "mem_quiet": ("hardly", "几乎不能"),
    "mem_unclear": ("not enough data", "数据不足"),
    "mem_attack": ("Attacker", "攻击方式"),
    "mem_loss": ("small loss", "损失小者"),
    "mem_compared": ("compared with like rows", "与同类行比较"),
    "mem_auc": ("Area", "面积"),
    "mem_advantage": ("Advantage", "优势"),
    "mem_tpr": ("Found at {rate} false alarms", "误报 {rate} 时识别出"),
    "mem_found": ("found of members", "识别出的训练行"),
    "mem_alarms": ("false alarms", "误报"),
    "mem_note": (
        "Advantage: true minus false positive rate at the best bound, chosen on half of the rows and measured on the "
        "other. Where training and test rows come from different sources, that difference is told apart too.",
        "优势：最佳界限下真阳性率减假阳性率，界限在一半行上选取、在另一半上测量。若训练与测试数据来源不同，该差异也会被识别。",
    ),
    "mem_private": (
        "Trained privately: epsilon {epsilon} at delta {delta}. Whatever the attacker, at 1 % false alarms he finds at "
        "most {bound} of the rows.",
        "采用差分隐私训练：ε = {epsilon}，δ = {delta}。无论何种攻击，误报 1% 时至多识别出 {bound} 的行。",
    ),
    "mem_not_covered": (
        "The budget covers the weights alone: not the fitted columns, temperature and threshold, the training curve, nor "
        "the values that golden examples take from validation columns.",
        "预算只覆盖权重：不含列的拟合统计、温度与阈值、训练曲线，也不含黄金样例取自验证列的数值。",
    ),
    "mem_not_private": (
        "Not trained privately (train.privacy): this audit shows what two attackers found, and no more.",
        "未采用差分隐私训练（train.privacy）：本审计只说明这两种攻击的结果。",
    ),
}  # fmt: skip

FIGURES: Mapping[str, tuple[str, str]] = {
    "membership_auc": ("Membership: area of the attack", "成员推断：攻击面积"),
    "membership_advantage": ("Membership: advantage of the attack", "成员推断：攻击优势"),
    "membership_tpr": ("Membership: found at 1 % false alarms", "成员推断：误报 1% 时识别率"),
    "epsilon": ("Privacy budget spent (epsilon)", "已用隐私预算（ε）"),
}
