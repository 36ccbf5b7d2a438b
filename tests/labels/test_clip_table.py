import csv
from dataclasses import replace
from math import ceil

import numpy as np
import pytest

from tests.labels.test_labels import sheet
from ultrasound_jax.dicom.__main__ import main
from ultrasound_jax.dicom.convert.cine import schedule
from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.dicom.index.table import (
    IndexRow,
    write_index,
)
from ultrasound_jax.dicom.read.timing import FrameTiming
from ultrasound_jax.labels.clip_table import (
    ClipSettings,
    cut,
    reason_against,
    shown_frames,
    stream_clips,
)
from ultrasound_jax.labels.sheet import (
    LabelRow,
    read_sheet,
)
from ultrasound_jax.media.cutting import clip_windows
from ultrasound_jax.types import InputError

NATIVE = ClipSettings(rate=None)


def labelled(**ranges):
    return LabelRow("v1", 2, {name: tuple(found) for name, found in ranges.items()})


# As the original cuts, which also gives clips that lie inside the clip before.
ALL = replace(NATIVE, contained="keep")


def cut_native(row, frames, settings=ALL, ignored=None):
    shown = np.arange(frames)
    return cut(row, shown, settings, ignored=ignored, frames=frames)


@pytest.mark.parametrize("frames", [1, 23, 24, 25, 30, 31, 48, 54, 341])
def test_a_video_gives_as_many_clips_as_it_has_starts(frames):
    clips = cut_native(labelled(), frames)
    assert len(clips) == ceil(frames / 24)
    assert [clip.start for clip in clips] == list(range(0, frames, 24))
    assert all(clip.end == min(clip.start + 30, frames) for clip in clips)


def test_the_originals_arithmetic_comes_out():
    """Section 1.5: step int(30 * 0.8); names carry the true range, counted from 1."""
    assert NATIVE.step == 24
    ids = [clip.clip_id for clip in cut_native(labelled(), 54)]
    assert ids == ["v1_00001_00030", "v1_00025_00054", "v1_00049_00054"]
    assert [ClipSettings(length=n).step for n in (40, 50, 60, 70)] == [32, 40, 48, 56]


@pytest.mark.parametrize(
    ("start", "end"),
    [(1, 1), (30, 30), (31, 31), (25, 40), (24, 24), (54, 54), (3, 50)],
)
def test_a_clip_shows_what_any_of_its_frames_shows(start, end):
    """The original's three conditions, asked of every clip."""
    for clip in cut_native(labelled(a_line=[(start, end)]), 54):
        first, last = clip.start + 1, clip.end
        expected = first <= start <= last or first <= end <= last
        expected = expected or (start <= first and last <= end)
        assert clip.labels.tolist() == [int(expected), 0, 0, 0]


def test_both_kinds_of_b_lines_are_one_pattern():
    (clip,) = cut_native(labelled(confluent_b_line=[(3, 4)]), 20)
    assert clip.labels.tolist() == [0, 1, 0, 0]


def test_the_score_of_a_clip_is_that_of_its_worst_finding():
    row = labelled(
        a_line=[(1, 72)],
        b_line=[(25, 72)],
        confluent_b_line=[(49, 72)],
        pleural_effusion=[(72, 72)],
    )
    clips = cut_native(row, 96, ClipSettings(length=24, overlap=0.0, rate=None))
    assert [clip.score for clip in clips] == [0, 1, 3, 4]
    clips = cut_native(row, 71, ClipSettings(length=24, overlap=0.0, rate=None))
    assert [clip.score for clip in clips] == [0, 1, 2]


