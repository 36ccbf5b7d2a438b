"""Damaged frames are said, in every syntax, and what is only odd is not."""

import io
import json
import struct
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate

from tests.dicom import made
from tests.dicom.made import header, make, save, scan
from ultrasound_jax.dicom.read.codestream import read_codestream
from ultrasound_jax.dicom.read.damage import DamagedFrame
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.dicom.read.whole_jpeg import decode_jpeg
from ultrasound_jax.types import InputError

ROOT = Path(__file__).parents[2]
ROWS, COLUMNS, FRAMES, HURT = 96, 128, 5, 3
PICTURES = [scan(ROWS, COLUMNS, seed) for seed in range(FRAMES)]


def pillow(picture, **options):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def deep(picture):
    return np.ascontiguousarray(picture[..., 0]).astype(np.uint16) * 16


def rle(picture):
    planes = picture.reshape(ROWS * COLUMNS, -1).T
    parts = []
    for plane in planes:
        rows = np.ascontiguousarray(plane).reshape(ROWS, COLUMNS)
        part = b"".join(imagecodecs.packbits_encode(row) for row in rows)
        parts.append(part + b"\0" * (len(part) % 2))
    starts = np.cumsum([64, *map(len, parts)])[:-1].tolist()
    numbers = [len(parts), *starts, *[0] * (15 - len(parts))]
    return struct.pack("<16I", *numbers) + b"".join(parts)


def grey(picture):
    return np.ascontiguousarray(picture[..., 0])


# Encoder of a picture in colours, syntax, and what stands in front of its data.
SOS = b"\xff\xda"
CODES = {
    "jpeg 444": (lambda p: made.jpeg(p, 90, subsampling="444"), made.JPEG, SOS),
    "jpeg 422": (lambda p: made.jpeg(p, 90), made.JPEG, SOS),
    "jpeg 420": (lambda p: made.jpeg(p, 90, subsampling="420"), made.JPEG, SOS),
    "jpeg grey": (lambda p: made.jpeg(grey(p), 90), made.JPEG, SOS),
    "jpeg tables": (lambda p: pillow(p, optimize=True), made.JPEG, SOS),
    "jpeg restarts": (
        lambda p: cv2.imencode(".jpg", grey(p), [cv2.IMWRITE_JPEG_RST_INTERVAL, 7])[
            1
        ].tobytes(),
        made.JPEG,
        SOS,
    ),
    "jpeg restarts in rows": (
        lambda p: cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_RST_INTERVAL, 8])[
            1
        ].tobytes(),
        made.JPEG,
        SOS,
    ),
    "jpeg of 12 bits": (
        lambda p: imagecodecs.jpeg8_encode(deep(p), 90, bitspersample=12),
        made.EXTENDED,
        SOS,
    ),
    "progressive": (lambda p: pillow(p, progressive=True), made.JPEG, SOS),
    "progressive grey": (lambda p: pillow(grey(p), progressive=True), made.JPEG, SOS),
    "lossless": (
        lambda p: imagecodecs.jpeg8_encode(grey(p), lossless=True, predictor=1),
        made.LOSSLESS_SV1,
        SOS,
    ),
    "lossless colours": (
        lambda p: made.components(p, lossless=True, predictor=4),
        made.LOSSLESS,
        SOS,
    ),
    "lossless of 16 bits": (
        lambda p: imagecodecs.jpeg8_encode(
            deep(p) * 16, lossless=True, predictor=1, bitspersample=16
        ),
        made.LOSSLESS_SV1,
        SOS,
    ),
    "jpegls": (lambda p: imagecodecs.jpegls_encode(grey(p)), made.JPEGLS, SOS),
    "jpegls near": (
        lambda p: imagecodecs.jpegls_encode(p, level=2),
        made.JPEGLS_NEAR,
        SOS,
    ),
    "j2k": (
        lambda p: imagecodecs.jpeg2k_encode(p, codecformat="J2K", reversible=True),
        made.J2K_LOSSLESS,
        b"\xff\x93",
    ),
    "htj2k": (
        lambda p: imagecodecs.htj2k_encode(grey(p)),
        made.HTJ2K_LOSSLESS,
        b"\xff\x93",
    ),
    "rle": (lambda p: rle(grey(p)), made.RLE, b"\0" * 36),
    "rle colours": (rle, made.RLE, b"\0" * 36),
}
JPEGS = [name for name, (_, _, mark) in CODES.items() if mark == SOS]


def encoded(name):
    return [bytes(CODES[name][0](picture)) for picture in PICTURES]


def begin(name, code):
    """Where the data begin."""
    place = code.index(CODES[name][2]) + len(CODES[name][2])
    return place + 12 if CODES[name][2] == SOS else place


