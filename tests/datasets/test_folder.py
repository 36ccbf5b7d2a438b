"""Pictures in folders, read by options alone."""

import csv
import json
import re
import shlex
import shutil

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.datasets import make_dummy_images as draw
from tests.datasets.building import built, records, shared, skipped
from ultrasound_jax.data import source as sources
from ultrasound_jax.datasets.busi import busi_dataset_builder as busi
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.folder.files import SOURCES
from ultrasound_jax.datasets.folder.folder_dataset_builder import Builder

PAGE = (ROOT / "docs/own_pictures.md").read_text(encoding="utf-8")
WRITTEN = {"ids": "as_written"}


@pytest.fixture
def tree(tmp_path):
    return tmp_path / "files"


@pytest.fixture
def build(tree, tmp_path):
    return lambda **options: built(Builder, tree, tmp_path / "out", **options)


def picture(path, seed, **about):
    """A drawn picture at that place, its mask returned."""
    pixels, mask = draw.tissue(seed, **about)
    draw.save(path, pixels)
    return mask


def sheet(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def two_classes(tree, *, each=2):
    for place, label in enumerate(("benign", "malignant")):
        for number in range(1, each + 1):
            picture(tree / label / f"{number}.png", 100 * place + number)


def patients(found):
    """Names of images by patient, as sets that can be compared."""
    groups = {}
    for name, record in found.items():
        groups.setdefault(record["patient_id"], set()).add(name)
    return {frozenset(names) for names in groups.values()}


# The layouts that the page names.


@pytest.mark.parametrize("size", [0, 24])
def test_busi_by_options_alone_gives_the_records_of_its_builder(tree, build, size):
    draw.busi(tree)
    ours = records(build(mask_name="*_mask", size=size))
    theirs = records(built(busi.Builder, tree, tree.parent / "busi", size=size))
    assert ours.keys() == theirs.keys() and len(ours) == 4
    for name, record in ours.items():
        for key, value in record.items():
            assert np.array_equal(value, theirs[name][key]), (name, key)


@pytest.mark.slow
@pytest.mark.shared_data
def test_all_of_busi_has_the_ids_classes_and_groups_of_its_builder(tmp_path):
    manual = shared("busi") / "busi" / "Dataset_BUSI_with_GT"
    ours = records(built(Builder, manual, tmp_path / "a", mask_name="*_mask", size=64))
    theirs = records(built(busi.Builder, manual.parent, tmp_path / "b", size=64))
    assert ours.keys() == theirs.keys() and len(ours) == 780
    for name, record in ours.items():
        for key in ("label", "patient_id", "image", "mask"):
            assert np.array_equal(record[key], theirs[name][key]), (name, key)


def plain_folders(tree):
    two_classes(tree)
    names = [f"{k}/{n}.png" for k in ("benign", "malignant") for n in (1, 2)]
    sheet(tree / "patients.csv", ["file", "patient"], *([n, n[0]] for n in names))
    return {"benign", "malignant"}, [2, 2], 0


def busi_like(tree):
    draw.busi(tree)
    return {"benign", "malignant", "normal"}, [1, 1, 1, 1], 4


def tg3k(tree):
    for number in range(3):
        mask = picture(tree / "thyroid-image" / f"{number:04d}.jpg", number)
        draw.save(tree / "thyroid-mask" / f"{number:04d}.jpg", mask)
    return {"lesion"}, [1, 1, 1], 3


def ddti(tree):
    for name in ("12_1", "12_2", "7_1"):
        mask = picture(tree / "image" / f"{name}.png", len(name) + int(name[-1]))
        draw.save(tree / "mask" / f"{name}.png", mask)
    return {"lesion"}, [1, 2], 3


def medmnist(tree):
    for place, name in enumerate(("train0_1", "train1_0", "val0_1", "test0_0")):
        picture(tree / f"{name}.png", 50 + place, height=28, width=28, lesion=False)
    return {"malignant", "benign"}, [1, 1, 1, 1], 0


def parts(tree):
    for place, part in enumerate(("train", "test")):
        two_classes(tree / part, each=1 + place)
        for label in ("benign", "malignant"):
            picture(tree / part / label / "9.png", 60 + place + 7 * len(label))
    for path in (tree / "test").rglob("[12].png"):
        path.unlink()
    return {"benign", "malignant"}, [1] * 6, 0


def folders_of_patients(tree):
    for number, (patient, label) in enumerate(
        (
            ("P12", "benign"),
            ("P12", "benign"),
            ("P12", "malignant"),
            ("P3", "malignant"),
        )
    ):
        picture(tree / patient / label / f"{number}.png", 70 + number)
    return {"benign", "malignant"}, [1, 3], 0


def classes_in_the_sheet(tree, heading=("file", "patient", "class")):
    rows = [heading]
    for number, (patient, label) in enumerate(((1, "a"), (1, "b"), (2, "b"))):
        picture(tree / "scans" / f"{number}.png", 80 + number)
        rows.append([f"{number}.png", patient, label])
    sheet(tree / "pictures.csv", *rows)
    return {"a", "b"}, [1, 2], 0


def other_headings(tree):
    return classes_in_the_sheet(tree, ("Datei", "Fall", "Befund"))


LAYOUTS = (
    *(plain_folders, busi_like, tg3k, ddti, medmnist, parts, folders_of_patients),
    *(classes_in_the_sheet, other_headings),
)


def documented():
    """The options of each layout, as the page has them."""
    section = PAGE.partition("## 3.")[2]
    rows = re.findall(r"(?m)^\| .* \| `([^`]*)` \|$", section)
    return [dict(pair.split("=", 1) for pair in shlex.split(row)) for row in rows]


def test_the_page_has_a_row_for_each_layout():
    assert len(documented()) == len(LAYOUTS)


@pytest.mark.parametrize(
    "place", range(len(LAYOUTS)), ids=lambda n: LAYOUTS[n].__name__
)
def test_a_layout_of_the_page_is_read_by_its_options(tree, build, place):
    classes, groups, masks = LAYOUTS[place](tree)
    options = documented()[place]
    builder = build(**{k: int(v) if v.isdigit() else v for k, v in options.items()})
    found = records(builder)
    assert set(builder.info.metadata["classes"]) == classes
    assert sorted(len(group) for group in patients(found)) == groups
    assert sum("mask" in record for record in found.values()) == masks
    assert len(found) == sum(groups) and not skipped(builder)
    assert builder.spec()["labels"].classes == tuple(builder.info.metadata["classes"])


# Classes.


def test_classes_are_in_the_order_that_is_said_and_may_be_joined(tree, build):
    for place, label in enumerate(("b", "a", "c", "other")):
        picture(tree / label / "1.png", place)
    builder = build(classes="b,a=one,c=one", **WRITTEN)
    assert builder.info.metadata["classes"] == ["b", "one"]
    found = {name: record["label"] for name, record in records(builder).items()}
    assert found == {"b/1.png": 0, "a/1.png": 1, "c/1.png": 1}
    assert skipped(builder) == {"other/1.png": "lies in no folder of b, a, c"}


def test_a_label_of_masks_alone_is_whether_anything_is_marked(tree, build):
    for number, lesion in enumerate((True, False)):
        mask = picture(tree / f"{number}.png", number, lesion=lesion)
        draw.save(tree / f"{number}_mask.png", mask)
    builder = build(class_from="none", mask_name="*_mask", **WRITTEN)
    labels = {name: one["labels"].tolist() for name, one in records(builder).items()}
    assert labels == {"0.png": [1], "1.png": [0]}
    assert builder.info.metadata["masks"]["empty"] == ["1.png"]


@pytest.mark.parametrize(
    ("folders", "options", "message"),
    [
        (["benign"], {}, "1 classes (benign) by class_from=folder"),
        (
            [f"patient {n}" for n in range(4)],
            {},
            "4 classes for 4 pictures by class_from=folder, allowed are 50 and half",
        ),
        (
            ["benign/Meier", "benign/Mueller", "malignant/Schmidt"],
            {},
            "folders within 2 folders; say which are the classes, such as classes=",
        ),
        (
            ["benign", "malignant"],
            {"classes": "a,b"},
            "0 classes (lies in no folder of",
        ),
        (["a", "b"], {"images": "image"}, "no picture below"),
        (["a", "a_mask"], {}, "1 pictures look like masks, as 'a_mask/1.png'"),
    ],
)
def test_folders_that_can_be_no_classes_are_refused(
    tree, build, folders, options, message
):
    for place, folder in enumerate(folders):
        picture(tree / folder / "1.png", place)
    with pytest.raises(DatasetError) as refused:
        build(**options)
    assert message in str(refused.value) and "\n" not in str(refused.value)


# Masks.


@pytest.mark.parametrize(
    "name", ["1_mask.png", "1_mask_2.png", "1 seg.png", "gt/1.png"]
)
def test_masks_are_never_taken_for_pictures_of_their_class(tree, build, name):
    two_classes(tree)
    path = tree / "benign" / name
    draw.save(path, draw.tissue(5)[1])
    with pytest.raises(DatasetError, match="1 pictures look like masks.*such as mask_"):
        build()


def test_all_masks_of_a_picture_are_joined(tree, build):
    two_classes(tree, each=1)
    marks = np.zeros((2, 40, 48), np.uint8)
    marks[0, 5:9, 5:9], marks[1, 20:24, 20:24] = 255, 255
    for number, mark in enumerate(marks):
        draw.save(tree / "benign" / f"1_mask_{number}.png", mark)
    draw.save(tree / "malignant" / "1_mask.png", marks[0])
    found = records(build(mask_name="*_mask"))
    assert np.array_equal(found["benign_0001"]["mask"][..., 0], marks.max(axis=0) > 0)


def test_pictures_without_a_mask_may_show_nothing(tree, build):
    two_classes(tree, each=1)
    draw.save(tree / "benign" / "1_mask.png", draw.tissue(1)[1])
    found = records(build(mask_name="*_mask", without_mask="empty"))
    assert (
        found["malignant_0001"]["mask"].sum() == 0 < found["benign_0001"]["mask"].sum()
    )


# What is not used.


def test_every_file_that_is_not_used_is_told_with_its_reason(tree, build):
    two_classes(tree, each=3)
    for label in ("benign", "malignant"):
        for number in (1, 2, 3):
            draw.save(tree / label / f"{number}_mask.png", draw.tissue(number)[1])
    (tree / "benign" / "1.png").write_bytes(b"no picture")
    draw.save(tree / "benign" / "2_mask.png", draw.tissue(2)[1][:20])
    (tree / "malignant" / "1_mask.png").unlink()
    draw.save(tree / "malignant" / "2.jpg", draw.tissue(2)[0])
    draw.save(tree / "malignant" / "8_mask.png", draw.tissue(8)[1])
    (tree / "malignant" / "notes.doc").write_text("a stray file", encoding="utf-8")
    sheet(tree / "other.csv", ["a", "b"])
    picture(tree / "9.png", 9)
    draw.save(tree / "9_mask.png", draw.tissue(9)[1])
    written = build(mask_name="*_mask", **WRITTEN)
    reasons = skipped(written)
    name = "several pictures of its name, of which one has masks"
    assert reasons.pop("benign/1.png").startswith("not a picture or a damaged one")
    assert "48 x 20 px, the image has 48 x 40" in reasons.pop("benign/2.png")
    assert reasons.pop("malignant/notes.doc").startswith("not a picture, allowed: .png")
    assert reasons == {
        "malignant/1.png": "has no mask",
        "malignant/2.jpg": name,
        "malignant/2.png": name,
        "malignant/2_mask.png": "a mask of several pictures",
        "malignant/8_mask.png": "a mask without its image",
        "other.csv": "a sheet that is not read",
        "9.png": "lies in no folder that names its class",
    }
    counted = build(mask_name="*_mask").info.metadata["skipped"]
    (by_id,) = (one for one in counted if not one["file"].endswith(" files"))
    assert by_id["file"] == "benign_0002"
    files = [int(one["file"].split()[0]) for one in counted if one is not by_id]
    assert sum(files) == len(skipped(written)) - 1
    listed = {row[0]: row[-1] for row in rows_of(tree / SOURCES)}
    assert {k for k, v in listed.items() if v} == set(skipped(written))


def rows_of(path):
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]


