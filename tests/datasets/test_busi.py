import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.datasets import make_dummy_images as draw
from tests.datasets.building import built, records, shared, skipped
from ultrasound_jax.datasets.busi.busi_dataset_builder import FOLDER, Builder
from ultrasound_jax.datasets.busi.calipers import count_calipers
from ultrasound_jax.datasets.busi.duplicates import Duplicates, find_duplicates
from ultrasound_jax.datasets.busi.files import Picture, list_pictures
from ultrasound_jax.datasets.errors import DatasetError


@pytest.fixture
def tree(tmp_path):
    draw.busi(tmp_path / "manual")
    return tmp_path / "manual" / FOLDER


@pytest.fixture
def build(tree, tmp_path):
    return lambda **options: built(Builder, tree.parent, tmp_path / "out", **options)


def test_every_mask_of_an_image_is_in_its_mask(build, tree):
    record = records(build())["benign_0002"]
    parts = [
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0
        for path in tree.glob("benign/benign (2)_mask*.png")
    ]
    assert len(parts) == 2 and record["masks"] == 2
    assert np.array_equal(record["mask"][..., 0] > 0, parts[0] | parts[1])
    assert set(np.unique(record["mask"])) == {0, 1}


def test_masks_of_any_colour_mode_are_read(build):
    found = records(build())
    assert found["malignant_0001"]["mask"].sum() > 100
    assert found["normal_0001"]["mask"].sum() == 0


def test_labels_and_ids_are_those_of_the_layout(build):
    builder = build()
    record = records(builder)["malignant_0001"]
    assert builder.info.metadata["classes"] == ["benign", "malignant", "normal"]
    assert record["label"] == 1 and record["labels"].tolist() == [0, 1, 0]
    assert record["labels"].dtype == np.int8
    assert record["image_id"] == record["video_id"] == "malignant_0001"


def test_images_keep_their_size_unless_one_is_asked_for(build):
    whole = records(build())["benign_0001"]
    assert whole["image"].shape == whole["mask"].shape == (40, 48, 1)
    small = records(build(size=24))["benign_0001"]
    assert small["image"].shape == small["mask"].shape == (24, 24, 1)
    assert small["image"][:2].max() == 0  # black margins, no stretching
    assert set(np.unique(small["mask"])) == {0, 1}


def test_near_duplicates_share_a_patient(tree, build):
    brighter = cv2.imread(str(tree / "benign" / "benign (1).png"), 0) // 2 + 40
    draw.save(tree / "malignant" / "malignant (7).png", brighter)
    draw.save(tree / "malignant" / "malignant (7)_mask.png", brighter * 0)
    builder = build()
    found = records(builder)
    assert found["malignant_0007"]["patient_id"] == "like_benign_0001"
    assert found["benign_0001"]["patient_id"] == "like_benign_0001"
    assert len({record["patient_id"] for record in found.values()}) == 4
    [[first, second, correlation]] = builder.info.metadata["cross_label_duplicates"]
    assert (first, second) == ("benign_0001", "malignant_0007") and correlation > 0.97


def test_by_image_every_picture_is_its_own_patient_and_that_is_said(tree, build):
    brighter = cv2.imread(str(tree / "benign" / "benign (1).png"), 0) // 2 + 40
    draw.save(tree / "malignant" / "malignant (7).png", brighter)
    draw.save(tree / "malignant" / "malignant (7)_mask.png", brighter * 0)
    builder = build(by_image=True)
    found = records(builder)
    assert all(record["patient_id"] == name for name, record in found.items())
    assert builder.info.metadata["patients_are"].startswith("an image, near duplicates")
    assert builder.builder_config.name == "all_sizes_by_image"
    assert len(builder.info.metadata["cross_label_duplicates"]) == 1


def alike(*labels):
    pictures = (
        Picture(f"{label}_{i}", Path(f"{label}/{i}.png"), (), label)
        for i, label in enumerate(labels)
    )
    return tuple(pictures)


def test_dropping_repeats_keeps_what_only_resembles_the_dropped():
    chain = Duplicates(
        alike("benign", "benign", "benign"), (), ((0, 1, 0.99), (1, 2, 0.98))
    )
    assert list(chain.dropped(repeated=True, cross_label=False)) == [1]


def test_dropping_cross_label_pairs_drops_both():
    pairs = ((0, 1, 0.99), (1, 2, 0.98))
    mixed = Duplicates(alike("benign", "malignant", "malignant"), (), pairs)
    dropped = mixed.dropped(repeated=True, cross_label=True)
    assert sorted(dropped) == [0, 1]
    assert "malignant/1.png" in dropped[0] and "another label" in dropped[0]


def test_what_is_dropped_is_listed(tree, build):
    for end in (".png", "_mask.png"):
        shutil.copy(tree / f"benign/benign (1){end}", tree / f"benign/benign (9){end}")
    builder = build(drop_duplicates=True)
    assert skipped(builder) == {
        "benign/benign (9).png": "near duplicate of benign/benign (1).png"
    }
    assert "benign_0009" not in records(builder)