def cut(name, code):
    return code[: (begin(name, code) + len(code)) // 2]


def cut_with_an_end(name, code):
    return cut(name, code) + b"\xff\xd9"


def cut_late(name, code):
    return code[:-22] + b"\xff\xd9"


def zeroed(name, code):
    place = (begin(name, code) + len(code)) // 2
    return code[:place] + bytes(300) + code[place + 300 :]


def zeroed_to_the_end(name, code):
    half = cut(name, code)
    return half + bytes(len(code) - len(half))


def bits_are_flipped(name, code):
    damaged, rng = bytearray(code), np.random.default_rng(5)
    for place in rng.integers(begin(name, code), len(code) - 2, 60):
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def bytes_are_missing(name, code):
    place = begin(name, code) + 40
    return code[:place] + code[place + 200 :]


DAMAGES = [
    cut, cut_with_an_end, cut_late, zeroed, zeroed_to_the_end, bits_are_flipped,
    bytes_are_missing,
]  # fmt: skip
# What arithmetic codes make of false bits is a picture, as far as anybody can tell.
UNKNOWABLE = {("j2k", bits_are_flipped), ("htj2k", bits_are_flipped)}
CASES = [
    pytest.param(name, damage, id=f"{name}-{damage.__name__}")
    for name in CODES
    for damage in DAMAGES
    if (name, damage) not in UNKNOWABLE
]


def written(path, name, codes):
    codes = [code + b"\0" * (len(code) % 2) for code in codes]
    if CODES[name][1] == made.RLE:
        samples = codes[0][0]
        bits = 8
    else:
        stream = read_codestream(codes[0])
        samples, bits = stream.samples, stream.precision
    photometric = "MONOCHROME2" if samples == 1 else "RGB"
    if samples == 3 and CODES[name][1] == made.JPEG:
        photometric = "YBR_FULL_422"
    dataset = header(
        ROWS,
        COLUMNS,
        samples,
        8 if bits <= 8 else 16,
        photometric,
        BitsStored=bits,
        NumberOfFrames=len(codes),
    )
    return save(path, dataset, codes, CODES[name][1])


def frames_of(path, **options):
    with open_cine(path, **options) as cine:
        frames = list(cine.frames())
        return frames, cine.damaged, cine.notes


def hurt(name, damage):
    codes = encoded(name)
    codes[HURT - 1] = damage(name, codes[HURT - 1])
    return codes


@pytest.mark.parametrize("name", CODES)
def test_whole_frames_are_never_said_to_be_damaged(tmp_path, name):
    path = written(tmp_path / "a", name, encoded(name))
    for damaged in ("refuse", "keep"):
        frames, found, notes = frames_of(path, damaged=damaged)
        assert len(frames) == FRAMES and not found and not notes


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_a_damaged_frame_is_refused_by_its_number(tmp_path, name, damage):
    path = written(tmp_path / "a", name, hurt(name, damage))
    with pytest.raises(InputError, match=f": frame {HURT} of {FRAMES}: ."):
        frames_of(path)


@pytest.mark.parametrize("want", ["stored", "grey"])
@pytest.mark.parametrize("name", CODES)
def test_kept_it_is_black_among_the_others(tmp_path, name, want):
    whole, _, _ = frames_of(written(tmp_path / "a", name, encoded(name)), want=want)
    path = written(tmp_path / "b", name, hurt(name, zeroed_to_the_end))
    frames, found, _ = frames_of(path, damaged="keep", want=want, threads=2)
    assert [number for number, reason in found if reason] == [HURT]
    for number, (frame, other) in enumerate(zip(frames, whole, strict=True), 1):
        assert frame.shape == other.shape and frame.dtype == np.uint8
        expected = np.zeros_like(other) if number == HURT else other
        np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize("name", ["jpeg 422", "progressive", "lossless", "jpegls"])
def test_a_first_frame_that_is_damaged_is_refused_when_opened_or_kept(tmp_path, name):
    codes = encoded(name)
    codes[:2] = [cut_with_an_end(name, code) for code in codes[:2]]
    path = written(tmp_path / "a", name, codes)
    with pytest.raises(InputError, match=f"frame 1 of {FRAMES}: "):
        open_cine(path)
    frames, found, notes = frames_of(path, damaged="keep")
    assert [number for number, _ in found] == [1, 2]
    assert not frames[0].any() and frames[2].any()
    assert notes == ("its first 2 frames are damaged",)


def test_a_decoder_that_gives_up_in_silence_is_heard(tmp_path, capfd):
    """OpenJPH's error is printed by imagecodecs, which returns a black picture."""
    codes, rng = encoded("htj2k"), np.random.default_rng(0)
    place, count = len(codes[HURT - 1]) // 4, len(codes[HURT - 1]) // 2
    noise = rng.integers(0, 250, count, np.uint8).tobytes()
    hurt = codes[HURT - 1]
    codes[HURT - 1] = hurt[:place] + noise + hurt[place + count :]
    path = written(tmp_path / "a", "htj2k", codes)
    with pytest.raises(InputError, match=f"frame {HURT} of {FRAMES}: openjph gives up"):
        frames_of(path)
    _, found, _ = frames_of(path, damaged="keep")
    assert [number for number, _ in found] == [HURT]
    assert "Traceback" not in capfd.readouterr().err


def test_a_file_of_damaged_frames_alone_is_refused_always(tmp_path):
    codes = [cut("jpeg 422", code) for code in encoded("jpeg 422")]
    path = written(tmp_path / "a", "jpeg 422", codes)
    with pytest.raises(InputError, match="frame 1 of 5: its JPEG data end early"):
        open_cine(path, damaged="keep")


ODD = {
    "padded": lambda code: code + b"\0",
    "much padded": lambda code: code + bytes(99),
    "followed by junk": lambda code: code + b"what is this?",
    "filled": lambda code: code[:-2] + b"\xff\xff\xff\xd9",
    "without its end mark": lambda code: code[:-2],
    "without and padded": lambda code: code[:-2] + bytes(3),
    "with a comment": lambda code: code[:2] + b"\xff\xfe\0\4ab" + code[2:],
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", JPEGS[:12])
def test_legal_and_common_oddities_are_no_damage(name, odd):
    code = encoded(name)[0]
    stream = read_codestream(code)
    np.testing.assert_array_equal(
        decode_jpeg(ODD[odd](code), stream), decode_jpeg(code, stream)
    )


@pytest.mark.parametrize("level", [0, 127, 128, 129, 255])
@pytest.mark.parametrize("size", [(8, 8), (17, 23), (1, 1), (16, 200), (240, 9)])
@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"progressive": True}, {"lossless": True}]
)
def test_flat_pictures_of_any_level_and_size_are_whole(level, size, options):
    picture = np.full(size, level, np.uint8)
    if options.pop("lossless", False):
        code = imagecodecs.jpeg8_encode(picture, lossless=True, predictor=1)
    else:
        code = pillow(picture, **options)
    found = decode_jpeg(code, read_codestream(code))
    assert np.abs(found.astype(int) - level).max() <= 1


