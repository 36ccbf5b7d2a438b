"""Further columns of the example table."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ultrasound_jax.data.table_file import TABLE_FILE, group_readers, read_table

FEATURES = {
    "probe": tfds.features.ClassLabel(names=["convex", "linear"]),
    "zone": tfds.features.Text(),
    "file": tfds.features.Text(),
    "start_frame": np.int32,
}
RECORDS = [
    {
        "clip": np.full((2, 2, 2, 1), i, np.uint8),
        "labels": np.array([i, -1], np.int8),
        "example_id": f"e{i}".encode(),
        "video_id": b"v",
        "patient_id": b"p",
        "probe": np.int64(probe),
        "zone": zone,
        "file": b"name_of_a_patient.dcm",
    }
    for i, (probe, zone) in enumerate([(1, b"L1"), (0, b"")])
]


def table(folder, **more):
    return read_table(
        RECORDS, folder, pixels="clip", classes=("a", "b"), name="d", **more
    )


@pytest.fixture
def groups():
    return group_readers({name: FEATURES[name] for name in ("probe", "zone")})


def test_class_labels_and_known_texts_become_columns_but_no_other_text(
    tmp_path, groups
):
    found = table(tmp_path, groups=groups)
    assert found.groups == {"probe": ("linear", "convex"), "zone": ("L1", "")}
    assert "patient.dcm" not in (tmp_path / TABLE_FILE).read_text()


def test_the_columns_are_the_same_from_the_file(tmp_path, groups):
    first = table(tmp_path, groups=groups)
    written = (tmp_path / TABLE_FILE).read_bytes()
    again = table(tmp_path, groups=groups)
    assert (tmp_path / TABLE_FILE).read_bytes() == written
    assert again.groups == first.groups
    np.testing.assert_array_equal(again.labels, [[0, -1], [1, -1]])


def test_an_unknown_class_is_an_empty_cell(groups):
    assert groups["probe"](-1) == ""


def test_a_file_from_before_the_columns_is_renewed_and_keeps_its_hash(tmp_path, groups):
    before = table(tmp_path)
    assert before.groups == {}
    after = table(tmp_path, groups=groups)
    assert after.groups["zone"] == ("L1", "")
    assert after.data_hash == before.data_hash
