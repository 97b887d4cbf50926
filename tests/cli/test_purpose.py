"""A medical product says for whom it is before anything is built; the API tells it to whoever asks."""

import pytest

from tradewind.cli.app import main

MEDICAL = """\
product: scans
task: classification
domain: medical
data: {source: rows.csv, target: ill}
"""


@pytest.mark.parametrize("verb", ["run", "release"])
def test_a_medical_product_without_a_purpose_is_refused_before_any_work(verb, tmp_path, capsys):
    (tmp_path / "tradewind.yaml").write_text(MEDICAL + "release: {excluded_use: '  ', oversight: A doctor reads it.}\n")
    assert main([verb, "-C", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "not released without intended_use, excluded_use" in said
    assert "for which staff" in said
    assert not (tmp_path / ".tradewind" / "datasets").exists()


def test_with_its_purpose_stated_it_goes_on_to_its_data(tmp_path, capsys):
    stated = "release: {intended_use: a, excluded_use: b, oversight: c}\n"
    (tmp_path / "tradewind.yaml").write_text(MEDICAL + stated)
    assert main(["run", "-C", str(tmp_path)]) == 2
    assert "no such file" in capsys.readouterr().err.lower()
