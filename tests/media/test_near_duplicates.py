import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from ultrasound_jax.media import near_duplicates as module
from ultrasound_jax.media.grouping import join, join_names
from ultrasound_jax.media.near_duplicates import (
    HASH_RADIUS,
    near_duplicates,
    near_pairs,
    perceptual_hash,
    thumbnail,
)
from ultrasound_jax.types import InputError

REPO = Path(__file__).parents[2]
SHARED = Path(os.environ.get("ULTRASOUND_JAX_DATA") or REPO.parent / "shared" / "data")


def pictures(count, seed=0):
    """Different smooth pictures, as float thumbnails of grey 0 to 255."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, 8, 8)).astype(np.float32)
    return np.stack([cv2.resize(one, (32, 32)) for one in coarse])


def pair_list(found):
    return list(zip(found.first.tolist(), found.second.tolist(), strict=True))


def test_a_brighter_copy_with_more_contrast_is_a_near_duplicate():
    images = pictures(5)
    images[3] = 20 + 1.5 * images[1]
    found = near_duplicates(images)
    assert pair_list(found) == [(1, 3)]
    assert found.group.tolist() == [0, 1, 2, 1, 3] and found.groups == 4
    assert found.correlation[0] == pytest.approx(1, abs=1e-6)


def test_correlations_are_pearsons():
    rng = np.random.default_rng(1)
    images = pictures(2)
    images[1] = images[0] + rng.normal(0, 8, (32, 32))
    expected = np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1]
    assert near_duplicates(images, threshold=0.5).correlation == pytest.approx(expected)
    assert near_duplicates(images, threshold=expected - 1e-6).groups == 1
    assert near_duplicates(images, threshold=expected + 1e-6).groups == 2


def test_chains_of_pairs_are_one_group():
    first, second = np.array([4, 2, 0]), np.array([5, 4, 1])
    assert join(6, first, second).tolist() == [0, 0, 1, 2, 1, 1]
    assert join(0, first[:0], second[:0]).tolist() == []


def test_names_are_grouped_in_their_order_and_through_names_of_the_pairs():
    pairs = [("z", "id 7"), ("id 9", "id 8"), ("a", "id 7"), ("b", "id 8")]
    found = join_names(["a", "b", "c", "z"], pairs)
    assert list(found) == ["a", "b", "c", "z", "id 7", "id 9", "id 8"]
    assert list(found.values()) == [0, 1, 2, 0, 0, 1, 1]
    assert join_names(["a"], []) == {"a": 0} and join_names([], []) == {}


def test_blocks_find_what_one_matrix_finds(monkeypatch):
    images = np.concatenate([pictures(40), pictures(40) + 3, pictures(20, seed=2)])
    images[50] = 7
    whole = pair_list(near_duplicates(images))
    monkeypatch.setattr(module, "BLOCK", 7)
    assert pair_list(near_duplicates(images)) == whole
    flat = images.reshape(100, -1)[np.arange(100) != 50]
    expected = (np.triu(np.corrcoef(flat), 1) > 0.97).sum()
    assert len(whole) == expected == 39


def test_pairs_on_one_side_are_left_out():
    images = np.concatenate([pictures(3)] * 3)
    apart = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    found = near_duplicates(images, apart=apart)
    assert pair_list(found) == [(0, 6), (1, 7), (2, 8), (3, 6), (4, 7), (5, 8)]


def test_constant_images_equal_only_those_of_their_grey():
    images = pictures(6)
    for place, grey in ((1, 0), (2, 0), (3, 90), (5, 0)):
        images[place] = grey
    found = near_duplicates(images)
    assert found.group.tolist() == [0, 1, 1, 2, 3, 1]
    assert pair_list(found) == [(1, 2), (2, 5)] and (found.correlation == 1).all()


def test_constant_images_are_found_on_the_other_side():
    images = np.zeros((4, 32, 32), np.float32)
    found = near_duplicates(images, apart=np.array([0, 1, 0, 0]))
    assert len(found.first) == 1 and 1 in (found.first[0], found.second[0])


def test_no_images_make_no_groups():
    found = near_duplicates(np.zeros((0, 32, 32), np.float32))
    assert found.groups == 0 and len(found.first) == 0


def test_hashes_ignore_brightness_and_contrast():
    images = pictures(10)
    assert (perceptual_hash(images) == perceptual_hash(9 + images / 2)).all()
    assert len(set(perceptual_hash(images).tolist())) == 10


def test_hashes_leave_out_what_is_far_away():
    images = np.concatenate([pictures(30), pictures(30) + 5])
    near = near_duplicates(images, hash_radius=0)
    assert pair_list(near) == [(i, i + 30) for i in range(30)]
    loose = near_duplicates(images, threshold=0.1)
    assert len(near_duplicates(images, threshold=0.1, hash_radius=4).first) < len(
        loose.first
    )


def test_thumbnails_are_grey_means_of_smooth_pictures():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (200, 1))
    small = thumbnail(ramp)
    assert small[:, 4:-4] == pytest.approx(
        np.tile(np.arange(32) * 8 + 3.5, (32, 1))[:, 4:-4], abs=0.2
    )
    colour = np.zeros((64, 48, 3), np.uint8)
    colour[..., 1] = 200
    assert thumbnail(colour) == pytest.approx(0.587 * 200, abs=1e-3)


def test_small_images_are_enlarged():
    assert np.ptp(thumbnail(np.array([[0, 100], [0, 100]], np.uint8))) > 90


@pytest.mark.parametrize("threshold", [0.0, 1.0, float("nan")])
def test_a_threshold_that_means_nothing_is_refused(threshold):
    with pytest.raises(InputError, match="threshold=.*allowed: 0 to 1"):
        list(near_pairs(pictures(2), threshold=threshold))


def test_values_that_are_not_finite_are_refused():
    images = pictures(2)
    images[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        near_duplicates(images)


def test_an_empty_image_is_refused():
    with pytest.raises(InputError, match=r"\(0, 5\)"):
        thumbnail(np.zeros((0, 5), np.uint8))


@pytest.fixture(scope="module")
def busi():
    root = SHARED / "busi"
    if not (root / "groups.csv").is_file():
        pytest.skip("set ULTRASOUND_JAX_DATA to the folder with busi/groups.csv")
    with (root / "groups.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    folder = root / "Dataset_BUSI_with_GT"
    grey = (cv2.imread(str(folder / r["file"]), cv2.IMREAD_GRAYSCALE) for r in rows)
    images = np.stack([thumbnail(np.asarray(image, np.uint8)) for image in grey])
    return images, [r["label"] for r in rows], [int(r["dup_group"]) for r in rows]


@pytest.mark.shared_data
def test_the_known_duplicates_of_busi_are_found(busi):
    images, labels, groups = busi
    found = near_duplicates(images)
    assert len(found.first) == 198 and found.groups == 615
    assert sum(labels[i] != labels[j] for i, j in pair_list(found)) == 9
    both = set(zip(found.group.tolist(), groups, strict=True))
    assert len(both) == len(set(groups)) == 615  # the same partition


@pytest.mark.shared_data
def test_hashes_miss_no_duplicate_of_busi(busi):
    images, _, _ = busi
    assert pair_list(near_duplicates(images, hash_radius=HASH_RADIUS)) == pair_list(
        near_duplicates(images)
    )
