"""Text to token numbers and n-grams: deterministic, one row like many, Chinese without unknowns, JSON and back."""

import json
import re
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import ArtifactError, DataError
from tradewind.features.column import Column, ColumnSpec
from tradewind.features.text import Ngrams, TextColumn, as_text
from tradewind.features.tokenizer import Tokenizer
from tradewind.files import canonical_json, digest_json

ENGLISH = [
    "How do I locate my card?",
    "I still have not received my new card, I ordered over a week ago.",
    "My card has not arrived, can you help?",
    "Why was my top-up reverted? I was charged 12.50 twice",
]
CHINESE = ["很快，好吃，味道足，量大", "没有送水没有送水没有送水", "味道不错，就是送得太慢了！", "送餐很快，味道也好吃"]
TEXTS = np.array([*ENGLISH, *CHINESE, None, "", "  \n"], dtype=object)

# Any text, lone surrogates included, mixed with words of the fitted ones so that something is known.
words = st.sampled_from(" ".join([*ENGLISH, *CHINESE]).split())
any_text = st.one_of(
    st.text(st.characters(), max_size=60),
    st.lists(words, max_size=12).map(" ".join),
    st.none(),
    st.floats(),
    st.binary(),
)


def fit(values=TEXTS, **options):
    return TextColumn.fit(ColumnSpec("note", "text", options), values, seed=0)


@pytest.fixture(scope="module")
def column():
    return fit()


