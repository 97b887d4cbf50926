"""Copies of DICOM files: nobody's identity in any byte, the picture as it was, identifiers that still belong together."""

import io
import json

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.features.dicom_files import PLANTED, STUDY, dicom
from tradewind.cli.app import main
from tradewind.errors import DataError
from tradewind.features.picture import decode
from tradewind.privacy.dicom import deidentified

KEY = b"k" * 32
RAMP = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60


def planted():
    """A file with names in the preamble, private elements and a nested sequence, too."""
    item = Dataset()
    item.PatientName, item.OtherPatientIDs = "Zwingli^Ulrich", "MRN-4711-X"
    return dicom(
        RAMP,
        BitsStored=12,
        HighBit=11,
        WindowCenter=2000,
        WindowWidth=3000,
        RequestAttributesSequence=[item],
        PatientComments="Zwingli is tall",
    )


def test_no_byte_of_an_identity_is_left_and_the_picture_is_the_same():
    copy = deidentified(planted(), key=KEY)
    for word in [*PLANTED.values(), "Zwingli", "ZWINGLI", "MRN-4711", STUDY, "072Y"]:
        assert word.encode() not in copy.content, word
    assert (decode(copy.content) == decode(planted())).all()
    header = dcmread(io.BytesIO(copy.content))
    assert header.PatientIdentityRemoved == "YES"
    assert header.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert (header.PatientName, header.PatientID, header.PatientSex, header.StudyDate) == ("", "", "", "")
    assert not [element for element in header if element.tag.is_private]
    assert [element.keyword for element in header if element.VR == "SQ"] == ["DeidentificationMethodCodeSequence"]


def test_identifiers_are_keyed_and_keep_a_series_together():
    one, again, other = (dcmread(io.BytesIO(deidentified(planted(), key=key).content)) for key in (KEY, KEY, b"o" * 32))
    assert one.StudyInstanceUID == again.StudyInstanceUID != other.StudyInstanceUID
    assert len({one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID}) == 3
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    assert one.SOPInstanceUID.startswith("2.25.")


@pytest.mark.parametrize(("age", "kept"), [("072Y", "072Y"), ("097Y", "090Y"), ("003M", ""), ("Zwingli", "")])
def test_sex_and_age_stay_only_where_they_are_asked_for(age, kept):
    header = dcmread(io.BytesIO(deidentified(dicom(RAMP, PatientAge=age), key=KEY, keep_characteristics=True).content))
    assert header.PatientSex == "M"
    assert header.get("PatientAge", "") == kept


def test_what_is_no_file_is_refused():
    with pytest.raises(DataError) as caught:
        deidentified(b"no file", key=KEY)
    assert caught.value.code == "data.dicom_broken"


def test_a_folder_is_copied_under_numbers_and_what_may_show_names_is_left_out(tmp_path, capsys):
    (tmp_path / "in" / "Zwingli").mkdir(parents=True)
    for name, said in (
        ("a.dcm", {"BurnedInAnnotation": "NO"}),
        ("b.dcm", {"BurnedInAnnotation": "YES"}),
        ("c.dcm", {}),
    ):
        (tmp_path / "in" / "Zwingli" / name).write_bytes(dicom(RAMP, **said))
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    words = ["deidentify", str(tmp_path / "in"), str(tmp_path / "out"), "-C", str(tmp_path), "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["copied"], told["burned_in_unknown"], len(told["left_out"])) == (2, 1, 2)
    copies = [path.relative_to(tmp_path / "out").as_posix() for path in sorted((tmp_path / "out").rglob("*.dcm"))]
    assert len(copies) == 2
    assert copies == ["000001.dcm", "000003.dcm"]
    assert main(words) == 2
    assert "not empty" in capsys.readouterr().out
