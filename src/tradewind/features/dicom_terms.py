"""What is known of DICOM without its reader: how a file begins, and the terms that a header's fact may be: sexes, modalities,
body parts, views (PS3.3 C.7.3.1.1.1, PS3.16 annex L).

Not here: reading one (`dicom.py`). The list of body parts is of what is often examined, not all of the annex.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping

_PREAMBLE, _MARK = 128, b"DICM"  # PS3.10, 7.1
_BASE64_CHARACTERS = 176  # of base64 that hold the first 132 bytes


def is_dicom(content: bytes) -> bool:
    """Whether the bytes are a DICOM file's."""
    return content[_PREAMBLE : _PREAMBLE + len(_MARK)] == _MARK


def is_dicom_text(text: str) -> bool:
    """Whether the text is a DICOM file in base64, on one line."""
    try:
        return is_dicom(b64decode(text[:_BASE64_CHARACTERS], validate=True))
    except (binascii.Error, ValueError):
        return False


SEXES: Mapping[str, str] = {"F": "female", "M": "male", "O": "other"}

MODALITIES = frozenset(
    ["BMD", "BDUS", "CR", "CT", "CTPROTOCOL", "DMS", "DG", "DX", "ECG", "EPS", "ES", "GM", "HC", "IO", "IVOCT", "IVUS", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPV", "PT", "PX", "RF", "RG", "SM", "SRF", "TG", "US", "XA", "XC"]
)  # fmt: skip

BODY_PARTS = frozenset(
    ["ABDOMEN", "ABDOMENPELVIS", "ADRENAL", "ANKLE", "AORTA", "ARM", "AXILLA", "BACK", "BLADDER", "BRAIN", "BREAST", "BRONCHUS", "CALCANEUS", "CALF", "CAROTID", "CEREBELLUM", "CERVIX", "CHEEK", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "CLAVICLE", "COCCYX", "COLON", "CORNEA", "CSPINE", "CTSPINE", "DUODENUM", "EAR", "ELBOW", "ESOPHAGUS", "EXTREMITY", "EYE", "FACE", "FEMUR", "FINGER", "FOOT", "FOREARM", "GALLBLADDER", "HAND", "HEAD", "HEADNECK", "HEART", "HIP", "HUMERUS", "ILEUM", "ILIUM", "JAW", "KIDNEY", "KNEE", "LARYNX", "LEG", "LIVER", "LSPINE", "LSSPINE", "LUNG", "MANDIBLE", "MAXILLA", "MEDIASTINUM", "MOUTH", "NECK", "NECKCHEST", "NOSE", "ORBIT", "OVARY", "PANCREAS", "PAROTID", "PATELLA", "PELVIS", "PENIS", "PHARYNX", "PROSTATE", "RECTUM", "RETINA", "RIB", "SACRUM", "SCALP", "SCAPULA", "SCROTUM", "SHOULDER", "SKIN", "SKULL", "SPINE", "SPLEEN", "SSPINE", "STERNUM", "STOMACH", "TESTIS", "THIGH", "THORAX", "THUMB", "THYMUS", "THYROID", "TIBIA", "TLSPINE", "TOE", "TONGUE", "TRACHEA", "TSPINE", "UTERUS", "VAGINA", "WHOLEBODY", "WRIST", "ZYGOMA"]
)  # fmt: skip

VIEWS = frozenset(
    [
        "AP",
        "PA",
        "LL",
        "RL",
        "LLD",
        "RLD",
        "LLO",
        "RLO",
        "LAO",
        "RAO",
        "LPO",
        "RPO",
        "CC",
        "MLO",
        "ML",
        "LM",
        "XCCL",
        "XCCM",
        "FB",
        "SIO",
        "ISO",
        "LMO",
        "CV",
        "AT",
    ]
)
