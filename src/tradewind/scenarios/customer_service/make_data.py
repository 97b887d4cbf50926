"""Sample data for the scenario: what customers of a made-up tea shop write, and what the shop knows. No logic of the product.

Messages are put together from frames, things and small talk, in English and Chinese, with a typing error here and there; the
knowledge base is a handful of pages and of questions with answers. Lantern Tea does not exist.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

PER_INTENT = 40  # messages in each language
TYPOS = 0.12

THINGS = {
    "en": ["oolong", "green tea", "teapot", "gift box", "jasmine tea", "kettle", "white tea", "tea cups", "order LT-204817", "pu'er"],
    "zh": ["乌龙茶", "龙井", "茶壶", "礼盒", "茉莉花茶", "烧水壶", "白茶", "茶杯", "订单LT-204817", "普洱"],
}  # fmt: skip
BEFORE = {
    "en": ["", "", "", "hi, ", "hello ", "good morning, ", "sorry, ", "please help: ", "quick question: "],
    "zh": ["", "", "", "你好，", "您好，", "请问", "麻烦问一下，", "在吗，", "客服你好，"],
}
AFTER = {
    "en": ["", "", "", "?", " please", " thanks", "!!", " asap", ". Ordered it last week"],
    "zh": ["", "", "", "？", "谢谢", "！", "，急", "，麻烦了", "，上周下的单"],
}
FRAMES = {
    "track_order": {
        "en": ["where is my {t}", "track my {t}", "when will the {t} arrive", "my {t} has not arrived yet", "has the {t} been shipped",
               "how long until the {t} gets here", "delivery status of the {t}", "still waiting for my parcel with the {t}"],
        "zh": ["我的{t}到哪了", "{t}什么时候送到", "查一下{t}的物流", "{t}发货了吗", "{t}还没收到", "{t}的快递怎么还不到", "{t}几天能到", "包裹现在在哪里，里面是{t}"],
    },
    "return_item": {
        "en": ["I want to return the {t}", "how do I send the {t} back", "can I return my {t}", "the {t} is not what I wanted, return it",
               "start a return for the {t}", "return label for the {t}", "I would like to give back the {t}", "exchange or return of the {t}"],
        "zh": ["我想退掉{t}", "{t}怎么退货", "{t}可以退吗", "{t}不喜欢想退货", "申请{t}退货", "怎么把{t}寄回去", "{t}退货地址是什么", "我要退货，买的是{t}"],
    },
    "refund_status": {
        "en": ["when do I get my money for the {t}", "refund for the {t} is not there yet", "where is my refund for the {t}", "status of my refund {t}",
               "money back for the {t} has not arrived", "how long does the refund of the {t} take", "you owe me the refund for the {t}", "has my {t} refund been paid"],
        "zh": ["{t}的退款什么时候到账", "{t}退款还没收到", "查一下{t}的退款进度", "{t}的钱什么时候退给我", "退款多久到，退的是{t}", "{t}退款到哪里了", "{t}的钱还没退回来", "退款进度怎么样了，{t}"],
    },
    "change_address": {
        "en": ["change the delivery address for the {t}", "send the {t} to another address", "I moved, new address for my {t}", "wrong address on my {t}",
               "update the shipping address of the {t}", "can the {t} go to my office instead", "edit the address for the {t}", "the street on the {t} parcel is wrong"],
        "zh": ["{t}的收货地址要改", "{t}寄到别的地址", "我搬家了，{t}换个地址", "{t}地址填错了", "修改{t}的配送地址", "{t}能改寄到公司吗", "怎么改{t}的地址", "{t}的街道写错了要改地址"],
    },
    "cancel_order": {
        "en": ["cancel my {t}", "I do not want the {t} any more, cancel it", "please stop the {t} before it ships", "cancel the purchase of the {t}",
               "I ordered the {t} by mistake, cancel", "how can I cancel the {t}", "call off the {t}", "cancellation of the {t}"],
        "zh": ["取消{t}", "{t}不要了，取消订单", "{t}还没发货，帮我取消", "下错单了，取消{t}", "怎么取消{t}", "{t}我想撤单", "请把{t}的订单取消", "取消购买{t}"],
    },
    "payment": {
        "en": ["how can I pay for the {t}", "do you take credit cards for the {t}", "can I pay the {t} with alipay", "payment failed for the {t}",
               "pay by invoice for the {t}", "which ways to pay do you have", "is wechat pay possible for the {t}", "my card was declined when I paid for the {t}"],
        "zh": ["{t}怎么付款", "{t}可以用支付宝吗", "买{t}能刷信用卡吗", "{t}支付失败了", "{t}可以微信支付吗", "你们支持哪些付款方式", "{t}能开账期付款吗", "付{t}的时候银行卡被拒"],
    },
    "complaint": {
        "en": ["this is unacceptable, the {t} came broken", "I want to complain about the {t}", "terrible service with my {t}", "the {t} is awful, I am angry",
               "worst shop ever, the {t} was rude to even pack", "I am very disappointed with the {t}", "file a complaint about the {t}", "you people lied about the {t}"],
        "zh": ["{t}收到是坏的，太过分了", "我要投诉，{t}", "{t}的服务太差了", "{t}质量太差，气死我了", "再也不买你们的{t}了，差评", "对{t}非常失望", "投诉你们的{t}", "{t}跟描述不一样，骗人"],
    },
    "greeting": {
        "en": ["hello", "hi there", "good evening", "hey", "is anybody there", "hello tea shop", "good day to you", "hi Lantern Tea"],
        "zh": ["你好", "您好", "在吗", "有人吗", "早上好", "晚上好", "哈喽", "你好茶铺"],
    },
    "thanks": {
        "en": ["thank you", "thanks a lot", "great, that helped", "perfect, bye", "many thanks", "ok thank you very much", "wonderful, thanks", "that is all, goodbye"],
        "zh": ["谢谢", "多谢", "好的谢谢您", "太好了，再见", "明白了，谢谢", "非常感谢", "没有别的了，再见", "好的，拜拜"],
    },
}  # fmt: skip

PAGES = {
    "shipping.en.md": """# Shipping

