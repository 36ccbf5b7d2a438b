"""The clips of a phantom's DICOM tree are the phantom's own frames and truth."""

import json
import shutil
from math import ceil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.datasets.made_videos import write_xlsx
from tests.datasets.test_decoded import rle_of_one_bit
from ultrasound_jax.datasets import frame_account
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lus_clips.lus_clips_dataset_builder import Builder
from ultrasound_jax.datasets.lus_phantom.export import READERS, export
from ultrasound_jax.datasets.lus_phantom.lus_phantom_dataset_builder import (
    Builder as Phantom,
)
from ultrasound_jax.dicom.__main__ import main as dicom
from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.labels.findings import (
    COLUMNS,
    PATTERNS,
)
from ultrasound_jax.labels.sheet import (
    LabelRow,
    read_sheet,
)

SIZE, RATE, LENGTH, STEP = 64, 5.0, 5, 4
PHANTOM = {"size": SIZE, "frame_rate": RATE, "patients": 5, "videos": 2, "seed": 4}
# The recorded frames, at the size that they have.
PLAIN = {"size": SIZE, "frame_rate": 0, "clip_frames": LENGTH}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """A folder of DICOM files and sheets, and what is true of them."""
    folder = tmp_path_factory.mktemp("hospital")
    config = Phantom.make_config(**PHANTOM)
    return folder, export(folder, config=config, temporal_patients=2, keep_frames=True)


def built(manual_dir, data_dir, **options):
    builder = Builder(config=Builder.make_config(**options), data_dir=data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(manual_dir))
    )
    return builder


def records(builder):
    source = builder.as_data_source("clips")
    found = [source[place] for place in range(len(source))]
    return sorted(found, key=lambda record: record["example_id"])


def text(record, name):
    return record[name].decode()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def development(hospital, data_dir):
    return built(hospital[0], data_dir, **PLAIN)


@pytest.fixture(scope="module")
def temporal(hospital, data_dir):
    return built(hospital[0], data_dir, part="temporal", **PLAIN)


@pytest.fixture(scope="module")
def truth(hospital, development, temporal):
    """What was filmed, by the pseudonymous id of the video."""
    folder, videos = hospital
    key = Pseudonyms.open(folder / "pseudonyms.json")
    return {f"{key.patient(v.patient_id)}_{v.data_idx:05d}": v for v in videos}


def clips_of(video):
    """A clip, and one more for each step until the last frame is shown."""
    return 1 + max(0, ceil((len(video.frames) - LENGTH) / STEP))


def of_part(truth, part):
    return {name: video for name, video in truth.items() if video.part == part}


def test_what_the_index_knows_of_a_video_goes_with_the_set(development):
    metadata = development.info.metadata
    found, skipped = metadata["found"], metadata["skipped"]
    videos = {text(record, "video_id") for record in records(development)}
    assert found["files"] == len(videos) + len(skipped)
    assert set(found["not_usable"]) <= {one["file"] for one in skipped}
    assert found["patients"] >= metadata["totals"]["patients"]
    assert set(metadata["by_video"]) == videos
    for facts in metadata["by_video"].values():
        assert set(facts) == {"age", "manufacturer", "model"}


def test_every_video_gives_as_many_clips_as_it_has_starts(development, truth):
    found = [text(record, "video_id") for record in records(development)]
    expected = {
        name: clips_of(video) for name, video in of_part(truth, "development").items()
    }
    skipped = {one["file"] for one in development.info.metadata["skipped"]}
    assert {name: found.count(name) for name in set(found)} == {
        name: count for name, count in expected.items() if name not in skipped
    }


def test_clips_show_the_phantoms_own_frames(development, temporal, truth):
    for record in records(development) + records(temporal):
        video = truth[text(record, "video_id")]
        start, length = record["start_frame"], len(record["clip"])
        assert start % STEP == 0 and length == min(LENGTH, len(video.frames) - start)
        filmed = video.frames[start : start + length].astype(int)
        clip = record["clip"][..., 0].astype(int)
        inside = clip.max(axis=0) > 0
        # Stored and converted without loss.
        np.testing.assert_array_equal(clip[:, inside], filmed[:, inside])
        # The mask may shave the fan's rim, not more.
        lost = np.where(inside, 0, filmed).sum() / max(1, filmed.sum())
        assert lost < 0.02


