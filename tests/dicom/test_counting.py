"""A file's own count of frames is believed, whatever its header states."""

import tempfile
from pathlib import Path

import av
import numpy as np
import pydicom
import pytest

from tests.dicom import made
from tests.dicom.made import jpeg, make, scan
from ultrasound_jax.dicom.index.describe import describe_file
from ultrasound_jax.dicom.read.counting import count_header
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

ROWS, COLUMNS, FRAMES = 96, 128, 30
HEVC = "1.2.840.10008.1.2.4.107"
QUIET = {"x265-params": "log-level=none"}
FILMS = {
    "h264 mp4": ("libx264", "mp4", made.MPEG4, {}),
    "h264 stream": ("libx264", "h264", made.MPEG4, {}),
    "h264 slices": ("libx264", "h264", made.MPEG4, {"x264-params": "slices=4"}),
    "h264 fields": ("libx264", "mpegts", made.MPEG4, {"x264-params": "interlaced=1"}),
    "h264 ts": ("libx264", "mpegts", made.MPEG4, {}),
    "hevc mp4": ("libx265", "mp4", HEVC, QUIET),
    "hevc stream": ("libx265", "hevc", HEVC, QUIET),
    "mpeg2 stream": ("mpeg2video", "mpeg2video", made.MPEG2, {"bf": "2"}),
    "mpeg2 ps": ("mpeg2video", "mpeg", made.MPEG2, {"bf": "2"}),
    "mpeg2 ts": ("mpeg2video", "mpegts", made.MPEG2, {"bf": "2"}),
    "mpeg2 fields": ("mpeg2video", "vob", made.MPEG2, {"flags": "+ildct+ilme"}),
    "mpeg4": ("mpeg4", "mp4", made.MPEG4, {"bf": "2"}),
}


