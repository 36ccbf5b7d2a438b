"""What every builder of still images reads alike, and tells of masks and pictures."""

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.datasets import make_dummy_images as draw
from tests.datasets.building import built, records, skipped
from ultrasound_jax.datasets.busi import busi_dataset_builder as busi
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lungsegdb import lungsegdb_dataset_builder as lungsegdb
from ultrasound_jax.datasets.pu2756 import pu2756_dataset_builder as pu2756
from ultrasound_jax.datasets.skin_tumor import skin_tumor_dataset_builder as skin_tumor

# module -> the image and the mask of one record, and its id
PLACES = {
    busi: (
        "Dataset_BUSI_with_GT/benign/benign (1).png",
        "Dataset_BUSI_with_GT/benign/benign (1)_mask.png",
        "benign_0001",
    ),
    pu2756: ("image/exam1/1.png", "mask/exam1/1.png", "E0001"),
    lungsegdb: (
        "preprocessed data/V2/CT_Images/ID_0005_Z_0003.tif",
        "preprocessed data/V2/CT_Masks/ID_0005_Z_0003.tif",
        "V2_0005_0003",
    ),
}


@pytest.fixture(params=PLACES, ids=lambda module: module.__name__.split(".")[-2])
def case(request, tmp_path):
    """A drawn tree: the build of it, where one image and its mask are, and its id."""
    module = request.param
    name = module.__name__.split(".")[-2]
    getattr(draw, name)(tmp_path / "manual")
    image, mask, image_id = PLACES[module]

    def build(**options):
        return built(module.Builder, tmp_path / "manual", tmp_path / "out", **options)

    return build, tmp_path / "manual" / image, tmp_path / "manual" / mask, image_id


def shape_of(path):
    return np.asarray(Image.open(path)).shape[:2]


def put(path, pixels):
    Image.fromarray(pixels).save(path)


def disc(shape, radius=8, centre=(24, 20)):
    mask = np.zeros(shape, np.uint8)
    cv2.circle(mask, centre, radius, 1, -1)
    return mask


def ring(shape):
    return disc(shape) - disc(shape, 7)


@pytest.mark.parametrize(
    ("mask", "facts"),
    [
        (lambda shape: disc(shape) * 0, {"empty"}),
        (
            lambda shape: disc(shape) * 0 + 255,
            {"full", "touches_all_borders", "inverted_suspected"},
        ),
        (
            lambda shape: 255 - disc(shape) * 255,
            {"touches_all_borders", "inverted_suspected"},
        ),
        (ring, {"outline_only"}),
        (disc, set()),
    ],
)
def test_implausible_masks_are_listed(case, mask, facts):
    build, image, path, image_id = case
    put(path, mask(shape_of(image)))
    listed = build().info.metadata["masks"]
    assert {word for word, names in listed.items() if image_id in names} == facts


def test_a_lesion_that_resizing_loses_is_kept_and_listed(case, caplog):
    build, image, path, image_id = case
    large = np.full((900, 1200), 90, np.uint8)
    mask = np.zeros_like(large)
    mask[331:333, 700:702] = 255
    put(image, large)
    put(path, mask)
    builder = build(size=64)
    assert builder.info.metadata["masks"]["lost_by_resizing"] == [image_id]
    assert records(builder)[image_id]["mask"].sum() == 1
    assert "1 lost_by_resizing" in caplog.text
    whole = build()
    assert not whole.info.metadata["masks"]["lost_by_resizing"]
    assert records(whole)[image_id]["mask"].sum() == 4


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 100), (7, 250)])
def test_masks_of_two_values_are_marked_alike(case, values):
    build, image, path, image_id = case
    marks = disc(shape_of(image))
    put(path, np.array(values, np.uint8)[marks])
    assert np.array_equal(records(build())[image_id]["mask"][..., 0], marks)


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 3, 4), (0, 100, 200)])
def test_maps_of_labels_are_asked_for_and_read(case, values):
    build, image, path, image_id = case
    marks = disc(shape_of(image), 6, (9, 9)) + 2 * disc(shape_of(image), 6, (30, 30))
    put(path, np.array(values, np.uint8)[marks])
    reasons = " ".join(skipped(build()).values())
    assert "which one marks what is not said" in reasons and "labels" in reasons
    others = "255=one"  # the masks of the other records
    one = build(mask_labels=f"{values[1]}=one,{values[2]}=one,{others}")
    assert np.array_equal(records(one)[image_id]["mask"][..., 0], marks > 0)
    assert one.spec()["mask"].classes == ("one",)
    two = build(mask_labels=f"{values[1]}=one,{values[2]}=the other,{others}")
    assert np.array_equal(records(two)[image_id]["mask"][..., 0], marks)
    assert two.spec()["mask"].classes == ("one", "the other")


