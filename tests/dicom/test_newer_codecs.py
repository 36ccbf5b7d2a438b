"""JPEG XL, high-throughput JPEG 2000 and deflated frames, each against its source."""

import zlib

import imagecodecs as codecs
import numpy as np
import pytest

from tests.dicom import made
from tests.dicom.made import make, scan
from ultrasound_jax.dicom.read import codecs as ours
from ultrasound_jax.dicom.read.codestream import read_codestream
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.dicom.read.jpegxl import _unboxed
from ultrasound_jax.dicom.read.samples import Layout
from ultrasound_jax.types import InputError

COLOUR = scan()
GREY = COLOUR[..., 1].copy()
LEVELS = {"grey": GREY, "colour": COLOUR}


def frames_of(path, **options):
    with open_cine(path, **options) as cine:
        return list(cine.frames()), cine.notes, cine.decoder


def gap(one, other):
    assert np.ndim(other) == 0 or one.shape == other.shape
    other = np.asarray(other)
    return np.abs(one.astype(int) - other.astype(int)).max()


def xl(picture, **options):
    return codecs.jpegxl_encode(picture, **({"lossless": True} | options))


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_jpeg_xl_keeps_its_own_depth(tmp_path, bits):
    deep = GREY.astype(np.uint16) << (bits - 8)
    code = xl(deep, bitspersample=bits)
    assert read_codestream(code).precision == bits
    path = make(tmp_path / "a", [code], deep, made.JXL_LOSSLESS, BitsStored=bits)
    [found], notes, _ = frames_of(path)
    assert gap(found, GREY) <= 1 and not notes


def test_jpeg_xl_that_is_lossy_keeps_greys_grey(tmp_path):
    for name, picture in LEVELS.items():
        code = xl(picture, lossless=False, distance=0.3)
        state = "XYB" if picture.ndim == 3 else "MONOCHROME2"
        path = make(tmp_path / name, [code], picture, made.JXL, photometric=state)
        [found], notes, decoder = frames_of(path)
        assert np.abs(found.astype(int) - picture).mean() < 1
        assert (notes, decoder) == ((), "libjxl")


JPEGS = {
    "422": lambda: made.jpeg(COLOUR),
    "420": lambda: made.jpeg(COLOUR, subsampling="420"),
    "444": lambda: made.jpeg(COLOUR, subsampling="444"),
    "rgb": lambda: made.jpeg(COLOUR, space="RGB"),
    "grey": lambda: made.jpeg(GREY),
}


@pytest.mark.parametrize("bare", [False, True], ids=["boxes", "bare"])
@pytest.mark.parametrize("name", JPEGS)
def test_a_recompressed_jpeg_has_the_colours_of_the_jpeg(tmp_path, name, bare):
    """Against libjpeg-turbo on the JPEG itself; the header tells of the JPEG."""
    jpeg = JPEGS[name]()
    code = codecs.jpegxl_encode_jpeg(jpeg)
    code = _unboxed(code)[0] if bare else code
    expected = codecs.jpeg8_decode(jpeg)
    state = {"rgb": "RGB", "grey": "MONOCHROME2", "444": "YBR_FULL"}
    path = make(
        tmp_path / "a", [code], expected, made.JXL_JPEG,
        photometric=state.get(name, "YBR_FULL_422"),
    )  # fmt: skip
    [found], notes, _ = frames_of(path)
    assert gap(found, expected) <= 4 and not notes
    [grey], _, _ = frames_of(path, want="grey")
    luma = expected @ [0.299, 0.587, 0.114] if expected.ndim == 3 else expected
    assert gap(grey, np.rint(luma)) <= 4


