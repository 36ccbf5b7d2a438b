import csv

import cv2
import numpy as np
import pytest

from tests.datasets import make_dummy_images as draw
from tests.datasets.building import built, records, skipped
from tests.datasets.made_videos import write_xlsx
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.pu2756.pu2756_dataset_builder import Builder
from ultrasound_jax.datasets.pu2756.sheet import read_sheet

HEADINGS = "id,label2,label6,fold,patient\n"
PERSON = "Wang Xiaoming"


@pytest.fixture
def tree(tmp_path):
    draw.pu2756(tmp_path / "manual")
    return tmp_path / "manual"


@pytest.fixture
def build(tree, tmp_path):
    return lambda **options: built(Builder, tree, tmp_path / "out", **options)


def sheet(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "pu2756.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_record_is_one_examination(build):
    found = records(build())
    record = found["E0002"]
    assert list(sorted(found)) == ["E0001", "E0002", "E0003", "E0004"]
    assert record["image"].shape == record["mask"].shape == (44, 52, 1)
    assert record["label"] == 1 and record["labels"].tolist() == [0, 1]
    assert record["fold"] == 2
    assert found["E0001"]["label"] == 0 and found["E0001"]["label6"] == 0


def test_masks_are_what_is_above_127(tree, build):
    levels = np.tile(np.array([0, 1, 127, 128, 255], np.uint8), (44, 11))[:, :52]
    draw.save(tree / "mask" / "exam1" / "1.png", levels)
    mask = records(build())["E0001"]["mask"][..., 0]
    assert np.array_equal(mask, levels > 127)


def test_lossy_masks_keep_their_area(build):
    _, drawn = draw.tissue(12, 44, 52)
    mask = records(build())["E0002"]["mask"]
    assert mask.sum() == pytest.approx((drawn > 0).sum(), rel=0.05)


def test_one_patient_keeps_one_id(build):
    found = records(build())
    assert found["E0002"]["patient_id"] == found["E0003"]["patient_id"] == "P0002"
    assert len({record["patient_id"] for record in found.values()}) == 3


def test_a_patient_in_two_folds_is_noted(build):
    assert build().info.metadata["notes"][0] == "1 patients are in several folds: P0002"


def test_a_patient_s_number_is_one_however_a_program_saves_it(tmp_path):
    cells = ("007", "7", "7.0", "8")
    lines = [f"e{k},0,benign,1,{one}\n" for k, one in enumerate(cells)]
    rows, notes = read_sheet(sheet(tmp_path, HEADINGS + "".join(lines)))
    assert [row.patient_id for row in rows] == ["P0001", "P0001", "P0001", "P0002"]
    assert notes[-1].startswith("1 patients are spelled in several ways")


def test_without_patients_every_examination_is_one(tmp_path):
    path = sheet(tmp_path, "id,label2,label6,fold\na,0,benign,1\nb,1,,\n")
    rows, notes = read_sheet(path)
    assert [row.patient_id for row in rows] == ["P0001", "P0002"]
    assert [row.diagnosis for row in rows] == ["benign", "unknown"]
    assert [row.label for row in rows] == ["benign", "malignant"]
    assert [row.fold for row in rows] == [1, 0]
    assert notes == ["no column patient: every examination is a patient of its own"]


def test_labels_that_disagree_are_noted(tmp_path):
    _, notes = read_sheet(sheet(tmp_path, HEADINGS + "a,benign,squamous,1,p\n"))
    assert notes == ["E0001: label2 and label6 disagree"]


@pytest.mark.parametrize(
    ("heading", "word"),
    [
        ("Patient Name", "name"),
        ("姓名", "姓名"),
        ("检查号", "检查号"),
        ("birth_day", "birth"),
        ("AGE", "age"),
        ("comment", ""),
    ],
)
def test_a_sheet_with_another_column_is_refused(tmp_path, heading, word):
    text = f"id,{heading},label2,label6,fold\nx1,{PERSON},benign,benign,1\n"
    with pytest.raises(DatasetError) as refused:
        read_sheet(sheet(tmp_path, text))
    message = str(refused.value)
    assert "refused for its columns 2" in message and "README.md" in message
    assert f"(they speak of {word})" in message if word else "speak" not in message
    assert PERSON not in message and "comment" not in message


def test_patients_in_the_place_of_headings_are_not_repeated(tmp_path):
    with pytest.raises(DatasetError) as refused:
        read_sheet(sheet(tmp_path, f"{PERSON},0123456,benign,benign,1\n"))
    assert "columns 1, 2, 3, 4, 5" in str(refused.value)
    assert PERSON not in str(refused.value) and "0123456" not in str(refused.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"a,{PERSON},benign,1,p", "row 1: label2 is none of benign, malignant, 0, 1"),
        (f"a,benign,{PERSON},1,p", "row 1: label6 is none of benign, adenocarcinoma"),
        (f"a,benign,benign,{PERSON},p", "row 1: fold is not blank or 1 to 5"),
        (f"../{PERSON},benign,benign,1,p", "row 1: its id is not the name of a folder"),
        ("a,benign,benign,1,p\na,benign,benign,1,p", "row 2: its id occurs twice"),
        (f"a,benign,benign,1,p,{PERSON}", "row 1: 6 cells, the headings are 5"),
        ("", "has no rows"),
    ],
)
def test_a_row_that_cannot_be_is_refused_without_its_values(tmp_path, row, message):
    with pytest.raises(DatasetError) as refused:
        read_sheet(sheet(tmp_path, HEADINGS + row + "\n"))
    assert message in str(refused.value) and PERSON not in str(refused.value)