# Patients.


def test_patients_are_those_of_the_sheet_however_they_are_spelled(tree, build):
    two_classes(tree)
    sheet(
        tree / "patients.csv",
        ["Image", "Patient ID"],
        ["benign/1.png", "007"],
        ["benign/2", "8"],
        ["malignant\\1.png", "7"],
        ["elsewhere.png", "9"],
    )
    builder = build()
    assert patients(records(builder)) == {
        frozenset({"benign_0001", "malignant_0001"}),
        frozenset({"benign_0002"}),
    }
    reasons = skipped(builder)
    assert reasons["row 5 of the sheet"] == "there is no such picture"
    assert reasons["1 files"] == "has no row in the sheet"
    assert any("spelled in several ways" in n for n in builder.info.metadata["notes"])
    assert builder.info.metadata["patients_are"] == ""


def test_without_patients_likeness_stands_in_and_it_is_said_to_be_less(
    tree, tmp_path, build
):
    two_classes(tree)
    copy = draw.tissue(1)[0] // 2 + 40  # brighter, and under the other label
    draw.save(tree / "malignant" / "3.png", copy)
    builder = build()
    assert frozenset({"benign_0001", "malignant_0003"}) in patients(records(builder))
    metadata = builder.info.metadata
    less, crossing = metadata["notes"]
    assert "nothing names patients" in less and "both sides of a split" in less
    assert "1 groups of near duplicates have pictures of several classes" in crossing
    source = sources.open_source("folder", options={}, data_dir=str(tmp_path / "out"))
    assert source.patient.endswith("less than a split by patient")
    assert (
        "less than a split by patient" in (builder.data_path / "build.md").read_text()
    )


