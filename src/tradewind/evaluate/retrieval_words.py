"""Words of the report's part on the knowledge base, in English and Chinese. Not here: its figures (`retrieval.py`)."""

from __future__ import annotations

from collections.abc import Mapping

# key → (English, Chinese)
WORDS: Mapping[str, tuple[str, str]] = {
    "retrieval": ("Knowledge base", "知识库"),
    "ret_lead": (
        "{passages} passages of {documents} documents are searched by words and by meaning; each is cited with its source.",
        "{documents} 份文档切成 {passages} 段，按词语与语义检索，每段均注明出处。",
    ),
    "ret_rejected": ("{rejected} files or rows could not be read and are not in it.", "{rejected} 个文件或行无法读取，未收入。"),
    "ret_encoder": ("Vectors are made by {encoder}.", "向量由 {encoder} 生成。"),
    "ret_no_encoder": ("It is searched by words alone.", "仅按词语检索。"),
    "ret_asked": (
        "{questions} of {pairs} questions were asked while their own words were taken out of the knowledge base and their "
        "answers stayed.",
        "从 {pairs} 个问题中抽出 {questions} 个提问，提问时知识库里只留答案、不留问题原文。",
    ),
    "ret_settled": (
        "On {settled} further ones the weights of words ({words}) and of meaning ({vectors}) were settled, and how sure an "
        "answer is.",
        "另用 {settled} 个问题确定词语（{words}）与语义（{vectors}）的权重，以及答案的把握程度。",
    ),
    "ret_bound": (
        "In conversations a passage answers from a confidence of {bound} on: of {elsewhere} messages that have an answer of their own at "
        "most one in twenty reaches it.",
        "对话中，把握达到 {bound} 才用段落作答：在 {elsewhere} 条另有答复的消息里，至多二十分之一会达到。",
    ),
    "ret_none": (
        "It holds no questions with answers, so nothing says how well it finds: add a table with the columns question and answer.",
        "其中没有成对的问题与答案，无法衡量检索效果：请加入含 question、answer 两列的表格。",
    ),
    "ret_joined": ("words and meaning", "词语与语义"),
    "ret_words": ("words alone", "仅词语"),
    "ret_sure": ("Least confidence", "最低把握"),
    "ret_answered": ("questions answered", "作答比例"),
    "ret_right": ("first passage right", "首段正确率"),
}  # fmt: skip

FIGURES: Mapping[str, tuple[str, str]] = {
    "retrieval_recall@1": ("Knowledge base: answer is the first passage", "知识库：首段命中率"),
    "retrieval_recall@5": ("Knowledge base: answer among the first five", "知识库：前五段命中率"),
    "retrieval_mrr": ("Knowledge base: mean reciprocal rank", "知识库：平均倒数排名"),
    "retrieval_recall@1_words": ("The same, first passage, by words alone", "仅按词语：首段命中率"),
    "retrieval_recall@5_words": ("The same, first five, by words alone", "仅按词语：前五段命中率"),
    "retrieval_mrr_words": ("The same, reciprocal rank, by words alone", "仅按词语：平均倒数排名"),
}