def test_a_recompressed_jpeg_is_checked_by_the_jpeg(tmp_path, monkeypatch):
    path = make(
        tmp_path / "a", [codecs.jpegxl_encode_jpeg(made.jpeg(GREY))], GREY,
        made.JXL_JPEG,
    )  # fmt: skip
    darker = ours.Decoder("darker", lambda *given: ours.libjxl(*given) // 2)
    pair = (darker, ours.DECODERS["jpegxl"][1])
    monkeypatch.setitem(ours.DECODERS, "jpegxl", pair)
    with pytest.raises(InputError, match="darker and libjpeg-turbo disagree"):
        open_cine(path)


def test_jpeg_xl_of_ybr_samples_becomes_rgb(tmp_path):
    ybr = made.to_ybr(COLOUR)
    path = make(
        tmp_path / "a", [xl(ybr)], ybr, made.JXL_LOSSLESS, photometric="YBR_FULL"
    )
    [found], notes, _ = frames_of(path)
    assert gap(found, made.from_ybr(ybr)) <= 1 and not notes


@pytest.mark.parametrize("stated", [made.JXL, made.JPEG])
def test_jpeg_xl_in_several_fragments_is_put_together(tmp_path, stated):
    codes = [xl(np.roll(GREY, 7 * n, 0), usecontainer=True) for n in range(3)]
    pieces = [part for c in codes for part in (c[:200], c[200:])]
    path = make(tmp_path / "a", pieces, GREY, stated, NumberOfFrames=3)
    found, _, _ = frames_of(path)
    assert [gap(f, np.roll(GREY, 7 * n, 0)) for n, f in enumerate(found)] == [0, 0, 0]


def test_uncompressed_pixels_that_begin_like_jpeg_xl_are_pixels(tmp_path):
    picture = GREY.copy()
    picture[0, :2] = 0xFF, 0x0A
    path = make(tmp_path / "a", [picture.tobytes()], picture, "1.2.840.10008.1.2.1.98")
    [found], _, _ = frames_of(path)
    assert gap(found, picture) == 0


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (xl(np.dstack([GREY, GREY])), "channels beside its colours"),
        (xl(np.stack([COLOUR, COLOUR])), "is animated"),
        (xl(COLOUR.astype(np.float32) / 255), "samples with an exponent"),
        (xl(scan(64, 64)), "64 x 64 pixels, allowed are the 80 x 60"),
        (xl(COLOUR)[:-30], "libjxl cannot decode"),
        (xl(COLOUR)[:5], "markers are damaged"),
        (xl(COLOUR, usecontainer=True)[:30], "markers are damaged"),
    ],
    ids=["alpha", "animation", "float", "size", "cut", "cut head", "cut boxes"],
)
def test_jpeg_xl_that_is_no_whole_clinical_picture_is_refused(tmp_path, code, reason):
    path = make(tmp_path / "a", [code], COLOUR, made.JXL_LOSSLESS)
    with pytest.raises(InputError, match=reason):
        frames_of(path)


def whites(picture):
    """With white speckle, where a lossy code overshoots."""
    picture = picture.copy()
    spots = np.random.default_rng(3).random(GREY.shape) < 0.2
    picture[spots] = np.iinfo(picture.dtype).max
    return picture


LOSSY = {
    "colour": (whites(COLOUR), {}),
    "colour, coarse": (whites(COLOUR), {"level": 0.05}),
    "colour in planes": (whites(COLOUR), {"rgb": False}),
    "colour in tiles": (whites(COLOUR), {"tile": (32, 32)}),
    "grey": (whites(GREY), {}),
    "16 bits": (whites(GREY.astype(np.uint16) * 257), {"level": 0.0001}),
}


@pytest.mark.parametrize("name", LOSSY)
def test_white_stays_white_in_lossy_high_throughput_jpeg_2000(tmp_path, name):
    """OpenJPH's come out black, through imagecodecs 2026.3; OpenJPEG's do not."""
    picture, options = LOSSY[name]
    code = codecs.htj2k_encode(picture, reversible=False, **options)
    path = make(tmp_path / "a", [code], picture, made.HTJ2K)
    [found], notes, decoder = frames_of(path)
    shown = picture >> 8 if picture.dtype == np.uint16 else picture
    assert gap(found[shown == 255], 255) <= (4 if "coarse" not in name else 40)
    if options.get("level", 0) < 0.01:
        assert gap(found, shown) <= 4
    assert decoder == "openjpeg"
    [note] = notes
    assert "white samples of the first frame as black: openjpeg is believed" in note


def test_white_that_comes_later_stays_white_too(tmp_path):
    codes = [codecs.htj2k_encode(p, reversible=False) for p in (GREY, whites(GREY))]
    path = make(tmp_path / "a", codes, GREY, made.HTJ2K, NumberOfFrames=2)
    [_, second], _, _ = frames_of(path)
    assert gap(second, whites(GREY)) <= 4


def test_planes_of_lossless_high_throughput_jpeg_2000_are_read_by_both(tmp_path):
    code = codecs.htj2k_encode(COLOUR, reversible=True, rgb=False)
    path = make(tmp_path / "a", [code], COLOUR, made.HTJ2K_LOSSLESS)
    [found], notes, decoder = frames_of(path)
    assert gap(found, COLOUR) == 0 and (notes, decoder) == ((), "openjph")


