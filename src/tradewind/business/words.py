"""The words of an invoice in English and Chinese. Not here: where they stand on the page (`pages.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tradewind.business.lines import ROUNDING, Line

Language = Literal["en", "zh"]

_WORDS: dict[str, tuple[str, str]] = {
    "invoice": ("Invoice", "账单"),
    "credit_note": ("Credit note", "贷项通知单"),
    "draft": ("Draft: not an invoice yet", "草稿：尚未成为正式账单"),
    "final": ("Final", "已定稿"),
    "void": ("Void", "已作废"),
    "number": ("Number", "编号"),
    "no_number": ("none yet", "尚无"),
    "seller": ("From", "开具方"),
    "customer": ("To", "客户"),
    "account": ("Account", "账户"),
    "tax_id": ("Tax number", "税号"),
    "issued": ("Date", "日期"),
    "created": ("Drafted", "起草日期"),
    "voided": ("Voided", "作废日期"),
    "period": ("Period", "计费周期"),
    "corrects": ("Corrects", "更正账单"),
    "status": ("Status", "状态"),
    "description": ("Description", "说明"),
    "quantity": ("Quantity", "数量"),
    "unit_price": ("Unit price", "单价"),
    "amount": ("Amount", "金额"),
    "subtotal": ("Subtotal", "小计"),
    "credit": ("Paid from credit", "余额抵扣"),
    "total": ("Total due", "应付合计"),
    "total_note": ("Total credited", "贷记合计"),
    "rounding": ("Rounding", "舍入规则"),
    "policy": ("What is billed", "计费规则"),
    "digest": ("Digest", "摘要"),
    "colon": (": ", "："),
    "rounding_text": (
        ROUNDING,
        "每一行只舍入一次，按四舍六入五成双取到货币的最小单位；合计为各行之和。",
    ),
    "policy_text": (
        "A request is billed when its reply was computed and handed to the network; a client that disconnects before "
        "then is not billed. Text is billed by the token as it is written: of a client that leaves in the middle, what was "
        "computed until then.",
        "请求的答复计算完成并交给网络后即计费；客户端在此之前断开连接的，不计费。文本生成按已生成的 token 计费：客户端中途断开的，"
        "只计断开之前已计算的部分。",
    ),
}

_LINES: dict[str, tuple[str, str]] = {
    "plan": ("Plan {plan}: monthly fee", "套餐 {plan}：月费"),
    "proration": ("Plan {plan}: monthly fee, {part} of the period", "套餐 {plan}：月费，占本周期 {part}"),
    "trial": ("Plan {plan}: trial", "套餐 {plan}：试用"),
    "included": ("Plan {plan}: included units", "套餐 {plan}：包含用量"),
    "overage": ("Plan {plan}: further units", "套餐 {plan}：超出用量"),
    "overage_capped": ("Plan {plan}: further units, up to the spend cap", "套餐 {plan}：超出用量，以消费上限为限"),
    "credit": ("Paid from credit", "余额抵扣"),
}


class Words:
    """The words of one language."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._place = 0 if language == "en" else 1

    def __call__(self, key: str) -> str:
        return _WORDS[key][self._place]

    def line(self, line: Line) -> str:
        """A line's description; one that the operator wrote (`correction`) stays as written."""
        key = "overage_capped" if "without_cap_minor" in line.evidence else line.kind
        if key not in _LINES:
            return line.description
        return _LINES[key][self._place].format(plan=line.evidence.get("plan", ""), part=_part(line.evidence))


def _part(evidence: Mapping[str, object]) -> str:
    """The share of the period as a percentage, for people; the amount was computed by milliseconds."""
    names = ("from_ms", "to_ms", "period_start_ms", "period_end_ms")
    start, end, begin, until = (int(str(evidence.get(name, 0))) for name in names)
    if begin == until:
        return ""
    tenths = round(1000 * (end - start) / (until - begin))
    return f"{tenths // 10}.{tenths % 10} %"
