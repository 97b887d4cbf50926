"""Words of like meaning, English and Chinese: a small lexicon of everyday ones, or a file of the user's own.

Not here: misspelt words (`misspelling.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from tradewind.errors import InputError

Lexicon = Mapping[str, Sequence[str]]

_LINES_SHOWN = 3

# One group a line; a word may be replaced by any other of its line.
_ENGLISH = """
big large
small little
good fine decent
bad poor
great excellent superb
terrible awful dreadful
quick fast rapid
slow sluggish
begin start
end finish
buy purchase
help assist
show display
need require
get obtain receive
give provide
ask inquire
answer reply respond
choose select pick
change alter modify
keep retain
send dispatch
wrong incorrect mistaken
right correct
hard difficult
easy simple
happy glad pleased
sad unhappy
angry furious
cheap inexpensive
expensive costly pricey
error mistake fault
problem issue trouble
money cash funds
payment charge
cost price
card
bill invoice
refund reimbursement
transfer remittance
cancel revoke
close shut
open unlock
broken damaged
lost missing
stolen robbed
late delayed
early
soon shortly
now currently presently
often frequently
always constantly
never
very really extremely
also too additionally
maybe perhaps possibly
about regarding concerning
because since
however though
child kid
doctor physician
ill sick unwell
pain ache
movie film
story tale
house home
job work occupation
company firm business
customer client
employee worker
person individual
people folks
country nation
street road
car vehicle automobile
photo picture image
phone telephone
store shop
food meal
taste flavour
clean tidy
dirty filthy
nice pleasant lovely
strange odd weird
important essential crucial
enough sufficient
allow permit
forbid prohibit
explain clarify
check verify
look glance
think believe
want wish
like enjoy
hate detest
love adore
wait await
arrive come
leave depart
deliver bring
account
limit cap
amount sum
total whole
reason cause
way manner
place location spot
time moment
new recent
old former
"""
_CHINESE = """
好吃 美味 可口
难吃 不好吃
很 非常 特别 十分
快 迅速
慢 迟缓
便宜 实惠 不贵
贵 昂贵
送餐 配送 送货
送来 送到
服务员 店员
老板 店家 商家
态度 服务态度
味道 口味
分量 份量
新鲜 鲜美
差 糟糕
满意 称心
失望 扫兴
喜欢 喜爱
讨厌 反感
希望 盼望
建议 提议
推荐 介绍
东西 物品
时间 时候
小时 钟头
今天 今日
昨天 昨日
明天 明日
现在 目前
已经 早已
马上 立刻 立即
经常 常常 时常
一直 始终
总是 老是
可能 也许 或许
但是 可是 不过 然而
因为 由于
所以 因此 因而
如果 假如 要是
而且 并且
虽然 尽管
一起 一同
帮助 帮忙
购买 买
出售 卖
价格 价钱
钱 金钱
付款 支付
退款 退钱
取消 撤销
订单 单子
客户 顾客
公司 企业
工作 职业
房子 房屋
汽车 轿车
电话 手机
照片 相片
电影 影片
故事 情节
孩子 小孩
父亲 爸爸
母亲 妈妈
医生 大夫
生病 患病
疼 痛
高兴 开心 快乐
难过 伤心
生气 恼火
漂亮 好看 美丽
干净 整洁
脏 不干净
安静 宁静
重要 要紧
简单 容易
困难 不容易
问题 毛病
错误 差错
原因 缘故
方法 办法
地方 场所
需要 需求
开始 起初
结束 完结
继续 接着
改变 变化
检查 查看
知道 晓得
觉得 感觉 认为
看见 看到
告诉 告知
回答 答复
选择 挑选
大 巨大
小 细小
多 许多
少 不多
"""
_WORD = re.compile(r"[A-Za-z]+")


def built_in() -> Lexicon:
    """The lexicon that Tradewind has."""
    return _built_in()


@cache
def _built_in() -> Lexicon:
    return _lexicon((_ENGLISH + _CHINESE).splitlines())


def read_lexicon(path: Path) -> Lexicon:
    """A file of the user's: a group of words a line, parted by commas or blanks; lines after # are passed over.

    Raises InputError when it cannot be read or holds no group of two words.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The words of like meaning cannot be read ({getattr(error, 'strerror', None) or 'it is no UTF-8'}).",
            code="synonyms_file", where=f"evaluate.synonyms: {path}",
        ) from error  # fmt: skip
    found = _lexicon(line for line in lines if not line.lstrip().startswith("#"))
    if not found:
        raise InputError(
            "No line of the file holds two words.", code="synonyms_file", where=f"evaluate.synonyms: {path}",
            hint="Write a group of words of like meaning on each line: cheap, inexpensive",
        )  # fmt: skip
    return found


def _lexicon(lines: Iterable[str]) -> Lexicon:
    found: dict[str, list[str]] = {}
    for line in lines:
        words = line.replace(",", " ").replace("，", " ").split()
        for word in words:
            if len(words) > 1:
                found.setdefault(word.lower(), []).extend(other for other in words if other != word)
    return found


def rephrased(text: str, share: float, random: np.random.Generator, lexicon: Lexicon) -> str:
    """`share` of the words that the lexicon knows replaced by another of their group. Words are letters between other
    characters; of Chinese the longest that the lexicon has, from the left."""
    found, at = [], 0
    longest = max(map(len, lexicon), default=0)
    while at < len(text):
        word = _at(text, at, longest, lexicon)
        others = lexicon.get(word.lower(), ())
        if others and random.random() < share:
            other = others[int(random.integers(len(others)))]
            found.append(other.capitalize() if word[0].isupper() else other)
        else:
            found.append(word)
        at += len(word)
    return "".join(found)


def known(text: str, lexicon: Lexicon) -> int:
    """How many words of a text could be replaced."""
    count, at, longest = 0, 0, max(map(len, lexicon), default=0)
    while at < len(text):
        word = _at(text, at, longest, lexicon)
        count += word.lower() in lexicon
        at += len(word)
    return count


def _at(text: str, at: int, longest: int, lexicon: Lexicon) -> str:
    """The word, or the one character, at a place."""
    match = _WORD.match(text, at)
    if match is not None:
        return match[0]
    for length in range(min(longest, len(text) - at), 1, -1):
        if text[at : at + length] in lexicon:
            return text[at : at + length]
    return text[at]
