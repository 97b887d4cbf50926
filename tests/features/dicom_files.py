"""DICOM files made for tests: a small picture with a header that names a patient."""

import io

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

# Nobody's. Whatever of it turns up where identity was removed is found by these words.
PLANTED = {
    "PatientName": "Zwingli^Ulrich", "PatientID": "MRN-4711-X", "PatientBirthDate": "19510807", "PatientAddress": "Limmatquai 7",
    "ReferringPhysicianName": "Bullinger^Heinrich", "InstitutionName": "Spital Grossmuenster", "AccessionNumber": "ACC993311",
    "StudyDate": "20240229", "StudyDescription": "Thorax of Mr Zwingli", "OperatorsName": "Leo^Jud", "StationName": "ROOM77QX",
}  # fmt: skip
PATIENT = {
    **PLANTED,
    "PatientAge": "072Y",
    "PatientSex": "M",
    "Modality": "DX",
    "BodyPartExamined": "CHEST",
    "ViewPosition": "PA",
}
STUDY = "1.2.826.0.1.3680043.2.1125.4711"


def dicom(stored, *, syntax=ExplicitVRLittleEndian, data=None, **header):
    """The bytes of a file that stores the pixels [H, W], [F, H, W] or [H, W, 3], with `header` over PATIENT."""
    stored = np.asarray(stored)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    meta.MediaStorageSOPInstanceUID = UID(f"{STUDY}.3")
    made = FileDataset(None, {}, file_meta=meta, preamble=b"MRN-4711-X".ljust(128, b"\0"))
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID = UID(STUDY), UID(f"{STUDY}.2")
    colour = stored.ndim == 3 and stored.shape[-1] == 3
    made.SamplesPerPixel = 3 if colour else 1
    if colour:
        made.PlanarConfiguration = 0
    elif stored.ndim == 3:
        made.NumberOfFrames = stored.shape[0]
    made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    made.Rows, made.Columns = stored.shape[-3:-1] if colour else stored.shape[-2:]
    made.BitsAllocated = 8 * stored.dtype.itemsize
    made.BitsStored, made.HighBit = made.BitsAllocated, made.BitsAllocated - 1
    made.PixelRepresentation = int(stored.dtype.kind == "i")
    for name, value in {**PATIENT, **header}.items():
        setattr(made, name, value)
    made.PixelData = stored.tobytes() if data is None else data
    made["PixelData"].VR = "OB" if stored.dtype.itemsize == 1 else "OW"
    made.add_new((0x0009, 0x0010), "LO", "ZWINGLI VENDOR")
    made.add_new((0x0009, 0x1001), "LO", "Ulrich Zwingli, private")
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()
