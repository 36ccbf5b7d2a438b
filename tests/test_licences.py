"""What is told of other people's licences is what is installed."""

import json
import re

import pytest

from tests.conftest import ROOT
from tools import bundled, sbom

PAGE = (ROOT / "docs" / "licences.md").read_text()


@pytest.fixture(scope="module")
def inside():
    found = bundled.libraries()
    if not found:
        pytest.skip("these packages are no repaired wheels: no library lies in them")
    return found


@pytest.fixture(scope="module")
def bill():
    return sbom.bill()


def test_the_licence_of_every_library_in_a_wheel_is_known(inside):
    unknown = [f"{one.wheel}: {one.file}" for one in inside if not one.licence]
    assert not unknown, "add them to tools/bundled.py and, if need be, docs/licences.md"


def test_the_page_tells_of_every_copyleft_library_and_of_no_other(inside):
    # A row a wheel: | `av` | `libx264`, `libx265` | GPL-2.0-or-later |
    told = set()
    for wheel, names in re.findall(
        r"^\| `([\w-]+)` \| (`lib.*?) \|", PAGE, re.MULTILINE
    ):
        told |= {(wheel, name) for name in re.findall(r"`(.+?)`", names)}
    assert told == {(one.wheel, one.name) for one in inside if one.is_copyleft}


def test_the_gpl_alone_is_in_no_wheel_but_those_that_the_page_names(inside):
    strong = {(one.wheel, one.name) for one in inside if one.is_strong}
    assert strong == {("av", "libx264"), ("av", "libx265")}


def test_what_the_copies_of_ffmpeg_say_of_their_licence_is_what_is_told(inside):
    said = {}
    for one in bundled.installed():
        for file in one.files or ():
            if bundled.name_of(file.name) == "libavutil":
                words = file.locate().read_bytes()
                found = re.search(rb"(L?GPL) version ([\d.]+) or later", words)
                assert found and b"--enable-nonfree" not in words
                said[bundled.wheel_name(one)] = found[0].decode()
    assert said == {
        "av": "LGPL version 3 or later",
        "opencv-python-headless": "LGPL version 2.1 or later",
    }


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("libx264-d6533a8d.so.165", "libx264"),
        ("libgfortran-040039e1-0352e75f.so.5.0.0", "libgfortran"),
        ("libscipy_openblas64_-32a4b2a6.so", "libscipy_openblas64_"),
        ("libopenblasp-r0-59ffcd50.3.15.so", "libopenblasp"),
        ("liblzokay-c-f8c30da9.so", "liblzokay-c"),
    ],
)
def test_hashes_and_versions_are_no_part_of_a_librarys_name(file, name):
    assert bundled.name_of(file) == name


def test_the_bill_is_cyclonedx_and_each_reference_in_it_leads_somewhere(bill):
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"]
    )
    references = [bill["metadata"]["component"]["bom-ref"]]
    for component in bill["components"]:
        references.append(component["bom-ref"])
        references += [one["bom-ref"] for one in component.get("components", ())]
        [licence] = component["licenses"]
        assert licence.keys() <= {"license", "expression"}
    assert len(references) == len(set(references))
    for entry in bill["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= set(references)


def test_the_bill_names_what_is_locked_and_the_libraries_within(bill):
    versions = {one["name"]: one["version"] for one in bill["components"]}
    assert {"jax", "flax", "av", "pydicom"} <= versions.keys() <= sbom.locked()
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        name, _, version = line.partition(" ;")[0].partition("==")
        if versions.get(name) not in (None, version.strip()):
            pytest.skip(f"{name} {versions[name]} is installed, the lock has {version}")
    [av] = [one for one in bill["components"] if one["name"] == "av"]
    assert "libx264" in {one["name"] for one in av["components"]}


def test_no_licence_of_a_package_is_strong_copyleft_alone(bill):
    for component in bill["components"]:
        said = json.dumps(component["licenses"])
        if re.search(r"(?<!L)(?<!Lesser )GPL|General Public", said):
            assert component["name"] in ("docutils",), said  # one file of it, a tool
            assert "BSD" in said


def test_equal_environments_give_equal_files(bill):
    assert sbom.bill() == bill