def test_nothing_of_the_screen_around_the_picture_is_left(development, truth):
    for record in records(development):
        outside = truth[text(record, "video_id")].frames.max(axis=0) == 0
        grown = np.pad(outside, 1, constant_values=True)
        deep = np.min(
            [grown[i : i + SIZE, j : j + SIZE] for i in (0, 2) for j in (0, 2)], 0
        )
        assert record["clip"][:, deep.astype(bool)].max(initial=0) <= 1


def expected_labels(row, start, end):
    """By counting, from frame numbers of the recording."""
    parts = {"b_line": ("b_line", "confluent_b_line")}
    shown = set(range(start + 1, end + 1))
    return [
        int(
            any(
                shown & set(range(first, last + 1))
                for part in parts.get(pattern, (pattern,))
                for first, last in row.ranges[part]
            )
        )
        for pattern in PATTERNS
    ]


def test_labels_of_the_temporal_set_are_the_experts_and_the_readers(
    hospital, temporal, truth
):
    key = Pseudonyms.open(hospital[0] / "pseudonyms.json")
    sheets = [
        {
            row.video_id: row
            for row in read_sheet(
                hospital[0] / "temporal" / "labels" / f"{reader}.csv",
                patient_name=key.patient,
            )
        }
        for reader in READERS["temporal"]
    ]
    found = records(temporal)
    assert len(found) == sum(
        clips_of(video) for video in of_part(truth, "temporal").values()
    )
    differ = 0
    for record in found:
        name, start = text(record, "video_id"), record["start_frame"]
        end = start + len(record["clip"])
        marks = truth[name].marks
        assert record["labels"].tolist() == expected_labels(
            LabelRow(name, 1, marks), start, end
        )
        for column, rows in zip(
            ("labels", "labels_reader1", "labels_reader2"), sheets, strict=True
        ):
            labels = expected_labels(rows[name], start, end)
            assert record[column].tolist() == labels
            differ += column != "labels" and labels != record["labels"].tolist()
    assert differ  # or the readers' columns could be copies