def test_a_minimum_overlap_asks_for_so_many_frames():
    settings = replace(ALL, min_overlap=5)
    row = labelled(
        a_line=[(1, 4)], consolidation=[(26, 30)], pleural_effusion=[(49, 51)]
    )
    clips = cut_native(row, 51, settings)
    labels = [clip.labels.tolist() for clip in clips]
    # The last clip is frames 49-51: all that it has is enough.
    assert labels == [[0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_frames_of_one_annotator_make_a_clip_unknown_not_negative():
    row = labelled(a_line=[(1, 10)])
    ignored = labelled(a_line=[(11, 60)], b_line=[(31, 40)])
    clips = cut_native(row, 70, ignored=ignored)
    assert [clip.labels.tolist() for clip in clips] == [
        [1, 0, 0, 0],  # 1-30: sure of the A-line
        [-1, -1, 0, 0],  # 25-54
        [-1, 0, 0, 0],  # 49-70
    ]
    assert [clip.score for clip in clips] == [0, -1, -1]


def test_a_score_is_unknown_only_if_a_doubtful_finding_would_raise_it():
    row, ignored = labelled(consolidation=[(1, 30)]), labelled(b_line=[(1, 30)])
    assert [clip.score for clip in cut_native(row, 20, ignored=ignored)] == [3]
    assert [clip.score for clip in cut_native(ignored, 20, ignored=row)] == [-1]


def test_labels_follow_the_recorded_frames_that_a_clip_shows():
    # 60 Hz to 30 Hz: frames 1, 3, 5, ...; a clip covers 59 recorded frames.
    shown = shown_frames(120, rate=30.0, source_rate=60.0)
    assert shown.tolist() == list(range(0, 120, 2))
    clips = cut(
        labelled(a_line=[(60, 61)], b_line=[(1, 1)], consolidation=[(119, 120)]),
        shown,
        ClipSettings(),
        frames=120,
    )
    assert [(clip.source_start, clip.source_end) for clip in clips] == [
        (1, 59),
        (49, 107),
        (97, 119),
    ]
    assert [clip.labels.tolist() for clip in clips] == [
        [0, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 1, 0],
    ]


def test_a_slow_video_lasts_as_long_in_clips_as_it_did():
    shown = shown_frames(45, rate=30.0, source_rate=15.0)  # the original: 2 s a clip
    assert len(shown) == 90
    assert np.bincount(shown).tolist() == [2] * 45


def test_frames_of_varying_times_are_shown_when_they_were_taken():
    times = np.array([0.0, 0.1, 0.2, 0.6, 0.7])
    assert shown_frames(5, rate=10.0, times=times).tolist() == [0, 1, 2, 2, 2, 3, 3, 4]
    with pytest.raises(InputError, match="5 frame times for a video of 6"):
        shown_frames(6, rate=10.0, times=times)


def test_a_video_without_a_rate_counts_as_30_hz():
    assert shown_frames(40, rate=30.0).tolist() == list(range(40))
    assert shown_frames(1, rate=30.0).tolist() == [0]


@pytest.mark.parametrize("source", [12.5, 30.0, 47.3])
@pytest.mark.parametrize("frames", [1, 2, 61])
def test_labels_and_converted_clips_show_the_same_frames(frames, source):
    for rate in (None, 10.0, 30.0):
        order, _, _ = schedule(FrameTiming(source, "CineRate"), frames, rate)
        shown = shown_frames(frames, rate=rate, source_rate=source)
        np.testing.assert_array_equal(shown, order)
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.1, frames))
    timing = FrameTiming(source, "FrameTimeVector", times)
    order, _, _ = schedule(timing, frames, 30.0)
    shown = shown_frames(frames, rate=30.0, source_rate=source, times=times)
    np.testing.assert_array_equal(shown, order)


@pytest.mark.parametrize("rate", [None, 15.0, 60.0])
def test_streamed_clips_are_those_of_the_whole_video(rate):
    video = np.arange(50, dtype=np.uint8)[:, None, None].repeat(2, 1)
    shown = shown_frames(50, rate=rate, source_rate=30.0)
    windows = clip_windows(len(shown), 10, 8)
    found = list(stream_clips(iter(video), shown, windows))
    assert len(found) == len(windows)
    for clip, (start, end) in zip(found, windows, strict=True):
        np.testing.assert_array_equal(clip, video[shown][start:end])


def test_a_video_that_ends_early_is_noticed():
    windows = clip_windows(50, 10, 8)
    clips = stream_clips(iter(np.zeros((21, 2, 2), np.uint8)), np.arange(50), windows)
    assert len(next(clips)) == len(next(clips)) == 10
    with pytest.raises(InputError, match="only 21 of 50 frames decode"):
        next(clips)


