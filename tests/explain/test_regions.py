"""Regions of a folder or of a dataset, and who is left out."""

import cv2
import numpy as np
import pytest

from tests.tasks.made import image_spec
from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.source import Source
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see.regions import EMPTY, NO_FILE, read_regions

SIDE, COUNT = 16, 4
NAMES = ("a/0", "a/1", "b.0", "b.1")


class Pictures(Source):
    """Four pictures, of which all but the last show something."""

    pixels, name = "image", "pictures/made"

    def __init__(self, masks=True):
        spec = image_spec(("lesion",), side=SIDE)
        self.declared = spec if masks else spec.only(("pixels",), asked_by="a test")
        self.spec, self.records = self.declared, []
        for i in range(COUNT):
            mask = np.zeros((SIDE, SIDE, 1), np.uint8)
            mask[2 : 2 + 2 * (COUNT - 1 - i), 3:9] = 1
            self.records.append({"image": 200 * mask, "mask": mask})
        labels = np.ones((COUNT, 1), np.int8)
        ids = (NAMES, NAMES, NAMES)
        self.table = ExampleTable(*ids, labels, ("lesion",), "hash")


@pytest.fixture
def source():
    return Pictures()


def write(folder, name, mask):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), mask)
    return path


def region(side=SIDE):
    mask = np.zeros((side, side), np.uint8)
    mask[4:9, 5:8] = 255
    return mask


def test_a_datasets_own_masks_are_taken_and_empty_ones_left_out(source):
    found = read_regions(source, range(COUNT))
    assert sorted(found.marked) == [0, 1, 2]
    assert found.left_out == {"b.1": EMPTY}
    np.testing.assert_array_equal(
        found.marked[1], source.records[1]["mask"][..., 0] > 0
    )
    assert found.origin == "the masks of pictures/made"


def test_a_folders_pictures_are_found_by_their_examples_names(source, tmp_path):
    write(tmp_path, "a/0.png", region())
    write(tmp_path, "b.0.bmp", region() // 255)
    write(tmp_path, "b.1.png", np.zeros((SIDE, SIDE), np.uint8))
    write(tmp_path, "someone_else.png", region())
    (tmp_path / "notes.txt").write_text("not a picture")
    found = read_regions(source, range(COUNT), tmp_path)
    assert sorted(found.marked) == [0, 2] and found.strangers == 1
    assert found.left_out == {"a/1": NO_FILE, "b.1": EMPTY}
    assert found.marked[2].sum() == 15


def test_only_the_examples_that_are_asked_for_are_looked_at(source, tmp_path):
    write(tmp_path, "a/0.png", region(side=5))  # of another size, and not asked for
    write(tmp_path, "a/1.png", region())
    assert list(read_regions(source, [1], tmp_path).marked) == [1]


def test_a_picture_of_another_size_is_named_with_both(source, tmp_path):
    path = write(tmp_path, "b.0.png", region(side=20))
    with pytest.raises(ExplainError, match="20 x 20 pixels, the image of 'b.0' has 16"):
        read_regions(source, range(COUNT), tmp_path)
    assert path.exists()


def test_two_pictures_of_one_example_are_refused(source, tmp_path):
    write(tmp_path, "b.0.png", region())
    write(tmp_path, "b.0.bmp", region())
    with pytest.raises(ExplainError, match=r"b\.0\.bmp and b\.0\.png are both of"):
        read_regions(source, range(COUNT), tmp_path)


def test_a_folder_without_any_examples_picture_is_refused(source, tmp_path):
    write(tmp_path, "other.png", region())
    with pytest.raises(ExplainError, match=r"none of its 1 pictures .* a/0\.png"):
        read_regions(source, range(COUNT), tmp_path)
    with pytest.raises(ExplainError, match="no such folder"):
        read_regions(source, range(COUNT), tmp_path / "nowhere")


def test_where_nothing_at_all_is_marked_there_is_nothing_to_judge(source, tmp_path):
    write(tmp_path, "b.0.png", np.zeros((SIDE, SIDE), np.uint8))
    with pytest.raises(ExplainError, match="none of the 4 examples has anything"):
        read_regions(source, range(COUNT), tmp_path)


def test_a_dataset_without_masks_asks_for_a_folder():
    with pytest.raises(ExplainError, match="has no masks: give physicians' regions"):
        read_regions(Pictures(masks=False), range(COUNT))
