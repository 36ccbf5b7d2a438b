"""Dual screens, and files without a 2-D picture, from the file to what is written."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from tests.dicom import made
from tests.dicom.scans import phantom
from tests.dicom.test_regions import item
from ultrasound_jax.datasets.lus_clips.layout import gather
from ultrasound_jax.datasets.lus_clips.options import LusClipsConfig
from ultrasound_jax.dicom.__main__ import main as dicom
from ultrasound_jax.dicom.index.table import read_index, write_index
from ultrasound_jax.media.video import read_video

SIDE = 96
BOXES = {
    "left": (0, 0, SIDE - 1, SIDE - 1),
    "right": (SIDE, 0, 2 * SIDE - 1, SIDE - 1),
}
DUAL = [item(box=box) for box in BOXES.values()]
TRACE = {"form": 3, "kind": 3, "units": (4, 7)}


def cine(path, regions, frames=6, number=1):
    """Two phantoms beside each other."""
    pair = [phantom(patient, size=SIDE)[0][:frames] for patient in (1, 2)]
    clip = np.concatenate(pair, axis=2)
    return made.make(
        path, np.ascontiguousarray(clip).tobytes(), clip[0], NumberOfFrames=frames,
        FrameTime="40", SequenceOfUltrasoundRegions=list(regions),
        SOPInstanceUID=f"1.2.3.{number}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """A dual screen, one picture with a colour box in it, a spectrum, an M-mode."""
    root = tmp_path_factory.mktemp("root")
    cine(root / "1.dcm", DUAL, number=1)
    inside = item(box=(116, 20, 156, 60), kind=2)
    cine(root / "2.dcm", [inside, item(box=BOXES["right"])], number=2)
    cine(root / "3.dcm", [item(box=BOXES["left"], **TRACE)], number=3)
    m_mode = item(box=BOXES["right"], form=2, units=(4, 3))
    cine(root / "4.dcm", [item(box=(0, 0, 9, 9), form=4, kind=10), m_mode], number=4)
    cine(root / "5.dcm", [*DUAL[:1], item(box=BOXES["right"], **TRACE)], number=5)
    path = tmp_path_factory.mktemp("index") / "index.csv"
    assert dicom(["index", str(root), "--out", str(path), "--workers", "1"]) == 0
    return path


def convert(index, out, *words):
    known = ["convert", str(index), "--to", "avi", "--out", str(out), "--workers", "1"]
    return dicom([*known, "--size", "0", *words])


def lines(out):
    with open(out / "convert_avi.csv", newline="") as file:
        return list(csv.DictReader(file))


def names(out):
    return sorted(path.stem.partition("_")[2] for path in out.glob("*.avi"))


def test_the_index_tells_what_files_show(index, capsys):
    rows = {row.data_idx: row for row in read_index(index)}
    kinds = [rows[number].data_type for number in range(1, 6)]
    assert kinds == ["video", "video", "spectral", "m-mode", "video"]
    assert all(row.ok for row in rows.values())
    assert (rows[4].region_index, rows[4].mm_x, rows[4].mm_y) == (1, None, 0.5)
    assert "--region all takes each" in rows[1].reason
    assert "--keep spectral" in rows[3].reason and "--keep m-mode" in rows[4].reason
    assert "shows region 1 (spectral) beside the 2-D picture" in rows[5].reason


def test_the_summary_counts_them(tmp_path, capsys):
    cine(tmp_path / "1.dcm", [item(**TRACE)])
    out = tmp_path / "index.csv"
    assert dicom(["index", str(tmp_path), "--out", str(out), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "0 videos and 0 images, 1 without 2-D (spectral), 6 frames" in said


def test_both_halves_of_a_dual_screen_come_in_one_run(index, tmp_path, capsys):
    assert (
        convert(index, tmp_path, "--region", "all", "--no-mask", "--keep-burned-in")
        == 0
    )
    assert names(tmp_path) == ["00001_r0", "00001_r1", "00002", "00005"]
    found = [line for line in lines(tmp_path) if line["name"].find("00001") > 0]
    (video_id,) = {line["video_id"] for line in found}
    assert [line["region_index"] for line in found] == ["0", "1"]
    for patient, line in enumerate(found, 1):
        assert line["name"] == f"{video_id}_r{patient - 1}"
        fields = json.loads((tmp_path / f"{line['name']}.avi.json").read_text())
        assert (fields["video_id"], fields["region_index"]) == (video_id, patient - 1)
        assert fields["files"] == [f"{line['name']}.avi"]
        frames = read_video(tmp_path / f"{line['name']}.avi").frames
        assert np.array_equal(frames, phantom(patient, size=SIDE)[0][:6])
    said = capsys.readouterr().out
    assert f"{video_id}_r1: nothing is masked" in said
    reasons = {
        line["reason"] for line in lines(tmp_path) if line["status"] == "skipped"
    }
    assert reasons == {
        f"{kind}: no region is 2-D (--keep {kind} cuts out the region that there is)"
        for kind in ("spectral", "m-mode")
    }


def test_halves_are_continued_where_a_run_was_interrupted(index, tmp_path, capsys):
    convert(index, tmp_path, "--region", "all")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.avi")}
    lost = next(path for path in before if path.stem.endswith("_r1"))
    lost.with_suffix(".avi.json").unlink()
    capsys.readouterr()
    assert convert(index, tmp_path, "--region", "all") == 0
    assert "3 of them by an earlier run" in capsys.readouterr().out
    again = {path for path in before if path.stat().st_mtime_ns != before[path]}
    assert again == {lost}
    # Without halves they are left over, and what is the same stays.
    assert convert(index, tmp_path) == 0
    said = capsys.readouterr().out
    assert "2 videos" in said and "_r0, " in said and "2 of them by an earlier" in said


def test_regions_by_number_are_cut_out_in_one_run(index, tmp_path, capsys):
    words = ("--no-mask", "--keep-burned-in")
    convert(index, tmp_path, "--region", "1", "--region", "0", "--region", "1", *words)
    assert {"00001_r0", "00001_r1", "00002_r0", "00005_r1"} <= set(names(tmp_path))
    assert convert(index, tmp_path / "one", "--region", "1", *words) == 0
    assert {"00001", "00002", "00005"} == set(names(tmp_path / "one"))
    assert convert(index, tmp_path, "--region", "all", "--region", "1") == 2
    assert "allowed are numbers, or auto or all alone" in capsys.readouterr().err


def test_what_is_no_picture_is_cut_out_if_asked(index, tmp_path, capsys):
    assert convert(index, tmp_path, "--keep", "m-mode") == 0
    assert names(tmp_path) == ["00001", "00002", "00004", "00005"]
    [line] = [line for line in lines(tmp_path) if line["name"].endswith("_00004")]
    assert (line["region_index"], line["fan"]) == ("1", "none")
    assert line["review"] == "m-mode: there is no fan, and text within the region stays"
    fields = json.loads((tmp_path / f"{line['name']}.avi.json").read_text())
    assert (fields["data_type"], fields["region_box"]) == ("m-mode", [96, 0, 191, 95])
    assert fields["mm_per_pixel_x"] is None and fields["fan"] is None


def test_an_index_with_other_regions_is_refused(index, tmp_path, capsys):
    for name in ("index.csv", "index.sources.json"):
        text = (index.parent / name).read_text()
        (tmp_path / name).write_text(text.replace('""left""', '""lefter""'))
    assert convert(tmp_path / "index.csv", tmp_path / "out", "--region", "all") == 2
    assert "regions are not those that `index` writes" in capsys.readouterr().err


def test_halves_give_no_clips_and_are_named_with_the_reason(index, tmp_path):
    """Labels are of a video; which of its halves they mean nobody has said."""
    skipped, avi, labels = {}, tmp_path / "avi", tmp_path / "labels"
    convert(index, avi, "--region", "all")
    labels.mkdir()
    rows = [replace(row, labels={"A-line": "1_3"}) for row in read_index(index)]
    for path in (tmp_path / "index.csv", labels / "version1.csv"):
        write_index(path, rows)
    items, _ = gather(tmp_path, LusClipsConfig(name="a"), skipped.__setitem__)
    assert [item.video.data_idx for item in items] == [2, 5]
    assert sorted(skipped.values()) == [
        "m-mode: not a 2-D video",
        "several regions of it are there, allowed is one",
        "spectral: not a 2-D video",
    ]