@pytest.mark.parametrize(
    "wrong",
    [{"length": 0}, {"overlap": 1.0}, {"rate": 0.0}, {"min_overlap": 31}],
    ids=str,
)
def test_settings_that_cut_nothing_are_refused(wrong):
    with pytest.raises(InputError, match="allowed"):
        ClipSettings(**wrong)


# The verb.


def indexed(folder, *, key=None):
    """Five files of two patients; one is a still image, one was skipped."""
    patients = [key.patient(n) if key else f"P000000000{n}" for n in "12"]

    def row(patient, idx, frames, **more):
        name = f"{patients[patient]}_{idx:05d}"
        known = {"data_type": "video", "frames": frames, "frame_rate": 30.0}
        return IndexRow(name, patients[patient], data_idx=idx, **(known | more))

    rows = [
        row(0, 1, 54),
        row(0, 2, 25, frame_rate=15.0),
        row(0, 3, 1, data_type="image"),
        row(1, 1, 30),
        IndexRow("F00", status="skipped", reason="no calibrated region"),
    ]
    write_index(folder / "index.csv", rows)
    return [one.video_id for one in rows]


def run(folder, *words):
    files = [folder / "index.csv", folder / "sheet.csv"]
    out = folder / "clips.csv"
    code = main(["clips", *map(str, files), "--out", str(out), *map(str, words)])
    if not out.exists():
        return code, []
    with out.open() as file:
        return code, list(csv.DictReader(file))


def test_the_verb_writes_one_row_a_clip(tmp_path, capsys):
    ids = indexed(tmp_path)
    sheet(tmp_path, f"{ids[0]},,,31_40,,,,,,0", f"{ids[1]},,,,,,25_25,,,3_c")
    code, rows = run(tmp_path)
    assert code == 0
    assert [row["clip_id"].removeprefix(ids[0]) for row in rows[:2]] == [
        "_00001_00030",
        "_00025_00054",
    ]
    assert [row["label_a_line"] for row in rows[:3]] == ["0", "1", "0"]
    assert [row["score"] for row in rows[:2]] == ["4", "0"]
    assert rows[0] == {
        **rows[0],
        "patient_id": "P0000000001",
        "start": "1",
        "end": "30",
        "source_start": "1",
        "source_end": "30",
        "frame_rate": "30",
    }
    # 25 frames of 15 Hz are 50 of 30 Hz.
    assert len(rows) == 2 + 2
    assert [row["source_end"] for row in rows[2:]] == ["15", "25"]
    assert [row["label_consolidation"] for row in rows[2:]] == ["0", "1"]
    said = capsys.readouterr().out
    assert "4 clips of 2 videos of 1 patients; 3 files give none" in said
    assert f"without clips, 1: a still image: {ids[2]}" in said
    assert f"without clips, 1: no row in the labelling sheet: {ids[3]}" in said
    assert "without clips, 1: no calibrated region: F00" in said


def test_videos_that_nobody_annotated_are_skipped_unless_asked_for(tmp_path, capsys):
    ids = indexed(tmp_path)
    sheet(tmp_path, f"{ids[0]},,,1_5,,,,,,0", f"{ids[3]},,,,,,,,,")
    assert {row["video_id"] for row in run(tmp_path)[1]} == {ids[0]}
    assert f"neither a mark nor a score: {ids[3]}" in capsys.readouterr().out
    rows = run(tmp_path, "--blank", "absent")[1]
    assert [row["score"] for row in rows if row["video_id"] == ids[3]] == ["4"]


def test_a_conflict_that_left_nothing_is_no_negative(tmp_path, capsys):
    ids = indexed(tmp_path)
    sheets = [
        sheet(tmp_path, f"{ids[0]},,,{one},,,,,,0", f"{ids[3]},,,1_9,,,,,,0", name=name)
        for one, name in (("1_10", "a.csv"), ("20_30", "b.csv"))
    ]
    words = ["labels", "merge", *map(str, sheets), "--logic", "and", "--out"]
    assert main([*words, str(tmp_path / "sheet.csv")]) == 0
    for blank in ("skip", "absent"):
        code, rows = run(tmp_path, "--blank", blank)
        assert code == 0 and {row["video_id"] for row in rows} == {ids[3]}
        assert (
            f"annotators in conflict, and nothing that both have marked: {ids[0]}"
            in (capsys.readouterr().out)
        )


