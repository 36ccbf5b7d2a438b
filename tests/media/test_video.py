import os
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ultrasound_jax.media import video
from ultrasound_jax.media.video import read_video
from ultrasound_jax.types import InputError

SHARED = Path(
    os.environ.get("ULTRASOUND_JAX_DATA")
    or Path(__file__).parents[2].parent / "shared" / "data"
)


def ramp(frames=12, height=48, width=64, value=None):
    """Smooth grey frames that brighten over time, so that codecs keep them nearly."""
    rows = np.linspace(20, 180, height)[:, None] + np.linspace(0, 40, width)
    clip = [
        rows + 2 * t if value is None else np.full_like(rows, value)
        for t in range(frames)
    ]
    return np.rint(np.stack(clip)).astype(np.uint8)


def write(path, clip, rate=20, codec="mpeg4", pixels="yuv420p", ticks=None, full=False):
    """Encode grey frames; `ticks` are presentation times in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = clip.shape[1:]
        stream.pix_fmt = pixels
        if codec in ("mpeg4", "mjpeg"):
            stream.codec_context.bit_rate = 8_000_000
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, image in enumerate(clip):
            frame = av.VideoFrame.from_ndarray(
                np.stack([image] * 3, -1), format="rgb24"
            )
            frame = frame.reformat(format=pixels, dst_color_range=2 if full else 1)
            if ticks is not None:
                frame.pts, frame.time_base = ticks[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [
        (".mp4", "mpeg4", "yuv420p"),
        (".mov", "mpeg4", "yuv420p"),
        (".mpeg", "mpeg2video", "yuv420p"),
        (".mkv", "ffv1", "yuv444p"),
    ],
)
def test_every_container_gives_the_frames_that_went_in(tmp_path, suffix, codec, pixels):
    clip = ramp()
    video = read_video(write(tmp_path / f"a{suffix}", clip, 25, codec, pixels))
    assert video.frames.shape == clip.shape
    assert video.decoder == "pyav" and video.damaged == 0
    assert video.frame_rate == pytest.approx(25, rel=1e-3)
    # Lossy codecs move smooth grey by a few levels; a wrong range moves it by 16.
    assert np.abs(video.frames.astype(int) - clip).mean() < 2.5


def test_full_range_grey_is_not_widened_again(tmp_path):
    clip = ramp(value=250)
    path = write(tmp_path / "a.avi", clip, codec="mjpeg", pixels="yuvj420p", full=True)
    assert np.abs(read_video(path).frames.astype(int) - 250).max() <= 1


def test_limited_range_grey_is_widened_to_black_and_white(tmp_path):
    for value in (0, 255):
        path = write(tmp_path / f"{value}.mp4", ramp(value=value))
        assert np.abs(read_video(path).frames.astype(int) - value).max() <= 1


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".gif"])
def test_grey_agrees_with_opencv_within_rounding(tmp_path, suffix):
    codec, pixels = ("gif", "rgb8") if suffix == ".gif" else ("mpeg4", "yuv420p")
    path = write(tmp_path / f"a{suffix}", ramp(), codec=codec, pixels=pixels)
    ours = read_video(path).frames
    theirs = opencv_grey(path)
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).max() <= 4


def opencv_grey(path):
    capture, frames = cv2.VideoCapture(str(path)), []
    while (step := capture.read())[0]:
        frames.append(cv2.cvtColor(step[1], cv2.COLOR_BGR2GRAY))
    return np.stack(frames)


def test_a_gif_keeps_its_delays(tmp_path):
    ticks = [0, 100, 200, 500, 600]
    clip = ramp(5)
    path = write(tmp_path / "a.gif", clip, 10, "gif", "rgb8", ticks=ticks)
    assert np.allclose(read_video(path).timestamps, np.array(ticks) / 1000)


def test_a_variable_rate_is_read_from_the_frames(tmp_path):
    ticks = [0, 40, 80, 200, 240, 400]
    path = write(tmp_path / "a.mkv", ramp(6), codec="ffv1", ticks=ticks)
    video = read_video(path)
    assert np.allclose(video.timestamps, np.array(ticks) / 1000)
    assert video.frame_rate == pytest.approx(5 / 0.4)
    assert video.frame_seconds == pytest.approx(0.04)


def test_a_false_frame_count_invents_no_frames(tmp_path):
    path = write(tmp_path / "a.avi", ramp(12))
    content = bytearray(path.read_bytes())
    header = content.index(b"avih") + 8
    content[header + 16 : header + 20] = (1000).to_bytes(4, "little")
    stream = content.index(b"strh") + 8
    content[stream + 32 : stream + 36] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    assert len(read_video(path).frames) == 12


def test_an_upright_frame_comes_out_of_a_rotated_film(tmp_path):
    path = write(tmp_path / "a.mp4", ramp())
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # version 0 of ISO 14496-12
    turned = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    content[matrix : matrix + 36] = np.array(turned, ">i4").tobytes()
    path.write_bytes(content)
    ours, theirs = read_video(path).frames, opencv_grey(path)
    assert ours.shape[1:] == (64, 48)
    assert np.abs(ours.astype(int) - theirs).max() <= 4


def test_wide_pixels_are_made_square(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        for image in ramp(3, 64, 64, value=200):
            frame = av.VideoFrame.from_ndarray(
                np.stack([image] * 3, -1), format="rgb24"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    rows = np.flatnonzero(read_video(path, 64).frames[0].max(axis=1) > 100)
    assert (rows[0], rows[-1]) == (16, 47)


def test_frames_are_letterboxed_as_they_are_decoded(tmp_path):
    path = write(tmp_path / "a.mp4", ramp(60, 480, 640))
    read_video(path, 32)  # what is allocated once only is not counted
    tracemalloc.start()
    video = read_video(path, 32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert video.frames.shape == (60, 32, 32)
    assert peak < 10 * 480 * 640  # the whole cine has 60 frames


def test_opencv_decodes_what_pyav_cannot(tmp_path, monkeypatch):
    path = write(tmp_path / "a.avi", ramp(), 20)
    by_pyav = read_video(path)

    def refuse(*_, **__):
        raise av.error.InvalidDataError(1, "no decoder")

    monkeypatch.setattr(av, "open", refuse)
    video = read_video(path)
    assert video.decoder == "opencv"
    assert np.allclose(video.timestamps, by_pyav.timestamps, atol=1e-3)
    assert np.abs(video.frames.astype(int) - by_pyav.frames).max() <= 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is not a video\n" * 100,
        cv2.imencode(".png", np.zeros((32, 32), np.uint8))[1].tobytes(),
    ],
    ids=["empty", "text", "picture"],
)
def test_what_is_not_a_video_is_refused_by_name(tmp_path, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"clip\.mp4: not a video"):
        read_video(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.mp4: no such file"):
        read_video(tmp_path / "none.mp4")


def test_an_absurd_rate_is_refused(tmp_path):
    path = write(tmp_path / "a.mp4", ramp(4), rate=50_000)
    with pytest.raises(InputError, match="frames a second, allowed are 0.1 to 1000"):
        read_video(path)


def test_damaged_files_give_frames_or_a_clear_error(tmp_path):
    whole = write(tmp_path / "a.avi", ramp()).read_bytes()
    rng, path = np.random.default_rng(0), tmp_path / "b.avi"
    for _ in range(40):
        content = np.frombuffer(whole, np.uint8)[: rng.integers(1, len(whole))].copy()
        content[rng.integers(0, len(content), 20)] = rng.integers(0, 256, 20)
        path.write_bytes(content.tobytes())
        try:
            frames = read_video(path, 16).frames
        except InputError as error:
            assert "b.avi" in str(error) and "\n" not in str(error)
        else:
            assert len(frames) <= 13 and frames.shape[1:] == (16, 16)


def test_a_title_that_is_not_utf8_does_not_hide_the_film(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "LungXX"
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        image = np.zeros((32, 32, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"LungXX", b"Lung\xfc\xff"))
    assert read_video(path).frames.shape == (1, 32, 32)


def pocus_videos(step):
    root = SHARED / "pocus" / "data" / "pocus_videos"
    if not root.is_dir():
        pytest.skip("set ULTRASOUND_JAX_DATA to the folder with pocus/data")
    return [path for path in sorted(root.rglob("*")) if path.is_file()][::step]


@pytest.mark.shared_data
@pytest.mark.parametrize("step", [19, pytest.param(1, marks=pytest.mark.slow)])
def test_real_grey_agrees_with_opencv_within_rounding(step):
    for path in pocus_videos(step):
        video = read_video(path)
        capture = cv2.VideoCapture(str(path))
        for index, ours in enumerate(video.frames):
            read, colour = capture.read()
            assert read, path
            if index % 20:
                continue
            spread = colour.max(axis=2).astype(int) - colour.min(axis=2)
            theirs = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
            difference = np.abs(ours.astype(int) - theirs)
            # OpenCV rounds three times on its way over BGR; colours leave its gamut.
            assert difference[spread <= 6].max() <= 4, path
            assert difference.mean() < 1.5, path
        assert not capture.read()[0], path


@pytest.mark.parametrize("width", [66, 68, 70])
def test_the_last_columns_of_a_film_in_colour_are_its_own(tmp_path, width):
    """FFmpeg's way to RGBA fills them with what was in memory before."""
    path = write(tmp_path / "a.mp4", ramp(width=width))
    for grey, colour in zip(
        video.pyav_frames(path, video.Damage()),
        video.pyav_frames(path, video.Damage(), "stored"),
        strict=True,
    ):
        luminance = cv2.cvtColor(colour.pixels, cv2.COLOR_RGB2GRAY).astype(int)
        assert np.abs(luminance - grey.pixels).max() <= 3
