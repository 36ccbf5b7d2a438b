"""The frame rate of a film whose header says none."""

import io

import av
import numpy as np
import pytest

from tests.dicom import made
from tests.dicom.made import make
from ultrasound_jax.dicom.index.describe import describe_file
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.runs.limits import Limits

GREY = np.zeros((48, 64), np.uint8)
HEVC = "1.2.840.10008.1.2.4.107"


def film(container, codec, rate, frames=12):
    rng, file = np.random.default_rng(0), io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.codec_context.options = {"profile": "main", "bf": "0"}
        for _ in range(frames):
            pixels = rng.integers(0, 255, (48, 64, 3), np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            output.mux(stream.encode(picture.reformat(format="yuv420p")))
        output.mux(stream.encode())
    return file.getvalue()


def without_timing(code):
    """A bare H.264 stream whose VUI, the last part of its SPS, is left out."""
    start = code.index(b"\0\0\1\x67") + 3
    end = code.index(b"\0\0\1", start)
    while code[end - 1] == 0:
        end -= 1
    raw = code[start:end].replace(b"\0\0\3", b"\0\0")
    bits, place = "".join(f"{byte:08b}" for byte in raw), 32

    def number():
        nonlocal place
        zeros = bits.index("1", place) - place
        value = int(bits[place + zeros : place + 2 * zeros + 1], 2) - 1
        place += 2 * zeros + 1
        return value

    _, _, kind = number(), number(), number()
    if kind == 0:
        number()
    number()
    place += 1
    number(), number()
    place += 2 if bits[place] == "1" else 3
    place += 1
    if bits[place - 1] == "1":
        [number() for _ in range(4)]
    assert bits[place] == "1", "it has a VUI"
    bits = bits[:place] + "01"
    bits += "0" * (-len(bits) % 8)
    short = bytes(int(bits[k : k + 8], 2) for k in range(0, len(bits), 8))
    assert b"\0\0" not in short
    return code[:start] + short + code[end:]


def written(tmp_path, code, syntax=made.MPEG4, frames=12, **elements):
    code += b"\0" * (len(code) % 2)
    return make(tmp_path / "a", [code], GREY, syntax, NumberOfFrames=frames, **elements)


@pytest.mark.parametrize(
    ("container", "codec", "rate", "syntax"),
    [
        ("mp4", "libx264", 20, made.MPEG4),
        ("mpegts", "libx264", 50, made.MPEG4),
        ("h264", "libx264", 20, made.MPEG4),
        ("hevc", "libx265", 15, HEVC),
        ("mpeg2video", "mpeg2video", 24, made.MPEG2),
        ("vob", "mpeg2video", 50, made.MPEG2),
    ],
)
def test_the_rate_inside_a_film_is_read(tmp_path, container, codec, rate, syntax):
    code = film(container, codec, rate)
    with open_cine(written(tmp_path, code, syntax)) as cine:
        assert cine.header.timing.source == "film"
        assert cine.header.timing.rate == pytest.approx(rate, rel=1e-3)


def test_a_stream_that_states_no_rate_gives_none(tmp_path):
    code = without_timing(film("h264", "libx264", 20))
    with open_cine(written(tmp_path, code)) as cine:
        assert cine.header.timing.source == "none"
        assert len(list(cine.frames())) == 12


def test_the_index_names_the_film_as_the_source(tmp_path):
    path = written(tmp_path, film("mp4", "libx264", 20))
    item = {"path": str(path), "limits": vars(Limits()), "pixels": True}
    fields = describe_file(item)["fields"]
    assert (fields["frame_rate"], fields["frame_rate_source"]) == (20, "film")


def test_a_header_that_contradicts_its_film_is_believed_and_noted(tmp_path):
    path = written(tmp_path, film("mp4", "libx264", 20), FrameTime=40)
    with open_cine(path) as cine:
        assert (cine.header.timing.source, cine.header.timing.rate) == ("FrameTime", 25)
        assert "FrameTime gives 25 Hz but film 20 Hz" in cine.header.timing.notes