def test_native_keeps_the_recorded_frames(tmp_path):
    ids = indexed(tmp_path)
    sheet(tmp_path, f"{ids[1]},,,,,,25_25,,,3_c")
    rows = run(tmp_path, "--rate", "native", "--length", "10", "--overlap", "0")[1]
    assert [row["end"] for row in rows] == ["10", "20", "25"]
    assert {row["frame_rate"] for row in rows} == {"15"}


def test_an_ignore_sheet_makes_labels_unknown(tmp_path):
    ids = indexed(tmp_path)
    sheet(tmp_path, f"{ids[0]},,,1_5,,,,,,0")
    ignore = sheet(tmp_path, f"{ids[0]},,,40_41,,,,,,", name="ignore.csv")
    rows = run(tmp_path, "--ignore", ignore)[1]
    assert [row["label_a_line"] for row in rows] == ["1", "-1"]
    rows = run(tmp_path, "--ignore", ignore, "--contained", "keep")[1]
    assert [row["label_a_line"] for row in rows] == ["1", "-1", "0"]


def test_sheets_with_patient_ids_are_matched_by_the_key(tmp_path, capsys):
    key = Pseudonyms.open(tmp_path / "key.json")
    ids = indexed(tmp_path, key=key)
    heading = (
        "PatientID,Data_idx,A-line,B-line,Confluent B-line,Consolidation,"
        "Pleural effusion,Lung Ultrasound Score\n"
    )
    sheet(tmp_path, "2,1,,1_5,,,,1", heading=heading)
    code, rows = run(tmp_path)
    assert (code, rows) == (2, [])
    assert "give --key-file" in capsys.readouterr().err
    code, rows = run(tmp_path, "--key-file", tmp_path / "key.json")
    assert code == 0 and {row["video_id"] for row in rows} == {ids[3]}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--min-overlap", "31"], "minimum overlap is 31"),
        (["--overlap", "1"], "clip overlap is 1.0"),
        (["--key-file", "absent.json"], "no such key file"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(tmp_path, capsys, more, said):
    ids = indexed(tmp_path)
    sheet(tmp_path, f"{ids[0]},,,1_5,,,,,,0")
    assert run(tmp_path, *more) == (2, [])
    err = capsys.readouterr().err
    assert said in err and len(err.splitlines()) == 1


def test_the_index_is_never_written_over(tmp_path, capsys):
    ids = indexed(tmp_path)
    path = sheet(tmp_path, f"{ids[0]},,,1_5,,,,,,0")
    for name in ("index.csv", "sheet.csv"):
        before = (tmp_path / name).read_bytes()
        words = ["clips", str(tmp_path / "index.csv"), str(path), "--out"]
        assert main([*words, str(tmp_path / name)]) == 2
        assert "written over" in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == before


def test_ranges_beyond_a_video_are_refused(tmp_path, capsys):
    ids = indexed(tmp_path)
    sheet(tmp_path, f"{ids[0]},,,50_55,,,,,,0")
    assert run(tmp_path)[0] == 2
    assert "the video has 54 frames" in capsys.readouterr().err


def test_an_index_with_its_labels_filled_in_is_a_sheet(tmp_path):
    ids = indexed(tmp_path)
    text = (tmp_path / "index.csv").read_text().splitlines()
    text[1] = text[1].removesuffix(",,,,,,,") + ',"1_5,7_9",,,,,,0'
    (tmp_path / "sheet.csv").write_text("\n".join(text) + "\n")
    row = read_sheet(tmp_path / "sheet.csv")[0]
    assert (row.video_id, row.frames) == (ids[0], 54)
    assert row.ranges["a_line"] == ((1, 5), (7, 9))
    assert {one["video_id"] for one in run(tmp_path)[1]} == {ids[0]}


@pytest.mark.parametrize("kind", ["spectral", "m-mode"])
def test_what_is_no_2d_video_is_said_by_its_name(kind):
    video = IndexRow("P0000000001_00001", data_type=kind, frames=40)
    assert reason_against(video, labelled(a_line=[(1, 10)])) == (
        f"{kind}: not a 2-D video"
    )