def film(name, frames=FRAMES, **options):
    codec, container, _, usual = FILMS[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    # The index of an MP4 in front, so that there is one when its end is cut off.
    ahead = {"movflags": "+faststart"} if container == "mp4" else {}
    with (
        tempfile.NamedTemporaryFile() as file,
        av.open(file.name, "w", format=container, container_options=ahead) as output,
    ):
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = COLUMNS, ROWS, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = usual | options
        for number in range(frames):
            picture = scan(ROWS, COLUMNS, number)
            picture[:8] = 255 * (number % 2)  # tells odd frames from even ones
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            output.mux(stream.encode(frame.reformat(format="yuv420p")))
        output.mux(stream.encode())
        output.close()
        return Path(file.name).read_bytes()


CODES = {}


def written(path, name, stated, frames=FRAMES, damage=None, **options):
    key = name, frames, str(options)
    if key not in CODES:
        CODES[key] = film(name, frames, **options)
    code = damage(CODES[key]) if damage else CODES[key]
    return make(
        path,
        [code + b"\0" * (len(code) % 2)],
        np.zeros((ROWS, COLUMNS, 3), np.uint8),
        FILMS[name][2],
        photometric="YBR_PARTIAL_420",
        NumberOfFrames=stated,
        FrameTime=40,
    )


def note(stated, holds, what="film"):
    says = "no number of frames" if stated is None else f"{stated} frames"
    whose = "its film" if what == "film" else "the file"
    return f"the header states {says}, {whose} holds {holds}: the {what} is believed"


@pytest.mark.parametrize("stated", [1, None, 2, FRAMES - 1, FRAMES + 1, 500, FRAMES])
@pytest.mark.parametrize("name", ["h264 mp4", "mpeg2 ps"])
def test_a_film_is_believed_more_than_the_header(tmp_path, name, stated):
    path = written(tmp_path / "a", name, stated)
    notes = () if stated == FRAMES else (note(stated, FRAMES),)
    with open_cine(path) as cine:
        assert cine.header.frames == FRAMES and cine.notes == notes
        assert len(list(cine.frames())) == FRAMES and cine.notes == notes
    header, counted = count_header(path)
    assert header.frames == FRAMES and counted == notes


@pytest.mark.parametrize("name", FILMS)
def test_every_kind_of_film_is_counted_to_the_frame(tmp_path, name):
    path = written(tmp_path / "a", name, 1)
    with open_cine(path) as cine:
        tops = [frame[:8].mean() > 128 for frame in cine.frames()]
        assert tops == [number % 2 == 1 for number in range(FRAMES)]
        assert cine.header.frames == FRAMES
        assert cine.notes == (note(1, FRAMES),)


@pytest.mark.parametrize("stated", [None, 1, 0])
@pytest.mark.parametrize("name", ["h264 stream", "hevc mp4", "mpeg2 stream"])
def test_a_still_that_is_stored_as_a_film_stays_one(tmp_path, name, stated):
    path = written(tmp_path / "a", name, stated, frames=1)
    for pixels in (True, False):
        found = described(path, pixels)
        assert found["fields"]["data_type"] == "image"
        assert found["fields"]["frames"] == 1 and found["fields"]["reason"] == ""


def described(path, pixels, damaged="refuse"):
    limits = Limits()
    item = {"path": str(path), "limits": vars(limits), "pixels": pixels}
    return describe_file(item | {"damaged": damaged})


@pytest.mark.parametrize("pixels", [True, False], ids=["decoded", "headers only"])
@pytest.mark.parametrize("stated", [1, None, 0])
def test_the_index_says_video_with_a_note(tmp_path, stated, pixels):
    fields = described(written(tmp_path / "a", "h264 mp4", stated), pixels)["fields"]
    assert (fields["data_type"], fields["frames"]) == ("video", FRAMES)
    assert note(stated or None, FRAMES) in fields["reason"]


def test_a_vector_of_times_fits_the_frames_that_are_there(tmp_path):
    path = written(tmp_path / "a", "h264 mp4", 1)
    dataset = pydicom.dcmread(path)
    dataset.FrameTimeVector = [0, *[20, 60] * 14, 20]
    del dataset.FrameTime
    dataset.save_as(path)
    with open_cine(path) as cine:
        assert len(cine.header.timing.times) == FRAMES


def test_limits_hold_for_the_frames_that_are_there(tmp_path):
    path = written(tmp_path / "a", "h264 mp4", 1)
    with pytest.raises(InputError, match="30 frames, allowed are 20"):
        open_cine(path, limits=Limits(frames=20))


def test_frames_that_need_others_before_the_film_are_left_out_with_a_note(tmp_path):
    def begin_late(code):
        """At the second group of pictures, which is an open one."""
        starts = [i for i in range(len(code)) if code[i : i + 4] == b"\0\0\1\xb3"]
        return code[starts[1] :]

    path = written(
        tmp_path / "a", "mpeg2 stream", 20, damage=begin_late, g="12", bf="2"
    )
    with open_cine(path) as cine:
        assert any("need others before them" in line for line in cine.notes)
        assert len(list(cine.frames())) == cine.header.frames
    kept = cine.header.frames
    with open_cine(path, damaged="keep") as cine:
        assert len(list(cine.frames())) == kept and not cine.damaged


def flipped(code):
    damaged, rng = bytearray(code), np.random.default_rng(3)
    middle = range(len(code) * 4 // 10, len(code) * 8 // 10)
    for place in rng.choice(middle, 60):
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def zeroed(code):
    middle = len(code) // 2
    return code[:middle] + bytes(600) + code[middle + 600 :]


@pytest.mark.parametrize("damage", [flipped, zeroed])
@pytest.mark.parametrize("name", ["h264 mp4", "hevc mp4", "mpeg2 ps", "mpeg2 ts"])
def test_a_damaged_film_is_refused_by_frame_or_kept(tmp_path, name, damage):
    path = written(tmp_path / "a", name, FRAMES, damage=damage)
    with pytest.raises(InputError, match=r"frame \d+ of \d+: its film|its film states"):
        with open_cine(path) as cine:
            list(cine.frames())
    with open_cine(path, damaged="keep") as cine:
        frames = list(cine.frames())
        assert len(frames) == cine.header.frames >= FRAMES // 2
        assert 0 < len(cine.damaged) < len(frames)
        for number, reason in cine.damaged:
            assert not frames[number - 1].any() and reason


def test_two_films_are_read_at_a_time(tmp_path):
    """PyAV tells packets by the identity of what they carry, in all open films."""
    path = written(tmp_path / "a", "h264 mp4", FRAMES)
    with open_cine(path) as cine, open_cine(path) as other:
        frames = cine.frames()
        shown = [next(frames) for _ in range(10)]
        between = list(other.frames())
        shown += frames
    np.testing.assert_array_equal(shown, between)


@pytest.mark.parametrize("place", [0.3, 0.45, 0.6, 0.8])
@pytest.mark.parametrize("name", ["h264 mp4", "mpeg4"])
def test_frames_around_damage_keep_their_numbers(tmp_path, name, place):
    """Decoders drop some without a word; those behind must not take their places."""

    def noisy(code):
        start, noise = int(place * len(code)), np.random.default_rng(1).bytes(200)
        return code[:start] + noise + code[start + 200 :]

    frames = 40
    groups = {"g": "12", "bf": "3" if name == "h264 mp4" else "2"}
    whole = written(tmp_path / "whole", name, frames, frames=frames, **groups)
    path = written(tmp_path / "a", name, frames, frames=frames, damage=noisy, **groups)
    with open_cine(whole) as cine, open_cine(path, damaged="keep") as other:
        pairs = list(zip(cine.frames(), other.frames(), strict=True))
        hurt = dict(other.damaged)
    assert hurt
    for number, (right, shown) in enumerate(pairs, 1):
        if number not in hurt:
            assert abs(right.astype(int) - shown).mean() < 1, number


def test_a_film_whose_end_is_missing_is_refused_or_kept(tmp_path):
    path = written(tmp_path / "a", "mpeg2 ps", FRAMES)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.7 * len(content))])
    for pixels in (True, False):
        assert "the file ends within item 1" in described(path, pixels)["reason"]
        fields = described(path, pixels, "keep")["fields"]
        assert 15 < fields["frames"] < FRAMES
        assert "its end is missing: the file ends within item 1" in fields["reason"]


