"""One door for any recording."""

import csv
import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.dicom.whole_files import EXPLICIT, SYNTAXES, whole_file
from ultrasound_jax.media import open as door
from ultrasound_jax.media.geometry import letterbox
from ultrasound_jax.media.open import kind_of, open_recording
from ultrasound_jax.media.video import read_video
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

SHARED = Path(os.environ.get("ULTRASOUND_JAX_DATA") or ROOT.parent / "shared" / "data")
COLOURS = np.zeros((20, 30, 3), np.uint8)
COLOURS[:, :10] = 200, 30, 30
COLOURS[:, 20:] = 30, 30, 200


def film(path, codec, pixels, frames=(COLOURS,) * 4, *, rate=20, aspect=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if aspect:
            stream.sample_aspect_ratio = aspect
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode())
    return path


def content(path, **options):
    with open_recording(path, **options) as recording:
        return recording.kind, list(recording.frames())


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_dicom_is_opened_by_its_content(tmp_path, syntax):
    path = tmp_path / "IM_0001.avi"  # a name that lies
    path.write_bytes(whole_file(syntax))
    with open_recording(path) as recording:
        frames = list(recording.frames())
        assert (recording.kind, len(frames)) == ("dicom", 3)
        assert frames[0].dtype == np.uint8 and frames[0].shape[:2] == (24, 32)
        assert recording.times == pytest.approx([0, 0.0333, 0.0666])
        assert recording.pixel_spacing == pytest.approx((0.5, 0.5))
        assert recording.pixel_aspect == 1
    kind, grey = content(path, want="grey")
    assert grey[0].shape == (24, 32)


def test_dicom_without_its_preamble_is_dicom(tmp_path):
    whole = whole_file(EXPLICIT)
    path = tmp_path / "file"
    path.write_bytes(whole[132:])
    bare, wanted = content(path), tmp_path / "whole"
    wanted.write_bytes(whole)
    assert bare[0] == "dicom"
    np.testing.assert_array_equal(bare[1], content(wanted)[1])


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "mpeg4", "yuv420p"),
        ("a.mov", "mpeg4", "yuv420p"),
        ("a.avi", "ffv1", "bgr0"),
        ("a.mkv", "ffv1", "yuv444p"),
        ("a.mpeg", "mpeg2video", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_videos_keep_their_colours_and_times(tmp_path, name, codec, pixels):
    path = film(tmp_path / name, codec, pixels, rate=25)
    path = path.rename(tmp_path / "file")  # the ending tells nothing
    with open_recording(path) as recording:
        frames = list(recording.frames())
        assert (recording.kind, len(frames)) == ("video", 4)
        # Subsampled colours bleed; this GIF has 2 or 3 bits a colour, in steps of 85.
        for column in (4, 25):
            gap = np.abs(frames[0][10, column].astype(int) - COLOURS[10, column])
            assert gap.max() < 60
        assert recording.times == pytest.approx([0, 0.04, 0.08, 0.12], abs=1e-3)
        assert recording.pixel_spacing is None
        again = [frame.copy() for frame in recording.frames()]
    np.testing.assert_array_equal(again, frames)


def test_a_grey_film_has_grey_frames(tmp_path):
    path = film(tmp_path / "a.avi", "ffv1", "gray")
    assert content(path)[1][0].shape == (20, 30)


@pytest.mark.parametrize("turned", [None, Fraction(4, 3)])
def test_the_grey_of_a_video_is_that_of_read_video(tmp_path, turned):
    path = film(tmp_path / "a.mkv", "mpeg4", "yuv420p", aspect=turned)
    with open_recording(path, want="grey") as recording:
        frames = np.stack(list(recording.frames()))
        boxed = [letterbox(f, 16, pixel_aspect=recording.pixel_aspect) for f in frames]
        times = recording.times
    np.testing.assert_array_equal(frames, read_video(path).frames)
    np.testing.assert_array_equal(boxed, read_video(path, 16).frames)
    np.testing.assert_array_equal(times, read_video(path).timestamps)


def test_a_gif_of_one_picture_has_no_times(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "a.gif")
    with open_recording(tmp_path / "a.gif") as recording:
        assert len(list(recording.frames())) == 1
        assert recording.times is None


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp"])
def test_a_picture_is_one_frame(tmp_path, name):
    cv2.imwrite(str(tmp_path / name), COLOURS[..., ::-1])
    path = (tmp_path / name).rename(tmp_path / "file")
    with open_recording(path) as recording:
        (frame,) = recording.frames()
        assert recording.kind == "picture"
        assert recording.times is None and recording.pixel_spacing is None
    assert np.abs(frame.astype(int) - COLOURS)[:, [4, 25]].max() < 20
    assert content(path, want="grey")[1][0].shape == (20, 30)


def test_sixteen_bits_are_cut_to_eight_and_hounsfield_units_are_kept(tmp_path):
    deep = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    np.testing.assert_array_equal(content(tmp_path / "deep.png")[1][0], deep >> 8)
    slice_ = (np.arange(600, dtype=np.float32) - 1000).reshape(20, 30)
    Image.fromarray(slice_).save(tmp_path / "slice.tif")
    (frame,) = content(tmp_path / "slice.tif")[1]
    assert frame.dtype == np.int16
    np.testing.assert_array_equal(frame, slice_)


def test_several_pages_are_no_recording(tmp_path):
    pages = [Image.fromarray(COLOURS)] * 3
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=r"one file \(3 pages\), allowed is one$"):
        open_recording(tmp_path / "a.tif")


