"""The headings of each rendering, and which part of the report stands under which: card, Annex IV, NIST, China, the whole.

A heading that no part fills may be answered in the product file (`release.answers`, by its id); unanswered it is listed as
missing. Which law applies is the provider's to decide; this file only knows the headings. Words are our own: the texts of the
regulation and of the framework are not repeated. Not here: what the parts say (`parts.py`).

Sources: Mitchell et al., Model Cards for Model Reporting (2019). Regulation (EU) 2024/1689, Annex IV. NIST AI 100-1, AI RMF 1.0
(2023). 生成式人工智能服务管理暂行办法 (2023), 人工智能生成合成内容标识办法 and GB 45438-2025, GB/T 45654-2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tradewind.errors import ProductFileError, nearest

FrameName: TypeAlias = Literal["card", "annex-iv", "nist", "china", "full"]
FRAMES: tuple[FrameName, ...] = get_args(FrameName)


@dataclass(frozen=True)
class Heading:
    """`parts` are names of `parts.PARTS`; `asks`: where they say nothing, the provider is asked. `only` says for
    which kinds of release it stands, `found` for which room of trust: where that one found something."""

    id: str
    en: str
    zh: str
    parts: tuple[str, ...] = ()
    level: int = 2
    asks: bool = False
    only: tuple[str, ...] = ()
    found: str = ""

    def title(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Frame:
    name: FrameName
    en: str
    zh: str
    headings: tuple[Heading, ...]
    note_en: str = ""
    note_zh: str = ""


def _h(
    id_: str, en: str, zh: str, *parts: str, level: int = 2, asks: bool = False, only: tuple[str, ...] = (), found: str = ""
) -> Heading:  # fmt: skip
    return Heading(id_, en, zh, parts, level, asks, only, found)


_LANGUAGE = ("language",)
_CARD = Frame(
    "card", "Model card", "模型卡",
    (
        _h("card.about", "What it is", "概述", "description", "overview"),
        _h("card.intended", "Intended use", "预期用途", "intended"),
        _h("card.excluded", "Uses that are excluded", "不适用的用途", "excluded"),
        _h("card.data", "Training data", "训练数据", "sources", "rows", "cleaning", "personal", "sensitive"),
        _h("card.training", "Training", "训练", "model", "compute", "energy"),
        _h("card.figures", "Figures on the test split", "测试集指标", "figures", "lead", "calibration", "gates"),
        _h("card.trust", "Fairness, robustness, explanations, uncertainty, privacy", "公平、稳健、解释、不确定性与隐私", "rooms", "further", "verdicts"),
        _h("card.limits", "Limits", "局限", "limitations", "weakest", "repetition"),
        _h("card.risks", "Risks", "风险", "risks"),
        _h("card.oversight", "Human oversight", "人工监督", "oversight"),
        _h("card.precisions", "Precisions", "精度版本", "precisions", only=_LANGUAGE),
        _h("card.tokens", "What a token costs", "每个词元的成本", "cost", only=_LANGUAGE),
        _h("card.changes", "Changes since the last release", "与上一版本的差异", "changes"),
        _h("card.contact", "Contact", "联系方式", "people"),
        _h("card.missing", "Missing from this card", "本卡缺失的内容", "missing"),
    ),
)  # fmt: skip

_ANNEX = Frame(
    "annex-iv", "Technical documentation, headings of Annex IV of Regulation (EU) 2024/1689",
    "技术文档（按欧盟《人工智能法》（EU）2024/1689 附件四的标题）",
    (
        _h("annex-iv.1", "1. General description", "1. 系统概述"),
        _h("annex-iv.1a", "1(a) Intended purpose, provider, version and earlier versions", "1(a) 预期目的、提供者、版本及与先前版本的关系",
           "description", "intended", "excluded", "provider", "overview", "since", level=3),
        _h("annex-iv.1b", "1(b) Interaction with other hardware, software and AI systems", "1(b) 与其他硬件、软件及人工智能系统的交互", level=3, asks=True),
        _h("annex-iv.1c", "1(c) Versions of software and what updates require", "1(c) 软件版本与更新要求", "software", level=3),
        _h("annex-iv.1d", "1(d) Forms in which it is placed on the market", "1(d) 投放市场的形式", "forms", level=3),
        _h("annex-iv.1e", "1(e) Hardware it is meant to run on", "1(e) 预期运行的硬件", "cost", level=3, asks=True),
        _h("annex-iv.1f", "1(f) Pictures of the product that it is part of", "1(f) 所属产品的外观图示", level=3, asks=True),
        _h("annex-iv.1g", "1(g) User interface for the deployer", "1(g) 面向部署者的用户界面", level=3, asks=True),
        _h("annex-iv.1h", "1(h) Instructions for use", "1(h) 使用说明", level=3, asks=True),
        _h("annex-iv.2", "2. Elements and development", "2. 组成要素与开发过程"),
        _h("annex-iv.2a", "2(a) Methods and steps of development, third-party parts", "2(a) 开发方法与步骤、第三方组件", "parents", "pretrained", level=3),
        _h("annex-iv.2b", "2(b) Design: logic, choices and their reasons, what is optimised, trade-offs", "2(b) 设计：逻辑、关键选择及理由、优化目标与权衡",
           "model", "settings", "lead", level=3, asks=True),
        _h("annex-iv.2c", "2(c) Architecture and computing resources", "2(c) 系统架构与计算资源", "compute", "energy", level=3),
        _h("annex-iv.2d", "2(d) Data: provenance, selection, labelling, cleaning", "2(d) 数据：来源、选取、标注、清洗",
           "sources", "rows", "columns", "cleaning", "personal", "sensitive", level=3, asks=True),
        _h("annex-iv.2e", "2(e) Human oversight, and what helps to read the answers", "2(e) 人工监督与输出解读措施",
           "oversight", "room:explanations", "serving", level=3),
        _h("annex-iv.2f", "2(f) Changes determined in advance", "2(f) 预先确定的变更", level=3, asks=True),
        _h("annex-iv.2g", "2(g) Validation and testing", "2(g) 验证与测试",
           "splits", "figures", "further", "calibration", "gates", "room:fairness", "room:robustness", "room:actions", "room:intents",
           "room:retrieval", "evidence", level=3),
        _h("annex-iv.2h", "2(h) Cybersecurity", "2(h) 网络安全措施", "parity", "room:membership", level=3, asks=True),
        _h("annex-iv.3", "3. Monitoring, functioning and control", "3. 监测、运行与控制",
           "figures", "verdicts", "weakest", "limitations", "risks", "oversight", "room:screening", "room:uncertainty", "room:drift", "columns"),
        _h("annex-iv.4", "4. Why these performance metrics are appropriate", "4. 性能指标的适当性", "primary", "gates", asks=True),
        _h("annex-iv.5", "5. Risk management system (Article 9)", "5. 风险管理体系（第 9 条）", "risks", asks=True),
        _h("annex-iv.6", "6. Changes through the lifecycle", "6. 生命周期内的变更", "since", "changes"),
        _h("annex-iv.7", "7. Harmonised standards applied, or what is done instead", "7. 所采用的协调标准或替代方案", asks=True),
        _h("annex-iv.8", "8. EU declaration of conformity (Article 47)", "8. 欧盟符合性声明（第 47 条）", asks=True),
        _h("annex-iv.9", "9. Evaluation after it is on the market, monitoring plan (Article 72)", "9. 上市后性能评估与监测计划（第 72 条）", asks=True),
        _h("annex-iv.missing", "What is missing", "缺失的内容", "missing"),
    ),
    "Whether the system is of high risk, and so needs this documentation, is the provider's to decide.",
    "该系统是否属于高风险系统、是否需要本文档，由提供者自行判断。",
)  # fmt: skip

# The 72 subcategories of the framework's core, in its order; short names are ours.
_NIST = Frame(
    "nist", "NIST AI Risk Management Framework 1.0", "NIST 人工智能风险管理框架 1.0",
    (
        _h("nist.govern", "GOVERN", "治理（GOVERN）"),
        _h("nist.govern-1.1", "GOVERN 1.1 Legal requirements that apply", "GOVERN 1.1 适用的法律要求", level=3, asks=True),
        _h("nist.govern-1.2", "GOVERN 1.2 Trustworthiness in the organisation's policies", "GOVERN 1.2 将可信性纳入组织政策", level=3, asks=True),
        _h("nist.govern-1.3", "GOVERN 1.3 How much risk management this system needs", "GOVERN 1.3 所需风险管理力度的确定", level=3, asks=True),
        _h("nist.govern-1.4", "GOVERN 1.4 Transparent policies and procedures", "GOVERN 1.4 透明的政策与流程", "gates", "evidence", level=3),
        _h("nist.govern-1.5", "GOVERN 1.5 Monitoring and periodic review", "GOVERN 1.5 持续监测与定期审查", level=3, asks=True),
        _h("nist.govern-1.6", "GOVERN 1.6 Inventory of AI systems", "GOVERN 1.6 系统清单", "overview", "since", level=3),
        _h("nist.govern-1.7", "GOVERN 1.7 Decommissioning", "GOVERN 1.7 停用与退役", level=3, asks=True),
        _h("nist.govern-2.1", "GOVERN 2.1 Roles and responsibilities", "GOVERN 2.1 角色与职责", "provider", "contact", level=3),
        _h("nist.govern-2.2", "GOVERN 2.2 Training of staff and partners", "GOVERN 2.2 人员与合作方培训", level=3, asks=True),
        _h("nist.govern-2.3", "GOVERN 2.3 Responsibility of the leadership", "GOVERN 2.3 管理层责任", level=3, asks=True),
        _h("nist.govern-3.1", "GOVERN 3.1 Diverse teams behind decisions", "GOVERN 3.1 决策团队的多元性", level=3, asks=True),
        _h("nist.govern-3.2", "GOVERN 3.2 Roles of people beside the system, and oversight", "GOVERN 3.2 人机分工与监督职责", "oversight", level=3),
        _h("nist.govern-4.1", "GOVERN 4.1 Safety first, critical thinking", "GOVERN 4.1 安全优先与批判性思维", level=3, asks=True),
        _h("nist.govern-4.2", "GOVERN 4.2 Risks and impacts are written down and told", "GOVERN 4.2 风险与影响的记录和沟通", "risks", level=3),
        _h("nist.govern-4.3", "GOVERN 4.3 Testing, incidents and sharing of information", "GOVERN 4.3 测试、事件识别与信息共享", level=3, asks=True),
        _h("nist.govern-5.1", "GOVERN 5.1 Feedback from outside the team", "GOVERN 5.1 收集外部反馈", level=3, asks=True),
        _h("nist.govern-5.2", "GOVERN 5.2 Feedback goes into the design", "GOVERN 5.2 将反馈纳入设计", level=3, asks=True),
        _h("nist.govern-6.1", "GOVERN 6.1 Risks of third parties' data and software", "GOVERN 6.1 第三方数据与软件的风险", "sources", "pretrained", level=3),
        _h("nist.govern-6.2", "GOVERN 6.2 What is done when a third party's part fails", "GOVERN 6.2 第三方组件失效时的应急安排", level=3, asks=True),
        _h("nist.map", "MAP", "识别（MAP）"),
        _h("nist.map-1.1", "MAP 1.1 Intended purposes and context", "MAP 1.1 预期目的与使用情境", "description", "intended", "excluded", level=3),
        _h("nist.map-1.2", "MAP 1.2 Who took part, from which disciplines", "MAP 1.2 参与者及其学科背景", level=3, asks=True),
        _h("nist.map-1.3", "MAP 1.3 Mission and goals that it serves", "MAP 1.3 所服务的使命与目标", level=3, asks=True),
        _h("nist.map-1.4", "MAP 1.4 Business value", "MAP 1.4 业务价值", level=3, asks=True),
        _h("nist.map-1.5", "MAP 1.5 Tolerance of risk", "MAP 1.5 风险容忍度", "gates", level=3),
        _h("nist.map-1.6", "MAP 1.6 Requirements of the system", "MAP 1.6 系统需求", level=3, asks=True),
        _h("nist.map-2.1", "MAP 2.1 Task and methods", "MAP 2.1 任务与方法", "model", level=3),
        _h("nist.map-2.2", "MAP 2.2 Limits of knowledge", "MAP 2.2 知识局限", "limitations", "weakest", level=3),
        _h("nist.map-2.3", "MAP 2.3 Scientific integrity: data and test design", "MAP 2.3 科学严谨性：数据与测试设计", "rows", "columns", "cleaning", "splits", level=3),
        _h("nist.map-3.1", "MAP 3.1 Benefits", "MAP 3.1 预期收益", level=3, asks=True),
        _h("nist.map-3.2", "MAP 3.2 Costs of errors", "MAP 3.2 错误的代价", "cost", level=3, asks=True),
        _h("nist.map-3.3", "MAP 3.3 Scope of application", "MAP 3.3 应用范围", "intended", "excluded", level=3),
        _h("nist.map-3.4", "MAP 3.4 Proficiency of those who operate it", "MAP 3.4 操作者的能力要求", level=3, asks=True),
        _h("nist.map-3.5", "MAP 3.5 Human oversight", "MAP 3.5 人工监督", "oversight", level=3),
        _h("nist.map-4.1", "MAP 4.1 Legal risks of components and data", "MAP 4.1 组件与数据的法律风险", "licence", "personal", level=3),
        _h("nist.map-4.2", "MAP 4.2 Controls of components", "MAP 4.2 组件的内部控制", "parity", "pretrained", level=3),
        _h("nist.map-5.1", "MAP 5.1 Impacts and how likely they are", "MAP 5.1 影响及其可能性", "risks", level=3),
        _h("nist.map-5.2", "MAP 5.2 Engagement with those it affects", "MAP 5.2 与受影响者的沟通", level=3, asks=True),
        _h("nist.measure", "MEASURE", "度量（MEASURE）"),
        _h("nist.measure-1.1", "MEASURE 1.1 Chosen metrics", "MEASURE 1.1 所选指标", "primary", "gates", level=3),
        _h("nist.measure-1.2", "MEASURE 1.2 Whether the metrics are still the right ones", "MEASURE 1.2 指标适当性的定期评估", level=3, asks=True),
        _h("nist.measure-1.3", "MEASURE 1.3 Independent assessors", "MEASURE 1.3 独立评估者", level=3, asks=True),
        _h("nist.measure-2.1", "MEASURE 2.1 Test sets, metrics and tools", "MEASURE 2.1 测试集、指标与工具", "splits", "software", level=3),
        _h("nist.measure-2.2", "MEASURE 2.2 Evaluations with human subjects", "MEASURE 2.2 涉及人类受试者的评估", level=3, asks=True),
        _h("nist.measure-2.3", "MEASURE 2.3 Performance", "MEASURE 2.3 性能", "figures", "lead", level=3),
        _h("nist.measure-2.4", "MEASURE 2.4 Monitoring in production", "MEASURE 2.4 生产环境监测", level=3, asks=True),
        _h("nist.measure-2.5", "MEASURE 2.5 Valid and reliable", "MEASURE 2.5 有效与可靠", "calibration", "room:screening", "room:uncertainty", "room:actions",
           "room:intents", "room:retrieval", level=3),
        _h("nist.measure-2.6", "MEASURE 2.6 Safety", "MEASURE 2.6 安全", "parity", "serving", level=3, asks=True),
        _h("nist.measure-2.7", "MEASURE 2.7 Security and resilience", "MEASURE 2.7 安全防护与韧性", "room:robustness", level=3),
        _h("nist.measure-2.8", "MEASURE 2.8 Transparency and accountability", "MEASURE 2.8 透明与问责", "parents", "marking", level=3),
        _h("nist.measure-2.9", "MEASURE 2.9 Explained and interpreted", "MEASURE 2.9 可解释性", "room:explanations", level=3),
        _h("nist.measure-2.10", "MEASURE 2.10 Privacy", "MEASURE 2.10 隐私", "personal", "store", "repetition", "room:membership", level=3),
        _h("nist.measure-2.11", "MEASURE 2.11 Fairness and bias", "MEASURE 2.11 公平与偏差", "sensitive", "room:fairness", level=3),
        _h("nist.measure-2.12", "MEASURE 2.12 Environmental impact", "MEASURE 2.12 环境影响", "compute", "energy", level=3),
        _h("nist.measure-2.13", "MEASURE 2.13 How good the measurements are", "MEASURE 2.13 度量方法的有效性", "evidence", level=3),
        _h("nist.measure-3.1", "MEASURE 3.1 Tracking of known and emerging risks", "MEASURE 3.1 已知与新出现风险的跟踪", level=3, asks=True),
        _h("nist.measure-3.2", "MEASURE 3.2 Risks that are hard to measure", "MEASURE 3.2 难以度量的风险", level=3, asks=True),
        _h("nist.measure-3.3", "MEASURE 3.3 Feedback, complaints and appeals", "MEASURE 3.3 反馈、投诉与申诉", "contact", level=3),
        _h("nist.measure-4.1", "MEASURE 4.1 Measurements fit the place of use", "MEASURE 4.1 度量方法与部署情境相符", level=3, asks=True),
        _h("nist.measure-4.2", "MEASURE 4.2 Experts on the results", "MEASURE 4.2 领域专家对结果的意见", level=3, asks=True),
        _h("nist.measure-4.3", "MEASURE 4.3 Better or worse than before", "MEASURE 4.3 与此前相比的改进或退化", "since", "changes", level=3),
        _h("nist.manage", "MANAGE", "管理（MANAGE）"),
        _h("nist.manage-1.1", "MANAGE 1.1 Does it reach its purpose", "MANAGE 1.1 是否达到目的", "gates", level=3),
        _h("nist.manage-1.2", "MANAGE 1.2 Order in which risks are treated", "MANAGE 1.2 风险处置的优先次序", level=3, asks=True),
        _h("nist.manage-1.3", "MANAGE 1.3 Responses to the gravest risks", "MANAGE 1.3 对高优先级风险的应对", "risks", level=3),
        _h("nist.manage-1.4", "MANAGE 1.4 Residual risks", "MANAGE 1.4 残余风险", level=3, asks=True),
        _h("nist.manage-2.1", "MANAGE 2.1 Resources, and ways without AI", "MANAGE 2.1 所需资源与非人工智能替代方案", "lead", level=3, asks=True),
        _h("nist.manage-2.2", "MANAGE 2.2 Keeping its value in use", "MANAGE 2.2 维持部署后的价值", level=3, asks=True),
        _h("nist.manage-2.3", "MANAGE 2.3 Answer to risks nobody knew", "MANAGE 2.3 对未知风险的响应与恢复", level=3, asks=True),
        _h("nist.manage-2.4", "MANAGE 2.4 Superseding and switching off", "MANAGE 2.4 替换与停用", level=3, asks=True),
        _h("nist.manage-3.1", "MANAGE 3.1 Monitoring of third parties' parts", "MANAGE 3.1 第三方资源的监测", level=3, asks=True),
        _h("nist.manage-3.2", "MANAGE 3.2 Pretrained models", "MANAGE 3.2 预训练模型", "pretrained", level=3),
        _h("nist.manage-4.1", "MANAGE 4.1 Monitoring after release", "MANAGE 4.1 发布后监测", level=3, asks=True),
        _h("nist.manage-4.2", "MANAGE 4.2 Improvements", "MANAGE 4.2 持续改进", "since", "changes", level=3),
        _h("nist.manage-4.3", "MANAGE 4.3 Incidents and errors", "MANAGE 4.3 事件与错误的通报", level=3, asks=True),
        _h("nist.missing", "What is missing", "缺失的内容", "missing"),
    ),
)  # fmt: skip

_CHINA = Frame(
    "china", "China: filing of generative AI services, and labelling", "中国：生成式人工智能服务备案与内容标识",
    (
        _h("china.1", "1. Basic facts", "一、基本情况", "people", "overview", "description", "intended"),
        _h("china.2", "2. Development of the model", "二、模型研制"),
        _h("china.2.1", "2.1 Filed base models (Article 7)", "2.1 模型备案情况（基座模型，第七条）", "pretrained", level=3),
        _h("china.2.2", "2.2 Training compute", "2.2 训练算力资源", "compute", "energy", level=3),
        _h("china.2.3", "2.3 Corpus: sources, size, lawfulness (Article 7)", "2.3 训练语料：来源、规模与合法性（第七条）", "sources", "rows", level=3),
        _h("china.2.4", "2.4 Annotation rules and annotators (Article 8)", "2.4 语料标注规则与标注人员（第八条）", level=3, asks=True),
        _h("china.2.5", "2.5 Architecture and training framework", "2.5 模型架构与训练框架", "model", "settings", level=3),
        _h("china.3", "3. Safety of the corpus (GB/T 45654-2025)", "三、语料安全（GB/T 45654-2025）"),
        _h("china.3.1", "3.1 Content: cleaning, rejected, filtered", "3.1 语料内容安全：清洗、剔除与过滤", "cleaning", level=3),
        _h("china.3.2", "3.2 Personal information (Article 7)", "3.2 个人信息保护（第七条）", "personal", "sensitive", level=3),
        _h("china.3.3", "3.3 Intellectual property (Article 7)", "3.3 知识产权（第七条）", "licence", "repetition", level=3, asks=True),
        _h("china.4", "4. Safety of the model", "四、模型安全"),
        _h("china.4.1", "4.1 Accuracy and reliability", "4.1 准确性与可靠性", "figures", "lead", "gates", level=3),
        _h("china.4.2", "4.2 Discrimination (Article 4)", "4.2 防止歧视（第四条）", "room:fairness", level=3, asks=True),
        _h("china.4.3", "4.3 Robustness, injection and jailbreaks", "4.3 稳健性、提示注入与越狱", "room:robustness", level=3, asks=True),
        _h("china.4.4", "4.4 Safety assessment: test questions, refusals, keywords (Article 17)", "4.4 安全评估：测试题集、拒答与关键词（第十七条）",
           level=3, asks=True),
        _h("china.4.5", "4.5 Filing of the algorithm (Article 17)", "4.5 算法备案（第十七条）", level=3, asks=True),
        _h("china.5", "5. The service and its protection", "五、服务与安全防范"),
        _h("china.5.1", "5.1 Inference compute", "5.1 推理算力资源", "cost", "precisions", level=3, asks=True),
        _h("china.5.2", "5.2 Form of service and whom it is for (Article 10)", "5.2 服务方式与面向对象（第十条）", "forms", "excluded", level=3),
        _h("china.5.3", "5.3 Minors (Article 10)", "5.3 未成年人保护（第十条）", level=3, asks=True),
        _h("china.5.4", "5.4 What users enter, and how long it is kept (Article 11)", "5.4 使用者输入信息与使用记录的保护（第十一条）", "store", level=3),
        _h("china.5.5", "5.5 Interception of unlawful content (Article 14)", "5.5 非法内容拦截措施（第十四条）", level=3, asks=True),
        _h("china.5.6", "5.6 Complaints (Article 15)", "5.6 投诉举报渠道（第十五条）", "contact", level=3),
        _h("china.5.7", "5.7 Updates", "5.7 模型更新升级", "since", "changes", level=3),
        _h("china.6", "6. Labels of generated content (Article 12, GB 45438-2025)", "六、生成合成内容标识（第十二条，GB 45438-2025）"),
        _h("china.6.1", "6.1 Explicit labels (Labelling Measures, Article 4)", "6.1 显式标识（《标识办法》第四条）", "marking", level=3),
        _h("china.6.2", "6.2 Implicit labels in metadata (Labelling Measures, Article 5)", "6.2 隐式标识（《标识办法》第五条）", "implicit", level=3),
        _h("china.6.3", "6.3 What users are told of labels (Labelling Measures, Article 8)", "6.3 向用户说明标识规则（《标识办法》第八条）", level=3, asks=True),
        _h("china.7", "7. Undertaking of the provider", "七、自愿承诺", asks=True),
        _h("china.missing", "What is missing", "缺失的内容", "missing"),
    ),
    "Articles without a name are those of the Interim Measures for Generative AI Services (2023). Whether a filing or an assessment is due "
    "is the provider's to decide. A release that predicts generates no content.",
    "未注明出处的条款指《生成式人工智能服务管理暂行办法》（2023）。是否需要备案或安全评估由提供者自行判断。仅作预测的版本不生成内容。",
)  # fmt: skip

_FULL = Frame(
    "full", "Transparency report", "透明度报告",
    (
        _h("full.about", "What it is", "概述", "description", "overview", "parents"),
        _h("full.use", "Intended use", "预期用途", "intended"),
        _h("full.excluded", "Uses that are excluded", "不适用的用途", "excluded"),
        _h("full.data", "Data", "数据", "sources", "rows", "splits", "columns"),
        _h("full.cleaning", "Cleaning", "清洗", "cleaning"),
        _h("full.personal", "Personal and sensitive data", "个人信息与敏感列", "personal", "sensitive", "store"),
        _h("full.training", "Training", "训练", "model", "pretrained", "compute", "energy"),
        _h("full.figures", "Figures on the test split", "测试集指标", "primary", "figures", "further", "lead", "calibration", "gates"),
        _h("full.fairness", "Fairness", "公平性", "room:fairness"),
        _h("full.robustness", "Robustness", "稳健性", "room:robustness"),
        _h("full.explanations", "Explanations", "解释", "room:explanations"),
        _h("full.screening", "Sensitivity and specificity", "灵敏度与特异度", "room:screening"),
        _h("full.uncertainty", "Uncertainty", "不确定性", "room:uncertainty"),
        _h("full.membership", "Membership inference", "成员推断", "room:membership"),
        _h("full.actions", "Decisions and what they cost", "决策及其成本", "room:actions", found="actions"),
        _h("full.intents", "New classes, and texts of no class", "新增类别与范围之外的文本", "room:intents", found="intents"),
        _h("full.retrieval", "Knowledge base", "知识库", "room:retrieval", found="retrieval"),
        _h("full.drift", "Drift from train to test", "训练集到测试集的漂移", "room:drift", found="drift"),
        _h("full.limits", "Limits", "局限", "limitations", "weakest", "repetition"),
        _h("full.risks", "Risks", "风险", "risks"),
        _h("full.oversight", "Human oversight", "人工监督", "oversight", "serving"),
        _h("full.precisions", "Precisions", "精度版本", "precisions", only=_LANGUAGE),
        _h("full.marking", "Labels of generated text", "生成内容标识", "marking", "implicit", only=_LANGUAGE),
        _h("full.cost", "What an answer costs", "应答成本", "cost"),
        _h("full.changes", "Changes since the last release", "与上一版本的差异", "since", "changes"),
        _h("full.contact", "Contact", "联系方式", "people"),
        _h("full.missing", "What is missing", "缺失的内容", "missing"),
        _h("full.settings", "Configuration, resolved", "完整配置", "settings"),
        _h("full.evidence", "Evidence", "证据", "evidence"),
    ),
)  # fmt: skip

_FRAMES: dict[str, Frame] = {one.name: one for one in (_CARD, _ANNEX, _NIST, _CHINA, _FULL)}


def frame(name: FrameName) -> Frame:
    return _FRAMES[name]


def check_answers(answers: Mapping[str, str]) -> None:
    """Raises ProductFileError for an answer to a heading that does not exist or that asks nothing."""
    known = [heading.id for one in _FRAMES.values() for heading in one.headings if heading.asks]
    for name in answers:
        if name not in known:
            raise ProductFileError(
                f"No heading {name} of the transparency report waits for an answer.",
                code="heading_unknown",
                where=f"release.answers.{name}",
                hint=nearest(name, known) or "See what is missing: tradewind card --as annex-iv.",
            )
