"""Which scanner and probe, in words that cannot name a patient.

Manufacturer and model are free text: somebody has typed a name into every field of
DICOM once. So a known manufacturer is written by its usual name, a model only if it
begins as a known family does and goes on like a model, and anything else as a keyed
hash, by which scanners can still be told apart.
"""

import re
from collections.abc import Sequence

from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms

LONGEST = 64
# A word or phrase in the text, lower case -> the name. The first that fits counts.
_MANUFACTURERS = {
    "acuson": "Acuson",
    "agfa": "Agfa",
    "alpinion": "Alpinion",
    "aloka": "Aloka",
    "atl": "ATL",
    "b-k": "BK Medical",
    "bk": "BK Medical",
    "biosound": "Biosound",
    "butterfly": "Butterfly Network",
    "canon": "Canon",
    "chison": "Chison",
    "clarius": "Clarius",
    "edan": "Edan",
    "esaote": "Esaote",
    "fujifilm": "Fujifilm",
    "g.e.": "GE",
    "ge": "GE",
    "general electric": "GE",
    "healcerion": "Healcerion",
    "hewlett": "Hewlett-Packard",
    "hitachi": "Hitachi",
    "hologic": "Hologic",
    "medison": "Samsung Medison",
    "mindray": "Mindray",
    "philips": "Philips",
    "samsung": "Samsung",
    "shimadzu": "Shimadzu",
    "siemens": "Siemens",
    "sonoscape": "SonoScape",
    "sonosite": "SonoSite",
    "supersonic": "SuperSonic Imagine",
    "telemed": "Telemed",
    "terason": "Terason",
    "toshiba": "Toshiba",
    "verasonics": "Verasonics",
    "vinno": "Vinno",
    "visualsonics": "VisualSonics",
    "wisonic": "Wisonic",
    "zonare": "Zonare",
    "ultrasound_jax": "ultrasound_jax",
}
_FAMILIES = (
    "accuvix acuson affiniti aixplorer aloka antares apio aplio arietta artida aspen "
    "butterfly clearvue clover cx cypress dc e-cube ecube edge elite envisor epiq eub "
    "eup freestyle hd hdi hera hi hm hs innosight invisia ie iq iu juniper lisendo "
    "logiq lumify m-turbo maxx micromaxx mylab nanomaxx nemio nuewa oxana phantom "
    "prosound px resona rs s-nerve s2000 s3000 sc2000 sequoia sonoace sonos sonosite "
    "sparq ssa ssd ssh ssi t3000 te titan turbo ugeo usmart venue versana vevo viamo "
    "vinno vivid voluson ws80a x-porte xario z.one zone zs3"
).split()
# Behind the family: short numbers, single letters, and words common among models.
# Two letters alone may be a surname, so that only usual pairs pass.
_WORD = (
    r"(?:[a-z]{0,3}\d{1,4}[a-z]{0,2}|[a-z]|cv|elite|evo|expert|gp|go|ii|iii|iq|iv|plus"
    r"|premium|prime|pro|pure|select|series|system|twice|vu|xe)(?![a-z0-9])\+?"
)
_FAMILY = "|".join(sorted(map(re.escape, _FAMILIES), key=len, reverse=True))
_MODEL = re.compile(
    rf"(?:{_FAMILY})(?:[-. ]?{_WORD}|(?![a-z0-9]))(?:[-. ]+{_WORD}){{0,3}}",
    re.IGNORECASE,
)

# Probes are called by letters for their shape and numbers for their band, as in C5-1,
# SC6-1E, 9L-RS, M5Sc. Letters and numbers of other make may be somebody's.
_SHAPES = (
    "a as bp c ca cb cl cv d e ea eb ec ev hfl hst ic it l la le lf lm lv m ml mt p pa "
    "pc pe pl pm ps pv px ra rab rc ric rm rna rs rsp rvt s sc se sp sv tee te ul v va "
    "vc vf vh vl vr x xl xp"
).split()
_SHAPE = "|".join(sorted(_SHAPES, key=len, reverse=True))
_BAND = r"\d{1,2}(?:-\d{1,2})?"
_PROBE = re.compile(
    rf"(?:(?:{_SHAPE})-?{_BAND}|\d{{1,2}}(?:{_SHAPE})\d?)"
    r"(?:[A-EHSVWX]|SC|XI|RS|VN)?(?:-(?:[A-EHSVWX]|D|RS|SC|VN))?",
    re.IGNORECASE,
)
_NO_PROBE = {"", "NA", "N/A", "NONE", "UNDEFINED", "UNKNOWN", "UNUSED"}
# Defined terms of TransducerType (PS3.3, section C.8.5.6.1).
_KINDS = {
    "CURVED LINEAR",
    "ENDOCAV_AA",
    "ENDOCAV_CLA",
    "ENDOCAV_LINEAR",
    "ENDOCAV_MECH",
    "ENDOCAV_PA",
    "IV_PHASED",
    "IV_ROT MIRROR",
    "IV_ROT XTAL",
    "LINEAR",
    "SECTOR_ANNULAR",
    "SECTOR_MECH",
    "SECTOR_PHASED",
    "SINGLE CRYSTAL",
    "SPLIT XTAL CWD",
    "VECTOR_PHASED",
}


def manufacturer_name(text: str, pseudonyms: Pseudonyms) -> str:
    """The usual name of a known manufacturer, else `other-` and a keyed hash."""
    plain = text.lower()
    if not plain.strip():
        return ""
    for phrase, name in _MANUFACTURERS.items():
        if re.search(rf"(?<![a-z0-9]){re.escape(phrase)}(?![a-z0-9])", plain):
            return name
    return _hashed(text, pseudonyms)


def model_name(text: str, pseudonyms: Pseudonyms) -> str:
    """The model as written if it is surely one, else `other-` and a keyed hash."""
    text = " ".join(text.split())
    if not text:
        return ""
    if len(text) <= LONGEST and _MODEL.fullmatch(text):
        return text
    return _hashed(text, pseudonyms)


def transducer_name(values: Sequence[str], kind: str, pseudonyms: Pseudonyms) -> str:
    """The probe as written if it surely is one, else its kind, else a keyed hash.

    Args:
        values: of TransducerData, of which scanners leave some empty.
        kind: TransducerType, of which the standard's own words pass.
        pseudonyms: of the key file.
    """
    said = [text for text in values if text.strip().upper() not in _NO_PROBE]
    for text in said:
        plain = text.strip().replace("_", "-").upper()
        if _PROBE.fullmatch(plain):
            return plain
    if kind.strip().upper() in _KINDS:
        return kind.strip().lower().replace("_", " ")
    return _hashed(said[0], pseudonyms) if said else ""


def _hashed(text: str, pseudonyms: Pseudonyms) -> str:
    return "other-" + pseudonyms.digest("device", text.strip().lower())[:6]
