"""DICOM pixels as a viewer shows them, the few facts of a header, and what is refused."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGLosslessSV1

from tests.features.dicom_files import PLANTED, dicom
from tradewind.errors import DataError
from tradewind.features.column import ColumnSpec
from tradewind.features.dicom import burned_in, facts
from tradewind.features.feature_set import FeatureSet
from tradewind.features.image import ImageColumn
from tradewind.features.picture import checked, decode
from tradewind.features.target import fit_target

RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16
TWELVE = {"BitsStored": 12, "HighBit": 11}


def shown(content, **options):
    return decode(content, **options)[0].astype(int)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 2, "RescaleIntercept": -1024}])
def test_a_window_gives_what_pydicom_gives_over_its_whole_range(function, rescale):
    content = dicom(RAMP, WindowCenter=1500, WindowWidth=900, VOILUTFunction=function, **TWELVE, **rescale)
    header = dcmread(io.BytesIO(content))
    values = apply_voi_lut(apply_modality_lut(header.pixel_array, header), header)
    slope, intercept = rescale.get("RescaleSlope", 1), rescale.get("RescaleIntercept", 0)
    share = (values - intercept) / (slope * 4095)
    np.testing.assert_allclose(shown(content), share * 255, atol=0.51)


def test_a_window_leaves_black_below_and_white_above():
    picture = shown(dicom(RAMP, WindowCenter=2000, WindowWidth=400, **TWELVE))
    assert set(picture[RAMP < 1800]) == {0}
    assert set(picture[RAMP > 2200]) == {255}


def test_a_voi_table_is_looked_up():
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 8], [0, 10, 200, 255]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    content = dicom(np.array([[0, 1], [2, 3]], dtype=np.uint16), VOILUTSequence=[table])
    assert shown(content).tolist() == [[0, 10], [200, 255]]


def test_monochrome1_is_turned_over():
    assert shown(dicom(RAMP, PhotometricInterpretation="MONOCHROME1")).tolist() == (255 - shown(dicom(RAMP))).tolist()


def test_without_a_window_wide_pixels_are_spread_and_bytes_stay_as_they_are():
    assert (shown(dicom(RAMP + 1000)).min(), shown(dicom(RAMP + 1000)).max()) == (0, 255)
    bytes_HW = np.arange(50, 114, dtype=np.uint8).reshape(8, 8)
    assert (shown(dicom(bytes_HW, RescaleSlope=1, RescaleIntercept=0)) == bytes_HW).all()


def test_signed_pixels_and_padding_that_was_never_measured():
    stored = np.array([[-2000, -1000], [0, 1000]], dtype=np.int16)
    assert shown(dicom(stored, PixelPaddingValue=-2000)).tolist() == [[0, 0], [128, 255]]


def test_of_several_frames_the_middle_one_or_the_first_is_shown():
    stack = np.stack([np.full((4, 4), value, dtype=np.uint8) for value in (10, 20, 30, 40, 50)])
    assert (shown(dicom(stack)) == 30).all()
    assert (shown(dicom(stack), frame="first") == 10).all()
    spec = ColumnSpec("scan", "image", {"size": 16, "frame": "first"})
    column = ImageColumn.fit(spec, np.array([dicom(stack)], dtype=object), seed=0)
    again = ImageColumn.from_state(column.state())
    assert (again.pixels(dicom(stack)) == 10).all()


def test_a_frame_of_an_enhanced_file_has_the_window_of_its_own():
    frames = []
    for centre in (100, 3000):
        window, groups = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 100
        groups.FrameVOILUTSequence = [window]
        frames.append(groups)
    content = dicom(np.full((2, 4, 4), 1000, dtype=np.uint16), PerFrameFunctionalGroupsSequence=frames)
    assert (shown(content, frame="first") == 255).all()
    assert (shown(content, frame="middle") == 0).all()


def test_colour_and_jpeg_inside():
    red = np.zeros((8, 8, 3), dtype=np.uint8)
    red[..., 0] = 200
    assert decode(dicom(red))[:, 0, 0].tolist() == [200, 0, 0]
    grey = np.full((8, 8), 90, dtype=np.uint8)
    jpeg = io.BytesIO()
    Image.fromarray(grey).save(jpeg, "JPEG", quality=95)
    content = dicom(grey, syntax=JPEGBaseline8Bit, data=encapsulate([jpeg.getvalue()]))
    assert abs(shown(content) - 90).max() <= 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (dicom(RAMP, syntax=JPEGLosslessSV1, data=encapsulate([b"\xff\xd8\xff\xd9"])), "JPEG Lossless.*no decoder"),
        (dicom(RAMP)[:-40], "damaged or cut short"),
        (dicom(RAMP, WindowCenter=5, WindowWidth=0), "damaged"),
        (b"\0" * 128 + b"DICM" + b"\xff" * 40, "damaged|no picture"),
        (dicom(RAMP, Rows=60000, Columns=60000), "million pixels"),
        (b"\0" * 128 + b"DICM" + str(DeflatedExplicitVRLittleEndian).encode() + b"\0", "deflated"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_words_without_a_name(content, says):
    with pytest.raises(DataError, match=says) as caught:
        decode(content)
    assert caught.value.code == "data.image_unreadable"
    assert not any(word in str(caught.value) for word in PLANTED.values())


def test_what_is_kept_of_a_file_are_its_pixels():
    content = dicom(RAMP, WindowCenter=1500, WindowWidth=900, **TWELVE)
    kept = checked(content)
    assert (decode(kept) == decode(content)).all()
    assert not any(word.encode() in kept for word in PLANTED.values())
    png = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(png, "PNG")
    assert checked(png.getvalue()) == png.getvalue()


def test_a_caller_may_send_it_in_base64():
    spec = ColumnSpec("scan", "image", {"size": 16})
    values = {"scan": np.array([dicom(RAMP)], dtype=object)}
    features = FeatureSet.fit([spec], values, fit_target("classification", np.array(["a", "b"])), seed=0)
    row = {"scan": base64.b64encode(dicom(RAMP)).decode()}
    features.check_row(row)
    assert (features.encode_rows([row])["image:scan"] == features.encode(values)["image:scan"]).all()


def test_facts_of_a_header_are_terms_and_never_words():
    found = facts(dicom(RAMP, PixelSpacing=[0.143, 0.143]))
    assert found == {
        "age_band": "70 to 79", "sex": "male", "modality": "DX", "body_part": "CHEST", "view": "PA", "pixel_spacing": 0.143,
    }  # fmt: skip
    strange = facts(dicom(RAMP, BodyPartExamined="ZWINGLI", ViewPosition="ULRICH", PatientAge="101Y", PatientSex="X"))
    assert strange == {**dict.fromkeys(found), "age_band": "90 and over", "modality": "DX"}


@pytest.mark.parametrize(("age", "band"), [("007M", "0 to 9"), ("039Y", "30 to 39"), ("seven", None), ("", None)])
def test_ages_are_told_by_the_decade(age, band):
    assert facts(dicom(RAMP, PatientAge=age))["age_band"] == band


def test_what_the_header_says_of_burned_in_text():
    assert [
        burned_in(dicom(RAMP, **said)) for said in ({"BurnedInAnnotation": "YES"}, {"BurnedInAnnotation": "NO"}, {})
    ] == [True, False, None]
