"""Strangers' files are decoded elsewhere, and what comes back is the same."""

import dataclasses
import re
import struct
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.dicom import made, scans
from tests.runs import worker_jobs
from ultrasound_jax.datasets.decoded import decoded, picture, workers
from ultrasound_jax.dicom.clean.any_file import open_clean
from ultrasound_jax.dicom.clean.cleaning import UNMASKED, CleanSettings
from ultrasound_jax.media.video import read_video
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

LIMITS = Limits(seconds=1.0, memory_bytes=256 << 20)
WHOLE = CleanSettings(size=None, mask_fan=False)


@pytest.fixture(scope="module", autouse=True)
def no_worker_is_left():
    with workers():
        yield


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where temporary files go; nothing may be left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def film(path, frames, *, rate=20, codec="ffv1", pixels="bgr0", ticks=None):
    """A video of grey or RGB frames; `ticks` are their times in units of 1/rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pixels
        if codec == "mjpeg":
            stream.codec_context.qmin = stream.codec_context.qmax = 4
        for index, image in enumerate(frames):
            name = "gray" if image.ndim == 2 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=name)
            frame = frame.reformat(format=pixels)
            frame.pts = index if ticks is None else ticks[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def rle_of_one_bit(path):
    """A file at which GDCM ends the process."""
    segment = struct.pack("<16I", 1, 64, *[0] * 14) + b"\xff\0" * 40
    dataset = made.header(240, 320)
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit, dataset.NumberOfFrames = 0, 2
    made.save(path, dataset, [segment] * 2, made.RLE)
    return path


def with_fan(frames=12, size=160, text=True):
    """A phantom's cine, a name beside its fan, and the fan."""
    clip, fan = scans.phantom(3, size, frames)
    marks = np.where(scans.widened(fan), 0, scans.burned_in(size))
    return (np.maximum(clip, marks) if text else clip), fan


def test_a_decoder_that_ends_the_process_costs_its_own_file_only(tmp_path):
    path = rle_of_one_bit(tmp_path / "rle.dcm")
    with pytest.raises(InputError, match=r"rle\.dcm: decoder crashed \(signal 6\)"):
        with decoded(path, CleanSettings()):
            pass
    frames, _ = with_fan()
    with decoded(film(tmp_path / "good.avi", frames), WHOLE) as video:
        np.testing.assert_array_equal(video.frames, frames)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("abort", "picture 7: decoder crashed (signal 6)"),
        ("hang", "picture 7: takes longer than 1 s"),
        ("creep", "picture 7: needs more than 256 MiB"),
        ("refuse", "picture 7: is no picture, as the file has it"),
    ],
)
def test_a_picture_that_cannot_be_read_is_one_line(tmp_path, how, reason):
    path = tmp_path / "Doe Jane.png"
    with pytest.raises(InputError) as refused:
        read = worker_jobs.picture
        limits = dataclasses.replace(LIMITS, seconds=1.0 if how == "hang" else 30.0)
        picture(path, name="picture 7", read=read, limits=limits, how=how)
    assert str(refused.value) == reason


def test_a_picture_comes_as_it_was_read(tmp_path):
    path = tmp_path / "one.png"
    read = picture(path, name="one", read=worker_jobs.picture)
    assert read.dtype == np.int16 and read.tolist()[2] == [8, 9, 10, 11]
    cv2.imwrite(str(path), np.full((4, 6), 77, np.uint8))
    assert (picture(path, name="one") == 77).all()


