import copy

import numpy as np
import pytest

from tests.conftest import TINY
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.spec import Field, Spec


@pytest.fixture(scope="module")
def source(data_dir):
    where = {"options": TINY, "data_dir": str(data_dir)}
    sources.prepare("lus_phantom", **where, say=lambda line: None)
    return sources.open_source("lus_phantom", **where)


def test_a_missing_dataset_is_built_and_said(tmp_path):
    lines = []
    options = TINY | {"patients": 1}
    where = {"options": options, "data_dir": str(tmp_path)}
    with pytest.raises(sources.SourceError, match="is not built"):
        sources.open_source("lus_phantom", **where)
    sources.prepare("lus_phantom", **where, say=lines.append)
    assert "is not there: building" in lines[0]
    sources.prepare("lus_phantom", **where, say=lines.append)
    assert len(lines) == 1


def test_an_unknown_dataset_names_the_known_ones():
    with pytest.raises(sources.SourceError, match="lus_phantom, phantom_ct, pocus"):
        sources.prepare("lus", options={})


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_data_dir_that_is_no_folder_is_refused_with_what_is_in_the_way(
    tmp_path, place
):
    (tmp_path / "file").touch()
    with pytest.raises(sources.SourceError, match="file' is no folder; allowed is"):
        sources.prepare("lus_phantom", options=TINY, data_dir=str(tmp_path / place))


def test_the_table_has_what_the_records_have(source):
    record = source.records[3]
    assert source.table.example_id[3] == record["example_id"].decode()
    assert source.table.patient_id[3] == record["patient_id"].decode()
    np.testing.assert_array_equal(source.table.labels[3], record["labels"])


def test_the_table_is_the_same_from_the_cache(source, data_dir):
    again = sources.open_source(
        "lus_phantom", options=TINY, data_dir=str(data_dir)
    ).table
    assert again.data_hash == source.table.data_hash
    assert again.example_id == source.table.example_id
    np.testing.assert_array_equal(again.labels, source.table.labels)


def test_a_tail_is_padded_with_black_and_keeps_its_true_length(source):
    batch = source.load(np.arange(len(source)))
    tails = np.flatnonzero(batch["clip_length"] < source.spec["clip"].longest)
    assert len(tails) > 0
    for row in tails:
        length = batch["clip_length"][row]
        assert batch["clip"][row, :length].any()
        assert not batch["clip"][row, length:].any()
        np.testing.assert_array_equal(
            batch["clip"][row, :length], source.records[int(row)]["clip"]
        )


def test_a_filling_row_is_empty_and_unknown(source):
    batch = source.load([0, -1])
    assert batch["clip_length"].tolist() == [len(source.records[0]["clip"]), 0]
    assert batch["labels"][1].tolist() == [-1] * 4
    assert not batch["clip"][1].any()


@pytest.mark.parametrize("value", [2, 255])
def test_a_mask_of_other_values_than_its_classes_is_refused(source, value):
    """A lesion of 255 would be background everywhere, and nothing would be learnt."""
    mask = Field(shape=(4, 4, 1), dtype="uint8", role="mask", classes=("lesion",))
    masked = copy.copy(source)
    masked.spec = Spec({"mask": mask})
    masked.records = Records(value)
    with pytest.raises(sources.SourceError, match=f"'one' has the value {value}; of l"):
        masked.load([0])
    masked.records = Records(1)
    assert masked.load([0])["mask"].max() == 1


class Records:
    """A dataset of one mask with that value in a corner."""

    def __init__(self, value):
        self.mask = np.zeros((4, 4, 1), np.uint8)
        self.mask[0, 0] = value

    def __getitems__(self, places):
        return [{"mask": self.mask, "example_id": "one"} for _ in places]