@pytest.mark.parametrize("wrong", ["openjph", "openjpeg"])
@pytest.mark.parametrize("picture", LEVELS.values(), ids=LEVELS)
def test_a_third_decoder_says_which_of_two_is_right(
    tmp_path, monkeypatch, wrong, picture
):
    code = codecs.htj2k_encode(picture, reversible=True)
    path = make(tmp_path / "a", [code], picture, made.HTJ2K_LOSSLESS)

    def darker(decoder):
        if decoder.name != wrong:
            return decoder
        return decoder._replace(decode=lambda *given: decoder.decode(*given) // 2)

    pair = tuple(darker(decoder) for decoder in ours.DECODERS["htj2k"])
    monkeypatch.setitem(ours.DECODERS, "htj2k", pair)
    [found], [note], decoder = frames_of(path)
    assert gap(found, picture) == 0 and decoder != wrong
    assert f"{decoder} is believed, as ffmpeg agrees" in note
    monkeypatch.setitem(ours.JUDGES, "htj2k", ours.Decoder("judge", lambda *a: ~GREY))
    with pytest.raises(InputError, match="openjph and openjpeg disagree"):
        open_cine(path)


def deflated(frame, wbits=-15):
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return packer.compress(np.ascontiguousarray(frame).tobytes()) + packer.flush()


@pytest.mark.parametrize("wbits", [-15, 15], ids=["raw", "with a zlib header"])
@pytest.mark.parametrize(
    "picture", [GREY, COLOUR, GREY.astype(np.uint16) << 8], ids=["8", "rgb", "16"]
)
def test_deflated_frames_come_out_to_the_bit(tmp_path, picture, wbits):
    cine = [np.roll(picture, 5 * n, 0) for n in range(3)]
    codes = [deflated(frame, wbits) for frame in cine]
    path = make(tmp_path / "a", codes, picture, made.DEFLATED_FRAMES, NumberOfFrames=3)
    found, notes, decoder = frames_of(path)
    shown = [frame >> 8 if frame.dtype == np.uint16 else frame for frame in cine]
    assert max(gap(f, s) for f, s in zip(found, shown, strict=True)) <= (
        1 if picture.dtype == np.uint16 else 0
    )
    assert (notes, decoder) == ((), "zlib")


def test_deflated_planes_and_single_bits_are_read(tmp_path):
    planes = deflated(np.moveaxis(COLOUR, -1, 0))
    path = make(
        tmp_path / "a", [planes], COLOUR, made.DEFLATED_FRAMES, PlanarConfiguration=1
    )
    assert gap(frames_of(path)[0][0], COLOUR) == 0
    bits = np.random.default_rng(0).integers(0, 2, (3, 5, 7), np.uint8)
    codes = [deflated(np.packbits(frame, bitorder="little")) for frame in bits]
    path = make(
        tmp_path / "b", codes, bits[0], made.DEFLATED_FRAMES, NumberOfFrames=3,
        bits=1, BitsAllocated=1, BitsStored=1,
    )  # fmt: skip
    found = frames_of(path)[0]
    assert all(((f > 0) == b).all() for f, b in zip(found, bits, strict=True))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (deflated(np.zeros(1 << 26, np.uint8)), "4802 or more bytes, 4800 are needed"),
        (deflated(GREY[:-1]), "4720 bytes, 4800 are needed"),
        (deflated(GREY)[:-40], "bytes, 4800 are needed|no end"),
        (b"\xff" * 90, "deflated frame is damaged"),
    ],
    ids=["bomb", "short", "cut", "noise"],
)
def test_a_deflated_frame_holds_what_it_must(tmp_path, code, reason):
    path = make(tmp_path / "a", [code], GREY, made.DEFLATED_FRAMES)
    with pytest.raises(InputError, match=reason):
        frames_of(path)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("picture", LEVELS.values(), ids=LEVELS)
def test_the_third_decoder_knows_every_depth(picture, bits):
    kind = np.uint16 if bits > 8 else np.uint8
    deep = picture.astype(kind) << (bits - 8)
    code = codecs.jpeg2k_encode(
        deep, codecformat="J2K", reversible=True, bitspersample=bits
    )
    stream = read_codestream(code)
    samples, no = stream.samples, False
    layout = Layout(60, 80, samples, 16, bits, bits - 1, no, no, no, no, no)
    assert gap(ours.ffmpeg(code, stream, layout), deep) == 0
