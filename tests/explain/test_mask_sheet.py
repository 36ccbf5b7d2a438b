import cv2
import numpy as np
import pytest

from tests.tasks.made import ids, image_spec
from ultrasound_jax.analysis.table.mask_table import MaskTable
from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.source import Source
from ultrasound_jax.explain.draw.mask_sheet import (
    chosen_rows,
    example_dice,
    false_positives,
    mask_sheet,
)
from ultrasound_jax.explain.errors import ExplainError

COUNT = 9


class Pictures(Source):
    """Squares whose found mask is shifted ever further."""

    spec, pixels = image_spec(("a",), side=16), "image"

    def __init__(self, folder):
        self.records, self.found = [], []
        for i in range(COUNT):
            truth, found = np.zeros((2, 16, 16, 1), np.uint8)
            truth[4:10, 2:8] = 1
            found[4:10, 2 + i : 8 + i] = 1
            self.records.append({"image": 200 * truth, "mask": truth})
            self.found.append(found)
            assert cv2.imwrite(str(folder / f"e{i}.png"), found[..., 0])
        names = tuple(f"e{i}" for i in range(COUNT))
        labels = np.ones((COUNT, 1), np.int8)
        self.table = ExampleTable(names, names, names, labels, ("a",), "hash")

    def judged(self, **changes):
        found, truth = (
            np.stack(self.found) > 0,
            np.stack([record["mask"] for record in self.records]) > 0,
        )
        given = ids(self.table.labels, ("image", "image"))
        del given["labels"]
        columns = {
            "tp": (found & truth).sum((1, 2)),
            "fp": (found & ~truth).sum((1, 2)),
            "fn": (~found & truth).sum((1, 2)),
            "mask_file": tuple(f"e{i}.png" for i in range(COUNT)),
        }
        return MaskTable(
            classes=("lesion",), distances={}, **(given | columns | changes)
        )


def test_the_rows_are_the_best_the_middle_and_the_worst():
    best, middle, worst = chosen_rows(np.arange(9), 3)
    assert [best.tolist(), middle.tolist(), worst.tolist()] == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
    ]
    assert [len(part) for part in chosen_rows(np.arange(2), 2)] == [2, 2, 2]


def test_the_dice_of_an_example_is_of_the_structures_that_it_has(tmp_path):
    table = Pictures(tmp_path).judged()
    dice = example_dice(table)
    assert dice[0] == 1 and dice[6] == 0
    assert dice[3] == pytest.approx(2 * 18 / 72)
    empty = np.zeros((COUNT, 1), int)
    nothing = Pictures(tmp_path).judged(tp=empty, fp=empty, fn=empty)
    assert np.isnan(example_dice(nothing)).all()


def test_the_sheet_is_a_picture_with_both_outlines(tmp_path):
    pictures = Pictures(tmp_path)
    sheet = mask_sheet(pictures.judged(), pictures, tmp_path)
    image = cv2.imdecode(np.frombuffer(sheet, np.uint8), cv2.IMREAD_COLOR)
    for bgr in ((115, 158, 0), (0, 94, 213)):  # true and found
        assert (np.abs(image.astype(int) - bgr).sum(axis=2) < 30).sum() > 100


def test_examples_without_a_structure_have_a_row_of_their_own(tmp_path):
    """By the pixels found in them; those without any are not shown."""
    pictures = Pictures(tmp_path)
    whole = pictures.judged()
    counts = {name: getattr(whole, name).copy() for name in ("tp", "fp", "fn")}
    for values in counts.values():
        values[:3] = 0
    counts["fp"][:2, 0] = 5, 9
    table = pictures.judged(**counts)
    assert np.isnan(example_dice(table)[:3]).all()
    assert false_positives(table).tolist() == [1, 0]
    images = [
        cv2.imdecode(np.frombuffer(mask_sheet(one, pictures, tmp_path), np.uint8), 1)
        for one in (whole, table)
    ]
    assert images[1].shape[0] > images[0].shape[0]
    assert images[1].shape[1] == images[0].shape[1]


def test_a_mask_that_is_gone_is_named(tmp_path):
    pictures = Pictures(tmp_path)
    (tmp_path / "e0.png").unlink()
    with pytest.raises(ExplainError, match=r"e0\.png': the file of a found mask"):
        mask_sheet(pictures.judged(), pictures, tmp_path)