def test_a_picture_that_ends_in_middle_grey_is_whole_and_its_damage_is_told():
    for options in ({}, {"optimize": True}):
        picture = grey(PICTURES[0]).copy()
        picture[60:] = 128
        code = pillow(picture, **options)
        stream = read_codestream(code)
        decode_jpeg(code, stream)
        with pytest.raises(DamagedFrame):
            decode_jpeg(code[: len(code) // 2] + b"\xff\xd9", stream)


@pytest.mark.parametrize("sampling", ["444", "422", "420"])
def test_looking_for_damage_changes_no_pixel(sampling):
    picture = np.random.default_rng(1).integers(0, 255, (96, 128, 3), np.uint8)
    for rows in (96, 95, 90, 81):
        code = made.jpeg(np.ascontiguousarray(picture[:rows]), subsampling=sampling)
        plain = imagecodecs.jpeg8_decode(
            code, colorspace="YCBCR", outcolorspace="YCBCR"
        )
        found = decode_jpeg(code, read_codestream(code))
        np.testing.assert_array_equal(found, plain)


def odd_samplings(picture):
    """JPEGs of the samplings and restart intervals that there are."""
    one = bytearray(made.jpeg(grey(picture)))
    one[one.index(b"\xff\xc0") + 11] = 0x22  # of a single component it says nothing
    yield bytes(one)
    for sampling in ("440", "411"):
        yield made.jpeg(picture, subsampling=sampling)
    for blocks in (1, 3, 1000):
        for shown in (picture, grey(picture)):
            yield pillow(shown, restart_marker_blocks=blocks, optimize=True)


@pytest.mark.parametrize("rows", [5, 88, 89, 96])
@pytest.mark.parametrize("columns", [3, 16, 121, 128])
def test_every_sampling_and_size_is_read_as_before(rows, columns):
    noise = np.random.default_rng(2).integers(0, 255, (rows, columns, 3), np.uint8)
    for picture in (noise, np.full_like(noise, 128), np.zeros_like(noise)):
        for code in odd_samplings(picture):
            stream = read_codestream(code)
            space = "GRAYSCALE" if stream.samples == 1 else "YCBCR"
            plain = imagecodecs.jpeg8_decode(
                code, colorspace=space, outcolorspace=space
            )
            np.testing.assert_array_equal(decode_jpeg(code, stream), plain)


def test_a_restart_mark_that_is_missing_is_told():
    code = encoded("jpeg restarts")[0]
    place = code.index(b"\xff\xd2")
    with pytest.raises(DamagedFrame, match="restart marks"):
        decode_jpeg(code[:place] + code[place + 2 :], read_codestream(code))


def test_progressive_scans_that_are_missing_are_told():
    code = encoded("progressive")[0]
    last = code.rindex(SOS)
    with pytest.raises(DamagedFrame, match="end early"):
        decode_jpeg(code[:last] + b"\xff\xd9", read_codestream(code))


def test_a_cine_without_its_tail_is_refused_with_numbers_or_kept(tmp_path):
    codes = [code + b"\0" * (len(code) % 2) for code in encoded("jpegls")]
    dataset = header(
        ROWS, COLUMNS, NumberOfFrames=9, FrameTimeVector=[40, 50] * 4 + [40]
    )
    path = save(tmp_path / "a", dataset, codes, made.JPEGLS)
    with pytest.raises(InputError, match="states 9 frames and holds 5"):
        open_cine(path)
    with open_cine(path, damaged="keep") as cine:
        assert len(list(cine.frames())) == cine.header.frames == 5
        assert not cine.damaged
        assert len(cine.header.timing.times) == 5
        assert cine.notes == ("its end is missing: states 9 frames and holds 5",)


@pytest.mark.parametrize("syntax", [made.IMPLICIT, made.EXPLICIT, made.DEFLATED])
def test_a_file_that_is_cut_keeps_the_frames_before_the_cut(tmp_path, syntax):
    pixels = np.stack([grey(p) for p in PICTURES]).tobytes()
    path = make(tmp_path / "a", pixels, grey(PICTURES[0]), syntax, NumberOfFrames=5)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(0.7 * len(whole))])
    with pytest.raises(InputError, match=r"states 5 frames and holds [34]: \d+ bytes"):
        open_cine(path)
    frames, found, notes = frames_of(path, damaged="keep")
    assert 3 <= len(frames) <= 4 and not found
    np.testing.assert_array_equal(frames[2], grey(PICTURES[2]))
    assert notes[0].startswith("its end is missing: states 5 frames and holds")


