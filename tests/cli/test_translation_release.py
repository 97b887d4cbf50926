"""The release of a translator by the verbs: signed, verified, asked by row and by file; what was changed is refused."""

import json
import shutil
from pathlib import Path

import pyarrow.csv as pa_csv
import pytest
from transformers import MarianConfig, MarianMTModel
from typer.testing import CliRunner

from tradewind.cli.app import app
from tradewind.cli.app import main as tradewind
from tradewind.engines.loading import load_translator
from tradewind.errors import ArtifactError, VerificationFailed
from tradewind.features.pair_tokenizer import PairTokenizer
from tradewind.files import read_json
from tradewind.release.bundle import task_of
from tradewind.release.translation import read_translation_golden

SENTENCE = "The teacher bought one red kite in Beijing yesterday."
QUICK = ["--set", "evaluate.bootstrap=40", "--set", "evaluate.most_pairs=40"]


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def product(made_translator, tmp_path_factory):
    """A copy of the translator's folder, in which a release was made."""
    folder = shutil.copytree(made_translator.folder, tmp_path_factory.mktemp("released") / "product")
    done = run("release", "-C", folder, *QUICK, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return folder


@pytest.fixture(scope="module")
def release(product):
    (folder,) = (product / ".tradewind" / "releases").iterdir()
    return folder


def test_a_release_says_what_it_is_and_opens_as_it_will_be_served(release, made_translator):
    manifest = read_json(release / "manifest.json")
    assert task_of(release) == "translation"
    assert (manifest["languages"], manifest["unit"], manifest["meters"]) == (
        {"from": "en", "to": "zh"},
        "text",
        ["rows"],
    )
    assert manifest["precisions"]["int8"]["loss"] < 0.03
    assert manifest["parity"]["largest_difference"] < 1e-4
    (found,) = load_translator(release).translate([SENTENCE])
    assert "纸鸢" in found.text
    assert {path.name for path in (release / "report").iterdir()} >= {"report.json", "report.html"}
    assert 'language: ["en", "zh"]' in (release / "report" / "card.md").read_text(encoding="utf-8")


def test_the_same_product_is_the_same_release_and_another_glossary_another_one(product, release):
    again = json.loads(run("release", "-C", product, *QUICK, "--json").stdout)
    assert again["artifacts"]["release"] == str(release)
    changed = shutil.copytree(product, product.parent / "changed")
    (changed / "glossary.csv").write_text("kite,飞鸢\n", encoding="utf-8")
    other = json.loads(run("release", "-C", changed, *QUICK, "--json").stdout)["artifacts"]
    assert (other["run"].split("/")[-1], other["release"].split("/")[-1]) != (
        again["artifacts"]["run"].split("/")[-1],
        release.name,
    )
    answered = json.loads(run("predict", "candidate", "--row", json.dumps({"text": SENTENCE}), "-C", changed).stdout)
    assert "飞鸢" in answered["text"]


def test_verify_holds_every_precision_against_the_trainer(product, release):
    done = run("verify", release, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "golden pairs of the release (fp32, int8)" in done.stdout


def test_a_changed_byte_and_another_kind_of_release_are_refused(release, tmp_path):
    copy = shutil.copytree(release, tmp_path / "copy")
    facts = copy / "translator" / "translator.json"
    facts.write_text(facts.read_text().replace('"beams":4', '"beams":1').replace('"beams": 4', '"beams": 1'))
    key = release.parent.parent / "keys" / "signing.pub.pem"
    with pytest.raises(VerificationFailed, match="not those that were released"):
        load_translator(copy, public_key=key)
    with pytest.raises(ArtifactError, match="is missing"):
        load_translator(tmp_path)
    with pytest.raises(ArtifactError, match="no precision int4"):
        load_translator(release, precision="int4")


def test_a_row_is_translated_with_what_it_asks_for(product):
    row = {"text": SENTENCE, "glossary": {"kite": "飞鸢"}, "beams": 1}
    done = run("predict", "candidate", "--row", json.dumps([row, {"text": ""}]), "-C", product, "--json")
    first, second = json.loads(done.stdout)["predictions"]
    assert "飞鸢" in first["text"]
    assert first["terms"][0]["kept"]
    assert second["text"] == ""


@pytest.mark.parametrize("row", [{"text": 1}, {}, {"text": "a", "beam": 2}, {"text": "a", "beams": 0}, {"text": "a", "glossary": {"!": "b"}}])  # fmt: skip
def test_a_row_that_cannot_be_translated_is_refused(product, row):
    assert tradewind(["predict", "candidate", "--row", json.dumps(row), "-C", str(product)]) == 2


def test_lines_and_columns_are_translated_in_bulk(product, tmp_path):
    lines = [SENTENCE, "", "Did my brother sell two old chairs at school last week?"]
    (tmp_path / "lines.txt").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "table.jsonl").write_text("".join(json.dumps({"id": 7, "en": line}) + "\n" for line in lines))
    for file in ("lines.txt", "table.jsonl"):
        done = run("predict", "candidate", tmp_path / file, "-o", tmp_path / "out.csv", "-C", product, "--json")
        assert done.exit_code == 0, (done.output, done.exception)
        found = pa_csv.read_csv(tmp_path / "out.csv").to_pydict()
        assert (found["line"], found["missing"]) == ([1, 2, 3], [0, 0, 0])
        assert "纸鸢" in found["text"][0]
        assert found["text"][1] == ""
    (tmp_path / "wrong.csv").write_text("de\nHallo\n")
    assert tradewind(["predict", "candidate", str(tmp_path / "wrong.csv"), "-C", str(product)]) == 2


def test_a_product_that_loses_too_much_in_8_bits_has_no_release(product):
    done = run("release", "-C", product, *QUICK, "--set", "release.quantization_loss={int8: 0}")
    assert done.exit_code == 1
    assert "int8 loses" in f"{done.output}{done.exception}"


def test_a_precision_that_is_not_made_cannot_answer(product):
    wrong = ["--set", "serve.precision=fp32", "--set", "release.precisions=[int8]"]
    assert tradewind(["release", "-C", str(product), *QUICK, *wrong]) == 2


def test_a_name_is_struck_from_what_was_built_and_the_release_still_holds(product, tmp_path):
    folder = shutil.copytree(product, tmp_path / "erased")
    done = run("erase", "Beijing", "--redact", "-C", folder)
    assert done.exit_code == 0, (done.output, done.exception)
    work = folder / ".tradewind"
    assert all((one / "erased.json").is_file() for one in (work / "translators").iterdir())
    (release,) = (work / "releases").iterdir()
    assert load_translator(release).facts.terms_taught
    tokenizer = PairTokenizer.open(release / "translator" / "tokenizer")
    golden = read_translation_golden(release / "translator" / "golden.npz")
    assert golden.sources
    assert not any("Beijing" in tokenizer.decode(one.tolist()) for one in golden.sources)


def test_a_run_of_ours_and_a_folder_of_marian_are_tuned_and_released_the_same_way(made_translator, tmp_path):
    """What transformers saved from chance weights has no tokens for terms: those of the glossary are kept all the same."""
    tokenizer = made_translator.parallel.tokenizer
    tokenizer.language.save(tmp_path / "chance")
    ends = {
        "pad_token_id": tokenizer.frame.pad,
        "eos_token_id": tokenizer.frame.eos,
        "bos_token_id": tokenizer.frame.eos,
    }
    shape = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
             "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 128}  # fmt: skip
    config = MarianConfig(vocab_size=tokenizer.vocabulary, **shape, **ends, decoder_start_token_id=tokenizer.frame.pad, forced_eos_token_id=None)  # fmt: skip
    MarianMTModel(config).save_pretrained(tmp_path / "chance")
    for pretrained, family in ((made_translator.run.hf, "m2m_100"), (tmp_path / "chance", "marian")):
        folder = shutil.copytree(made_translator.folder, tmp_path / family)
        changes = ["--set", f"model.pretrained={pretrained}", "--set", "train.epochs=1"]
        done = run("release", "-C", folder, *QUICK, *changes, "--json")
        assert done.exit_code == 0, (done.output, done.exception)
        release = Path(json.loads(done.stdout)["artifacts"]["release"])
        assert read_json(release / "manifest.json")["family"] == family
        (found,) = load_translator(release).translate([SENTENCE])
        assert "纸鸢" in found.text
