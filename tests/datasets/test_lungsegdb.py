import cv2
import numpy as np
import pytest

from tests.datasets import make_dummy_images as draw
from tests.datasets.building import built, records, shared, skipped
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lungsegdb.lungsegdb_dataset_builder import Builder
from ultrasound_jax.datasets.lungsegdb.record import AIR, fitted_units
from ultrasound_jax.media.pictures import windowed


@pytest.fixture
def tree(tmp_path):
    draw.lungsegdb(tmp_path / "manual")
    return tmp_path / "manual" / "preprocessed data"


@pytest.fixture
def build(tree, tmp_path):
    return lambda **options: built(Builder, tree.parent, tmp_path / "out", **options)


def test_both_parts_and_both_endings_are_read(build):
    found = records(build())
    assert sorted(found) == [
        "V1_0001_0000",
        "V1_0001_0001",
        "V2_0005_0003",
        "V2_0006_0003",
    ]
    record = found["V1_0001_0001"]
    assert (record["part"], record["slice"]) == (0, 1)
    assert record["patient_id"] == found["V1_0001_0000"]["patient_id"] == "V1_0001"
    assert found["V2_0005_0003"]["patient_id"] == "V2_0005"


def test_the_window_makes_grey_of_hounsfield_units():
    units = np.array([[-2048, -1350, -600, 150, 3071]], np.int16)
    grey = windowed(units, centre=-600.0, width=1500.0)
    assert grey.tolist() == [[0, 0, 128, 255, 255]]
    assert windowed(units, centre=40.0, width=400.0).tolist() == [[0, 0, 0, 198, 255]]


def test_slices_go_through_the_window_that_is_asked_for(tree, build):
    drawn, mask = draw.chest(0)
    lung = records(build(part="V1"))["V1_0001_0000"]["image"][..., 0]
    soft = records(build(part="V1", centre=40, width=400))["V1_0001_0000"]["image"]
    assert np.array_equal(lung, windowed(drawn, centre=-600.0, width=1500.0))
    assert np.array_equal(soft[..., 0], windowed(drawn, centre=40.0, width=400.0))


def test_hounsfield_units_are_kept_as_they_are(build):
    builder = build(part="V1", values="hounsfield")
    record = records(builder)["V1_0001_0000"]
    assert record["image"].dtype == np.int16
    assert np.array_equal(record["image"][..., 0], draw.chest(0)[0])


def test_grey_slices_have_no_hounsfield_units(build):
    reasons = skipped(build(values="hounsfield"))
    assert set(reasons) == {"V2/ID_0005_Z_0003.tif", "V2/ID_0006_Z_0003.tif"}
    assert "8-bit grey values, allowed are Hounsfield" in list(reasons.values())[0]


def test_equal_channels_are_their_grey(build):
    drawn, mask = draw.tissue(30, 40, 40)
    record = records(build(part="V2"))["V2_0005_0003"]
    assert np.array_equal(record["image"][..., 0], drawn)
    assert np.array_equal(record["mask"][..., 0], mask > 0)


