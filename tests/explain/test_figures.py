"""The files of a video: there, whole, of the right length, and the same again."""

import csv
import json
from xml.etree import ElementTree

import av
import cv2
import numpy as np
import pytest

from tests.explain import small
from ultrasound_jax.explain.draw.annotated_video import write_mp4
from ultrasound_jax.explain.draw.page import Page
from ultrasound_jax.explain.draw.style import unit_scale
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see.frame_weights import (
    ATTENTION,
    ROLLOUT,
    FrameWeights,
)
from ultrasound_jax.explain.see.views import (
    ClipView,
    VideoView,
)


def seen(footage, kind="Grad-CAM", rows=4):
    rng = np.random.default_rng(1)
    clips = []
    for clip in footage.clips:
        length = len(clip.frames)
        heads = 1 + 0.2 * rng.standard_normal((4, 2, length))
        weights = FrameWeights(ATTENTION, heads)
        maps = rng.random((rows, length, 2, 2))
        clips.append(ClipView(clip, rng.random(4), weights, maps))
    return VideoView("run", footage, tuple(clips), kind)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    (folder / "clips").mkdir()
    view = seen(small.footage(lengths=(4, 3)))
    Page(folder, view, (0, 2), 3).write(videos=True)
    return folder, view


def test_every_file_is_there_and_nothing_else(written):
    folder, _ = written
    figures = ["attention", "top_frames", "map"]
    names = {f"{name}.{kind}" for name in figures for kind in ("png", "svg")}
    names |= {"attention.mp4", "map.mp4", "attention.csv", "about.json", "clips"}
    assert {path.name for path in folder.iterdir()} == names
    clips = {
        f"{start}_{what}.{kind}"
        for start in ("00000", "00003")
        for what in ("attention", "frames")
        for kind in ("png", "svg")
    }
    assert {path.name for path in (folder / "clips").iterdir()} == clips


def test_pictures_can_be_read_and_say_what_they_show(written):
    folder, _ = written
    for path in folder.rglob("*.png"):
        picture = cv2.imread(str(path))
        assert picture.std() > 5
    for path in folder.rglob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")  # noqa: S314


@pytest.mark.parametrize("name", ["attention", "map"])
def test_a_video_has_a_picture_a_frame_at_the_films_rate(written, name):
    folder, view = written
    with av.open(str(folder / f"{name}.mp4")) as container:
        stream = container.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode()]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == view.footage.frame_rate
    assert len(pictures) == view.footage.length
    assert np.abs(np.diff(np.stack(pictures).astype(int), axis=0)).max() > 50


def test_the_table_holds_each_clips_values_of_the_chosen_patterns(written):
    folder, view = written
    rows = list(csv.DictReader((folder / "attention.csv").read_text().splitlines()))
    assert {row["pattern"] for row in rows} == {"a_line", "consolidation"}
    assert len(rows) == 2 * 2 * (4 + 3)
    last = rows[-1]
    assert (last["example_id"], last["frame"], last["head"]) == ("V0_0003", "6", "1")
    wanted = view.clips[1].weights.heads[2, 1, 2]
    assert float(last["value"]) == pytest.approx(wanted, rel=1e-5)


def test_what_was_looked_at_is_told(written):
    about = json.loads((written[0] / "about.json").read_text())
    assert about["split"] == "test"
    assert about["maps"] == "Grad-CAM"
    assert about["map_cells"] == [2, 2] and about["maps_show_where"] is False
    assert about["frame_labels"] is True
    assert about["facts"]["commit"]


def test_a_map_that_all_patterns_share_is_drawn_once(tmp_path):
    (tmp_path / "clips").mkdir()
    view = seen(small.footage(lengths=(4,)), ROLLOUT, rows=1)
    Page(tmp_path, view, (1,), 2).write(videos=False)
    text = (tmp_path / "about.json").read_text()
    assert ROLLOUT in text
    assert not list(tmp_path.glob("*.mp4"))


def test_the_same_view_gives_the_same_bytes(tmp_path):
    view = seen(small.footage(lengths=(3,)))
    for name in ("first", "second"):
        (tmp_path / name / "clips").mkdir(parents=True)
        Page(tmp_path / name, view, (1,), 1).write(videos=False)
    for name in ("attention.svg", "attention.csv", "map.png"):
        one, other = (tmp_path / folder / name for folder in ("first", "second"))
        assert one.read_bytes() == other.read_bytes()


def test_maps_are_scaled_by_the_patterns_highest_and_nothing_stays_nothing():
    maps = np.stack([np.array([[2.0, np.nan], [1.0, 0.0]]), np.zeros((2, 2))])
    np.testing.assert_allclose(unit_scale(maps)[0], [[1, 0], [0.5, 0]])
    assert not unit_scale(maps)[1].any()


def test_a_video_without_frames_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ExplainError, match="without frames"):
        write_mp4(tmp_path / "empty.mp4", [], 10.0)
    assert not list(tmp_path.iterdir())