def test_classes_may_be_told_by_colour(case):
    build, image, path, image_id = case
    marks = disc(shape_of(image), 6, (9, 9)) + 2 * disc(shape_of(image), 6, (30, 30))
    put(path, np.array([(0, 0, 0), (0, 255, 0), (255, 0, 0)], np.uint8)[marks])
    assert "#00ff00, #ff0000" in " ".join(skipped(build()).values())
    said = "#00ff00=benign,#ff0000=malignant,white=benign"
    builder = build(mask_colours=said)
    assert np.array_equal(records(builder)[image_id]["mask"][..., 0], marks)
    assert builder.spec()["mask"].classes == ("benign", "malignant")


def test_masks_whose_lesion_stands_in_alpha_are_read(case):
    build, image, path, image_id = case
    marks = disc(shape_of(image))
    put(path, np.dstack([np.full((*marks.shape, 3), 255, np.uint8), marks * 255]))
    assert np.array_equal(records(build())[image_id]["mask"][..., 0], marks)


def test_turned_pictures_and_masks_are_upright_and_listed(case):
    build, image, path, image_id = case
    exif = Image.Exif()
    exif[274] = 6
    picture, marks = draw.tissue(3, *shape_of(image))
    for target, pixels in ((image, picture), (path, marks)):
        form = "TIFF" if target.suffix == ".tif" else "PNG"
        turned = Image.fromarray(np.ascontiguousarray(np.rot90(pixels)))
        turned.save(target, format=form, exif=exif)
    builder = build()
    found = records(builder)[image_id]
    assert np.array_equal(found["image"][..., 0], picture)
    assert np.array_equal(found["mask"][..., 0] > 0, marks > 0)
    assert builder.info.metadata["pictures"]["turned"] == [image_id]
    assert builder.info.metadata["masks"]["turned"] == [image_id]


def test_a_page_of_several_is_named(case):
    build, image, path, image_id = case
    marks = disc(shape_of(image))
    pages = [Image.fromarray(page) for page in (marks * 0 + 9, marks)]
    pages[0].save(path, format="TIFF", save_all=True, append_images=pages[1:])
    reasons = " ".join(skipped(build()).values())
    assert "several pictures in one file (2 pages)" in reasons
    assert "option page" in reasons
    assert np.array_equal(records(build(page=2))[image_id]["mask"][..., 0], marks)


def test_pictures_of_12_bits_keep_one_scale(tmp_path):
    draw.skin_tumor(tmp_path / "manual")
    folder = tmp_path / "manual" / "epidermal cyst"
    ramp = np.linspace(0, 1, 60)[None].repeat(60, 0)
    for place, brightest in ((0, 4095), (1, 900)):
        put(folder / f"{place}.png", np.rint(ramp * brightest).astype(np.uint16))
    builder = built(skin_tumor.Builder, tmp_path / "manual", tmp_path / "out", size=0)
    found = records(builder)
    assert builder.info.metadata["bits"] == 12
    assert found["epidermal_cyst_0001"]["image"].max() == 255
    assert found["epidermal_cyst_0002"]["image"].max() == 900 >> 4
    assert found["lipoma_0001"]["image"].max() > 100  # 8 bits are 8 bits


@pytest.mark.parametrize("flat", [0, 30, 255])
def test_pictures_that_show_nothing_are_listed(case, flat):
    build, image, _, image_id = case
    put(image, np.full(shape_of(image), flat, np.uint8))
    listed = build().info.metadata["pictures"]["without_contrast"]
    assert listed == [image_id]


def test_a_picture_of_fewer_bits_than_the_set_is_listed_if_it_is_nearly_black(tmp_path):
    draw.skin_tumor(tmp_path / "manual")
    folder = tmp_path / "manual" / "epidermal cyst"
    ramp = np.linspace(0, 1, 60)[None].repeat(60, 0)
    for place, brightest in ((0, 4095), (1, 65535)):
        put(folder / f"{place}.png", np.rint(ramp * brightest).astype(np.uint16))
    builder = built(skin_tumor.Builder, tmp_path / "manual", tmp_path / "out", size=64)
    listed = builder.info.metadata["pictures"]["without_contrast"]
    assert listed == ["epidermal_cyst_0001"]