def test_a_film_that_is_cut_inside_is_refused_with_numbers_or_kept(tmp_path):
    def cut(code):
        return code[: int(0.7 * len(code))]

    path = written(tmp_path / "a", "h264 mp4", FRAMES, damage=cut)
    with pytest.raises(InputError, match=r"its film states 30 frames and holds \d+"):
        open_cine(path)
    with open_cine(path, damaged="keep") as cine:
        assert len(list(cine.frames())) == cine.header.frames < FRAMES


@pytest.mark.parametrize("stated", [None, 1, 3])
def test_pictures_more_than_stated_are_frames(tmp_path, stated):
    codes = [jpeg(scan(60, 80, seed)) for seed in range(8)]
    codes = [code + b"\0" * (len(code) % 2) for code in codes]
    path = make(
        tmp_path / "a",
        codes,
        scan(60, 80),
        made.JPEG,
        photometric="YBR_FULL_422",
        NumberOfFrames=stated,
    )
    for pixels in (True, False):
        fields = described(path, pixels)["fields"]
        assert (fields["data_type"], fields["frames"]) == ("video", 8)
        assert fields["reason"] == note(stated, 8, "file")
    with open_cine(path) as cine:
        assert len(list(cine.frames())) == 8


@pytest.mark.parametrize("name", ["h264 mp4", "h264 stream", "mpeg2 ps"])
def test_a_film_says_its_rate(tmp_path, name):
    with open_cine(written(tmp_path / "a", name, 1)) as cine:
        assert cine._pictures.rate == pytest.approx(25, rel=0.01)


def test_a_damaged_picture_among_more_than_stated_is_still_a_frame(tmp_path):
    codes = [jpeg(scan(60, 80, seed)) for seed in range(8)]
    codes[5] = codes[5][: len(codes[5]) // 2]
    codes = [code + b"\0" * (len(code) % 2) for code in codes]
    path = make(tmp_path / "a", codes, scan(60, 80), made.JPEG, NumberOfFrames=1)
    with open_cine(path) as cine:
        assert cine.header.frames == 8
        with pytest.raises(InputError, match="frame 6 of 8: its JPEG data end early"):
            list(cine.frames())


def test_fewer_pictures_than_stated_are_refused_by_headers_alone_too(tmp_path):
    codes = [jpeg(scan(60, 80)) for _ in range(3)]
    path = make(tmp_path / "a", codes, scan(60, 80), made.JPEG, NumberOfFrames=9)
    for pixels in (True, False):
        assert "states 9 frames and holds 3" in described(path, pixels)["reason"]
        assert described(path, pixels, "keep")["fields"]["frames"] == 3
