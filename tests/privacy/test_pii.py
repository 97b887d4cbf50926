"""Personal data: planted strings are found at their offsets, decoys are not."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.privacy.pii import Counts, Finding, find, redact, scan

PLANTED = [
    ("email", "请发邮件到", "li.ming+shop@example.com.cn", "，谢谢"),
    ("email", "邮箱是", "ａｂｃ＠ｅｘａｍｐｌｅ．ｃｏｍ", "请查收"),
    ("email", "write to ", "o'neil@mail.example.org", "."),
    ("phone", "我的手机号是", "13800138000", "请联系我"),
    ("phone", "打", "138-0013-8000", "就行"),
    ("phone", "打", "139 1234 5678", ""),
    ("phone", "电话", "１３８００１３８０００", "。"),
    ("phone", "", "+86 138 0013 8000", " 张三"),
    ("phone", "加微信", "8613800138000", "聊"),
    ("phone", "座机（北京）", "010-62345678", "转人工"),
    ("phone", "传真", "0571-87654321", ""),
    ("phone", "电话：", "（010）62345678", "，"),
    ("phone", "致电", "01062345678", "咨询"),
    ("phone", "家里电话", "62345678", "没人接"),
    ("phone", "", "021-62345678转8012", "找王经理"),
    ("phone", "热线", "400-810-1234", "全天"),
    ("phone", "Call ", "+1 415-555-2671", " now"),
    ("phone", "call me: ", "(415) 555-2671", ""),
    ("phone", "I am at ", "415-555-2671", ", thanks"),
    ("phone", "Tel: ", "4155552671", ""),
    ("phone", "ring ", "+44 20 7946 0958", ""),
    ("phone", "ring ", "020 7946 0958", " today"),
    ("phone", "mobile ", "07700 900123", ""),
    ("phone", "Ruf an: ", "+49 (30) 901820", ""),
    ("phone", "Tel. ", "030 901820", ""),
    ("phone", "Handy ", "0151/23456789", ""),
    ("phone", "联系", "+852 2345 6789", "香港"),
    ("identity_card", "身份证", "11010519491231002X", "已核验"),
    ("identity_card", "号码", "360426199101010071", ""),
    ("identity_card", "证件：", "360426 19910101 0071", "。"),
    ("bank_card", "卡号", "6222021234567890128", "工商银行"),
    ("bank_card", "pay with ", "4111 1111 1111 1111", " please"),
    ("bank_card", "", "5555-5555-5555-4444", ""),
    ("bank_card", "amex ", "378282246310005", ""),
    ("iban", "IBAN ", "DE89 3704 0044 0532 0130 00", " bitte"),
    ("iban", "转到", "GB82WEST12345698765432", "即可"),
    ("ip", "来自", "203.0.113.77", "的登录"),
    ("ip", "host ", "2001:db8::8a2e:370:7334", " down"),
]

DECOYS = [
    "订单号 13912345678 已发货",
    "订单编号：202601051234567890",
    "快递单号75123456789012",
    "order no. 4155552671 shipped",
    "Order #415-555-2671",
    "2026-01-05 10:20:30",
    "20260105102030123",
    "at 1767571200000 ms",
    "共 1,380,013,800 元",
    "价格13800138000元",
    "价格 12 345 678 日元",
    "0.13800138000",
    "3.14159265358979",
    "ISBN 978-3-16-148410-0",
    "版本 10.0.19.41",
    "v1.2.3.4 is out",
    "firmware 2.10.0.300",
    "日期 05/01/2026 到 06/02/2026",
    "2026.01.05-2026.02.05",
    "9:00-18:00, 10:20:30",
    "std::vector<int> a::b c::d",
    "MAC 00:1A:2B:3C:4D:5E",
    "logo@2x.png and pip install x@1.2.3",
    "git@github.com:team/code.git",
    "@someone said hi",
    "uuid 123e4567-e89b-12d3-a456-426614174000",
    "sha 4111111111111112",
    "EAN 4006381333931",
    "身份证 110105194912310021",
    "卡号 6222021234567890123",
    "经纬度 39.9042, 116.4074",
    "https://shop.example/item/13912345678.html",
    "model T-020-2026-0105",
    "10000000000000000",
    "score 100 200 300 400 500",
    "电话会议 2026 年 1 月 5 日",
    "电话会议 20260105 改期",
    "DE00370400440532013000",
    "256.300.1.1",
    "买了 3 个 12345 的",
]


@pytest.mark.parametrize(("kind", "before", "secret", "after"), PLANTED)
def test_planted_data_is_found_exactly_where_it_stands(kind, before, secret, after):
    assert find(before + secret + after) == [Finding(kind, len(before), len(before) + len(secret))]


@pytest.mark.parametrize("text", DECOYS)
def test_a_decoy_is_no_finding(text):
    assert find(text) == []


def test_redaction_keeps_the_text_around_and_the_offsets_of_the_original():
    text = "张三（13800138000）邮箱a@b.cn，卡4111111111111111。"
    clean, found = redact(text)
    assert clean == "张三（[PHONE]）邮箱[EMAIL]，卡[BANK_CARD]。"
    assert [text[one.start : one.end] for one in found] == ["13800138000", "a@b.cn", "4111111111111111"]


def test_two_numbers_side_by_side_are_two_findings():
    assert redact("电话13800138000、13900139000 或 13700137000")[0] == "电话[PHONE]、[PHONE] 或 [PHONE]"


def test_the_word_nearest_before_a_number_decides():
    assert redact("订单号 13912345678，电话 13800138000")[0] == "订单号 13912345678，电话 [PHONE]"
    assert redact("订单已发货，请拨打13912345678")[0] == "订单已发货，请拨打[PHONE]"


def test_an_address_inside_an_address_is_one_finding():
    assert [finding.kind for finding in find("at 2001:db8::10.20.30.40 now")] == ["ip"]


def test_regions_that_are_left_out_are_not_looked_for():
    assert find("call (415) 555-2671", regions=("CN",)) == []


def test_a_scan_counts_texts_and_findings():
    counts = scan(["a@b.cn c@d.org", "nothing", "13800138000"])
    assert counts == Counts(texts=3, affected=2, findings={"email": 2, "phone": 1})


@settings(max_examples=150)
@given(st.text(alphabet=st.sampled_from("0123456789 -+.@:/()aXfZ张电话卡号１（\n"), max_size=60))
def test_whatever_the_text_findings_never_overlap_and_the_rest_stays(text):
    clean, found = redact(text)
    assert all(one.end <= other.start for one, other in pairwise(found))
    for finding in found:
        clean = clean.replace(f"[{finding.kind.upper()}]", text[finding.start : finding.end], 1)
    assert clean == text


def test_hostile_texts_take_no_time():
    started = time.perf_counter()
    for text in (
        "1" * 20_000,
        "a." * 10_000 + "@",
        "1-" * 10_000,
        "1.1." * 5_000,
        "f:" * 10_000,
        "(0" * 10_000,
        "AA11" * 5_000,
    ):
        find(text)
    assert time.perf_counter() - started < 5