## Costs
Shipping costs 6 euros. From 60 euros on it is free. Express delivery costs 9 euros and arrives on the next working day.

## Countries
We ship to every country of the European Union, to Switzerland and to China. Duties outside the Union are paid by the customer.

## Packaging
Parcels are packed without plastic. Teapots travel in moulded paper; if one breaks on the way, a photo is enough for a new one.
""",
    "shipping.zh.md": """# 配送

## 运费
普通配送运费 6 欧元，订单满 60 欧元免运费。加急配送 9 欧元，下一个工作日送达。

## 配送范围
可寄送至欧盟各国、瑞士和中国。欧盟以外的关税由顾客承担。

## 包装
包裹不使用塑料。茶壶用纸浆模具保护，运输途中破损，发一张照片即可补寄。
""",
    "teas.en.md": """# Our teas

## Brewing
Green tea is brewed at 75 degrees for two minutes, oolong at 90 degrees for three, pu'er at 100 degrees for four.
A teaspoon is enough for a cup of 200 millilitres. Oolong can be brewed up to five times.

## Caffeine
White tea has the least caffeine of our teas, pu'er the most. Herbal blends have none.

## Storage
Tea keeps for two years in its tin, dry and dark. Pu'er gets better with age and needs some air.

## Origin
Our oolong comes from Anxi, the green tea from Hangzhou, the white tea from Fuding. Every tin names the garden and the harvest.
""",
    "teas.zh.md": """# 茶叶知识

## 冲泡
绿茶用 75 度水泡两分钟，乌龙茶用 90 度水泡三分钟，普洱用 100 度水泡四分钟。
一杯 200 毫升放一茶匙茶叶即可。乌龙茶可以冲泡五次。

## 咖啡因
白茶咖啡因最少，普洱最多。花草茶不含咖啡因。

## 存放
茶叶放在罐中避光干燥可保存两年。普洱越陈越香，需要适当通风。

## 产地
乌龙茶产自安溪，绿茶产自杭州，白茶产自福鼎。每个茶罐上都写着茶园和采摘季节。
""",
    "shop.en.md": """# Shop

## Opening hours
The shop in Lantern Street is open from Tuesday to Saturday, 10 to 18 o'clock. On Sunday and Monday it is closed.