@pytest.mark.parametrize("junk", [b"\xff", b"\0", b"\x07"])
def test_a_deflated_file_that_is_damaged_within_is_told(tmp_path, junk):
    pixels = np.stack([grey(p) for p in PICTURES]).tobytes()
    path = make(
        tmp_path / "a", pixels, grey(PICTURES[0]), made.DEFLATED, NumberOfFrames=5
    )
    content = bytearray(path.read_bytes())
    place = int(0.6 * len(content))
    content[place : place + 64] = junk * 64
    path.write_bytes(content)
    with pytest.raises(InputError, match="states 5 frames and holds|deflated data"):
        frames_of(path)
    frames, _, notes = frames_of(path, damaged="keep")
    assert 2 <= len(frames) <= 5 and notes
    np.testing.assert_array_equal(frames[1], grey(PICTURES[1]))


@pytest.mark.parametrize("name", ["jpeg 422", "rle", "jpegls", "j2k"])
def test_a_file_cut_within_an_item_keeps_the_frames_before_it(tmp_path, name):
    path = written(tmp_path / "a", name, encoded(name))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(0.7 * len(whole))])
    with pytest.raises(InputError, match=r"states 5 frames and holds [234]: the file"):
        open_cine(path)
    frames, found, _ = frames_of(path, damaged="keep")
    assert 2 <= len(frames) <= 4 and not found


def test_items_that_claim_more_than_the_file_has_leave_no_frame(tmp_path):
    path = written(tmp_path / "a", "jpegls", encoded("jpegls")[:1])
    content = path.read_bytes()
    start = content.index(b"\xe0\x7f\x10\x00OB") + 12
    pixels = encapsulate([encoded("jpegls")[0]])[:40]
    path.write_bytes(content[:start] + pixels)
    for damaged in ("refuse", "keep"):
        with pytest.raises(InputError, match="the file ends within item 1"):
            open_cine(path, damaged=damaged)


def test_no_whole_frame_was_refused_when_rates_were_measured():
    path = ROOT / "experiments/results/damaged_frames.json"
    rows = json.loads(path.read_text())["rows"]
    assert not any(row["false_alarms"] for row in rows)
    assert all(row["cut"] > 0.98 for row in rows)