def test_masks_are_two_valued_whatever_marks_them(tree, build):
    _, drawn = draw.chest(0)
    for place, mask in enumerate(((drawn > 0).astype(np.uint8), drawn // 255 * 7)):
        draw.save_tiff(tree / "V1" / "CT_Masks" / f"ID_0001_Z_{place:04d}.TIF", mask)
    found = records(build(part="V1"))
    assert np.array_equal(found["V1_0001_0000"]["mask"][..., 0], drawn > 0)
    assert set(np.unique(found["V1_0001_0001"]["mask"])) == {0, 1}


def test_a_slice_says_whether_it_shows_lung(tree, build):
    empty = np.zeros((40, 40), np.uint8)
    draw.save_tiff(tree / "V1" / "CT_Masks" / "ID_0001_Z_0000.TIF", empty)
    found = records(build(part="V1"))
    assert found["V1_0001_0000"]["labels"].tolist() == [0]
    assert found["V1_0001_0001"]["labels"].tolist() == [1]


def test_fitted_slices_have_air_around_them():
    fitted = fitted_units(np.full((40, 20), 30, np.int16), 80)[..., 0]
    assert fitted.shape == (80, 80)
    assert (fitted[:, :20] == AIR).all() and (fitted[:, 20:60] == 30).all()


def rename(tree, names):
    for folder in ("CT_Images", "CT_Masks"):
        for path, name in zip(
            sorted((tree / "V2" / folder).iterdir()), names, strict=True
        ):
            path.rename(path.with_name(name))


def test_names_without_patients_are_grouped_by_series(tree, build):
    rename(tree, ["scan_a (1).tif", "scan_a (2).tif"])
    builder = build(part="V2")
    found = records(builder)
    assert {one["patient_id"] for one in found.values()} == {"V2_series_scan_a"}
    assert sorted(one["slice"] for one in found.values()) == [1, 2]
    assert "2 names tell no patient" in builder.info.metadata["notes"][-1]


def test_numbers_alone_are_one_group(tree, build):
    rename(tree, ["0001.tif", "0002.tif"])
    groups = {one["patient_id"] for one in records(build(part="V2")).values()}
    assert groups == {"V2_series_unnamed"}


def test_names_without_patients_may_be_grouped_by_likeness(tree, build):
    rename(tree, ["0001.tif", "0002.tif"])
    found = records(build(part="V2", groups="likeness"))
    assert {one["patient_id"] for one in found.values()} == {
        "like_V2_0001",
        "like_V2_0002",
    }


def test_values_without_sign_need_their_offset(tree, build):
    units, _ = draw.chest(0)
    stored = (units.astype(np.int32) + 1024).astype(np.uint16)
    draw.save_tiff(tree / "V1" / "CT_Images" / "ID_0001_Z_0000.TIF", stored)
    builder = build(part="V1", values="hounsfield")
    assert "allowed with the option offset" in skipped(builder)["V1/ID_0001_Z_0000.TIF"]
    shifted = build(part="V1", values="hounsfield", offset=1024)
    record = records(shifted)["V1_0001_0000"]
    assert np.array_equal(record["image"][..., 0], units)


def test_unusable_slices_are_named_with_the_reason(tree, build):
    images, masks = tree / "V1" / "CT_Images", tree / "V1" / "CT_Masks"
    units, mask = draw.chest(3)
    draw.save_tiff(images / "ID_0002_Z_0000.TIF", units)
    draw.save_tiff(masks / "ID_0003_Z_0000.TIF", mask)
    draw.save_tiff(images / "ID_0004_Z_0000.TIF", units)
    draw.save_tiff(masks / "ID_0004_Z_0000.TIF", mask[:20])
    whole = (images / "ID_0001_Z_0000.TIF").read_bytes()
    (images / "ID_0001_Z_0000.TIF").write_bytes(whole[: len(whole) // 2])
    draw.save_tiff(images / "ID_0005_Z_0000.TIF", units)
    draw.save_tiff(masks / "ID_0005_Z_0000.TIF", cv2.blur(mask // 2, (3, 3)))
    reasons = skipped(build(part="V1"))
    assert reasons["V1/ID_0002_Z_0000.TIF"] == "has no mask"
    assert reasons["V1/ID_0003_Z_0000.TIF"] == "a mask without its image"
    assert (
        "mask of 40 x 20 px, the slice has 40 x 40" in reasons["V1/ID_0004_Z_0000.TIF"]
    )
    assert "V1/ID_0001_Z_0000.TIF" in reasons  # in Pillow's words
    assert (
        "mask with more than two values up to 127" in reasons["V1/ID_0005_Z_0000.TIF"]
    )
    assert len(reasons) == 5


def test_the_raw_tree_is_another_build(tree, build):
    tree.rename(tree.with_name("raw data"))
    assert len(records(build(stage="raw"))) == 4
    with pytest.raises(DatasetError, match="none of the folders preprocessed data/V1"):
        build()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": "hu"}, "values='hu', allowed: window, hounsfield"),
        ({"width": 0}, "width=0, allowed: a number from 1 to 4000"),
        ({"offset": 0.5}, "offset=0.5, allowed: a whole number from 0 to 32768"),
        ({"part": "V3"}, "part='V3', allowed: both, V1, V2"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options, message):
    with pytest.raises(DatasetError) as refused:
        Builder.make_config(**options)
    assert message in str(refused.value)


@pytest.mark.shared_data
def test_the_real_slices_are_read_as_opencv_reads_them(tmp_path):
    root = shared("lungsegdb") / "lungsegdb" / "preprocessed data"
    found = records(
        built(Builder, root.parent, tmp_path, values="hounsfield", part="V1")
    )
    grey = records(built(Builder, root.parent, tmp_path, part="V2"))
    assert len(found) == 256 and len(grey) == 10
    assert len({one["patient_id"] for one in found.values()}) == 4
    for path in (root / "V1" / "CT_Images").iterdir():
        _, patient, _, place = path.stem.split("_")
        record = found[f"V1_{patient}_{place}"]
        stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(root / "V1" / "CT_Masks" / path.name), -1)
        assert np.array_equal(record["image"][..., 0], stored)
        assert np.array_equal(record["mask"][..., 0], mask > 0)
    for path in (root / "V2" / "CT_Images").iterdir():
        _, patient, _, place = path.stem.split("_")
        stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 0]
        assert np.array_equal(grey[f"V2_{patient}_{place}"]["image"][..., 0], stored)
