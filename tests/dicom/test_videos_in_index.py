"""Videos that are no DICOM files, from the index to cleaned AVIs."""

import csv
import json

import numpy as np
import pytest

from tests.datasets.test_decoded import film, with_fan
from ultrasound_jax.dicom import __main__ as command
from ultrasound_jax.dicom.index.table import read_index
from ultrasound_jax.media.video import read_video


def indexed(root, out, *words):
    command.main(["index", str(root), "--out", str(out), *words])
    return read_index(out)


@pytest.fixture
def root(tmp_path):
    """Two patients' videos, with names burned in beside the fan."""
    for name, suffix, codec, pixels in (
        ("Doe_Jane/1", ".avi", "ffv1", "bgr0"),
        ("Doe_Jane/walk", ".mp4", "mpeg4", "yuv420p"),
        ("Roe_Max/00007", ".mkv", "ffv1", "bgr0"),
    ):
        path = tmp_path / "root" / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = [*with_fan()[0]]
        frames[5] = np.zeros_like(frames[5])
        film(path, frames, codec=codec, pixels=pixels)
    (tmp_path / "root" / "notes.txt").write_text("Doe, Jane")
    return tmp_path / "root"


def test_videos_are_indexed_on_request_under_pseudonyms(tmp_path, root, capsys):
    out = tmp_path / "index.csv"
    assert not [row for row in indexed(root, out) if row.ok]
    rows = indexed(root, out, "--keep", "videos", "--patient-from", "folder")
    assert len(rows) == 3 and all(row.ok for row in rows)
    assert len({row.patient_id for row in rows}) == 2
    for row in rows:
        assert (row.data_type, row.frames, row.frame_rate) == ("video", 12, 20.0)
        assert row.frame_rate_source == "frame times" and row.mm_x is None
        assert "its scale is unknown" in row.reason
    assert {row.data_idx for row in rows} >= {7}
    written = out.read_text() + capsys.readouterr().out
    assert not any(name in written for name in ("Doe", "Jane", "Roe", "walk"))
    assert "3 videos" in written


def test_a_video_names_no_patient(tmp_path, root, capsys):
    words = ["index", str(root), "--out", str(tmp_path / "i.csv"), "--keep", "videos"]
    assert command.main(words) == 2
    assert "--patient-from folder" in capsys.readouterr().err
    assert not (tmp_path / "i.csv").exists()


def test_videos_are_converted_with_the_care_of_dicom_files(tmp_path, root, capsys):
    out, avi = tmp_path / "index.csv", tmp_path / "avi"
    keep = ("--keep", "videos", "--patient-from", "folder")
    rows = {row.video_id: row for row in indexed(root, out, *keep)}
    words = ["convert", str(out), "--to", "avi", "--out", str(avi), "--size", "0"]
    assert command.main(words) == 0
    with open(avi / "convert_avi.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["status"] for row in table] == ["ok"] * 3
    for row in table:
        about = json.loads((avi / f"{row['video_id']}.avi.json").read_text())
        assert about["black_frames"] == [6] and about["source_frames"] == 12
        assert about["fan"] and about["region_index"] is None
        clean = read_video(avi / f"{row['video_id']}.avi").frames
        assert clean.shape[0] == 12 and clean[0].max() > 50
        assert clean[:, :16, :60].max() == 0  # where the name stood
        assert row["video_id"] in rows
    said = capsys.readouterr().out + (avi / "convert_avi.csv").read_text()
    assert "Doe" not in said and "walk" not in said