def column_of(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def test_a_text_column_is_a_column(column):
    assert isinstance(column, Column)
    tokens, ngrams, weights = column.layout.tensors
    assert [tokens.name, ngrams.name, weights.name] == ["tokens:note", "ngrams:note", "ngram_weights:note"]
    assert [tokens.dtype, ngrams.dtype, weights.dtype] == ["int64", "int64", "float32"]
    assert tokens.shape == ngrams.shape == weights.shape == (None,)
    assert tokens.meta["max_tokens"] == 256


@given(st.lists(any_text, min_size=1, max_size=6))
@settings(max_examples=150)
def test_one_row_gives_what_a_batch_gives(column, values):
    block = column.apply(column_of(values)).tensors
    for row, value in enumerate(values):
        one = column.apply_one(value, [], [])
        for name, array_1X in one.items():
            padded_X = block[name][row]
            length = array_1X.shape[1]
            assert array_1X.dtype == padded_X.dtype
            assert np.array_equal(array_1X[0], padded_X[:length])
            assert not padded_X[length:].any()


@given(any_text)
@settings(max_examples=150)
def test_every_number_is_in_its_vocabulary_and_padding_is_not_used(column, value):
    tokens, ngrams, weights = (column.apply_one(value, [], [])[f.name][0] for f in column.layout.tensors)
    sizes = [feature.meta["vocabulary"] for feature in column.layout.tensors]
    assert ((tokens >= 1) & (tokens < sizes[0])).all() or tokens.tolist() == [0]
    assert ((ngrams >= 1) & (ngrams < sizes[1])).all() or ngrams.tolist() == [0]
    assert (np.diff(ngrams) > 0).all()
    if ngrams.any():
        np.testing.assert_allclose(np.square(weights).sum(), 1, rtol=1e-5)
        assert (weights > 0).all()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
@settings(max_examples=150)
def test_no_text_loses_anything_to_an_unknown_token(column, text):
    # Bytes are the alphabet, so the tokens spell the normalised text again.
    tokenizer = column.tokenizer
    back = tokenizer._encoding.id_to_token
    spelled = "".join(back(number - tokenizer.offset) for number in tokenizer.encode(text))
    assert sorted(spelled) == sorted(letters(tokenizer._encoding.normalizer.normalize_str(text)))


def letters(text):
    """The letters that byte-level BPE writes for the bytes of a text (Radford et al. 2019)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    table = {byte: chr(byte) for byte in plain} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [table[byte] for byte in text.encode()]


def test_chinese_is_encoded_character_by_character(column):
    once, twice = column.tokenizer.encode("味道"), column.tokenizer.encode("味道味道")
    assert len(once) == 2
    assert twice == once + once
    rare = column.tokenizer.encode("龘")
    assert len(rare) == 3  # bytes of a character that training never saw
    assert column.ngrams.encode("味道")[0].size >= 3  # both characters and the pair


def test_full_width_and_upper_case_are_the_plain_ones(column):
    ours, theirs = column.apply_one("Ｃａｒｄ １２", [], []), column.apply_one("card 12", [], [])
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_ngram_weights_are_those_of_scikit_learn():
    feature_extraction = pytest.importorskip("sklearn.feature_extraction.text")
    fitted = Ngrams.fit(ENGLISH)
    vectorizer = feature_extraction.TfidfVectorizer(
        analyzer=lambda text: [
            *(("word", w) for w in _words(text)),
            *(
                ("chars", f" {s} "[i : i + n])
                for s in text.lower().split()
                for n in range(2, 6)
                for i in range(len(s) + 3 - n)
            ),
        ],
        min_df=2,
        sublinear_tf=True,
    )
    matrix = vectorizer.fit_transform(ENGLISH).toarray()
    names = vectorizer.get_feature_names_out()
    for row, text in enumerate(ENGLISH):
        ids, weights = fitted.encode(text)
        grams = [*(("word", w) for w in fitted.words), *(("chars", c) for c in fitted.characters)]
        ours = {grams[number - 1]: weight for number, weight in zip(ids, weights, strict=True)}
        theirs = {tuple(name): weight for name, weight in zip(names, matrix[row], strict=True) if weight}
        assert ours.keys() == theirs.keys()
        for gram, weight in ours.items():
            assert weight == pytest.approx(theirs[gram], rel=1e-5)


def _words(text):
    found = re.findall(r"[^\W_]+", text.lower())
    return [*found, *(f"{a} {b}" for a, b in pairwise(found))]


def test_the_most_common_ngrams_are_kept():
    assert fit(most_ngrams=5).ngrams.vocabulary == 6
    rows = [*fit().ngrams.word_rows, *fit().ngrams.character_rows]
    small = fit(most_ngrams=5).ngrams
    assert min([*small.word_rows, *small.character_rows]) >= sorted(rows)[-5]
    assert min(rows) >= 2


def test_of_very_many_texts_every_nth_is_fitted(monkeypatch, column):
    monkeypatch.setattr("tradewind.features.text._FIT_CHARACTERS", sum(map(len, ENGLISH)) - 1)
    assert fit(column_of(ENGLISH)).ngrams.rows == 2
    assert fit(column_of([])).ngrams.rows == 0


def test_json_and_back_gives_an_equal_column(column):
    state = json.loads(canonical_json(column.state()))
    again = TextColumn.from_state(state)
    assert again == column
    assert digest_json(again.state()) == digest_json(column.state())
    for name, array in column.apply(TEXTS).tensors.items():
        assert np.array_equal(again.apply(TEXTS).tensors[name], array)


def test_fitting_depends_neither_on_the_order_of_values_nor_on_the_process(column):
    assert fit(TEXTS[::-1].copy()) == column
    code = (
        "import sys; sys.path.insert(0, '.'); from tests.features.test_text import fit; "
        "from tradewind.files import digest_json; print(digest_json(fit().state()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest_json(column.state())


def test_a_missing_text_is_one_padding(column):
    for value in (None, float("nan"), "", " \n"):
        ngrams = column.apply_one(value, [], [])["ngrams:note"]
        assert ngrams.tolist() == [[0]]
    assert column.apply_one(None, [], [])["tokens:note"].tolist() == [[0]]
    assert column.apply(column_of([])).tensors["tokens:note"].shape == (0, 1)


def test_a_column_without_any_text_still_works():
    empty = fit(column_of([None, None]))
    assert empty.ngrams.vocabulary == 1
    assert empty.apply_one("anything", [], [])["ngrams:note"].tolist() == [[0]]


def test_a_long_text_is_cut():
    short = fit(max_tokens=5)
    assert short.layout.tensors[0].meta["max_tokens"] == 5
    assert len(short.tokenizer.encode(ENGLISH[1])) == 5
    assert short.tokenizer.encode(ENGLISH[1]) == fit().tokenizer.encode(ENGLISH[1])[:5]
    assert len(short.tokenizer.encode("x" * 1_000_000)) == 5


def test_long_training_texts_get_up_to_512_tokens():
    long = column_of([" ".join(str(n) for n in range(start, start + 400)) for start in range(0, 4000, 100)])
    assert fit(long).tokenizer.max_tokens == 512


def test_the_text_of_a_padding_token_is_no_padding(tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(WORDPIECE), encoding="utf-8")
    tokenizer = Tokenizer.from_file(tmp_path, max_tokens=8)
    assert tokenizer.offset == 0
    assert tokenizer.encode("good [PAD] food") == [2, 4, 5, 3]
    assert tokenizer.encode_batch(["good [PAD] food"]) == [[2, 4, 5, 3]]
    assert Tokenizer.from_state(json.loads(canonical_json(tokenizer.state()))) == tokenizer


def test_a_pretrained_tokeniser_whose_padding_is_not_0_is_shifted(tmp_path):
    definition = json.loads(json.dumps(WORDPIECE).replace("[PAD]", "[AAA]"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    column = fit(tokeniser=str(tmp_path))
    tokens = column.layout.tensors[0]
    assert tokens.meta["offset"] == 1
    assert tokens.meta["vocabulary"] == 7
    assert column.apply_one("good food", [], [])["tokens:note"].tolist() == [[3, 5, 6, 4]]


def test_cutting_keeps_the_special_tokens_of_a_pretrained_tokeniser(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(WORDPIECE), encoding="utf-8")
    assert Tokenizer.from_file(tmp_path, max_tokens=3).encode("good good good food") == [2, 4, 3]
    with pytest.raises(DataError, match="needs at least 3"):
        Tokenizer.from_file(tmp_path, max_tokens=2)


def test_a_tokeniser_that_is_missing_or_broken_is_explained(tmp_path):
    with pytest.raises(DataError, match="There is no tokeniser") as caught:
        fit(tokeniser=str(tmp_path))
    assert caught.value.code == "data.tokeniser_missing"
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        fit(tokeniser=str(tmp_path))
    assert caught.value.code == "data.tokeniser_broken"
    with pytest.raises(ArtifactError):
        Tokenizer.from_state({"definition": {"a": 1}, "max_tokens": 3, "offset": 1, "source": None})


def test_values_that_are_no_text_are_written_out():
    assert as_text(12.5) == "12.5"
    assert as_text("价格\ud800".encode("utf-8", "surrogatepass")[:6]) == "价格"
    assert as_text("a\ud800b") == "a?b"
    assert as_text(float("nan")) == as_text(None) == ""


WORDPIECE = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {
            "id": n,
            "content": w,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for n, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    ],
    "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {
            "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
            "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
        },
    },
    "decoder": None,
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "good": 4, "food": 5},
    },
}
