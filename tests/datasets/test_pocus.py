import json
import os
import subprocess
import sys
from math import ceil
from pathlib import Path

import av
import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.dicom import scans
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.pocus.pocus_dataset_builder import Builder
from ultrasound_jax.media.writers import write_avi

REPO = Path(__file__).parents[2]
SHARED = Path(os.environ.get("ULTRASOUND_JAX_DATA") or REPO.parent / "shared" / "data")
TINY = {"size": 16, "frame_rate": 10}
SHEET = (
    b"Filename,URL (Video Name),Patient ID / Name,License,Lung Severity Score,"
    b"Effusion,Consolidations,B-lines,A-lines\n"
    b"Cov_a.mp4,,1,CC BY 4.0,2,0,1,1,0\n"
    b"Pneu_b,,1,CC BY-NC -SA 4.0,,,1,0,0\n"
    b"Reg-c,,2,CC BY 4.0,0,https://example.org/video.zip,0,0,1\n"
    b"Vir_d,,3,CC BY 4.0,3,1,0,1,0\n"
    b"Reg_broken,,4,CC BY 4.0,0,0,0,0,1\n"
) + "Cov_M\xfcller,,5,CC BY 4.0,1,0,0,0,0\n".encode("cp1252")


def film(path, frames, rate, codec="mpeg4", pixels="yuv420p", black=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = 24, 32, pixels
        for index in range(frames):
            level = 0 if index in black else 40 + 4 * index
            image = np.full((24, 32, 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode())


def tree(root):
    """Four films of 2.5, 1, 0.9 and 0.6 s, a broken one, and a stray file."""
    videos = root / "data" / "pocus_videos"
    film(videos / "convex" / "Cov_a.mp4", 50, 20)
    film(videos / "convex" / "Pneu_b.avi", 30, 30)
    film(videos / "convex" / "Reg-c.gif", 9, 10, "gif", "rgb8")
    film(videos / "linear" / "Vir_d.mp4", 15, 25)
    (videos / "convex" / "Reg_broken.mp4").write_bytes(b"not a film" * 50)
    (videos / "convex" / "notes.txt").write_text("a stray file", encoding="utf-8")
    (videos / ".DS_Store").write_bytes(b"hidden")
    (root / "data" / "dataset_metadata.csv").write_bytes(SHEET)


def built(manual_dir, data_dir, **options):
    builder = Builder(config=Builder.make_config(**options), data_dir=data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
    )
    return builder


def records(builder):
    source = builder.as_data_source("clips")
    found = [source[index] for index in range(len(source))]
    return sorted(found, key=lambda record: record["example_id"])


def text(record, name):
    return record[name].decode()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pocus")
    tree(folder / "manual" / "pocus")
    return built(folder / "manual", folder / "data", **TINY)


@pytest.fixture(scope="module")
def by_video(tiny):
    ids = {name: one for one, name in tiny.info.metadata["videos"].items()}
    found = records(tiny)
    return {
        name.split("/")[-1]: [r for r in found if text(r, "video_id") == ids[name]]
        for name in ids
    }


def test_clips_of_a_second_overlap_by_a_fifth(by_video):
    starts = [record["start_frame"] for record in by_video["Cov_a.mp4"]]
    assert starts == [0, 8, 16]


def test_tails_have_their_true_length(by_video):
    lengths = [len(record["clip"]) for record in by_video["Cov_a.mp4"]]
    assert lengths == [10, 10, 9]
    assert [len(r["clip"]) for r in by_video["Reg-c.gif"]] == [9]


def test_clips_inside_the_clip_before_can_be_kept_as_in_the_original(tmp_path):
    tree(tmp_path)
    builder = built(tmp_path, tmp_path / "out", **TINY, contained="keep")
    lengths = [len(record["clip"]) for record in records(builder)]
    assert lengths.count(1) == 2 and builder.info.metadata["totals"]["clips"] == 9


def test_clips_show_what_was_filmed_then(by_video):
    for record in by_video["Cov_a.mp4"]:
        shown = record["clip"][:, 8, 8, 0].astype(int)
        filmed = 40 + 4 * 2 * (record["start_frame"] + np.arange(len(shown)))
        assert np.abs(shown - filmed).max() <= 6
        assert record["clip"][:, :2].max() <= 2  # the letterbox of 32 x 24


def test_records_carry_labels_and_where_they_come_from(by_video):
    record = by_video["Vir_d.mp4"][0]
    assert record["labels"].tolist() == [0, 1, 0, 1]
    assert record["labels"].dtype == np.int8
    assert record["severity"] == 3
    assert record["frame_rate"] == pytest.approx(10)
    assert record["clip"].shape == (6, 16, 16, 1) and record["clip"].dtype == np.uint8
    assert text(record, "example_id") == text(record, "video_id") + "_0000"
    assert text(by_video["Pneu_b.avi"][0], "licence") == "CC BY-NC-SA 4.0"


def test_class_names_are_read_back(tiny, by_video):
    record, features = by_video["Vir_d.mp4"][0], tiny.info.features
    assert features["diagnosis"].int2str(record["diagnosis"]) == "viral"
    assert features["probe"].int2str(record["probe"]) == "linear"


def test_cells_without_a_label_are_not_annotated(by_video):
    assert by_video["Pneu_b.avi"][0]["labels"].tolist() == [0, 0, 1, -1]
    assert by_video["Reg-c.gif"][0]["labels"].tolist() == [1, 0, 0, -1]


def test_one_patient_keeps_one_id(by_video):
    patient = {name: text(found[0], "patient_id") for name, found in by_video.items()}
    assert patient["Cov_a.mp4"] == patient["Pneu_b.avi"] == "D001"
    assert len(set(patient.values())) == 3


def test_unusable_files_are_named_with_the_reason(tiny):
    skipped = {skip["file"]: skip["reason"] for skip in tiny.info.metadata["skipped"]}
    assert set(skipped) == {"convex/Reg_broken.mp4", "convex/notes.txt"}
    assert skipped["convex/Reg_broken.mp4"].startswith("not a video")
    assert "Cov, Pneu, Reg, Vir" in skipped["convex/notes.txt"]


def test_the_metadata_counts_what_was_built(tiny):
    metadata = tiny.info.metadata
    assert metadata["totals"] == {"clips": 6, "videos": 4, "patients": 3}
    assert metadata["positives"]["b_line"] == {"clips": 4, "videos": 2, "patients": 2}
    assert metadata["unknown"]["pleural_effusion"]["videos"] == 2
    assert len(metadata["label_notes"]) == 3  # two cells, and the absent groups.csv


def test_the_metadata_is_what_a_reader_needs(tiny):
    saved = json.loads((tiny.data_path / "metadata.json").read_text(encoding="utf-8"))
    assert saved == dict(tiny.info.metadata)
    assert saved["classes"] == ["a_line", "b_line", "consolidation", "pleural_effusion"]
    assert (saved["clip_frames"], saved["size"], saved["frame_rate"]) == (10, 16, 10.0)


def test_black_frames_are_listed(tiny, tmp_path, caplog):
    assert tiny.info.metadata["black_frames"] == {}
    tree(tmp_path / "pocus")
    path = tmp_path / "pocus" / "data" / "pocus_videos" / "convex" / "Cov_a.mp4"
    film(path, 50, 20, black=(5, 6, 20))
    with caplog.at_level("INFO", logger="absl"):
        builder = built(tmp_path, tmp_path / "out", **TINY)
    saved = json.loads((builder.data_path / "metadata.json").read_text("utf-8"))
    assert saved["black_frames"] == {"convex/Cov_a.mp4": [6, 7, 21]}
    assert "black convex/Cov_a.mp4: 6-7, 21" in caplog.text
    assert len(records(builder)) == len(records(tiny))


def test_a_mask_is_an_option(tmp_path):
    tree(tmp_path / "pocus")
    videos = tmp_path / "pocus" / "data" / "pocus_videos"
    clip, fan = scans.phantom(3, 160, 12)
    marks = np.where(scans.grown(fan, 8), 0, scans.burned_in(160))
    write_avi(videos / "convex" / "Cov_a.avi", np.maximum(clip, marks), 20.0)
    (videos / "convex" / "Cov_a.mp4").unlink()
    whole = built(tmp_path, tmp_path / "out", size=160, frame_rate=20)
    masked = built(tmp_path, tmp_path / "out", size=160, frame_rate=20, mask=True)
    assert masked.builder_config.name == "160px_20hz_1s_mask"
    for builder, shown in ((whole, 230), (masked, 0)):
        ids = {name: one for one, name in builder.info.metadata["videos"].items()}
        of_film = [
            one["clip"][..., 0]
            for one in records(builder)
            if text(one, "video_id") == ids["convex/Cov_a.avi"]
        ]
        assert max(one[:, marks > 100].max() for one in of_film) >= shown
        assert shown or max(one[:, marks > 100].max() for one in of_film) == 0


def test_records_are_kept_in_array_records(tiny):
    assert [p.name for p in tiny.data_path.glob("*-of-*")] == [
        "pocus-clips.array_record-00000-of-00001"
    ]


def test_a_clip_is_read_without_a_copy(tiny):
    clip = tiny.as_data_source("clips")[0]["clip"]
    assert not clip.flags.writeable and not clip.flags.owndata


def test_groups_csv_names_the_patients(tmp_path):
    tree(tmp_path)
    (tmp_path / "groups.csv").write_text(
        "path,group\nx/Cov_a.mp4,G007\nx/Pneu_b.avi,G007\nx/Reg-c.gif,G002\n",
        encoding="utf-8",
    )
    builder = built(tmp_path, tmp_path / "out", **TINY)  # the folder of `data` itself
    assert {text(r, "patient_id") for r in records(builder)} == {"G007", "G002", "D004"}


def test_duplicate_tails_are_full_of_the_last_frame(tmp_path):
    tree(tmp_path)
    clips = [
        r["clip"]
        for r in records(
            built(tmp_path, tmp_path / "o", tail="duplicate", contained="keep")
        )
    ]
    assert {len(clip) for clip in clips} == {10}
    assert any((clip == clip[:1]).all() for clip in clips)


def test_two_builds_are_equal(tiny, tmp_path):
    tree(tmp_path / "pocus")
    again = records(built(tmp_path, tmp_path / "out", **TINY))
    for one, other in zip(records(tiny), again, strict=True):
        assert one["example_id"] == other["example_id"]
        assert np.array_equal(one["clip"], other["clip"])


def test_a_folder_without_the_set_is_refused_with_where_it_was_sought(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(
        DatasetError, match=r"pocus/data/pocus_videos nor .*pocus_videos"
    ):
        built(tmp_path, tmp_path / "out")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="missing or empty"):
        built(tmp_path / "none", tmp_path / "out")


def test_a_set_without_a_usable_file_is_refused_and_leaves_nothing(tmp_path):
    tree(tmp_path / "pocus")
    videos = tmp_path / "pocus" / "data" / "pocus_videos"
    for path in videos.rglob("*.*"):
        if path.suffix in (".mp4", ".avi", ".gif"):
            path.write_bytes(b"broken")
    with pytest.raises(DatasetError, match="none of 6 files is usable"):
        built(tmp_path, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*array_record*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": 64}, "no option 'sizes', allowed: size, frame_rate"),
        ({"size": 4}, "size=4, allowed: a whole number from 8 to 1024"),
        ({"size": 64.5}, "size=64.5"),
        ({"frame_rate": "fast"}, "frame_rate='fast', allowed: a number"),
        ({"frame_rate": float("nan")}, "frame_rate=nan"),
        ({"overlap": 1.0}, "overlap=1.0, allowed"),
        ({"clip_seconds": True}, "clip_seconds=True"),
        ({"tail": "black"}, "tail='black', allowed: length, duplicate"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options, message):
    with pytest.raises(DatasetError) as refused:
        Builder.make_config(**options)
    assert message in str(refused.value)


def test_different_options_never_share_a_name():
    options = [
        {},
        {"size": 64},
        {"frame_rate": 12.5},
        {"clip_seconds": 2},
        {"overlap": 0.5},
        {"tail": "duplicate"},
        {"size": 256, "frame_rate": 30},
    ]
    names = [Builder.make_config(**one).name for one in options]
    assert len(set(names)) == len(names)
    assert names[0] == "112px_10hz_1s" and names[-1] == "256px_30hz_1s"


def test_a_shipped_config_can_be_made_from_its_options(tmp_path):
    config = Builder.make_config(size=256, frame_rate=30)
    assert Builder(config=config, data_dir=tmp_path).builder_config.clip_frames == 30


def test_reading_needs_no_tensorflow(tiny):
    program = (
        "import sys, tensorflow_datasets as tfds\n"
        f"builder = tfds.builder_from_directory({str(tiny.data_path)!r})\n"
        "source = builder.as_data_source('clips')\n"
        "assert source[0]['clip'].shape[1:] == (16, 16, 1)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@pytest.mark.slow
def test_the_tfds_command_builds_it(tmp_path):
    tree(tmp_path / "pocus")
    command = [
        str(Path(sys.executable).parent / "tfds"),
        "build",
        "ultrasound_jax/datasets/pocus",
        f"--manual_dir={tmp_path}",
        f"--data_dir={tmp_path / 'out'}",
        "--config=112px_10hz_1s",
    ]
    subprocess.run(command, check=True, cwd=REPO, timeout=300)
    written = (tmp_path / "out" / "pocus" / "112px_10hz_1s").rglob("*.array_record-*")
    assert len(list(written)) == 1


@pytest.mark.shared_data
@pytest.mark.slow
def test_the_real_set_is_built_whole(tmp_path):
    if not (SHARED / "pocus").is_dir():
        pytest.skip("set ULTRASOUND_JAX_DATA to the folder with pocus/data")
    builder = built(SHARED, tmp_path)
    metadata = builder.info.metadata
    assert metadata["totals"]["videos"] == 131 and metadata["skipped"] == []
    seen = {name: count["videos"] for name, count in metadata["positives"].items()}
    assert list(seen.values()) == [12, 24, 39, 15]
    ends, clips = {}, {}
    for record in records(builder):
        video = record["video_id"]
        end = record["start_frame"] + len(record["clip"])
        ends[video] = max(end, ends.get(video, 0))
        clips[video] = clips.get(video, 0) + 1
    assert all(
        clips[video] == 1 + max(0, ceil((ends[video] - 10) / 8)) for video in clips
    )
