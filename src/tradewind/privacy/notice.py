"""The privacy notice of a product: what people whom its rows are about must be told, in English and Chinese, as one page.
Not here: reading the product file (`cli/notice.py`), nor serving the page (`server/notices.py`).

The headings are those of GDPR articles 13 and 14 and of PIPL article 17. What nobody filled in is listed as missing, with
the place in the product file that fills it; nothing is made up.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

# Heading, where it is asked for, and the place in the product file.
HEADINGS: Mapping[str, tuple[str, str, str, str]] = {
    "controller": ("Who is responsible", "个人信息处理者", "GDPR 13(1)(a), PIPL 17(1)", "privacy.controller"),
    "contact": ("Contact", "联系方式", "GDPR 13(1)(a), PIPL 17(1)", "privacy.contact"),
    "officer": ("Data protection officer", "个人信息保护负责人", "GDPR 13(1)(b), PIPL 52", "privacy.officer"),
    "purposes": ("What the data are used for", "处理目的", "GDPR 13(1)(c), PIPL 17(2)", "privacy.purposes"),
    "legal_basis": ("On what legal ground", "法律依据", "GDPR 13(1)(c), PIPL 13", "privacy.legal_basis"),
    "categories": ("Which data", "个人信息种类", "GDPR 14(1)(d), PIPL 17(2)", "privacy.categories"),
    "origin": ("Where they come from", "信息来源", "GDPR 14(2)(f)", "privacy.origin"),
    "recipients": ("Who receives them", "接收方", "GDPR 13(1)(e), PIPL 23", "privacy.recipients"),
    "transfers": ("Transfers abroad", "跨境提供", "GDPR 13(1)(f), PIPL 39", "privacy.transfers"),
    "storage": ("How long they are kept", "保存期限", "GDPR 13(2)(a), PIPL 17(2)", "serve.store, privacy.keep"),
    "rights": ("Your rights", "您的权利", "GDPR 13(2)(b), PIPL 17(3), 44-47", "privacy.contact"),
    "consent": ("Consent", "同意与撤回", "GDPR 13(2)(c), PIPL 15", "data.consent"),
    "authority": ("Complaints", "投诉", "GDPR 13(2)(d), PIPL 65", "privacy.authority"),
    "required": ("Whether you must give them", "是否必须提供", "GDPR 13(2)(e)", "privacy.required"),
    "decisions": ("Automated decisions", "自动化决策", "GDPR 13(2)(f), 22, PIPL 24", "privacy.decisions"),
}

WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("Privacy notice", "隐私告知"),
    "missing": ("Missing: nobody filled this in.", "缺失：尚未填写。"),
    "gaps": ("Missing in this notice", "本告知中缺失的内容"),
    "made": ("Made from the product file.", "根据产品文件生成。"),
    "not_stored": ("What you send and what is answered is not stored.", "不保存您提交的内容与系统的答复。"),
    "inputs": ("What is sent is kept for {0}, sealed, and then erased by itself.", "提交的内容加密保存{0}，到期自动删除。"),
    "outputs": ("Answers are kept for {0}, sealed, and then erased by itself.", "答复加密保存{0}，到期自动删除。"),
    "replies": ("A reply asked for with an idempotency key is kept for 24 hours.", "使用幂等键的答复保存24小时。"),
    "rows": ("Rows that the model learns from stand beside a keyed hash of whom they are about, never beside the name.",
             "用于训练的数据行旁只保存当事人的带密钥散列值，不保存姓名。"),
    "kept_datasets": ("Prepared data are removed after {0}.", "整理后的数据在{0}后删除。"),
    "kept_runs": ("Training runs are removed after {0}.", "训练过程文件在{0}后删除。"),
    "kept_reports": ("Reports with predictions are removed after {0}.", "含预测结果的报告在{0}后删除。"),
    "kept_events": ("What you met is kept for {0}, under a keyed hash in place of your name.",
                    "您浏览或购买的记录以带密钥散列值代替姓名，保存{0}。"),
    "events_open": ("What you met is kept under a keyed hash in place of your name, with no end set (privacy.keep.events).",
                    "您浏览或购买的记录以带密钥散列值代替姓名保存，未设定期限（privacy.keep.events）。"),
    "kept_items": ("Items that shops bring are removed {0} after they came last; a name in their texts is struck on request.",
                   "商家提交的商品自最近一次提交起{0}后删除；其文字中的姓名可应要求抹去。"),
    "items_open": ("Items that shops bring have no end set (privacy.keep.items); a name in their texts is struck on request.",
                   "商家提交的商品未设定保存期限（privacy.keep.items）；其文字中的姓名可应要求抹去。"),
    "kept_open": ("Prepared data, training runs and reports have no end set (privacy.keep).",
                  "整理后的数据、训练过程文件与报告未设定保存期限（privacy.keep）。"),
    "invoices": ("Invoices and what they are derived from are kept as long as tax law asks for.", "发票及其依据按税法要求保存。"),
    "rights_all": ("You may ask for access and a copy, for correction, erasure, restriction and portability, and you may object: "
                   "write to the contact above.",
                   "您可以查阅、复制、更正、补充、删除您的个人信息，限制或拒绝处理，并要求转移：请通过上述方式联系。"),
    "erasure": ("Erasure takes you out of stored requests and prepared data, has every model that learnt from them trained again, "
                "and ends with a signed receipt.",
                "删除时，您的信息从保存的请求与整理后的数据中移除，相关模型安排重新训练，并出具签名回执。"),
    "consent_rows": ("Rows are used only where a yes stands beside them. Consent may be withdrawn at any time; what was done "
                     "before stays lawful.",
                     "仅使用已明确同意的数据。您可随时撤回同意；撤回不影响此前处理的效力。"),
    "consent_required": ("Requests are stored only of accounts that agreed.", "仅在账户同意后保存其请求。"),
    "consent_unless": ("Requests are stored unless the account said no.", "除非账户拒绝，否则保存其请求。"),
    "sensitive": ("Of these, looked at for fairness: {0}", "其中用于公平性检查：{0}"),
    "days": ("{0} days", "{0}天"),
    "hours": ("{0} hours", "{0}小时"),
    "minutes": ("{0} minutes", "{0}分钟"),
    "weeks": ("{0} weeks", "{0}周"),
    "years": ("{0} years", "{0}年"),
}  # fmt: skip
_UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks", "y": "years"}
_STYLE = (
    "body{max-width:42rem;margin:2rem auto;padding:0 1rem;font:16px/1.6 system-ui,sans-serif;color:#1a1a1a;background:#fff}"
    "h1{font-size:1.6rem}h2{font-size:1.1rem;margin:1.6rem 0 .2rem}small{color:#666}.missing{color:#a33}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}small{color:#999}.missing{color:#f88}}"
)


@dataclass(frozen=True)
class Line:
    """A sentence: as somebody wrote it, or one of WORDS with what stands in it (a duration, a list)."""

    text: str = ""
    word: str = ""
    inside: str = ""


@dataclass(frozen=True)
class Notice:
    """What stands under each heading; an empty one is missing."""

    product: str
    lines: Mapping[str, Sequence[Line]]

    @property
    def missing(self) -> tuple[str, ...]:
        """Headings that nothing fills, in order."""
        return tuple(name for name in HEADINGS if not self.lines.get(name))


def render(notice: Notice, language: Language) -> str:
    """One HTML page that loads nothing."""
    at = LANGUAGES.index(language)
    title = f"{WORDS['title'][at]}: {notice.product}"
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for name, heading in HEADINGS.items():
        parts.append(f"<h2>{html.escape(heading[at])}</h2>")
        lines = [f"<p>{html.escape(_said(line, at))}</p>" for line in notice.lines.get(name, ())]
        parts += lines or [f'<p class="missing">{html.escape(WORDS["missing"][at])} <code>{heading[3]}</code></p>']
        parts.append(f"<small>{heading[2]}</small>")
    if notice.missing:
        gaps = "".join(
            f"<li>{html.escape(HEADINGS[name][at])} <code>{HEADINGS[name][3]}</code></li>" for name in notice.missing
        )
        parts.append(f'<h2 class="missing">{html.escape(WORDS["gaps"][at])}</h2><ul>{gaps}</ul>')
    parts.append(f"<p><small>{html.escape(WORDS['made'][at])}</small></p>")
    tag = "zh-CN" if language == "zh" else "en"
    head = (
        f'<!doctype html><html lang="{tag}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
    )
    return head + "\n".join(parts) + "</html>\n"


def as_text(notice: Notice, language: Language) -> str:
    """The same as Markdown."""
    at = LANGUAGES.index(language)
    parts = [f"# {WORDS['title'][at]}: {notice.product}"]
    for name, heading in HEADINGS.items():
        said = [_said(line, at) for line in notice.lines.get(name, ())]
        parts += [
            f"## {heading[at]}",
            "\n\n".join(said or [f"**{WORDS['missing'][at]}** `{heading[3]}`"]),
            f"*{heading[2]}*",
        ]
    if notice.missing:
        gaps = [f"- {HEADINGS[name][at]} (`{HEADINGS[name][3]}`)" for name in notice.missing]
        parts += [f"## {WORDS['gaps'][at]}", "\n".join(gaps)]
    return "\n\n".join([*parts, f"*{WORDS['made'][at]}*"]) + "\n"


def _said(line: Line, at: int) -> str:
    return WORDS[line.word][at].format(_duration(line.inside, at)) if line.word else line.text


def _duration(text: str, at: int) -> str:
    """30d in words; anything else as it stands."""
    for unit, name in _UNITS.items():
        if text.endswith(unit) and text[: -len(unit)].strip().isdigit():
            return WORDS[name][at].format(text[: -len(unit)].strip())
    return text