def test_what_was_made_of_a_picture_is_noted(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(COLOURS).save(tmp_path / "turned.jpg", exif=exif)
    ramp = np.arange(600, dtype=np.uint16).reshape(20, 30)
    cv2.imwrite(str(tmp_path / "deep.png"), ramp * 6)
    Image.fromarray(ramp.astype(np.float32) / 599).save(tmp_path / "scaled.tif")
    Image.fromarray(COLOURS[..., 0]).save(tmp_path / "white.tif", tiffinfo={262: 0})
    for name, note, shape in (
        ("turned.jpg", "turned upright (EXIF orientation 6)", (30, 20, 3)),
        ("deep.png", "12 of 16 bits are used", (20, 30)),
        ("scaled.tif", "fractions of 0 to 1 are taken as shades of grey", (20, 30)),
        ("white.tif", "inverted, as the file says that white is 0", (20, 30)),
    ):
        with open_recording(tmp_path / name) as recording:
            (frame,) = recording.frames()
            assert recording.notes == (note,)
            assert frame.shape == shape and frame.dtype == np.uint8
            assert frame.max() > 190


@pytest.mark.parametrize(
    ("begins", "said"),
    [
        (b"", "not a recording by its content, allowed are DICOM files; pictures"),
        (b"Dear colleague,\n" * 40, "videos (AVI, GIF, MKV"),
        (b"\x89PNG\r\n\x1a\n broken", "does not decode|not a picture"),
        (b"RIFF\0\0\0\0AVI broken", "not a video that PyAV or OpenCV can read"),
        (bytes(128) + b"DICM", "ends"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, begins, said):
    path = tmp_path / "file.mp4"
    path.write_bytes(begins)
    with pytest.raises(InputError) as refused:
        open_recording(path)
    text = str(refused.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    assert any(words in text for words in said.split("|")), text


def test_a_file_that_is_not_there_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="no such file"):
            kind_of(path)


@pytest.mark.parametrize(
    "limits", [Limits(frames=3), Limits(pixels=599), Limits(seconds=1e-9)]
)
def test_a_video_beyond_the_limits_is_refused(tmp_path, limits):
    path = film(tmp_path / "a.avi", "ffv1", "gray")
    with pytest.raises(InputError, match="allowed are|the limit"):
        content(path, limits=limits)


def test_a_new_format_is_one_module(tmp_path, monkeypatch):
    (tmp_path / "raw_reader.py").write_text(
        "import numpy as np\n"
        "from ultrasound_jax.media.recording import Recording\n"
        'KIND, READS = "raw", "raw files"\n'
        'def knows(head): return head.startswith(b"RAW8")\n'
        "def open_file(path, *, want, limits): return Raw()\n"
        "class Raw(Recording):\n"
        '    kind = "raw"\n'
        "    def frames(self): yield np.zeros((2, 2), np.uint8)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(door, "READERS", (*door.READERS, "raw_reader"))
    (tmp_path / "file").write_bytes(b"RAW8")
    assert content(tmp_path / "file")[0] == "raw"


@pytest.mark.shared_data
@pytest.mark.skipif(not (SHARED / "dicom_us").is_dir(), reason=f"nothing in {SHARED}")
def test_the_real_recordings_are_what_they_are():
    with open(SHARED / "dicom_us/files.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        assert kind_of(SHARED / "dicom_us" / row["file"]) == "dicom", row["file"]


@pytest.mark.shared_data
@pytest.mark.skipif(not (SHARED / "pocus").is_dir(), reason=f"nothing in {SHARED}")
def test_the_videos_and_pictures_of_pocus_are_opened():
    pictures = {".jpg", ".png"}
    files = [
        path
        for path in sorted((SHARED / "pocus/data").rglob("*"))
        if path.is_file() and path.suffix.lower() not in (".csv", ".json", ".md")
    ]
    assert len(files) > 100
    for path in files:
        kind = "picture" if path.suffix.lower() in pictures else "video"
        with open_recording(path) as recording:
            assert recording.kind == kind, path.name
            frame = next(recording.frames())
            assert frame.ndim == 3 or kind == "video" or frame.ndim == 2
