"""The phantom as a hospital would hand it over."""

import numpy as np
import pytest

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lus_phantom import export
from ultrasound_jax.datasets.lus_phantom.lus_phantom_dataset_builder import (
    Builder,
    simulate_video,
)
from ultrasound_jax.dicom.read.header import read_header
from ultrasound_jax.labels.sheet import read_sheet

TINY = {"size": 16, "frame_rate": 5.0, "patients": 3, "videos": 2, "seed": 2}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "tree"
    config = Builder.make_config(**TINY)
    videos = export.export(folder, config=config, temporal_patients=1, keep_frames=True)
    return folder, videos, config


def test_the_layout_is_the_originals(tree):
    folder, _, _ = tree
    found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.csv"))
    assert found == [
        "development/labels/annotator_1.csv",
        "development/labels/annotator_2.csv",
        "temporal/labels/expert.csv",
        "temporal/labels/reader_1.csv",
        "temporal/labels/reader_2.csv",
    ]
    patient = folder / "development" / "dicom" / "20010101" / "PHANTOM0001"
    assert [p.name for p in sorted(patient.iterdir())] == [
        f"{number:05d}.dcm" for number in range(1, 6)
    ]


def test_a_patients_folder_holds_what_real_ones_do(tree):
    patient = tree[0] / "temporal" / "dicom" / "20020202" / "PHANTOM0002"
    videos = [video for video in tree[1] if video.patient_id == "PHANTOM0002"]
    headers = [read_header(path) for path in sorted(patient.iterdir())]
    counts = [len(video.frames) for video in videos]
    assert [one.frames for one in headers] == [*counts, 1, 1, counts[0]]
    assert [one.multi_frame for one in headers] == [True, True, False, False, True]
    assert [len(one.regions) for one in headers] == [1, 1, 1, 0, 1]
    uids = [one.sop_instance_uid for one in headers]
    assert uids[4] == uids[0] and len(set(uids)) == 4
    assert {one.study_uid for one in headers} == {headers[0].study_uid}
    for header, video in zip(headers, videos, strict=False):
        assert header.timing.rate == pytest.approx(5.0)
        assert header.regions[0].mm_x == pytest.approx(video.pixel_mm)
        assert header.regions[0].width == header.regions[0].height == 16


def test_the_first_sheet_is_the_phantoms_own_truth(tree):
    folder, videos, config = tree
    rows = {
        row.video_id: row
        for part, name in (("development", "annotator_1"), ("temporal", "expert"))
        for row in read_sheet(folder / part / "labels" / f"{name}.csv")
    }
    assert len(rows) == len(videos) == 6
    for video in videos:
        row = rows[f"{video.patient_id}_{video.data_idx:05d}"]
        patient = int(video.patient_id.removeprefix("PHANTOM"))
        frames, visible, _ = simulate_video(config, patient, video.data_idx - 1)
        np.testing.assert_array_equal(video.frames, frames)
        for column, marked in zip(visible.T, row.pattern_frames.values(), strict=True):
            assert marked == set((np.flatnonzero(column) + 1).tolist())
        assert not row.score_conflict
    kinds = {name for row in rows.values() for name in row.present}
    assert "confluent_b_line" in kinds or "b_line" in kinds


def test_other_readers_differ_but_stay_within_the_video(tree):
    folder, videos, _ = tree
    lengths = {f"{v.patient_id}_{v.data_idx:05d}": len(v.frames) for v in videos}
    sheets = [
        read_sheet(folder / "temporal" / "labels" / f"{name}.csv", frames=lengths)
        for name in export.READERS["temporal"]
    ]
    marks = [[row.ranges for row in sheet] for sheet in sheets]
    assert marks[0] != marks[1] != marks[2] != marks[0]


def test_the_same_seed_gives_the_same_files(tree, tmp_path):
    folder, _, config = tree
    again = export.export(tmp_path / "again", config=config, temporal_patients=1)
    assert [one.length for one in again] == [len(one.frames) for one in tree[1]]
    assert not any(one.frames.size for one in again)
    for path in folder.rglob("*"):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(folder)
            assert again.read_bytes() == path.read_bytes(), path


def test_many_b_lines_are_confluent():
    config = Builder.make_config(size=16, frame_rate=1.0, patients=16, seed=0)
    kinds = set()
    for patient in range(16):
        marks = export.film(config, "development", patient, 0).marks
        assert not (marks["b_line"] and marks["confluent_b_line"])
        kinds |= {name for name, ranges in marks.items() if ranges}
        if {"b_line", "confluent_b_line"} <= kinds:
            return
    raise AssertionError(f"only {kinds} occur")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--temporal-patients", "8"], "allowed are 0 to 7"),
        (["--size", "1"], "lus_phantom size=1"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(tmp_path, capsys, flags, said):
    assert export.main(["--out", str(tmp_path / "x"), *flags]) == 2
    err = capsys.readouterr().err
    assert said in err and len(err.splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_a_folder_with_files_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match="a new or an empty folder"):
        export.export(tmp_path, config=Builder.make_config(**TINY))