def test_a_sheet_of_another_encoding_is_refused(tmp_path):
    path = sheet(tmp_path, HEADINGS + "a,benign,benign,1,王\n", "gb18030")
    with pytest.raises(DatasetError, match="not a csv of UTF-8 text"):
        read_sheet(path)


def test_a_missing_sheet_is_refused(tree, tmp_path):
    (tree / "pu2756.csv").unlink()
    with pytest.raises(DatasetError, match=r"no pu2756.csv beside the images; allowed"):
        built(Builder, tree, tmp_path / "out")


def test_every_picture_of_an_examination_is_a_record(tree, build):
    for number, ending in ((2, "png"), (10, "bmp")):
        picture, mask = draw.tissue(40 + number, 44, 52)
        draw.save(tree / "image" / "exam2" / f"{number}.jpg", picture)
        draw.save(tree / "mask" / "exam2" / f"{number}.{ending}", mask)
    found = records(build())
    assert sorted(found) == ["E0001"] + [f"E0002_{n}" for n in (1, 2, 3)] + [
        "E0003",
        "E0004",
    ]
    assert {found[f"E0002_{n}"]["patient_id"] for n in (1, 2, 3)} == {"P0002"}
    assert np.array_equal(
        found["E0002_3"]["mask"][..., 0], draw.tissue(50, 44, 52)[1] > 0
    )


@pytest.mark.parametrize("image", ["jpg", "png", "JPG", "bmp", "tif"])
@pytest.mark.parametrize("mask", ["png", "jpg", "tiff", "PNG"])
def test_masks_have_the_name_of_the_image_and_any_ending(tree, build, image, mask):
    picture, drawn = draw.tissue(41, 44, 52)
    for folder, ending, pixels in (("image", image, picture), ("mask", mask, drawn)):
        (tree / folder / "exam1" / "1.png").unlink()
        draw.save(tree / folder / "exam1" / f"1.{ending}", pixels)
    found = records(build())["E0001"]["mask"][..., 0]
    assert (found != (drawn > 0)).sum() <= (8 if mask == "jpg" else 0)


