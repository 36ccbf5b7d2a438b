import re

import pytest

from ultrasound_jax.dicom.deid.devices import (
    manufacturer_name,
    model_name,
    transducer_name,
)
from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms

KEY = Pseudonyms(bytes(32))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SAMSUNG MEDISON CO., LTD.", "Samsung Medison"),
        ("Philips Medical Systems", "Philips"),
        ("G.E. Medical Systems", "GE"),
        ("GE Vingmed Ultrasound", "GE"),
        ("TOSHIBA_MEC_US", "Toshiba"),
        ("ALOKA CO., LTD.", "Aloka"),
        ("SonoSite, Inc.", "SonoSite"),
        ("  ", ""),
    ],
)
def test_known_manufacturers_have_their_usual_name(text, name):
    assert manufacturer_name(text, KEY) == name


@pytest.mark.parametrize(
    "text",
    "HS60,HM70A,RS85,EPIQ 7C,CX50,iE33,LOGIQ E10s,LOGIQE9,Vivid E95,Vivid q,SSD-4000,"
    "SEQUOIA,Turbo,M-Turbo,EDGE II,Butterfly iQ+,MyLab X8,ACUSON SC2000,HD11 XE,TE7,"
    "Aplio i800,Voluson E10".split(","),
)
def test_models_of_known_families_are_written_as_they_are(text):
    assert model_name(f" {text} ", KEY) == text


@pytest.mark.parametrize(
    "text",
    "Doe^Jane,Kim,HS60 Kim,Turbo Kim,HS Kim,4711,HD 12345678,HS60 Jane Doe,EPIQ7C Doe,"
    "iDoe,Vivid Li,=HYPERLINK(1),HS60\n4711 Doe".split(","),
)
def test_anything_else_is_a_keyed_hash(text):
    assert re.fullmatch(r"other-[0-9a-f]{6}", model_name(text, KEY))
    assert model_name(text, KEY) == model_name(f" {text.lower()} ", KEY)
    assert re.fullmatch(r"other-[0-9a-f]{6}", manufacturer_name(text, KEY))


def test_a_name_beside_a_manufacturer_is_not_passed_on():
    assert manufacturer_name("Siemens, Dr. Doe", KEY) == "Siemens"


@pytest.mark.parametrize(
    ("values", "kind", "name"),
    [
        (["C5_1"], "", "C5-1"),
        (["l12-3", "UNUSED", "UNUSED"], "", "L12-3"),
        (["UNUSED", "SC6-1E"], "LINEAR", "SC6-1E"),
        (["9L-RS"], "", "9L-RS"),
        (["M5Sc-D"], "", "M5SC-D"),
        (["CA1-7A"], "", "CA1-7A"),
        (["85", "4V1c-S"], "VECTOR_PHASED", "4V1C-S"),
        (["rC60xi"], "", "RC60XI"),
        (["P21x"], "", "P21X"),
        (["Doe^Jane"], "CURVED LINEAR", "curved linear"),
        ([], "SECTOR_PHASED", "sector phased"),
        ([], "Doe", ""),
        ([], "", ""),
    ],
)
def test_probes_are_written_by_name_or_kind(values, kind, name):
    found = transducer_name(values, kind, KEY)
    assert found == name or (not name and found.startswith("other-"))


@pytest.mark.parametrize("text", ["Doe 1950", "JD1950", "DOE19", "Canary", "7391846"])
def test_what_may_be_a_name_is_no_probe(text):
    found = transducer_name([text], "", KEY)
    assert found.startswith("other-") and len(found) == 12
    assert text.lower() not in found.lower()
