"""Typing errors: a neighbouring key, a letter too few, too many or exchanged; in Chinese a character of the same sound or of
the same look.

Not here: other words of the same meaning (`synonyms.py`), how a model fares (`robustness.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHIFT = (0.0, 0.3, 0.8)  # how far each row of keys stands to the right, in keys
_NEAR = 1.25

# The first level of GB 2312 is ordered by sound: each of these characters begins a new syllable, whatever its tone, as an input
# method for Pinyin offers them.
_FIRST_OF_SYLLABLE = (
    "啊埃鞍肮凹芭白斑邦苞杯奔崩逼鞭标鳖彬兵玻捕擦猜餐苍操厕层插拆搀昌超车郴撑吃充抽初揣川疮吹春戳疵聪凑粗蹿摧村磋搭呆耽当"
    "刀德蹬堤颠碉跌丁丢东兜督端堆墩掇蛾恩而发藩坊菲芬丰佛否夫噶该干冈篙哥给根耕工钩辜刮乖棺光瑰辊锅哈骸酣夯壕呵嘿痕哼轰喉呼"
    "花槐欢荒灰荤豁击嘉歼僵蕉揭巾荆炯揪鞠捐撅均喀开刊康考坷肯坑空抠枯夸块宽匡亏坤括垃莱蓝琅捞勒雷棱厘俩联粮撩列琳玲溜龙楼芦驴"
    "峦掠抡萝妈埋瞒芒猫么玫门萌眯棉苗蔑民明谬摸谋拇拿氖南囊挠呢馁嫩能妮蔫娘鸟捏您柠牛脓奴女暖虐挪哦欧啪拍攀乓抛呸喷砰坯篇飘撇"
    "拼乒坡扑期掐牵枪橇切钦青琼秋趋圈缺裙然瓤饶惹壬扔日戎揉茹软蕊闰若撒腮三桑搔瑟森僧莎筛珊墒梢奢砷声师收蔬刷摔栓霜谁吮说斯松"
    "搜苏酸虽孙蓑塌胎坍汤掏特藤梯天挑贴厅通偷凸湍推吞拖挖歪豌汪威瘟嗡挝巫昔瞎掀相萧楔薪星兄休墟轩靴勋压焉殃邀椰一茵英哟拥幽迂"
    "鸳曰耘匝栽咱赃遭责贼怎增扎摘瞻樟招遮珍蒸芝中舟珠抓拽专桩椎谆捉兹鬃邹租钻嘴尊昨"
)

# Characters that are taken for one another in a hurry or in small print.
_LOOK_ALIKE = (
    "己已巳 未末 土士 人入八 日曰 大太犬 天夫 木本术 千干于 刀力刁 戊戌戍 候侯 辨辩瓣辫 拨拔 贷货 蓝篮 历厉 免兔 困因 园圆 师帅 "
    "情清请晴睛 问间闻 折拆 治冶 风凤 今令 午牛 王玉主 目自且 田由甲申 鸟乌 厂广 外处 往住 很狠恨 喝渴 快块 吃乞 味妹 送迭 菜莱 饭饮 "
    "钱线 买卖 等筹 到倒 好妤 没设 话活 哪那 他她地 休体 作昨 位拉 低抵 何河 使便 侍待 传转 代伐 什仟 仓仑 会合 全金 公么 分兮 "
    "切功 划到 刚钢 别刑 包句 单早 即既 卷券 变恋 古右 句旬 史吏 名各 后石 吗妈 听所 员贝 周同 哀衰 喜善 嗓噪 因固 坏杯 垂重 城诚 "
    "堆推 塞寨 复夏 失矢 奇寄 妨防 姑始 宣宜 客容 宽觅 密蜜 寒塞 少小 尤龙 尽层 属厉 岁多 币市 常带 干午 并开 幻幼 底低 度席 延廷 弟第 "
    "形型 彻砌 径经 得碍 微徽 心必 忙忘 怪径 急急 恩思 悔侮 惊凉 惨掺 慢漫 戴载 户尸 技枝 抓爪 抢枪 担但 招拍 持特 挂桂 换涣 捡检 提堤 "
    "撒撤 政故 效郊 敢取 斤斥 新薪 方万 旅族 时吋 明朋 春舂 是足 晚挽 普晋 暴爆 曾会 望塱 束柬 析折 林材 果呆 标际 样祥 栽裁 格恪 桃挑 "
    "梁粱 械诫 棋祺 楼搂 模摸 欧殴 欢次 正止 死列 段投 母毋 每海 比北 毫豪 水永 汗汁 沐沭 沫沬 油抽 泊伯 注住 洗选 流疏 测侧 消削 "
    "深探 温湿 渡度 湖糊 满瞒 滴摘 漂飘 炒抄 炸昨 点店 热势 烧浇 然燃 照煦 爪瓜 牌脾 特持 狂往 狼狠 玩完 珍诊 班斑 球救 理埋 瓶拼 用甩 "
    "画面 畅杨 番播 疼痛 白自百 的钓 盘盆 盖羔 盟萌 直真 看着 省着 睡唾 短矮 码玛 破坡 碗腕 示未 神伸 票栗 福副 秋秒 种钟 科料 租组 "
    "积织 称你 程呈 稍梢 穷劳 空穴 窗窝 立位 竞竟 笑芙 笔毛 第弟 粉纷 粒拉 糖塘 系糸 素索 约钓 级极 纸低 线钱 练炼 细田 终络 给拾 统流 "
    "绿缘 编偏 网冈 罚罗 美羊 老考 者著 而面 肉内 肚吐 胃冒 能熊 脚却 脱说 腾滕 自目 舒野 船般 良食 节书 花化 苦若 茶荼 草早 荣营 菌茵 "
    "落洛 蒜蔬 薄簿 虚虎 蛋蚤 行往 街衔 补朴 表衰 被彼 装袋 西酉 要耍 见贝 视祝 解触 言信 计什 订丁 认队 让上 记己 许午 论伦 证正 "
    "评坪 识织 诉拆 词同 试式 误娱 说悦 读续 课果 调周 谢射 象像 贝见 负员 责青 贵贯 赔陪 赞攒 走足 赶起 超起 越趋 跑泡 距矩 跟根 路洛 "
    "跳眺 踩采 身射 车东 转传 轻经 输愉 辣棘 达送 过边 迎仰 近斤 还坏 这过 进讲 远园 连莲 迟尺 迫泊 退腿 适活 逃桃 通桶 速束 遇偶 道遒 "
    "遍偏 酒洒 酱浆 采彩 量童 针计 钟种 钢刚 钱浅 铁跌 银很 错借 锅祸 长张 门们 闭闲 闷闪 阅悦 队认 防妨 阳阴 附付 陈阵 陌佰 难堆 "
    "雪雷 零雾 青责 静净 音昔 须顺 顶项 顾颐 预须 频颇 题提 颜须 饱跑 饿俄 馅陷 香番 骂马 骑椅 高亮 鱼角 鲜羡 鸡鸣 鸭鸦 麦表 黄寅 黑墨"
)

_Change = Callable[[str, float, np.random.Generator], str]


def mistyped(text: str, share: float, random: np.random.Generator) -> str:
    """`share` of the letters hit wrong: a neighbouring key, left out, doubled, or exchanged with the next one."""
    found: list[str] = []
    letters = list(text)
    hit, way = random.random(len(letters)) < share, random.integers(0, 4, len(letters))
    at = 0
    while at < len(letters):
        letter = letters[at]
        near = _neighbours().get(letter.lower())
        if near is None or not hit[at]:
            found.append(letter)
        elif way[at] == 0:
            other = near[int(random.integers(len(near)))]
            found.append(other.upper() if letter.isupper() else other)
        elif way[at] == 1:
            found.append(letter * 2)
        elif way[at] == 2 and at + 1 < len(letters):
            found += [letters[at + 1], letter]
            at += 1
        at += 1  # else left out
    return "".join(found)


def by_sound(text: str, share: float, random: np.random.Generator) -> str:
    """`share` of the Chinese characters replaced by others of the same syllable."""
    return _replaced(text, share, random, _sounds())


def by_look(text: str, share: float, random: np.random.Generator) -> str:
    """`share` of the Chinese characters that have a look-alike replaced by one."""
    return _replaced(text, share, random, _looks())


def touched(text: str, change: str) -> int:
    """How many characters of a text `mistyped`, `by_sound` or `by_look` could change."""
    table = {"typing": _neighbours, "homophones": _sounds, "lookalikes": _looks}[change]()
    return sum(character in table for character in text.lower())


def _replaced(text: str, share: float, random: np.random.Generator, table: Mapping[str, str]) -> str:
    hit = random.random(len(text)) < share
    found = []
    for character, wrong in zip(text, hit, strict=True):
        others = table.get(character) if wrong else None
        found.append(character if others is None else others[int(random.integers(len(others)))])
    return "".join(found)


@cache
def _neighbours() -> Mapping[str, str]:
    """The keys beside each letter on a keyboard."""
    place = {key: (at + _SHIFT[row], row) for row, keys in enumerate(_KEYS) for at, key in enumerate(keys)}
    return {
        key: "".join(other for other, (u, v) in place.items() if other != key and np.hypot(u - x, v - y) < _NEAR)
        for key, (x, y) in place.items()
    }


@cache
def _sounds() -> Mapping[str, str]:
    """For each of 3,755 characters the others of its syllable."""
    ordered = bytes(byte for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF) for byte in (high, low))
    characters = ordered.decode("gb2312", errors="ignore")
    runs: list[str] = []
    for character in characters:
        if character in _FIRST_OF_SYLLABLE:
            runs.append("")
        runs[-1] += character
    return {one: run.replace(one, "") for run in runs for one in run if len(run) > 1}


@cache
def _looks() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for group in _LOOK_ALIKE.split():
        for one in group:
            others = "".join(other for other in group if other != one)
            if others:
                found[one] = found.get(one, "") + others
    return found