def test_files_that_are_not_used_are_listed(tree, build):
    draw.save(tree / "mask" / "exam1" / "1.bmp", np.zeros((44, 52), np.uint8))
    draw.save(tree / "mask" / "exam2" / "9.png", np.zeros((44, 52), np.uint8))
    (tree / "image" / "exam2" / f"{PERSON}.webp").touch()
    (tree / "image" / "exam3" / "1.png").unlink()
    draw.save(tree / "image" / "exam4" / "1.bmp", draw.tissue(1)[0])
    builder = build()
    told = [(one["file"], one["reason"]) for one in builder.info.metadata["skipped"]]
    endings = ".png, .jpg, .jpeg, .tif, .tiff, .bmp"
    assert told == [
        ("E0001", "several masks of its name"),
        ("E0002", f"1 files of image are none of {endings}"),
        ("E0002", "1 masks without their image"),
        ("E0003", "0 pictures, allowed is one or more"),
        ("E0003", "1 masks without their image"),
        ("E0004_1", "several pictures of its name"),
        ("E0004_2", "several pictures of its name"),
    ]
    assert list(records(builder)) == ["E0002"]


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_a_sheet_may_be_parted_by_other_signs(tmp_path, separator):
    text = "id,label2,label6,fold,patient\na,0,benign,1,p\nb,1,,2,p\n"
    rows, _ = read_sheet(sheet(tmp_path, text.replace(",", separator)))
    assert [row.patient_id for row in rows] == ["P0001", "P0001"]
    said = f"sep={separator}\r\n" + text.replace(",", separator)
    assert len(read_sheet(sheet(tmp_path, said))[0]) == 2
    strange = text.replace("fold", "Patient Name").replace(",", separator)
    with pytest.raises(DatasetError, match=r"columns 4 \(they speak of name\)"):
        read_sheet(sheet(tmp_path, strange))


def test_unusable_examinations_are_named_by_row(tree, build):
    draw.save(tree / "image" / "exam1" / "2.png", draw.tissue(1)[0])
    (tree / "mask" / "exam2" / "1.jpg").unlink()
    (tree / "image" / "exam3" / "1.png").write_bytes(b"exam3 of somebody")
    (tree / "image" / PERSON).mkdir()
    builder = build()
    assert skipped(builder) == {
        "E0001_2": "has no mask of the image's name",
        "E0002": "has no mask of the image's name",
        "E0003": "not a picture or a damaged one, allowed: PNG, JPEG, TIFF, BMP",
        "1 folders of image": "have no row in pu2756.csv",
    }


def test_nothing_of_the_source_is_in_what_is_written(tree, build, caplog):
    text = (tree / "pu2756.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))
    rows[2][0], rows[2][4] = "H7340021", "wangxm"
    for folder in ("image", "mask"):
        (tree / folder / "exam2").rename(tree / folder / "H7340021")
    with (tree / "pu2756.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    (tree / "mask" / "exam3" / "1.png").write_bytes(b"broken")
    builder = build()
    written = b"".join(p.read_bytes() for p in builder.data_path.iterdir())
    records_text = str(records(builder))
    for word in ("H7340021", "wangxm", "exam3"):
        assert word.encode() not in written
        assert word not in records_text and word not in caplog.text


def test_examinations_without_an_outline_are_listed(tree, build):
    draw.save(tree / "mask" / "exam4" / "1.png", np.zeros((44, 52), np.uint8))
    assert build().info.metadata["empty_masks"] == ["E0004"]


def test_pictures_are_luminance(tree, build):
    colour = cv2.imread(str(tree / "image" / "exam1" / "1.png"))
    colour[..., 0] = 200  # blue
    cv2.imwrite(str(tree / "image" / "exam1" / "1.png"), colour)
    expected = colour[..., ::-1] @ [0.299, 0.587, 0.114]
    image = records(build())["E0001"]["image"][..., 0]
    assert np.abs(image - expected).max() <= 0.51


def test_a_workbook_is_read_as_the_csv_is_and_repeats_no_cell(tmp_path):
    lines = [*csv.reader((HEADINGS + "a,benign,squamous,1,p\n").splitlines())]
    write_xlsx(tmp_path / "pu2756.xlsx", lines)
    rows, _ = read_sheet(tmp_path / "pu2756.xlsx")
    as_csv, _ = read_sheet(sheet(tmp_path, HEADINGS + "a,benign,squamous,1,p\n"))
    assert rows == as_csv
    lines[1][-1] = "=CONCAT(A1,1950)"
    write_xlsx(tmp_path / "pu2756.xlsx", lines)
    with pytest.raises(DatasetError, match=r"cells of rows 3 are") as refused:
        read_sheet(tmp_path / "pu2756.xlsx")
    assert "1950" not in str(refused.value)