def test_a_series_that_a_name_does_not_have_is_no_patient(tree, build):
    two_classes(tree)
    for path in (tree / "benign").iterdir():
        path.rename(path.with_name(f"12_{path.name}"))
    builder = build(patient_from="series", series=r"^(\d+)_", **WRITTEN)
    found = records(builder)
    assert {record["patient_id"] for record in found.values()} == {"12"}
    assert set(skipped(builder).values()) == {"its name is of no series"}


def test_nothing_that_is_built_tells_a_files_or_a_patients_name(tree, build):
    two_classes(tree)
    for path in list(tree.rglob("*.png")):
        path.rename(path.with_name(f"Meier_{path.name}"))
    (tree / "benign" / "Meier_9.png").write_bytes(b"no picture")
    names = [p.relative_to(tree).as_posix() for p in sorted(tree.rglob("*.png"))]
    sheet(tree / "patients.csv", ["file", "patient"], *([n, "Mueller"] for n in names))
    builder = build()
    texts = json.dumps(dict(builder.info.metadata))
    for path in builder.data_path.iterdir():
        texts += path.read_bytes().decode("latin-1")
    assert "Meier" not in texts and "Mueller" not in texts
    listed = rows_of(tree / SOURCES)
    assert (tree / SOURCES).stat().st_mode & 0o077 == 0
    assert {row[0] for row in listed} == set(names)
    by_id = {row[1]: row[0] for row in listed}
    assert by_id["benign_0002"] == "benign/Meier_2.png"