def two_sheets(folder, truth):
    sheets = folder / "development" / "labels"
    key = Pseudonyms.open(folder / "pseudonyms.json")
    return [
        {
            row.video_id: row
            for row in read_sheet(
                sheets / f"annotator_{number}.csv", patient_name=key.patient
            )
        }
        for number in (1, 2)
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_a_label_version_is_what_both_or_either_marked(
    hospital, development, truth, data_dir, version
):
    builder = development
    if version == 2:
        builder = built(hospital[0], data_dir, label_version=2, **PLAIN)
    first, second = two_sheets(hospital[0], truth)
    for record in records(builder):
        name, start = text(record, "video_id"), record["start_frame"]
        one, two = first[name].pattern_frames, second[name].pattern_frames
        if version == 1:
            raw = [row[name].finding_frames for row in (first, second)]
            both = {finding: raw[0][finding] & raw[1][finding] for finding in COLUMNS}
            expected = LabelRow(
                name, 1, {f: tuple((n, n) for n in sorted(both[f])) for f in both}
            ).pattern_frames
        else:
            expected = {pattern: one[pattern] | two[pattern] for pattern in PATTERNS}
        numbers = range(start + 1, start + len(record["clip"]) + 1)
        frames = [[int(n in expected[p]) for p in PATTERNS] for n in numbers]
        assert record["pattern_frames"].tolist() == frames
        assert record["labels"].tolist() == np.max(frames, axis=0).tolist()


def test_frames_of_one_annotator_may_be_ignored(hospital, development, data_dir):
    ignoring = built(hospital[0], data_dir, one_sided="ignore", **PLAIN)
    plain = {text(record, "example_id"): record for record in records(development)}
    unknown = 0
    for record in records(ignoring):
        labels = record["labels"]
        unknown += np.sum(labels == -1)
        if text(record, "example_id") in plain:
            before = plain[text(record, "example_id")]["labels"]
            assert np.all((labels == before) | ((labels == -1) & (before == 0)))
    assert unknown
    counted = ignoring.info.metadata["unknown"]
    assert sum(seen["clips"] for seen in counted.values()) == unknown


def test_merged_sheets_are_taken_as_they_are(hospital, development, tmp_path):
    """What `labels merge` writes gives what the two sheets give."""
    folder, part = hospital[0], tmp_path / "development"
    (part / "labels").mkdir(parents=True)
    for name in ("index.csv", "index.sources.json"):
        shutil.copy(folder / "development" / name, part)
    sheets = [folder / "development" / "labels" / f"annotator_{n}.csv" for n in (1, 2)]
    words = ["labels", "merge", *sheets, "--key-file", folder / "pseudonyms.json"]
    words += ["--logic", "and", "--out", part / "labels" / "version1.csv"]
    words += ["--ignore-out", part / "labels" / "ignore.csv"]
    assert dicom([str(word) for word in words]) == 0
    merged = built(tmp_path, tmp_path / "data", one_sided="ignore", **PLAIN)
    found = {text(one, "example_id"): one["labels"].tolist() for one in records(merged)}
    again = built(folder, tmp_path / "again", one_sided="ignore", **PLAIN)
    assert found == {
        text(one, "example_id"): one["labels"].tolist() for one in records(again)
    }


def test_what_gives_no_clips_is_named_with_the_reason(hospital, development, truth):
    skipped = development.info.metadata["skipped"]
    reasons = [one["reason"] for one in skipped]
    assert reasons.count("a still image") == 3
    assert reasons.count("no ultrasound region") == 3
    assert sum(reason.startswith("duplicate") for reason in reasons) == 3
    videos = len(of_part(truth, "development"))
    conflicts = [r for r in reasons if r.startswith("annotators in conflict")]
    assert development.info.metadata["totals"]["videos"] == videos - len(conflicts)


def test_no_name_of_the_hospital_is_in_the_records(hospital, development):
    folder, videos = hospital
    names = {video.patient_id.encode() for video in videos} | {str(folder).encode()}
    for path in development.data_path.iterdir():
        content = path.read_bytes()
        assert not [name for name in names if name in content], path.name
    for record in records(development):
        assert not any(name in str(record).encode() for name in names)


def test_records_know_scale_and_time(development, truth):
    for record in records(development):
        video = truth[text(record, "video_id")]
        assert record["frame_rate"] == pytest.approx(RATE)
        assert record["pixel_mm"] == pytest.approx(video.pixel_mm, rel=1e-4)
        assert record["source_start"] == record["start_frame"] + 1
        assert record["source_end"] == record["start_frame"] + len(record["clip"])


def test_resampling_and_padding_are_options(hospital, data_dir, truth):
    builder = built(
        hospital[0],
        data_dir,
        part="temporal",
        size=32,
        frame_rate=2 * RATE,
        clip_frames=2 * LENGTH,
        tail="duplicate",
    )
    found = records(builder)
    assert {record["clip"].shape for record in found} == {(10, 32, 32, 1)}
    assert {record["pattern_frames"].shape for record in found} == {(10, 4)}
    videos = of_part(truth, "temporal").values()
    assert len(found) == sum(
        1 + max(0, ceil((2 * len(video.frames) - 10) / 8)) for video in videos
    )
    for record in found:  # every recorded frame is shown twice
        video = truth[text(record, "video_id")]
        assert record["pixel_mm"] == pytest.approx(2 * video.pixel_mm, rel=1e-4)
        if len(video.frames) * 2 - record["start_frame"] >= 10:
            clip = record["clip"]
            np.testing.assert_array_equal(clip[0::2], clip[1::2])


def test_converted_videos_give_the_same_clips(hospital, temporal, tmp_path):
    """From index, AVIs and merged sheets: what can be given away, without DICOM."""
    folder = hospital[0] / "temporal"
    away = tmp_path / "away"
    out = away / "avi"
    words = ["convert", folder / "index.csv", "--to", "avi", "--size", SIZE]
    assert dicom([*map(str, words), "--rate", "native", "--out", str(out)]) == 0
    shutil.copy(folder / "index.csv", away)
    shutil.copytree(folder / "labels", away / "labels")
    shutil.copy(hospital[0] / "pseudonyms.json", away)
    again = built(away, tmp_path / "data", part="temporal", **PLAIN)
    found, before = records(again), records(temporal)
    assert len(found) == len(before)
    for one, two in zip(found, before, strict=True):
        assert one.keys() == two.keys()
        np.testing.assert_array_equal(one["clip"], two["clip"])
        np.testing.assert_array_equal(one["labels"], two["labels"])
        assert one["pixel_mm"] == pytest.approx(two["pixel_mm"], rel=1e-4)
    with pytest.raises(DatasetError, match="converted with grey='luminance', allowed"):
        built(away, tmp_path / "red", part="temporal", grey="red", **PLAIN)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sise": 64}, "no option 'sise'"),
        ({"size": 7}, "from 8 to 1024"),
        ({"part": "test"}, "development, temporal"),
        ({"mask": 1}, "True or False"),
        ({"one_sided": "ignore", "label_version": 2}, "label_version=1"),
        ({"part": "temporal", "label_version": 2}, "belong to part='development'"),
        ({"min_overlap": 31}, "at most the clip_frames=30"),
    ],
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(DatasetError, match=said):
        Builder.make_config(**options)