def test_pixels_outlive_their_file_and_can_be_changed(tmp_path):
    path = film(tmp_path / "a.avi", with_fan()[0])
    with decoded(path, WHOLE) as video:
        before = video.frames[0].copy()
        video.frames[0] = 0
    with decoded(path, WHOLE) as again:
        np.testing.assert_array_equal(again.frames[0], before)


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [
        ("mp4", "mpeg4", "yuv420p"),
        ("avi", "ffv1", "bgr0"),
        ("avi", "ffv1", "gray"),
        ("mkv", "mpeg4", "yuv420p"),
        ("mov", "mjpeg", "yuvj420p"),
        ("gif", "gif", "rgb8"),
    ],
)
def test_an_unmasked_video_is_what_read_video_gives(tmp_path, suffix, codec, pixels):
    # In few frames each is read as a still is; dithered echoes may pass for letters.
    frames, _ = with_fan(frames=16)
    path = film(tmp_path / f"a.{suffix}", frames, codec=codec, pixels=pixels)
    alone = read_video(path, 64)
    with decoded(path, CleanSettings(size=64, mask_fan=False)) as video:
        np.testing.assert_array_equal(video.frames, alone.frames)
        np.testing.assert_array_equal(video.times, alone.timestamps)
        assert video.frame_rate == alone.frame_rate
        assert video.frame_seconds == alone.frame_seconds
        assert UNMASKED in video.review


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [
        ("avi", "ffv1", "bgr0"),
        ("mp4", "mpeg4", "yuv420p"),
        ("mov", "mjpeg", "yuvj420p"),
        # Its letters shiver, and its black becomes grey with the second key frame.
        ("avi", "msmpeg4v3", "yuv420p"),
        ("mpg", "mpeg2video", "yuv420p"),
    ],
)
def test_text_beside_the_fan_of_a_video_is_masked(tmp_path, suffix, codec, pixels):
    frames, fan = with_fan(24, 400)
    path = film(tmp_path / f"a.{suffix}", frames, codec=codec, pixels=pixels)
    with decoded(path, CleanSettings(size=None)) as video:
        written = (scans.burned_in(400) > 0) & ~scans.grown(fan, 8)
        assert frames[:, written].max() > 200
        assert video.frames[:, written].max() == 0
        inside = fan & (video.frames.max(axis=0) > 0)
        assert inside.sum() > 0.95 * fan.sum()
        assert video.pixel_mm == (None, None)


def test_a_video_without_echoes_is_refused_unless_nothing_is_masked(tmp_path):
    text = np.repeat(scans.burned_in(160)[None], 6, axis=0)
    path = film(tmp_path / "screen.avi", text)
    with pytest.raises(InputError, match="no echoes are found to fit a fan to"):
        with decoded(path, CleanSettings()):
            pass
    with decoded(path, WHOLE) as video:
        assert len(video.frames) == 6


def test_marks_inside_the_fan_of_a_video_are_told(tmp_path):
    frames, _ = with_fan(text=False)
    marked = frames.copy()
    for frame in marked:
        cv2.putText(frame, "DOE 1950", (50, 90), 0, 0.5, 255, 1)
    for name, clip, told in (("clean", frames, False), ("marked", marked, True)):
        with decoded(film(tmp_path / f"{name}.avi", clip), CleanSettings()) as video:
            assert any("marks inside the fan" in line for line in video.review) == told


def test_coloured_marks_are_told_where_the_film_is_taken_as_grey(tmp_path):
    frames, _ = with_fan(text=False)
    coloured = np.repeat(frames[..., None], 3, axis=-1)
    for frame in coloured:  # a caliper's cross as bright as what is around it
        cv2.drawMarker(frame, (80, 90), (0, 160, 0), cv2.MARKER_CROSS, 24, 2)
    with decoded(film(tmp_path / "a.avi", coloured), CleanSettings()) as video:
        assert video.frames.ndim == 3  # `t y x`
        assert any("coloured" in line for line in video.review)


def test_black_frames_are_counted(tmp_path):
    frames, _ = with_fan(text=False)
    frames = frames.copy()
    frames[[3, 4, 9]] = 0
    path = film(tmp_path / "a.mp4", frames, codec="mpeg4", pixels="yuv420p")
    with decoded(path, CleanSettings(size=64)) as video:
        assert video.black == (4, 5, 10)


def test_times_that_vary_or_are_missing_are_told(tmp_path):
    frames, _ = with_fan()
    ticks = [0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 20]
    path = film(tmp_path / "a.mkv", frames, ticks=ticks)
    with decoded(path, WHOLE) as video:
        np.testing.assert_allclose(video.times, np.array(ticks) / 20, atol=1e-3)
        assert video.frame_rate_source == "frame times"
        assert "its frame times vary" in video.notes
    with decoded(film(tmp_path / "b.mkv", frames), WHOLE) as video:
        assert video.notes == ()


