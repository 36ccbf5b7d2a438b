"""What is taken out of found masks before they are counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tasks.made import ids, image_spec
from ultrasound_jax import tasks
from ultrasound_jax.tasks._mask_cleaning import Cleaning

# A ring of 8 with a hole, a diagonal of 3, and two single pixels.
PICTURE = """
###....#
#.#...#.
###..#..
........
.#......
........
......#.
........
"""


def drawn(picture):
    rows = [[pixel == "#" for pixel in line] for line in picture.split()]
    return np.array(rows)[..., None]


FOUND = drawn(PICTURE)


def cleaned(found=FOUND, **options):
    return Cleaning(**options).one(found)


def test_nothing_is_changed_unless_asked():
    assert not Cleaning().changes
    batch = np.stack([FOUND, FOUND])
    assert Cleaning().all(batch) is batch


def test_the_largest_components_are_kept_and_touch_by_corners():
    assert cleaned(keep_components=1).sum() == 8
    two = cleaned(keep_components=2)
    assert two.sum() == 11 and two[0, 7] and two[2, 5]
    # Of equal ones the first in reading order.
    three = cleaned(keep_components=3)
    assert three[4, 1] and not three[6, 6]
    np.testing.assert_array_equal(cleaned(keep_components=9), FOUND)


def test_small_components_are_taken_out_before_any_is_kept():
    np.testing.assert_array_equal(cleaned(smallest=1), FOUND)
    assert cleaned(smallest=2).sum() == 11
    assert cleaned(smallest=4).sum() == 8
    assert not cleaned(smallest=9).any()
    assert not cleaned(smallest=9, keep_components=2, fill_holes=True).any()


def test_holes_are_filled_and_an_opening_is_no_hole():
    filled = cleaned(fill_holes=True)
    assert filled[1, 1] and filled.sum() == FOUND.sum() + 1
    opened = FOUND.copy()
    opened[0, 1] = False
    np.testing.assert_array_equal(cleaned(opened, fill_holes=True), opened)


def test_a_structure_within_another_keeps_its_pixels():
    ring = drawn(PICTURE)[:5, :5, 0] & (np.arange(5)[:, None] < 3)
    dot = np.zeros_like(ring)
    dot[1, 1] = True
    found = np.stack([ring, dot], axis=-1)
    np.testing.assert_array_equal(cleaned(found, fill_holes=True), found)
    dot[1, 1] = False
    alone = cleaned(np.stack([ring, dot], axis=-1), fill_holes=True)
    assert alone[1, 1].tolist() == [True, False]


def test_structures_are_cleaned_one_by_one():
    found = np.concatenate([FOUND, np.roll(FOUND, 4, axis=0) & ~FOUND], axis=-1)
    both = cleaned(found, keep_components=1)
    for k in range(2):
        alone = cleaned(found[..., k : k + 1], keep_components=1)
        np.testing.assert_array_equal(both[..., k : k + 1], alone)


@pytest.mark.parametrize("full", [True, False])
def test_all_that_a_table_has_is_of_the_cleaned_mask(full):
    options = {"keep_components": 1, "fill_holes": True, "smallest": 2}
    of = tasks.build("segmentation", image_spec(("x",)), options=options)
    truth = np.zeros((2, 8, 8, 1), np.uint8)
    truth[:, :4, :4] = 1
    logits = np.stack([np.where(FOUND, 1.0, -1.0), np.where(FOUND, -1.0, -1.0)])
    fields = {"mask": jnp.asarray(truth), "index": jnp.arange(2)}
    kept = jax.device_get(of.keep({"logits": jnp.asarray(logits)}, fields))
    columns = of.columns(kept, full=full)
    np.testing.assert_array_equal(columns["tp"], [[9], [0]])
    np.testing.assert_array_equal(columns["fp"], [[0], [0]])
    np.testing.assert_array_equal(columns["fn"], [[7], [16]])
    if not full:
        assert "found" not in columns
        return
    expected = cleaned(**options)
    np.testing.assert_array_equal(columns["found"][0], expected[..., 0])
    # All else is what a network has whose answer is clean as it is.
    plain = tasks.build("segmentation", image_spec(("x",)), options={})
    logits[0] = np.where(expected, 1.0, -1.0)
    kept = jax.device_get(plain.keep({"logits": jnp.asarray(logits)}, fields))
    others = plain.columns(kept, full=True)
    assert set(others) == set(columns) and any("hd95" in name for name in others)
    for name, column in others.items():
        np.testing.assert_array_equal(columns[name], column, err_msg=name)
    table = of.table(ids(np.zeros((2, 1), np.int8), ("image", "image")), columns)
    assert of.quality(table)["mean_dice"] == pytest.approx(18 / 25 / 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"keep_components": -1},
            "keep_components=-1 is not allowed: it must be a whole",
        ),
        ({"keep_components": True}, "whole number"),
        ({"smallest": -3}, "smallest=-3 is not allowed"),
    ],
)
def test_a_cleaning_that_cannot_be_is_one_line(options, said):
    with pytest.raises(tasks.TaskError, match=said):
        tasks.build("segmentation", image_spec(("x",)), options=options)


def test_a_batch_without_rows_is_left_alone():
    none = np.zeros((0, 8, 8, 1), bool)
    assert Cleaning(1, True, 2).all(none).shape == none.shape