def test_unusable_files_are_named_with_the_reason(tree, build):
    picture, mask = draw.tissue(9)
    (tree / "benign" / "benign (1).png").write_bytes(b"no picture")
    draw.save(tree / "benign" / "benign (3).png", picture)
    draw.save(tree / "normal" / "normal (2).png", picture[::-1])
    draw.save(tree / "normal" / "normal (2)_mask.png", mask[:20])
    draw.save(tree / "normal" / "normal (8)_mask.png", mask)
    draw.save(tree / "normal" / "holiday.png", picture)
    (tree / "normal" / "notes.txt").write_text("a stray file", encoding="utf-8")
    whole = (tree / "malignant" / "malignant (1).png").read_bytes()
    (tree / "malignant" / "malignant (1).png").write_bytes(whole[: len(whole) // 2])
    reasons = skipped(build())
    assert reasons["benign/benign (1).png"].startswith(
        "not a picture or a damaged one, allowed: PNG"
    )
    assert reasons["benign/benign (3).png"] == "has no mask"
    assert "48 x 20 px, the image has 48 x 40" in reasons["normal/normal (2).png"]
    assert reasons["normal/normal (8)_mask.png"] == "a mask without its image"
    assert "not named as `normal (n)`" in reasons["normal/holiday.png"]
    assert "not a picture" in reasons["normal/notes.txt"]
    assert "does not decode" in reasons["malignant/malignant (1).png"]
    assert len(reasons) == 7


def test_counts_other_than_the_published_are_noted(build):
    assert build().info.metadata["notes"] == [
        "benign: 2 images, published are 437",
        "malignant: 1 images, published are 210",
        "normal: 1 images, published are 133",
    ]


def test_a_folder_without_the_set_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(DatasetError, match="busi: none of the folders benign, mali"):
        built(Builder, tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": 64}, "no option 'sizes', allowed: size, page, aspect, mask_labels"),
        ({"size": 4}, "size=4, allowed: 0 (all sizes) or 8 to 4096"),
        ({"size": 256.0}, "size=256.0"),
        ({"drop_duplicates": 1}, "drop_duplicates=1, allowed: True or False"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options, message):
    with pytest.raises(DatasetError) as refused:
        Builder.make_config(**options)
    assert message in str(refused.value)


def test_different_options_never_share_a_name():
    options = [
        {},
        {"size": 256},
        {"drop_duplicates": True},
        {"drop_cross_label": True},
        {"size": 256, "drop_duplicates": True, "drop_cross_label": True},
    ]
    names = [Builder.make_config(**one).name for one in options]
    assert len(set(names)) == 5 and names[0] == "all_sizes" and names[1] == "256px"
    assert Builder.make_config(size=256) is Builder.BUILDER_CONFIGS[1]


def crossed(side, marks, arm):
    picture = np.full((side, side), 90, np.uint8)
    for row, column in marks:
        picture[row - arm : row + arm + 1, column] = 255
        picture[row, column - arm : column + arm + 1] = 255
    return picture


def test_crosses_are_counted_and_letters_are_not():
    assert count_calipers(crossed(200, [(50, 50), (50, 120), (90, 80)], 4)) == 3
    assert count_calipers(crossed(200, [], 4)) == 0
    text = np.full((200, 200), 90, np.uint8)
    cv2.putText(text, "LT HIK", (20, 100), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255)
    cv2.line(text, (10, 150), (190, 170), 255)
    assert count_calipers(text) == 0


def test_crosses_are_found_at_full_size():
    assert count_calipers(cv2.resize(crossed(240, [(60, 70)], 4), (720, 720))) == 1


def test_pictures_alike_only_as_built_share_a_patient(tree):
    for number in (7, 8):
        strip, _ = draw.tissue(number, 16, 200, lesion=False)
        draw.save(tree / "normal" / f"normal ({number}).png", 120 + strip // 4)
    pictures = [p for p in list_pictures(tree)[0] if p.image_id.endswith(("7", "8"))]
    stored, built = find_duplicates(pictures, 0), find_duplicates(pictures, 256)
    assert stored.pairs == built.pairs == ()
    assert len({picture.patient_id for picture in stored.pictures}) == 2
    assert len({picture.patient_id for picture in built.pictures}) == 1


@pytest.mark.shared_data
@pytest.mark.slow
def test_the_real_set_is_built_whole(tmp_path):
    builder = built(Builder, shared("busi"), tmp_path)
    metadata = builder.info.metadata
    found = records(builder)
    assert len(found) == 780 and not metadata["skipped"] and not metadata["notes"]
    assert len(metadata["duplicates"]) == 198
    assert len(metadata["cross_label_duplicates"]) == 9
    assert len({record["patient_id"] for record in found.values()}) == 615
    assert sum(record["masks"] for record in found.values()) == 798
    assert sum(record["masks"] > 1 for record in found.values()) == 17
    assert len(metadata["calipers"]) == 129
    empty = [i for i, record in found.items() if not record["mask"].any()]
    assert len(empty) == 133 and all(i.startswith("normal") for i in empty)