# The sheet.

HEADING = ["file", "patient", "class"]
GOOD = ["benign/1.png", "1", "benign"]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([["name", "patient"]], {}, "patients.csv has no column file (or filename"),
        ([["file", "who"], GOOD[:2]], {"patient_from": "sheet"}, "no column patient"),
        ([["file", "patient"]], {"class_from": "sheet"}, "has no column class"),
        ([HEADING, ["", "1", "a"]], {}, "patients.csv: row 2: names no file"),
        ([HEADING, ["1.png", "1", "a"]], {}, "row 2: '1.png' may be 2 pictures"),
        (
            [HEADING, GOOD, ["benign/1.png", "2", "benign"]],
            {},
            "row 3: the picture of row 2, of another patient",
        ),
        (
            [["image", "file"], ["benign/1.png", "a"]],
            {},
            "the columns 'image' and 'file' may each be the file; say rename=",
        ),
        ([HEADING, GOOD], {"rename": "Fall = patient"}, "has no column fall as rename"),
        ([HEADING, GOOD], {"sheet": "list.csv"}, "sheet='list.csv'"),
    ],
)
def test_a_sheet_that_may_mean_two_things_is_one_line(
    tree, build, rows, options, message
):
    two_classes(tree)
    sheet(tree / "patients.csv", *rows)
    with pytest.raises(DatasetError) as refused:
        build(**options)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_sheet_that_is_needed_and_not_there_is_asked_for(tree, build):
    two_classes(tree)
    sheet(tree / "list.csv", HEADING)
    with pytest.raises(DatasetError, match="no patients.csv or pictures.csv.*list.csv"):
        build(patient_from="sheet")
    sheet(tree / "patients.csv", HEADING)
    shutil.copy(tree / "patients.csv", tree / "pictures.csv")
    with pytest.raises(DatasetError, match="patients.csv and pictures.csv; say sheet="):
        build()


