import hashlib

import av
import cv2
import numpy as np
import pytest

from ultrasound_jax.media.video import read_video
from ultrasound_jax.media.writers import (
    write_avi,
    write_png,
)
from ultrasound_jax.types import InputError


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def colours(path):
    with av.open(str(path)) as container:
        return np.stack(
            [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        )


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (256, 256)])
def test_grey_avi_gives_every_bit_back(tmp_path, size):
    clip = noise(5, *size)
    assert write_avi(tmp_path / "a.avi", iter(clip), 30.0) == 5
    video = read_video(tmp_path / "a.avi")
    np.testing.assert_array_equal(video.frames, clip)
    assert video.damaged == 0


def test_colour_avi_gives_every_bit_back(tmp_path):
    clip = noise(4, 33, 47, 3)
    write_avi(tmp_path / "a.avi", clip, 15.5)
    np.testing.assert_array_equal(colours(tmp_path / "a.avi"), clip)


def test_opencv_reads_the_lossless_avi(tmp_path):
    clip = noise(3, 32, 48)
    write_avi(tmp_path / "a.avi", clip, 25.0)
    capture = cv2.VideoCapture(str(tmp_path / "a.avi"))
    assert capture.get(cv2.CAP_PROP_FPS) == 25
    for frame in clip:
        read, shown = capture.read()
        assert read
        np.testing.assert_array_equal(shown[..., 0], frame)
    capture.release()


def test_mjpeg_keeps_the_range_and_nearly_the_levels(tmp_path):
    clip = np.stack([cv2.GaussianBlur(f, (0, 0), 5) for f in noise(4, 64, 64)])
    clip[:, :32], clip[:, :8], clip[:, 8:16] = 128, 0, 255
    write_avi(tmp_path / "a.avi", clip, 30.0, codec="mjpeg")
    with av.open(str(tmp_path / "a.avi")) as container:
        assert container.streams.video[0].codec_context.name == "mjpeg"
    frames = read_video(tmp_path / "a.avi").frames
    # Quantisation at the best quality; a wrong range would move white by 20.
    assert np.abs(frames[:, 8:16, 4:-4].astype(int) - 255).max() <= 3
    assert np.abs(frames.astype(int) - clip).mean() < 1.5


@pytest.mark.parametrize("rate", [0.5, 14.985, 26.2476, 29.97, 60.0, 999.0])
def test_the_rate_stands_in_the_file(tmp_path, rate):
    write_avi(tmp_path / "a.avi", noise(9, 16, 16), rate)
    assert read_video(tmp_path / "a.avi").frame_rate == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize("codec", ["ffv1", "mjpeg"])
def test_avi_names_no_program_and_no_date_and_repeats_itself(tmp_path, codec):
    for name in ("a.avi", "b.avi"):
        write_avi(tmp_path / name, noise(3, 32, 32), 30.0, codec=codec)
    first, second = ((tmp_path / n).read_bytes() for n in ("a.avi", "b.avi"))
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    for word in (b"Lavf", b"Lavc", b"ISFT", b"IDIT", b"INFO", b"202"):
        assert word not in first[:2048]
    with av.open(str(tmp_path / "a.avi")) as container:
        assert container.metadata == {}
        assert container.streams.video[0].metadata == {}


def test_png_has_pixels_and_no_other_chunks(tmp_path):
    for frame in (noise(20, 30), noise(20, 30, 3)):
        write_png(tmp_path / "a.png", frame)
        content, at, chunks = (tmp_path / "a.png").read_bytes(), 8, set()
        while at < len(content):
            length = int.from_bytes(content[at : at + 4], "big")
            chunks.add(content[at + 4 : at + 8])
            at += length + 12
        assert chunks == {b"IHDR", b"IDAT", b"IEND"}
        shown = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
        expected = frame if frame.ndim == 2 else frame[..., ::-1]
        np.testing.assert_array_equal(shown, expected)


def test_nothing_is_left_of_a_video_that_breaks_off(tmp_path):
    def broken():
        yield noise(16, 16)
        raise InputError("frame 2 is damaged")

    with pytest.raises(InputError, match="frame 2"):
        write_avi(tmp_path / "a.avi", broken(), 30.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frames", "options", "words"),
    [
        ([], {}, "no frames"),
        ([noise(8, 8), noise(8, 9)], {}, "one size"),
        ([noise(8, 8)], {"codec": "h264"}, "codec"),
        ([noise(8, 8)], {"rate": 0.0}, "rate"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path, frames, options, words):
    with pytest.raises(InputError, match=words):
        write_avi(tmp_path / "a.avi", frames, **({"rate": 30.0} | options))
    assert list(tmp_path.iterdir()) == []