def test_a_config_is_named_after_what_it_changes():
    names = [
        Builder.make_config(**options).name
        for options in (
            {},
            {"part": "temporal"},
            {"label_version": 2, "tail": "duplicate", "grey": "red", "mask": False},
            {"one_sided": "ignore", "frame_rate": 0, "size": 112, "overlap": 0.5},
        )
    ]
    assert names == [
        "development",
        "temporal",
        "development_v2_duplicate_red_nomask",
        "development_ignore_112px_native_overlap0p5",
    ]


def test_missing_files_are_named(hospital, development, tmp_path):
    (tmp_path / "empty" / "x").mkdir(parents=True)
    with pytest.raises(DatasetError, match="no such folder: .*labels"):
        built(tmp_path / "empty", tmp_path / "data", **PLAIN)
    one = tmp_path / "one" / "development"
    (one / "labels").mkdir(parents=True)
    for name in ("index.csv", "index.sources.json", "labels/annotator_1.csv"):
        shutil.copy(hospital[0] / "development" / name, one / name)
    with pytest.raises(DatasetError, match="1 other sheets, allowed are the two"):
        built(tmp_path / "one", tmp_path / "data", **PLAIN)


def test_a_damaged_recording_costs_its_own_clips_only(hospital, temporal, tmp_path):
    shutil.copytree(hospital[0] / "temporal", tmp_path / "temporal")
    shutil.copy(hospital[0] / "pseudonyms.json", tmp_path)
    index = tmp_path / "temporal" / "index.sources.json"
    tree = json.loads(index.read_text())
    video = text(records(temporal)[0], "video_id")
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes(b"not a recording")
    tree["files"][video] = str(damaged)
    index.write_text(json.dumps(tree))
    builder = built(tmp_path, tmp_path / "data", part="temporal", **PLAIN)
    left = {text(record, "video_id") for record in records(builder)}
    assert video not in left and left
    reasons = {s["file"]: s["reason"] for s in builder.info.metadata["skipped"]}
    assert reasons[video] and str(tmp_path) not in reasons[video]


def test_a_recording_that_kills_its_decoder_costs_its_own_clips_only(
    hospital, temporal, tmp_path
):
    """Run-length coding of one bit a pixel makes GDCM end the process."""
    shutil.copytree(hospital[0] / "temporal", tmp_path / "temporal")
    shutil.copy(hospital[0] / "pseudonyms.json", tmp_path)
    index = tmp_path / "temporal" / "index.sources.json"
    tree = json.loads(index.read_text())
    video = text(records(temporal)[0], "video_id")
    tree["files"][video] = str(rle_of_one_bit(tmp_path / "Doe.dcm"))
    index.write_text(json.dumps(tree))
    builder = built(tmp_path, tmp_path / "data", part="temporal", **PLAIN)
    left = {text(record, "video_id") for record in records(builder)}
    assert video not in left and left
    reasons = {s["file"]: s["reason"] for s in builder.info.metadata["skipped"]}
    assert reasons[video] == "decoder crashed (signal 6)"