def test_damaged_packets_of_a_video_are_told(tmp_path):
    frames, _ = with_fan(24)
    path = film(tmp_path / "a.avi", frames, codec="mjpeg", pixels="yuvj420p")
    content = bytearray(path.read_bytes())
    starts = [found.start() for found in re.finditer(b"\xff\xd8\xff", content)]
    content[starts[5] : starts[6] - 8] = bytes(starts[6] - 8 - starts[5])
    path.write_bytes(bytes(content))
    with decoded(path, WHOLE) as video:
        assert len(video.frames) < 24
        assert any("did not decode" in note for note in video.notes)


def test_a_long_film_is_decoded_again_and_is_the_same(tmp_path, monkeypatch):
    frames, fan = with_fan(40)
    path = film(tmp_path / "a.avi", frames)
    monkeypatch.setattr("ultrasound_jax.dicom.clean.film.MOST_LOOKED_AT", 16)
    with open_clean(path, CleanSettings(size=None)) as file:
        kept = list(file.frames())
    monkeypatch.setattr("ultrasound_jax.dicom.clean.film.KEPT_BYTES", 1000)
    with open_clean(path, CleanSettings(size=None)) as file:
        again = list(file.frames())
    np.testing.assert_array_equal(kept, again)
    assert len(again) == 40


def test_dicom_comes_with_its_scale_and_rate(tmp_path):
    from ultrasound_jax.dicom.make.ultrasound_file import (
        Calibration,
        Identity,
        write_cine,
    )

    frames, _ = with_fan(text=False)
    write_cine(
        tmp_path / "a.dcm",
        np.repeat(frames[..., None], 3, axis=-1),
        identity=Identity(patient_id="X", study_date="20010101", instance=1),
        frame_rate=25.0,
        calibration=Calibration(left=0, top=0, right=159, bottom=159, pixel_mm=0.5),
        syntax="explicit",
    )
    with decoded(tmp_path / "a.dcm", CleanSettings(size=80)) as cine:
        assert cine.frames.shape == (12, 80, 80)
        assert cine.pixel_mm == (pytest.approx(1.0), pytest.approx(1.0))
        np.testing.assert_allclose(cine.times, np.arange(12) / 25)
        assert (cine.frame_rate, cine.frame_rate_source) == (25.0, "FrameTime")


def test_what_is_no_recording_is_refused_by_name(tmp_path):
    (tmp_path / "a.txt").write_text("a letter to Jane Doe")
    with pytest.raises(InputError, match=r"a\.txt: not a recording by its content"):
        with decoded(tmp_path / "a.txt", WHOLE):
            pass
    with pytest.raises(InputError, match=r"no\.mp4: no such file"):
        with decoded(tmp_path / "no.mp4", WHOLE):
            pass
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match="a picture, allowed are DICOM files and vid"):
        with decoded(tmp_path / "a.png", WHOLE):
            pass


def test_a_name_with_odd_letters_does_not_get_into_reasons(tmp_path):
    path = Path(tmp_path / "Doe  Jane\n.mp4")
    path.write_bytes(b"no film")
    with pytest.raises(InputError) as refused:
        with decoded(path, WHOLE):
            pass
    assert "Doe" not in str(refused.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "mpeg4"), ("avi", "mpeg4"), ("mpg", "mpeg2video")]
)
def test_frames_that_the_decoder_patched_up_are_told(tmp_path, suffix, codec):
    """Nothing need fail to decode for it. (Of H.264 the decoder rarely knows.)"""
    rate = 25  # MPEG-2 knows few
    frames, _ = with_fan(frames=60)
    path = film(
        tmp_path / f"a.{suffix}", frames, rate=rate, codec=codec, pixels="yuv420p"
    )
    with decoded(path, WHOLE) as video:
        assert not any("patched" in note for note in video.notes)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(len(content) // 4, 3 * len(content) // 4, 6):
        content[place : place + 40] = rng.bytes(40)
    path.write_bytes(content)
    with decoded(path, WHOLE) as video:
        (note,) = [note for note in video.notes if "patched" in note]
        assert re.fullmatch(
            r"\d+ of its frames are damaged .*: \d+(, \d+)*(, …)?", note
        )
