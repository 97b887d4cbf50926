"""Every code that preparation may write has words in both languages."""

import re
from pathlib import Path

import pytest

import tradewind.data
from tradewind.evaluate.cleaning_words import code_words, reason_words, repair_words
from tradewind.privacy.pii import find

DATA = Path(tradewind.data.__file__).parent
WRITTEN = re.compile(r'(?:count|reject_many)\(\s*"([a-z_]+)"|(?:Refusal|Reject)\([^"]*(?:f"[^"]*"[^"]*)?"([a-z_.]+)"|rule = "([a-z_]+)" if|reject\(ledger, [^"]*"([a-z_]+)"')  # fmt: skip


def codes():
    found = set()
    for path in DATA.rglob("*.py"):
        for match in WRITTEN.finditer(path.read_text(encoding="utf-8")):
            found |= {group for group in match.groups() if group}
    return sorted(found)


def test_codes_are_found_in_the_source():
    assert {"whitespace", "impossible", "label_conflict", "row.fields", "target_missing"} <= set(codes())


@pytest.mark.parametrize("code", codes())
def test_every_code_of_preparation_has_words(code):
    assert code_words(code, chinese=True) != code.replace("_", " ")
    assert re.search(r"[\u4e00-\u9fff]", code_words(code, chinese=True))


def test_personal_data_is_named_kind_by_kind():
    text = "ann@example.com 13800138000"
    assert {finding.kind for finding in find(text)} == {"email", "phone"}
    assert repair_words("pii_email note", chinese=True) == "note：电子邮箱"
    assert repair_words("pii_email note", chinese=False) == "note: e-mail addresses"


def test_reasons_keep_what_they_name():
    assert reason_words("3 fields, but 4 were expected", chinese=True) == "有 3 个字段，应为 4 个"
    assert (
        reason_words("age is impossible; its bounds are 0 to 120.", chinese=True)
        == "age 的取值不可能，范围为 0 to 120。"
    )
    assert reason_words("something new", chinese=True) == "something new"
