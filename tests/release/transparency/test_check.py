"""One edited digit is found wherever it stands, and named by file, line and statement."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.release.transparency.made import sources, write
from tradewind.errors import ArtifactError
from tradewind.release.transparency.check import check, check_rendering
from tradewind.release.transparency.compare import differences
from tradewind.release.transparency.document import CARD, FILE, PAGE, PAPER
from tradewind.release.transparency.evidence import DATA, REPORT
from tradewind.release.transparency.files import RENDERINGS, read_document, render, renderings_of

_FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _edited(content: bytes, at: int) -> bytes:
    """Another digit at that place."""
    return content[:at] + str((content[at] - ord("0") + 5) % 10).encode() + content[at + 1 :]


def _digits(content: bytes) -> list[int]:
    if content.startswith(b"%PDF"):  # those that are drawn
        drawn = re.finditer(rb"\(((?:[^()\\]|\\.)*)\) Tj", content)
        return [found.start(1) + at for found in drawn for at, one in enumerate(found[1]) if 48 <= one <= 57]
    return [at for at, one in enumerate(content) if 48 <= one <= 57]


@pytest.mark.parametrize("kind", ["predictor", "language", "encoder"])
def test_what_was_made_holds(tmp_path, kind):
    found = check(write(tmp_path, sources(kind)))
    assert found.faults == ()
    assert found.values > 30


@pytest.fixture(scope="module")
def rendered(document) -> dict[str, bytes]:
    return renderings_of(document)


@pytest.mark.parametrize("name", [CARD, PAGE, PAPER])
@_FEW
@given(data=st.data())
def test_any_edited_digit_is_found_and_named_by_its_line(document, rendered, name, data):
    frame, form = RENDERINGS[name]
    wanted = rendered[name]
    at = data.draw(st.sampled_from(_digits(wanted)))
    edited = _edited(wanted, at)
    faults = differences(name, edited, wanted, document=document, frame=frame, form=form, language=document.language)
    assert faults, edited[at - 30 : at + 30]
    if form != "pdf":
        (fault,) = faults
        assert fault.line == wanted[:at].count(b"\n") + 1
        assert fault.found != fault.expected


@settings(_FEW, max_examples=15)
@given(data=st.data())
def test_any_edited_digit_of_statements_or_evidence_is_found(release, data):
    name = data.draw(st.sampled_from([FILE, DATA, REPORT]))
    path = release / name
    content = path.read_bytes()
    at = data.draw(st.sampled_from(_digits(content)))
    path.write_bytes(_edited(content, at))
    faults = check(release).faults
    path.write_bytes(content)
    told = faults if name == FILE else [fault for fault in faults if fault.file == name]
    assert told, content[at - 30 : at + 30]


def test_a_figure_of_the_card_is_named_by_statement_and_line(release):
    path = release / CARD
    path.write_text(path.read_text().replace("| 0.7731 | 0.7412", "| 0.9731 | 0.7412"))
    (fault,) = check(release).faults
    assert fault.statement.startswith("figures.test.roc_auc")
    assert str(fault).startswith(f"{CARD}:{fault.line}: ")
    assert "0.9731" in path.read_text().split("\n")[fault.line - 1]


def test_a_figure_of_the_page_is_named_by_its_statement(release):
    path = release / PAGE
    path.write_text(path.read_text().replace(">0.7731<", ">0.9731<", 1))
    (fault,) = check(release).faults
    assert (fault.file, fault.statement) == (PAGE, "figures.test.roc_auc")


def test_a_figure_of_the_pdf_is_named_by_page_line_and_statement(release):
    path = release / PAPER
    path.write_bytes(path.read_bytes().replace(b"(0.7412)", b"(0.9412)", 1))
    (fault,) = check(release).faults
    assert (fault.found, fault.expected, fault.statement) == ("0.9412", "0.7412", "figures.test.roc_auc.low")
    assert re.search(r"transparency\.pdf page \d+ line \d+: ", str(fault))


def test_bytes_of_a_pdf_that_draw_nothing_are_held_to_their_digest(release):
    path = release / PAPER
    path.write_bytes(path.read_bytes().replace(b"/Trapped /False", b"/Trapped /True "))
    (fault,) = check(release).faults
    assert fault.file == PAPER


def test_a_statement_edited_everywhere_disagrees_with_its_evidence(release):
    for name in (FILE, CARD, PAGE):
        path = release / name
        path.write_text(path.read_text().replace("0.7731", "0.9731"))
    faults = check(release).faults
    assert any(fault.file == FILE and fault.statement == "figures.test.roc_auc" for fault in faults)


def test_a_rendering_or_evidence_that_is_gone_is_named(release):
    (release / PAGE).unlink()
    assert [fault.file for fault in check(release).faults] == [PAGE]
    (release / DATA).unlink()
    assert DATA in {fault.file for fault in check(release).faults}


def test_files_that_are_no_json_are_named_and_nothing_breaks(release):
    (release / DATA).write_text("{")
    (release / FILE).write_text("[]")
    assert {DATA, FILE} <= {fault.file for fault in check(release).faults}


def test_a_release_of_another_version_is_held_to_statements_and_digests(tmp_path):
    made = sources()
    made.released["made_with"] = "0.0.1"  # type: ignore[index]
    folder = write(tmp_path, made)
    assert check(folder).faults == ()
    path = folder / CARD
    path.write_text(path.read_text().replace("0.7731", "0.9731"))
    assert [fault.file for fault in check(folder).faults] == [CARD]


def test_a_release_without_a_report_says_so(tmp_path):
    with pytest.raises(ArtifactError) as caught:
        check(tmp_path)
    assert caught.value.code == "artifact.no_transparency"


@pytest.mark.parametrize(("frame", "form"), [("annex-iv", "md"), ("nist", "html"), ("china", "pdf")])
def test_a_rendering_that_left_the_release_is_known_again_and_its_edit_is_named(release, tmp_path, form, frame):
    content = render(read_document(release), frame, form, language="zh")
    path = tmp_path / f"handed.{form}"
    path.write_bytes(content)
    assert check_rendering(release, path).faults == ()
    path.write_bytes(_edited(content, _digits(content)[-40]))
    assert check_rendering(release, path).faults


def test_statements_name_the_file_and_place_they_come_from(release):
    document = json.loads((release / FILE).read_text())
    by_key = {one["key"]: one for one in document["statements"]}
    assert by_key["figures.test.roc_auc"]["evidence"] == ["report/report.json#/figures/test/roc_auc/value"]
    assert by_key["training.seconds"]["by"] == "sum"