def test_slices_of_fractions_are_refused_unless_they_are_grey(tmp_path):
    draw.lungsegdb(tmp_path / "manual")
    images = tmp_path / "manual" / "preprocessed data" / "V1" / "CT_Images"
    units, _ = draw.chest(0)
    scaled = np.clip((units + 1350) / 1500, 0, 1).astype(np.float32)
    for place, dtype in ((0, np.float32), (1, np.float64)):
        cv2.imwrite(str(images / f"ID_0001_Z_{place:04d}.TIF"), scaled.astype(dtype))

    def build(**options):
        return built(
            lungsegdb.Builder, tmp_path / "manual", tmp_path / "out", **options
        )

    reasons = skipped(build())
    assert len(reasons) == 2
    for reason in reasons.values():
        assert "values from 0 to 1 are no Hounsfield units" in reason
        assert "option fractions=grey" in reason
    builder = build(fractions="grey")
    names = ["V1_0001_0000", "V1_0001_0001"]
    assert builder.info.metadata["pictures"]["fractions"] == names
    for name in names:
        image = records(builder)[name]["image"][..., 0]
        assert np.array_equal(image, np.rint(scaled * 255))
    with pytest.raises(DatasetError, match="allowed is values=window"):
        lungsegdb.Builder.make_config(fractions="grey", values="hounsfield")


def test_slices_of_fractions_with_a_sign_are_no_hounsfield_units(tmp_path):
    draw.lungsegdb(tmp_path / "manual")
    images = tmp_path / "manual" / "preprocessed data" / "V1" / "CT_Images"
    scaled = (draw.chest(0)[0] / 2000).astype(np.float32)
    cv2.imwrite(str(images / "ID_0001_Z_0000.TIF"), scaled)
    builder = built(lungsegdb.Builder, tmp_path / "manual", tmp_path / "out")
    (reason,) = skipped(builder).values()
    assert "are no Hounsfield units: the slice was scaled" in reason


def test_slices_without_air_are_listed(tmp_path):
    draw.lungsegdb(tmp_path / "manual")
    images = tmp_path / "manual" / "preprocessed data" / "V1" / "CT_Images"
    shifted = (draw.chest(0)[0] + 1024).astype(np.int16)
    cv2.imwrite(str(images / "ID_0001_Z_0000.TIF"), shifted)
    builder = built(lungsegdb.Builder, tmp_path / "manual", tmp_path / "out")
    assert builder.info.metadata["pictures"]["without_air"] == ["V1_0001_0000"]


def test_masks_against_the_label_are_listed(tmp_path):
    draw.busi(tmp_path / "manual")
    root = tmp_path / "manual" / "Dataset_BUSI_with_GT"
    put(root / "benign" / "benign (1)_mask.png", np.zeros((40, 48), np.uint8))
    put(root / "normal" / "normal (1)_mask.png", disc((40, 48)))
    metadata = built(busi.Builder, tmp_path / "manual", tmp_path / "out").info.metadata
    assert metadata["against_label"] == ["benign_0001", "normal_0001"]
    assert metadata["masks"]["empty"] == ["benign_0001"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_labels": "3"}, "mask_labels='3', allowed: such as 1=lesion"),
        ({"mask_labels": 3}, "mask_labels=3, allowed: such as 1=lesion"),
        ({"mask_labels": "a=lesion"}, "allowed: such as 1=lesion"),
        ({"mask_labels": "1=background"}, "no class is named"),
        ({"mask_labels": "1=a,1=b"}, "is said twice"),
        ({"mask_colours": "#zzz=lesion"}, "such as #00ff00=benign"),
        ({"mask_colours": "grey=lesion"}, "allowed is grey=background"),
        ({"mask_labels": "1=a", "mask_colours": "red=a"}, "allowed is one of them"),
        ({"page": -1}, "page=-1, allowed: 0 (one page only) to 1000"),
        ({"page": True}, "page=True"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(DatasetError) as refused:
        busi.Builder.make_config(**options)
    assert message in str(refused.value)


def test_masks_that_are_read_otherwise_are_other_builds():
    said = ("", "1=a", "1=a,2=b", "1=a, 2=b", "1=a,2=a", "11=a", "1=A", "1=a_2,3=b")
    names = [busi.Builder.make_config(mask_labels=text).name for text in said]
    names += [busi.Builder.make_config(mask_colours="red=a").name]
    names += [busi.Builder.make_config(page=page).name for page in (1, 11)]
    assert len(set(names)) == len(names) and names[0] == "all_sizes"
    assert all(name.replace("_", "").isalnum() for name in names)
