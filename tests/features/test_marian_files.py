"""Marian's two SentencePiece models over one vocabulary: the same tokens as sentencepiece and as transformers cut."""

import io
import json

import numpy as np
import pytest
import sentencepiece
from transformers import MarianTokenizer

from tests.pairs import write_pairs
from tradewind.errors import DataError
from tradewind.features.pair_tokenizer import PairTokenizer

TRICKY = ["A kite  with two blanks ", "ｆｕｌｌ ｗｉｄｔｈ ½ ﬁ", "unseen Ω and 鱼 letters", "", "x", "Did the teacher buy 3 books?"]  # fmt: skip


def trained(texts):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=220, hard_vocab_limit=False, minloglevel=2,
        character_coverage=1.0, model_type="unigram",
    )  # fmt: skip
    return model.getvalue()


def begun(folder, *, codes=()):
    """A folder as Marian's are: two models, and the pieces of both in one vocabulary with the padding last."""
    write_pairs(folder)
    sides = {name: (folder / f"data/train.{code}").read_text().splitlines() for name, code in (("source", "en"), ("target", "zh"))}  # fmt: skip
    words = ["</s>", "<unk>", *codes]
    for name, texts in sides.items():
        (folder / f"{name}.spm").write_bytes(trained(texts))
        model = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.spm"))
        words += [model.id_to_piece(at) for at in range(3, model.get_piece_size())]
    words = [*dict.fromkeys(words), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words)}, ensure_ascii=False))
    (folder / "config.json").write_text(json.dumps({"model_type": "marian", "decoder_start_token_id": len(words) - 1}))
    return sides, words


@pytest.fixture(scope="module")
def marian(tmp_path_factory):
    folder = tmp_path_factory.mktemp("marian")
    return folder, *begun(folder)


def test_tokens_are_those_of_sentencepiece(marian):
    folder, sides, words = marian
    ours = PairTokenizer.pretrained(folder, source="en", target="zh")
    for name, tokenizer in (("source", ours.reading), ("target", ours.language)):
        model = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.spm"))
        own = {model.id_to_piece(at) for at in range(3, model.get_piece_size())}
        number = {word: at for at, word in enumerate(words) if word in own}
        for text in [*sides[name][:300], *TRICKY]:
            wanted = [number.get(piece, 1) for piece in model.encode(text, out_type=str)]
            assert tokenizer.encode(text) == wanted, text


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
def test_tokens_are_those_of_transformers(marian):
    folder, sides, _ = marian
    theirs = MarianTokenizer.from_pretrained(str(folder))
    ours = PairTokenizer.pretrained(folder, source="en", target="zh")
    for text, ids in zip(sides["source"][:50], ours.sources(sides["source"][:50]), strict=True):
        assert ids.tolist() == theirs(text).input_ids
    for text, ids in zip(sides["target"][:50], ours.targets(sides["target"][:50]), strict=True):
        assert ids.tolist()[1:] == theirs(text_target=text).input_ids
        assert ours.decode(ids.tolist()[1:-1]) == theirs.spm_target.decode(theirs.spm_target.encode(text))


def test_no_text_spells_a_special_token(marian):
    ours = PairTokenizer.pretrained(marian[0], source="en", target="zh")
    for word in ("</s>", "<pad>", "a ＜/s＞"):
        assert not {0, ours.frame.pad} & set(ours.reading.encode(word))


def test_what_is_saved_opens_as_it_was(marian, tmp_path):
    folder, sides, words = marian
    ours = PairTokenizer.pretrained(folder, source="en", target="zh")
    ours.save(tmp_path)
    again = PairTokenizer.open(tmp_path)
    assert again.fingerprint == ours.fingerprint
    assert again.source(sides["source"][0]) == ours.source(sides["source"][0])
    assert (again.frame.start, again.frame.eos, again.vocabulary) == ((len(words) - 1,), 0, len(words))


def test_a_model_of_several_targets_is_told_which(tmp_path):
    begun(tmp_path, codes=(">>zh<<", ">>de<<"))
    ours = PairTokenizer.pretrained(tmp_path, source="en", target="de")
    assert ours.source("A kite.")[0] == 3
    assert 2 not in ours.source(">>zh<< a kite")
    with pytest.raises(DataError, match="no token for the language fr"):
        PairTokenizer.pretrained(tmp_path, source="en", target="fr")


@pytest.mark.parametrize("spoil", ["source.spm", "vocab.json", "cut"])
def test_a_broken_file_is_said_to_be_broken(marian, tmp_path, spoil):
    for file in marian[0].glob("*.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes()) if file.is_file() else None
    if spoil == "cut":
        (tmp_path / "target.spm").write_bytes((tmp_path / "target.spm").read_bytes()[:-50])
    else:
        (tmp_path / spoil).write_bytes(np.random.default_rng(0).bytes(500) if spoil != "vocab.json" else b'{"a": 7}')
    with pytest.raises(DataError) as caught:
        PairTokenizer.pretrained(tmp_path, source="en", target="zh")
    assert caught.value.code == "data.tokeniser_broken"
