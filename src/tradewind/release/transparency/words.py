"""The words of the transparency report in English and Chinese. Not here: headings (`frames.py`).

Names of settings and of figures are what the product file and the API call them, and stay as they are; Chinese explains the
usual figures beside them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_WORDS: Mapping[str, tuple[str, str]] = {
    # sentences
    "not_stated": ("Not stated.", "未填写。"),
    "fill": ("Not stated. Fill in {field}.", "未填写。请在产品文件中填写 {field}。"),
    "nothing": ("This release records nothing here.", "本版本在此没有记录。"),
    "not_examined": ("Not examined in this release: not measured.", "本版本未进行此项检验，没有测量值。"),
    "no_texts": ("No column holds texts in which personal data could be looked for.", "没有可供查找个人信息的文本列。"),
    "no_sensitive": ("The product file names no sensitive column.", "产品文件没有指定敏感列。"),
    "nothing_missing": ("Nothing: every field is filled in.", "无：所有字段均已填写。"),
    "missing_note": ("Nobody filled these in, and nothing was put in their place:", "以下内容无人填写，也没有以其他内容代替："),
    "first_release": ("There is no release before this one.", "这是第一个版本。"),
    "nothing_to_compare": ("The release before it holds no transparency report to compare with.", "上一版本没有可供比较的透明度报告。"),
    "no_changes": ("Nothing that this report says differs from the last release.", "本报告的内容与上一版本没有差异。"),
    "none_cleaned": ("Nothing had to be repaired and no row was rejected.", "无需处理，也没有剔除任何行。"),
    "none_personal": ("The search for personal data in texts found none.", "在文本中查找个人信息，没有发现。"),
    "personal_off": ("Nobody looked for personal data (data.clean.pii: keep).", "没有查找个人信息（data.clean.pii: keep）。"),
    "no_gates": ("No gate was set.", "未设门槛。"),
    "no_pretrained": ("Trained from the start; no pretrained model is part of it.", "从零训练，不含预训练模型。"),
    "no_energy": (
        "No estimate: the processors' power could not be read, and release.watts is not filled in.",
        "无法估算：处理器功率无法读取，且未填写 release.watts。",
    ),
    "energy_rapl": (
        "Seconds of training times the mean power that the processors' own counters (RAPL) gave meanwhile; memory, disks and what "
        "else the machine did are not told apart.",
        "训练秒数乘以同期处理器计数器（RAPL）给出的平均功率；未区分内存、磁盘及机器的其他任务。",
    ),
    "energy_stated": (
        "Seconds of training times the power that the product file states (release.watts).",
        "训练秒数乘以产品文件所填功率（release.watts）。",
    ),
    "interval_note": ("Intervals are of 95 %, by bootstrap, where a figure has one.", "区间为 95% 自助区间（如有）。"),
    "shown_note": (
        "Every number names its evidence, and tradewind verify computes it again.",
        "每个数字均标明证据，可用 tradewind verify 重新计算。",
    ),
    "evidence_note": ("Files of this release that the numbers are taken from.", "数字所依据的文件（均在本版本中）。"),
    "predicts": ("This release predicts; it generates no content to be labelled.", "本版本仅作预测，不生成需要标识的内容。"),
    "implicit": (
        "Every reply of the server carries metadata that says so (headers and an AIGC object with the fields of GB 45438-2025).",
        "服务端的每个应答都带有隐式标识（响应头与含 GB 45438-2025 各字段的 AIGC 元数据）。",
    ),
    "explicit_none": ("The text itself carries no label (serve.mark: none).", "文本本身不带显式标识（serve.mark: none）。"),
    "explicit_text": ("The text itself says that it was generated (serve.mark: text).", "文本本身带有显式标识（serve.mark: text）。"),
    "more_in_report": ("Further values stand in report.json.", "其余数值见 report.json。"),
    # table heads and labels
    "what": ("What", "项目"), "value": ("Value", "值"), "figure": ("Figure", "指标"), "interval": ("Interval", "区间"),
    "source": ("Source", "来源"), "rows": ("Rows", "行数"), "count": ("Count", "数量"), "split": ("Split", "划分"),
    "before": ("Before", "此前"), "now": ("Now", "现在"), "difference": ("Difference", "差异"), "setting": ("Setting", "设置"),
    "file": ("File", "文件"), "digest": ("SHA-256", "SHA-256"), "gate": ("Gate", "门槛"), "measured": ("Measured", "实测"),
    "passed": ("passed", "通过"), "failed": ("failed", "未通过"), "verdict": ("Verdict", "结论"), "yes": ("yes", "是"), "no": ("no", "否"),
    "missing_mark": ("missing", "缺失"), "not_there": ("not there", "无"), "repair": ("Repair", "处理"), "rejected": ("Rejected rows", "剔除的行"),
    "kind": ("Kind", "类型"), "part": ("Part", "用途"), "columns": ("Columns", "列数"), "class": ("Class", "类别"),
    "where": ("Where", "位置"), "gap": ("Gap", "差距"), "clear": ("Clear", "显著"), "baseline": ("Baseline", "基线"),
    "to": ("to", "至"), "precision": ("Precision", "精度"), "megabytes": ("Megabytes", "兆字节"), "loss": ("Loss", "损失"),
    "bits_per_byte": ("bits per byte", "每字节比特数"), "token": ("Token", "词元"), "milliseconds": ("Milliseconds", "毫秒"),
    "seconds_of_one": ("Processor seconds", "处理器秒"), "price": ("Price", "价格"), "written_alone": ("written alone", "单独生成"), "written_beside": ("written beside others", "并行生成"),
    "read": ("read", "读入"), "one_row": ("one row alone", "单行请求"), "bulk_row": ("a row in bulk", "批量每行"),
    "found": ("Found", "发现"), "language": ("Language", "语言"), "documents": ("Documents", "文档数"), "tokens": ("Tokens", "词元"),
    "contents": ("Contents", "目录"), "for_product": ("of {product}", "{product}"), "files": ("Files", "文件数"), "bytes": ("Bytes", "字节"),
    "follows": ("Follows version", "上一版本"), "product": ("Product", "产品"), "task": ("Task", "任务"), "target": ("Target", "目标"),
    "classes": ("Classes", "类别"), "positive": ("Positive class", "正类"), "threshold": ("Threshold", "阈值"),
    "model": ("Model", "模型"), "family": ("Family", "模型族"), "parameters": ("Parameters", "参数量"), "context": ("Context, tokens", "上下文（词元）"),
    "vocabulary": ("Vocabulary", "词表"), "width": ("Width of a vector", "向量维度"), "made_with": ("Made with Tradewind", "制作版本（Tradewind）"),
    "licence": ("Licence", "许可证"), "collection": ("How the rows came about", "数据的采集方式"), "test.licence": ("Licence of the test rows", "测试数据许可证"),
    "test.collection": ("How the test rows came about", "测试数据的采集方式"), "contact": ("Contact", "联系方式"), "provider": ("Provider", "提供者"),
    "description": ("Description", "说明"), "intended_use": ("Intended use", "预期用途"), "excluded_use": ("Excluded uses", "不适用的用途"),
    "limitations": ("Limits", "局限"), "risks": ("Risks", "风险"), "oversight": ("Human oversight", "人工监督"), "watts": ("Power, watts", "功率（瓦）"),
    "primary": ("Leading figure", "主要指标"), "stated_licence": ("Licence of the model", "模型许可证"),
    "objective": ("Objective", "训练目标"), "adapt": ("Adapted by", "微调方式"), "steps": ("Steps", "步数"), "epochs": ("Epochs", "轮数"),
    "best_epoch": ("Best epoch", "最佳轮次"), "best_step": ("Best step", "最佳步"), "stopped": ("Stopped because", "停止原因"),
    "resumed": ("Resumed after a break", "曾中断续训"), "refit_epochs": ("Then trained again, epochs", "再次训练轮数"),
    "seconds": ("Seconds of training", "训练秒数"), "processor_seconds": ("Processor seconds", "处理器秒数"),
    "operations": ("Operations", "运算次数"), "learnt_parameters": ("Parameters that learn", "可训练参数"), "energy": ("Energy, kWh", "能耗（千瓦时）"),
    "device": ("Device", "设备"), "machine": ("Machine", "机器"), "processors": ("Processors", "处理器核心"), "threads": ("Threads", "线程"),
    "system": ("System", "操作系统"), "python": ("Python", "Python"), "torch": ("PyTorch", "PyTorch"),
    "temperature": ("Temperature", "温度"), "log_loss_before": ("Log loss before calibration", "校准前对数损失"),
    "train": ("training", "训练集"), "validation": ("validation", "验证集"), "test": ("test", "测试集"), "test_rows": ("Rows that the figures are of", "指标所用行数"), "all": ("all", "全部"),
    "sensitive": ("Sensitive columns", "敏感列"), "sensitive_as_input": ("The model sees them", "作为模型输入"), "subject": ("Column of the subject", "数据主体列"),
    "consent": ("Column of consent", "同意列"), "purpose": ("Purpose agreed to", "同意的目的"), "split_by": ("Split by", "划分方式"),
    "parity": ("Largest difference from the trainer's outputs", "与训练输出的最大差异"), "parity_tolerance": ("Allowed", "允许值"),
    "abstain_below": ("No answer below a confidence of", "低于此置信度不作答"), "store.inputs": ("Inputs are kept", "输入保存期限"),
    "store.outputs": ("Answers are kept", "应答保存期限"), "store.consent": ("Consent to keep them", "保存是否需要同意"),
    "trained_from": ("Pretrained model", "预训练模型"), "graph": ("Graph", "计算图"), "graph_int8": ("8-bit graph", "8 位计算图"), "meters": ("Billed by", "计量单位"),
    "dataset": ("Dataset", "数据集"), "run": ("Run", "训练"), "report": ("Report", "评估报告"),
    "verbatim": ("Longest passage written as in training, tokens", "与训练文本逐字相同的最长片段（词元）"), "longest": ("Longest run, tokens", "最长连续（词元）"),
    "affected": ("Affected samples", "受影响样本"), "samples": ("Samples written", "生成样本数"), "pii_samples": ("Samples with personal data", "含个人信息的样本"),
    "holds": ("holds", "成立"), "violated": ("violated", "不成立"), "not enough data": ("not enough data", "数据不足"),
    "better": ("better", "更好"), "worse": ("worse", "更差"), "unclear": ("no clear difference", "无明显差异"),
    "lead": ("Lead over the best baseline", "对最好基线的领先"),
    "processor": ("Measured on", "测量环境"), "how": ("How", "方法"), "alone": ("Price of one alone", "单独成本"), "bulk": ("Price in bulk", "批量成本"),
    # what cleaning did, why rows were rejected
    "whitespace": ("spaces trimmed", "去除多余空格"), "missing_word": ("words that mean missing", "表示缺失的词"),
    "units": ("numbers read with their unit", "按单位读出的数值"), "not_a_number": ("no number, taken as missing", "不是数值，按缺失处理"),
    "label_full_stop": ("full stop after the label removed", "去除标签末尾句点"), "impossible": ("impossible value", "不可能的取值"),
    "duplicate": ("exact copies", "完全重复"), "duplicates": ("exact copies", "完全重复"), "near_duplicate": ("near copies", "近似重复"),
    "near_duplicates": ("near copies", "近似重复"), "duplicate_in_own_file": ("copies within a file of its own, kept", "自带文件中的重复，保留"),
    "copy_across_splits": ("copies on both sides of a split", "跨划分的重复"), "label_conflict": ("equal inputs, different targets", "输入相同而目标不同"),
    "class_unseen": ("class that training never sees", "训练集没有的类别"), "target_missing": ("target is missing", "目标缺失"),
    "weight_invalid": ("weight is missing or negative", "权重缺失或为负"), "time_missing": ("moment is missing", "时间缺失"),
    "image_unreadable": ("image cannot be read", "图片无法读取"), "audio_unreadable": ("recording cannot be read", "录音无法读取"),
    "audio_silent": ("silent recording", "录音无声"), "audio_too_long": ("recording too long", "录音过长"), "audio_too_short": ("recording too short", "录音过短"), "contamination": ("training text that a test holds", "与测试重叠的训练文本"),
    "line_ends": ("line ends made one", "统一换行符"), "email": ("e-mail addresses", "电子邮箱"), "phone": ("phone numbers", "电话号码"),
    "identity_card": ("identity cards", "身份证号"), "bank_card": ("bank cards", "银行卡号"), "iban": ("IBANs", "国际银行账号"), "ip": ("IP addresses", "IP 地址"),
    "number": ("numbers", "数值"), "category": ("categories", "类别"), "date": ("dates", "日期"), "text": ("texts", "文本"), "image": ("images", "图像"), "audio": ("recordings", "录音"),
    "identifier": ("identifiers", "标识符"), "input": ("input", "输入"), "dropped": ("dropped", "舍弃"), "weight": ("weight", "权重"),
    # rooms of trust
    "room": ("Examined for", "检验项目"), "state": ("State", "状态"), "examined": ("measured", "已测量"), "not_measured": ("not measured", "未测量"),
    "fairness": ("Fairness", "公平性"), "robustness": ("Robustness", "稳健性"), "explanations": ("Explanations", "解释"),
    "screening": ("Sensitivity and specificity", "灵敏度与特异度"), "uncertainty": ("Uncertainty", "不确定性"), "membership": ("Membership inference", "成员推断"),
    "actions": ("Decisions", "决策"), "drift": ("Drift", "漂移"), "intents": ("New classes", "新增类别"), "retrieval": ("Knowledge base", "知识库"),
    "group": ("group", "组"), "low": ("Low", "下限"), "high": ("High", "上限"), "bound": ("Bound", "界限"), "enough": ("Enough rows", "数据足够"),
    "ends": ("Between", "两端"), "least": ("Least rows of a group", "每组最少行数"), "left_out": ("Left out", "未计入"), "coverage": ("Coverage", "覆盖率"),
    # what rooms of trust call their own
    "intents accept": ("accepted of known", "设定接受率"),
    "intents accepting": ("accepting", "接受率"),
    "encoder": ("encoder", "编码器"),
    "intents episodes": ("episodes", "轮次"),
    "intents false": ("false accepts", "误收率"),
    "intents frozen": ("encoder never learnt these classes", "编码器未学过这些类别"),
    "intents kept": ("kept right", "保持正确"),
    "intents kept before": ("right before", "此前正确"),
    "ks": ("KS", "KS 距离"),
    "drift moved": ("moved", "已漂移"),
    "retrieval pairs": ("questions with answers", "问答对数"),
    "retrieval passages": ("passages", "段落数"),
    "intents played": ("classes a time", "每轮类别数"),
    "positives": ("positives", "正类行数"),
    "psi": ("PSI", "PSI"),
    "retrieval questions": ("questions", "提问数"),
    "retrieval right": ("first one right", "首段正确率"),
    "settled on": ("settled on", "定权重所用问题数"),
    "intents shots": ("examples a class", "每类例句数"),
    "retrieval bound": ("answers from a confidence of", "作答所需把握"),
    "retrieval elsewhere": ("messages answered elsewhere", "另有答复的消息数"),
    "retrieval least": ("least confidence", "最低把握"),
    "retrieval vectors": ("weight of meaning", "语义权重"),
    "retrieval words": ("weight of words", "词语权重"),
    "abstention": ("abstention", "弃答"),
    "accuracy": ("accuracy", "准确率"),
    "advantage": ("advantage", "优势"),
    "alarm": ("alarm", "误报"),
    "alarms": ("alarms", "误报"),
    "answer": ("answer", "答案"),
    "area": ("area", "面积"),
    "answered": ("answered", "已作答"),
    "auc": ("auc", "AUC"),
    "calibration_bias": ("calibration bias", "校准偏差"),
    "chance": ("chance", "随机水平"),
    "by chance": ("by chance", "随机水平"),
    "by class rule": ("by class rule", "按类别阈值"),
    "clean": ("clean", "原始数据"),
    "column": ("column", "列"),
    "compared": ("compared", "比较行数"),
    "deleted": ("deleted", "删除的列数"),
    "domain": ("domain", "适用域"),
    "empty": ("empty", "空集合"),
    "error": ("error", "误差"),
    "faithfulness": ("faithfulness", "理由的可信度"),
    "fidelity": ("fidelity", "一致性"),
    "fitted": ("fitted", "拟合行数"),
    "held": ("held", "留出行数"),
    "ideal": ("ideal", "理想值"),
    "members": ("members", "成员"),
    "others": ("others", "非成员"),
    "number_noise": ("number noise", "数值噪声"),
    "out_of_range": ("out of range", "数值越界"),
    "missing": ("missing", "字段缺失"),
    "promise": ("promise", "承诺的覆盖率"),
    "reason": ("reason", "理由"),
    "refitted": ("refitted", "重新训练"),
    "row": ("row", "行"),
    "selection_rate": ("selection rate", "判为正类的比例"),
    "true_positive_rate": ("true positive rate", "真阳性率"),
    "false_positive_rate": ("false positive rate", "假阳性率"),
    "shuffled": ("shuffled", "打乱"),
    "shuffled rows": ("shuffled rows", "打乱后的行"),
    "sign": ("sign", "方向"),
    "single": ("single", "单一答案"),
    "size": ("size", "大小"),
    "surrogate": ("surrogate", "近似决策树"),
    "quiet": ("quiet", "未见泄露"),
    "loud": ("loud", "泄露"),
    "worst": ("worst", "最差"),
    "plain": ("plain", "普通"),
    "named": ("named", "理由所指"),
    "random": ("random", "随机"),
    "rate": ("rate", "比率"),
    "name": ("name", "名称"),
    "foreign": ("foreign", "外来行"),
    "severity": ("severity", "强度"),
    "figure_before": ("figure before", "之前"),
    "trials": ("trials", "试验"),
    "curve": ("curve", "曲线"),
    "epsilon": ("epsilon", "ε"),
    "delta": ("delta", "δ"),
    "accountant": ("accountant", "会计方法"),
    "clip": ("clip", "裁剪范数"),
    "base_rate": ("base rate", "真实占比"),
    "shapley": ("Shapley value", "Shapley 值"),
    "training": ("training", "训练"),
    "by": ("way", "方式"),
    "chosen": ("chosen, from 0", "已选（自 0 起）"),
    "goal": ("goal", "目标"),
    "gap_goal": ("gap aimed at", "目标差距"),
    "gap_seen": ("gap as counted", "直接统计的差距"),
    "reached": ("reached", "已达到"),
    "of": ("of", "所指比率"),
    "quality": ("quality", "质量"),
    "quality_name": ("quality is", "质量指标"),
    "standard": ("severity for gates, from 0", "门槛所用强度（自 0 起）"),
    "typing": ("typing", "打字错误"),
    "homophones": ("homophones", "同音字"),
    "lookalikes": ("lookalikes", "形近字"),
    "synonyms": ("synonyms", "同义词"),
    "image_noise": ("image noise", "图像噪声"),
    "blur": ("blur", "模糊"),
    "contrast": ("contrast", "对比度下降"),
    "rotation": ("rotation", "旋转"),
    "bias": ("predicted minus true", "预测减真实"),
    "mean_predicted": ("mean predicted", "预测均值"),
    "mean_true": ("mean true", "真实均值"),
}  # fmt: skip

_FIGURES_ZH: Mapping[str, str] = {
    "accuracy": "准确率", "balanced_accuracy": "平衡准确率", "precision": "精确率", "recall": "召回率", "precision_macro": "宏平均精确率",
    "recall_macro": "宏平均召回率", "f1_macro": "宏平均 F1", "f1_micro": "微平均 F1", "f1_weighted": "加权 F1", "log_loss": "对数损失",
    "brier": "Brier 分数", "ece": "校准误差", "rmse": "均方根误差", "mse": "均方误差", "mae": "平均绝对误差", "bits_per_byte": "每字节比特数",
    "perplexity": "困惑度", "loss": "损失", "pii_share": "含个人信息比例", "verbatim_share": "逐字重复比例", "longest_verbatim": "最长逐字重复",
    "demographic_parity_difference": "人口均等差", "demographic_parity_ratio": "人口均等比", "equalized_odds_difference": "均等几率差",
    "equalized_odds_ratio": "均等几率比", "equal_opportunity_difference": "机会均等差", "predictive_parity_difference": "预测均等差",
    "accuracy_difference": "准确率差", "average_odds_difference": "平均几率差", "calibration_difference": "校准差", "mae_difference": "平均绝对误差差",
    "mae_ratio": "平均绝对误差比", "rmse_difference": "均方根误差差", "bias_difference": "偏差差", "coverage": "覆盖率", "coverage_gap": "覆盖率与承诺之差",
    "set_size": "集合大小", "interval_width": "区间宽度", "abstention_area": "弃答曲线面积", "domain_auroc": "外来行识别", "domain_alarms": "适用域误报",
    "faithfulness": "理由的可信度", "surrogate_fidelity": "近似决策树一致性", "membership_auc": "成员推断面积", "membership_advantage": "成员推断优势",
    "few_shot_accuracy": "五个例句的新类别准确率", "few_shot_cost": "新类别给已知类别带来的准确率损失", "scope_auroc": "已知与外来文本的曲线下面积",
    "scope_false_accept": "接受 95 % 已知文本时外来文本的误收率", "retrieval_recall@1": "首段命中率", "retrieval_recall@5": "前五段命中率",
    "retrieval_mrr": "平均倒数排名", "retrieval_recall@1_words": "仅按词语的首段命中率", "retrieval_recall@5_words": "仅按词语的前五段命中率",
    "retrieval_mrr_words": "仅按词语的平均倒数排名", "recall_fpr_0.1": "误报率 0.1% 时的召回率", "recall_fpr_1": "误报率 1% 时的召回率",
    "precision_alerts": "每日警报的精确率", "cost_per_row": "每行动作成本", "saving": "相对不用模型节省的成本", "column_drift": "列的最大漂移",
    "membership_tpr": "误报 1% 时识别率", "epsilon": "隐私预算", "robust_number_noise": "数值噪声下", "robust_out_of_range": "数值越界下", "robust_missing": "字段缺失下",
    "robust_typing": "打字错误下", "robust_homophones": "同音字下", "robust_lookalikes": "形近字下", "robust_synonyms": "同义词下", "robust_image_noise": "图像噪声下",
    "robust_blur": "模糊下", "robust_contrast": "对比度下降下", "robust_rotation": "旋转下",
}  # fmt: skip


# Words that settings and records use for what they say, where people read them.
_VALUES: Mapping[str, tuple[str, str]] = {
    "classification": ("classification", "分类"), "regression": ("regression", "回归"), "generation": ("generation", "文本生成"),
    "recommendation": ("recommendation", "推荐"), "translation": ("translation", "翻译"), "embedding": ("embedding", "文本向量"),
    "random": ("random", "随机"), "time": ("time", "时间"), "group": ("group", "分组"), "never": ("never", "不保存"),
    "not_needed": ("not needed", "不需要"), "unless_withdrawn": ("unless it is withdrawn", "撤回前有效"), "required": ("required", "必须"),
    "epochs": ("all epochs were done", "轮数用尽"), "early": ("no further gain (early stop)", "不再提升（提前停止）"),
    "steps": ("all steps were done", "步数用尽"), "mlm": ("masked words", "掩码词"), "lm": ("next token", "下一词元"),
    "penalty": ("a penalty while training", "训练中的惩罚项"), "adversarial": ("an adversary", "对抗训练"),
    "reweighing": ("weights of rows", "行加权"), "thresholds": ("a threshold for each group", "分组阈值"),
    "demographic_parity": ("demographic parity", "人口均等"), "equalized_odds": ("equalized odds", "均等几率"),
    "true positives": ("true positives", "真阳性率"), "false positives": ("false positives", "假阳性率"), "selected": ("selected", "判为正类的比例"),
    "kept": ("kept", "兑现"), "below": ("below the promise", "低于承诺"), "above": ("above the promise", "高于承诺"),
    "chance": ("within chance", "在偶然范围内"), "loss": ("loss", "按损失"), "compared": ("compared with like rows", "与相似行比较"),
    "mean error": ("mean error", "平均误差"), "mean value": ("mean value", "平均值"),
    "train": ("train", "训练集"), "train and validation": ("train and validation", "训练集与验证集"),
    "frozen": ("frozen", "冻结"), "full": ("all weights", "全部权重"), "lora": ("LoRA", "LoRA"), "none": ("none", "无"),
}  # fmt: skip

# Sentences of records by pattern; a number in them is kept.
_SENTENCES = tuple(
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (r"^sensitive, kept for fairness only$", "敏感列，仅用于公平性检验"),
        (r"^the target$", "目标列"),
        (r"^the weight of a row$", "行的权重"),
        (r"^the group of a row$", "行的分组"),
        (r"^says the split of a row$", "指明行所属的划分"),
        (r"^dropped in the product file$", "产品文件中指定舍弃"),
        (r"^not among data\.only$", "不在 data.only 之列"),
        (r"^no value in any training row$", "训练集中没有任何取值"),
        (r"^constant: the same in all training rows$", "常量：训练集中取值全部相同"),
        (r"^gives the target away$", "泄露目标"),
        (r"^identifier: .*$", "标识符列"),
        (r"^whom a row is about.*$", "数据主体列"),
        (r"^.*\bconsent\b.*$", "同意列"),
        (
            r"^processor seconds of one thread, from a row as a client sends it to its answer: the median over (\d+) calls of one "
            r"row each, and (\d+) rows in bulk divided by their number; HTTP, keys and metering come on top$",
            r"单线程处理器秒，自客户端提交一行至得到应答：取 \1 次单行调用的中位数，以及批量 \2 行的平均值；HTTP、密钥与计量的开销另计",
        ),
        (
            r"^processor seconds of one thread for a token of (\w+): written by a lone answer \(alone\), by (\d+) answers at once "
            r"\(bulk\), or read in a prompt of (\d+) tokens; HTTP, keys and metering come on top$",
            r"\1 精度下每个词元的单线程处理器秒：单独生成一个应答、同时生成 \2 个应答、或读入 \3 个词元的提示；HTTP、密钥与计量的开销另计",
        ),
        (r"^only the class (.+) occurs in the split$", r"数据中只有类别 \1"),
        (r"^the positive class (.+) does not occur in the split$", r"数据中没有正类 \1"),
        (r"^there is one group only$", "只有一个分组"),
        (
            r"^fewer than (\d+) rows behind a rate of (.+) and (\d+) more$",
            r"\2 等分组的某项比率背后不足 \1 行（另有 \3 个分组）",
        ),
        (r"^fewer than (\d+) rows behind a rate of (.+)$", r"\2 的某项比率背后不足 \1 行"),
        (
            r"^(.+): fewer than (\d+) rows behind a rate of (.+) and (\d+) more$",
            r"\1：\3 等分组的某项比率背后不足 \2 行（另有 \4 个分组）",
        ),
        (r"^(.+): fewer than (\d+) rows behind a rate of (.+)$", r"\1：\3 的某项比率背后不足 \2 行"),
        (r"^(.+): there is one group only$", r"\1：只有一个分组"),
        (r"^(.+): every value is missing$", r"\1：全部缺失"),
        (r"^(.+): nearly every row has a value of its own$", r"\1：几乎每行取值都不同"),
        (r"^(\d+) intersections are more than (\d+)$", r"交叉分组有 \1 个，超过 \2 个"),
        (
            r"^validation has too few rows for the promise: intervals are open$",
            "验证集行数不足以兑现承诺：区间一端开放",
        ),
        (
            r"^(\w+) on (?:validation|train); largest difference of .+ between groups(?: of (.+?))? on (?:train|train and validation)(?: in "
            r"standard deviations of the target)?, rates of few rows drawn towards that of all$",
            r"质量为 \1；各组间差距的最大值，行数少的分组的比率向总体收缩",
        ),
        (r"^the split has no rows$", "数据为空"),
        (r"^the target has one value only in the split$", "目标只有一个取值"),
        (r"^it is undefined on this split$", "在此数据上无定义"),
    )
)


class Words:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._at = 1 if language == "zh" else 0

    def __call__(self, key: str, **values: object) -> str:
        text = _WORDS[key][self._at]
        return text.format(**values) if values else text

    def name(self, word: str) -> str:
        """A word of the evidence, where it is known; else as it stands there, underscores as blanks."""
        spoken = word.replace("_", " ")
        return next((_WORDS[one][self._at] for one in (word, spoken) if one in _WORDS), spoken)

    def said_by(self, room: str, word: str) -> str:
        """A word of a room of trust, where that one means something of its own by it."""
        own = f"{room} {word.replace('_', ' ')}"
        return _WORDS[own][self._at] if own in _WORDS else self.name(word)

    def known(self, word: str) -> str | None:
        """A word that a room of trust says, as people read it; None for one that nobody knows, such as a name of the data."""
        if word in _VALUES:
            return self.value(word)
        return self.name(word) if word in _WORDS or word.replace("_", " ") in _WORDS else None

    def step(self, word: str) -> str:
        """A key on the way to a value: in English as the evidence spells it."""
        return (self.name(word) if word in _WORDS else self.figure(word)) if self._at else word

    def value(self, word: str) -> str:
        """A word that a record uses, as people read it."""
        return _VALUES[word][self._at] if word in _VALUES else word

    def sentence(self, text: str) -> str:
        """A sentence of a record, in Chinese where it is known."""
        if self._at:
            for pattern, chinese in _SENTENCES:
                if pattern.match(text):
                    return pattern.sub(chinese, text)
        return text

    def figure(self, name: str) -> str:
        """`roc_auc`, and in Chinese what it is called."""
        return f"{name}（{_FIGURES_ZH[name]}）" if self._at and name in _FIGURES_ZH else name

    @property
    def colon(self) -> str:
        return "：" if self._at else ": "