## Gift cards
Gift cards are valid for three years, online and in the shop. They come by e-mail or printed on paper.

## Tastings
A tasting takes place every Thursday at 19 o'clock, with six teas, for 25 euros. It is booked on the page Tastings.

## Loyalty points
A euro is a point. A hundred points are worth 5 euros and last for one year.
""",
    "shop.zh.md": """# 门店

## 营业时间
灯笼街门店周二至周六 10 点到 18 点营业，周日和周一休息。

## 礼品卡
礼品卡三年内有效，网店和门店都能用，可以发邮件，也可以打印成卡片。

## 品茶会
每周四 19 点举办品茶会，品六款茶，25 欧元一位，在“品茶会”页面预约。

## 积分
消费 1 欧元积 1 分，100 分抵 5 欧元，积分一年有效。
""",
}  # fmt: skip
QUESTIONS = {
    "en": [("How hot should water be for green tea?", "75 degrees, for two minutes."), ("Is express delivery possible?", "Yes: 9 euros, on the next working day."),
           ("Do you ship to Switzerland?", "Yes. Duties are paid by the customer."), ("How long is a gift card valid?", "Three years, online and in the shop."),
           ("Which tea has little caffeine?", "White tea has the least; herbal blends have none."), ("When is the shop open?", "Tuesday to Saturday, 10 to 18 o'clock."),
           ("What are loyalty points worth?", "A hundred points are 5 euros; they last for a year."), ("My teapot broke on the way", "Send a photo: a new one is on its way then."),
           ("Where does the oolong come from?", "From Anxi; every tin names the garden."), ("Can I book a tasting?", "Yes, on the page Tastings: every Thursday at 19 o'clock.")],
    "zh": [("绿茶用多少度的水泡？", "75 度，泡两分钟。"), ("可以加急配送吗？", "可以，9 欧元，下一个工作日送达。"), ("寄到瑞士吗？", "可以，关税由顾客承担。"),
           ("礼品卡有效期多久？", "三年，网店和门店都能用。"), ("哪种茶咖啡因少？", "白茶最少，花草茶不含咖啡因。"), ("门店几点营业？", "周二至周六 10 点到 18 点。"),
           ("积分可以抵多少钱？", "100 分抵 5 欧元，一年有效。"), ("茶壶运输途中碎了怎么办？", "发一张照片，我们补寄新的。"), ("乌龙茶是哪里产的？", "安溪，茶罐上写着茶园。"), ("怎么预约品茶会？", "在“品茶会”页面预约，每周四 19 点。")],
}  # fmt: skip


def make(folder: Path, *, seed: int = 0) -> None:
    """Writes `data/messages.csv` (text, intent, language) and the pages of `data/knowledge/`."""
    draw = np.random.default_rng(seed)
    known = folder / "data" / "knowledge"
    known.mkdir(parents=True, exist_ok=True)
    rows = {
        (_message(draw, intent, language), intent, language)
        for intent in FRAMES
        for language in ("en", "zh")
        for _ in range(PER_INTENT)
    }
    with (folder / "data" / "messages.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "intent", "language"])
        table.writerows(sorted(rows))
    for name, text in PAGES.items():
        (known / name).write_text(text, encoding="utf-8")
    with (known / "faq.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["question", "answer"])
        table.writerows(pair for pairs in QUESTIONS.values() for pair in pairs)


def _message(draw: np.random.Generator, intent: str, language: str) -> str:
    frame = str(draw.choice(FRAMES[intent][language]))
    text = frame.replace("{t}", str(draw.choice(THINGS[language])))
    if intent not in ("greeting", "thanks"):
        text = str(draw.choice(BEFORE[language])) + text + str(draw.choice(AFTER[language]))
    else:
        text += str(draw.choice(["", "!", "~", " :)", "."]))
    return _mistyped(draw, text) if draw.random() < TYPOS and len(text) > 4 else text


def _mistyped(draw: np.random.Generator, text: str) -> str:
    """Two neighbours change places, or one is left out."""
    place = int(draw.integers(1, len(text) - 2))
    if draw.random() < 0.5:
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    return text[:place] + text[place + 1 :]


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