def test_black_frames_are_listed(temporal):
    assert temporal.info.metadata["black_frames"] == {}
    assert temporal.info.metadata["withheld_frames"] == {}
    video = {"black_frames": [3, 4, 9], "withheld_frames": [[7, "flat"]]}
    video |= {"damaged_frames": [], "review": ["look"], "notes": []}
    about = frame_account.account([("P1_00001", video), ("P2_00001", video)])
    assert about["black_frames"] == {"P1_00001": [3, 4, 9], "P2_00001": [3, 4, 9]}
    assert frame_account.lines(about) == [
        "6 black frames in 2 videos",
        "black P1_00001: 3-4, 9",
        "black P2_00001: 3-4, 9",
        "2 withheld frames in 2 videos",
        "withheld P1_00001: 7",
        "withheld P2_00001: 7",
        "2 reasons to look before it is given away",
        "review P1_00001: look",
        "review P2_00001: look",
    ]


@pytest.mark.parametrize(
    "where",
    ["walk.avi", "development/avi/a.avi", "development/dicom/b.mp4", "videos/c.MOV"],
)
@pytest.mark.parametrize("labels", [True, False])
def test_videos_without_dicom_files_are_led_to_their_own_dataset(
    tmp_path, where, labels
):
    path = tmp_path / "manual" / where
    path.parent.mkdir(parents=True)
    path.write_bytes(b"RIFF\0\0\0\0AVI LIST")
    if labels:
        (tmp_path / "manual/development/labels").mkdir(parents=True)
        if not where.startswith("development"):
            path.rename(tmp_path / "manual/development" / path.name)
    with pytest.raises(DatasetError, match="the dataset `videos`: docs/own_videos.md"):
        built(tmp_path / "manual", tmp_path / "data")


def test_an_index_of_nothing_but_videos_leads_there_as_well(tmp_path):
    folder = tmp_path / "manual/development"
    (folder / "labels").mkdir(parents=True)
    (folder / "films").mkdir()
    (folder / "films/walk.avi").write_bytes(b"RIFF\0\0\0\0AVI LIST" + b"\0" * 200)
    words = ["index", folder / "films", "--out", folder / "index.csv"]
    dicom([str(word) for word in words])
    with pytest.raises(DatasetError, match="the dataset `videos`"):
        built(tmp_path / "manual", tmp_path / "data")


def test_a_stray_film_beside_an_index_is_no_reason_to_refuse(
    hospital, development, tmp_path
):
    folder = tmp_path / "development"
    shutil.copytree(hospital[0] / "development", folder)
    shutil.copy(hospital[0] / "pseudonyms.json", tmp_path)
    (folder / "talk.mp4").write_bytes(b"RIFF\0\0\0\0AVI LIST")
    again = built(tmp_path, tmp_path / "data", **PLAIN)
    assert again.info.metadata["totals"] == development.info.metadata["totals"]


def test_annotators_sheets_may_be_workbooks(hospital, development, tmp_path):
    folder = tmp_path / "development"
    shutil.copytree(hospital[0] / "development", folder)
    shutil.copy(hospital[0] / "pseudonyms.json", tmp_path)
    for path in sorted((folder / "labels").glob("annotator_*.csv")):
        text = path.read_text(encoding="utf-8")
        rows = [line.split(",") for line in text.splitlines() if '"' not in line]
        if len(rows) == len(text.splitlines()):
            write_xlsx(path.with_suffix(".xlsx"), rows)
            path.unlink()
    assert list((folder / "labels").glob("*.xlsx"))
    again = built(tmp_path, tmp_path / "data", **PLAIN)
    assert again.info.metadata["positives"] == development.info.metadata["positives"]