def test_a_mended_sheet_is_no_longer_what_was_built(tree, tmp_path):
    two_classes(tree)
    names = [p.relative_to(tree).as_posix() for p in sorted(tree.rglob("*.png"))]

    def prepare(**options):
        about = {"data_dir": str(tmp_path / "out"), "manual_dir": str(tree)}
        sources.prepare("folder", options=options, say=lambda line: None, **about)

    sheet(tree / "patients.csv", ["file", "patient"], *([n, "1"] for n in names))
    prepare()
    prepare(size=32)  # which writes the list of sources anew
    prepare()
    sheet(tree / "patients.csv", ["file", "patient"], *([n, "2"] for n in names))
    with pytest.raises(sources.SourceError, match="was built from another sheet"):
        prepare()


# Options.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": "a"}, "no option 'mask', allowed: size, page, aspect,"),
        ({"aspect": "squeeze"}, "aspect='squeeze', allowed: keep, stretch"),
        ({"aspect": "stretch"}, "aspect=stretch with size=0, allowed is a size"),
        ({"class_from": "csv"}, "class_from='csv', allowed: folder, sheet, name, none"),
        ({"mask_name": "_mask"}, "mask_name='_mask', allowed: a name with one *"),
        ({"images": "a/b"}, "images='a/b', allowed: the name of a folder, not a path"),
        ({"series": "("}, "series='(', allowed: a regular expression"),
        ({"series": "a"}, "series is not read without patient_from=series"),
        ({"patient_from": "series"}, "patient_from=series needs series"),
        ({"class_from": "name"}, "class_from=name needs class_pattern"),
        ({"class_from": "none"}, "nothing to learn; allowed with mask_folder"),
        ({"mask_labels": "1=a"}, "mask_labels without mask_folder or mask_name"),
        ({"without_mask": "empty"}, "without_mask=empty without mask_folder"),
        ({"classes": "a"}, "classes='a', allowed: two or more"),
        ({"classes": "a,macro"}, "none of them macro"),
        ({"rename": "a = b"}, "rename='a = b', allowed: 'heading = name'"),
        (
            {"patient_from": "likeness", "sheet": "a.csv"},
            "sheet is not read with class_from=folder and patient_from=likeness",
        ),
        ({"size": 4}, "size=4, allowed: 0 (all sizes) or 8 to 4096"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(options, message):
    with pytest.raises(DatasetError) as refused:
        Builder.make_config(**options)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_different_options_never_share_a_name():
    options = [
        *({}, {"size": 64}, {"study": "a"}, {"classes": "a,b"}, {"classes": "b,a"}),
        *({"mask_name": "*_mask"}, {"mask_folder": "mask"}, {"images": "mask"}),
        *({"class_from": "sheet"}, {"patient_from": "sheet"}, {"sheet": "a.csv"}),
        *({"patient_from": "series", "series": t} for t in ("a", "b")),
        *({"ids": "as_written"}, {"page": 1}),
        *({"mask_name": "*_mask", "mask_labels": t} for t in ("1=a", "2=a")),
    ]
    names = [Builder.make_config(**one).name for one in options]
    assert len(set(names)) == len(options)
    assert all(name.replace("_", "").isalnum() for name in names)
