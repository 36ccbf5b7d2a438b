import io
import struct
import time
import tracemalloc

import av
import cv2
import imagecodecs as codecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import compress

from tests.dicom import made
from tests.dicom.made import make, scan
from ultrasound_jax.dicom.read import codecs as ours
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

COLOUR = scan()
GREY = COLOUR[..., 1].copy()
DEEP = GREY.astype(np.uint16) << 8 | 0x5A


def frames_of(path, **options):
    with open_cine(path, **options) as cine:
        return list(cine.frames())


def picture_of(path, **options):
    [picture] = frames_of(path, **options)
    assert picture.dtype == np.uint8
    return picture


def gap(one, other):
    return np.abs(one.astype(int) - other.astype(int)).max()


@pytest.mark.parametrize(
    "syntax", [made.IMPLICIT, made.EXPLICIT, made.DEFLATED, made.BIG_ENDIAN]
)
@pytest.mark.parametrize("picture", [COLOUR, GREY], ids=["colour", "grey"])
def test_uncompressed_pictures_come_out_to_the_bit(tmp_path, syntax, picture):
    path = make(tmp_path / "a", picture.tobytes(), picture, syntax)
    assert gap(picture_of(path), picture) == 0


def lossless(picture, predictor=1):
    colours = {"colorspace": "RGB", "outcolorspace": "RGB"} if picture.ndim == 3 else {}
    bits = 8 * picture.dtype.itemsize
    return codecs.jpeg8_encode(
        picture, lossless=True, predictor=predictor, bitspersample=bits, **colours
    )


LOSSLESS_CODE = {
    "jpeg lossless": (made.LOSSLESS_SV1, lossless),
    "jpeg lossless, predictor 6": (made.LOSSLESS, lambda p: lossless(p, 6)),
    "jpeg-ls": (made.JPEGLS, codecs.jpegls_encode),
    "jpeg 2000": (
        made.J2K_LOSSLESS,
        lambda p: codecs.jpeg2k_encode(p, codecformat="J2K", reversible=True),
    ),
    "jpeg 2000 in a box": (
        made.J2K_LOSSLESS,
        lambda p: codecs.jpeg2k_encode(p, codecformat="JP2", reversible=True),
    ),
    "htj2k": (made.HTJ2K_LOSSLESS, lambda p: codecs.htj2k_encode(p, reversible=True)),
    "jpeg xl": (made.JXL_LOSSLESS, lambda p: codecs.jpegxl_encode(p, lossless=True)),
    "jpeg xl in boxes": (
        made.JXL_LOSSLESS,
        lambda p: codecs.jpegxl_encode(p, lossless=True, usecontainer=True),
    ),
}


@pytest.mark.parametrize("name", LOSSLESS_CODE)
@pytest.mark.parametrize("picture", [COLOUR, GREY], ids=["colour", "grey"])
def test_lossless_codes_come_out_to_the_bit(tmp_path, name, picture):
    syntax, encode = LOSSLESS_CODE[name]
    path = make(tmp_path / "a", [encode(picture)], picture, syntax)
    with open_cine(path) as cine:
        assert gap(next(cine.frames()), picture) == 0
        assert not cine.notes, "both decoders read it"


@pytest.mark.parametrize("name", LOSSLESS_CODE)
def test_lossless_codes_of_16_bits_show_their_upper_byte(tmp_path, name):
    syntax, encode = LOSSLESS_CODE[name]
    path = make(tmp_path / "a", [encode(DEEP)], DEEP, syntax)
    assert gap(picture_of(path), GREY) <= 1


@pytest.mark.parametrize("syntax", [made.IMPLICIT, made.EXPLICIT, made.BIG_ENDIAN])
def test_uncompressed_16_bits_show_their_upper_byte(tmp_path, syntax):
    order = ">" if syntax == made.BIG_ENDIAN else "<"
    path = make(tmp_path / "a", DEEP.astype(f"{order}u2").tobytes(), DEEP, syntax)
    assert gap(picture_of(path), GREY) <= 1


@pytest.mark.parametrize("picture", [COLOUR, GREY, DEEP], ids=["colour", "grey", "16"])
def test_rle_written_by_pydicom_is_read(tmp_path, picture):
    path = make(tmp_path / "a", picture.tobytes(), picture)
    dataset = dcmread(path)
    compress(dataset, made.RLE)
    dataset.save_as(path)
    with open_cine(path) as cine:
        expected = GREY if picture is DEEP else picture
        assert gap(next(cine.frames()), expected) <= (picture is DEEP)
        assert cine.decoder == "packbits" and not cine.notes


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_jpeg_ls_may_interleave_its_colours_in_any_way(tmp_path, mode):
    jpeg_ls = pytest.importorskip("jpeg_ls", reason="pyjpegls writes such files")
    samples = COLOUR if mode else np.moveaxis(COLOUR, -1, 0)
    code = jpeg_ls.encode_buffer(
        samples.tobytes(),
        rows=60,
        columns=80,
        samples_per_pixel=3,
        bits_stored=8,
        lossy_error=0,
        interleave_mode=mode,
    )
    path = make(tmp_path / "a", [bytes(code)], COLOUR, made.JPEGLS)
    assert gap(picture_of(path), COLOUR) == 0


def test_rle_planes_of_ybr_become_rgb(tmp_path):
    ybr = made.to_ybr(COLOUR)
    path = make(tmp_path / "a", ybr.tobytes(), ybr, photometric="YBR_FULL")
    dataset = dcmread(path)
    compress(dataset, made.RLE)
    dataset.PlanarConfiguration = 1
    dataset.save_as(path)
    assert gap(picture_of(path), made.from_ybr(ybr)) <= 1


def test_an_rle_bomb_is_refused(tmp_path):
    code = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * 50_000
    path = make(tmp_path / "a", [code], GREY, made.RLE)
    with pytest.raises(InputError, match="packbits cannot decode"):
        open_cine(path, cross_check=False)


@pytest.mark.parametrize("want", ["stored", "grey"])
@pytest.mark.parametrize("picture", [COLOUR, GREY], ids=["colour", "grey"])
def test_frames_belong_to_the_caller_who_may_write_on_them(tmp_path, want, picture):
    path = make(tmp_path / "a", picture.tobytes(), picture)
    assert picture_of(path, want=want).flags.writeable


LOSSY_CODE = {
    "jpeg 422": (made.JPEG, made.jpeg, 40),
    "jpeg 420": (made.JPEG, lambda p: made.jpeg(p, subsampling="420"), 40),
    "jpeg 444": (made.JPEG, lambda p: made.jpeg(p, subsampling="444"), 16),
    "jpeg rgb": (made.JPEG, lambda p: made.jpeg(p, space="RGB"), 16),
    "jpeg-ls near": (made.JPEGLS_NEAR, lambda p: codecs.jpegls_encode(p, level=3), 3),
    "jpeg 2000": (
        made.J2K,
        lambda p: codecs.jpeg2k_encode(p, level=45, codecformat="J2K"),
        8,
    ),
    "htj2k": (
        made.HTJ2K,
        lambda p: codecs.htj2k_encode(p, level=0.004, reversible=False),
        8,
    ),
    "jpeg xl": (made.JXL, lambda p: codecs.jpegxl_encode(p, distance=0.5), 8),
}


@pytest.mark.parametrize("name", LOSSY_CODE)
def test_lossy_codes_come_out_nearly(tmp_path, name):
    syntax, encode, tolerance = LOSSY_CODE[name]
    photometric = "YBR_FULL_422" if "42" in name or "444" in name else "RGB"
    path = make(
        tmp_path / "a", [encode(COLOUR)], COLOUR, syntax, photometric=photometric
    )
    found = picture_of(path)
    assert np.abs(found.astype(int) - COLOUR).mean() < 2
    assert np.percentile(np.abs(found.astype(int) - COLOUR), 99) <= tolerance


def test_extended_jpeg_of_12_bits_is_scaled_to_8(tmp_path):
    twelve = GREY.astype(np.uint16) << 4
    code = codecs.jpeg8_encode(twelve, 95, bitspersample=12)
    path = make(tmp_path / "a", [code], twelve, made.EXTENDED, BitsStored=12)
    found = picture_of(path).astype(int)
    assert np.abs(found - GREY).mean() < 1 and gap(found, GREY) < 12


def test_frames_of_several_bits_a_pixel_and_planes_are_read(tmp_path):
    planes = np.moveaxis(COLOUR, -1, 0).tobytes()
    path = make(tmp_path / "a", planes, COLOUR, PlanarConfiguration=1)
    assert gap(picture_of(path), COLOUR) == 0
    wide = GREY.astype(np.uint32) << 24
    assert gap(picture_of(make(tmp_path / "b", wide.tobytes(), wide)), GREY) <= 1


def test_frames_of_single_bits_need_not_begin_at_a_byte(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (3, 5, 7), np.uint8)
    packed = np.packbits(bits, bitorder="little").tobytes()
    path = make(tmp_path / "a", packed, bits[0], bits=1, NumberOfFrames=3)
    assert np.array_equal(np.stack(frames_of(path)), bits * 255)


def test_bytes_in_big_endian_words_are_turned_round(tmp_path):
    cine = np.random.default_rng(0).integers(0, 255, (3, 5, 7), np.uint8)
    swapped = np.frombuffer(cine.tobytes() + b"\0", np.uint16).byteswap().tobytes()
    path = make(
        tmp_path / "a", swapped, cine[0], made.BIG_ENDIAN, "OW", NumberOfFrames=3
    )
    assert np.array_equal(np.stack(frames_of(path)), cine)


def test_other_bits_than_the_stored_ones_are_cut_off(tmp_path):
    twelve = GREY.astype(np.uint16) << 4
    path = make(
        tmp_path / "a", (twelve | 0x8000).tobytes(), twelve, BitsStored=12, HighBit=11
    )
    assert gap(picture_of(path), GREY) <= 1


@pytest.mark.parametrize(
    "elements", [{"BitsStored": 8, "HighBit": 15}, {"BitsStored": 16}, {"HighBit": 0}]
)
def test_bits_that_contradict_each_other_are_the_lowest(tmp_path, elements):
    elements = {"BitsStored": 8, "HighBit": 7} | elements
    path = make(tmp_path / "a", GREY.tobytes(), GREY, **elements)
    assert gap(picture_of(path), GREY) == 0


def test_ge_files_have_big_endian_pixels_under_little_endian_elements(tmp_path):
    path = make(tmp_path / "a", DEEP.astype(">u2").tobytes(), DEEP, made.IMPLICIT)
    content = path.read_bytes()
    position = content.index(b"\x02\x00\x10\x00UI")
    length = content[position + 6]
    ge = b"1.2.840.113619.5.2"
    path.write_bytes(
        content[: position + 6]
        + len(ge).to_bytes(2, "little")
        + ge
        + content[position + 8 + length :]
    )
    assert gap(picture_of(path), GREY) <= 1


def film(cine, codec="mpeg2video", container="mpeg2video"):
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.height, stream.width = cine.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.bit_rate = 8_000_000
        for picture in cine:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("codec", "container", "syntax"),
    [
        ("mpeg2video", "mpeg2video", made.MPEG2),
        ("mpeg2video", "vob", made.MPEG2),
        ("mpeg2video", "mpegts", made.MPEG2),
        ("libx264", "mp4", made.MPEG4),
        ("libx264", "h264", made.MPEG4),
    ],
)
@pytest.mark.parametrize("want", ["stored", "grey"])
def test_a_film_in_several_fragments_is_read(tmp_path, want, codec, container, syntax):
    cine = np.stack([np.roll(scan(96, 128), 2 * t, axis=1) for t in range(8)])
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    code = film(cine, codec, container)
    pieces = [code[i : i + 5000] for i in range(0, len(code), 5000)]
    path = make(
        tmp_path / "a",
        [p + b"\0" * (len(p) % 2) for p in pieces],
        cine[0],
        syntax,
        photometric="YBR_PARTIAL_420",
        NumberOfFrames=8,
    )
    found = np.stack(frames_of(path, want=want)).astype(int)
    expected = cine
    if want == "grey":
        expected = np.stack([cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in cine])
    assert found.shape == expected.shape
    # A wrong range is 16 levels away; the codec blurs edges and mixes chroma.
    assert np.abs(found - expected).mean() < 4


def test_what_is_no_film_is_refused(tmp_path):
    path = make(tmp_path / "a", [b"what is this?" * 99], GREY, made.MPEG2)
    with pytest.raises(InputError, match="film"):
        open_cine(path)


def test_a_film_of_larger_frames_than_stated_is_refused(tmp_path):
    cine = np.stack([scan(240, 320)] * 3)
    path = make(tmp_path / "a", [film(cine)], GREY, made.MPEG2, NumberOfFrames=3)
    with pytest.raises(InputError, match="no frame of its film can be decoded"):
        open_cine(path)


def test_monochrome1_is_inverted(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY, photometric="MONOCHROME1")
    assert gap(picture_of(path), 255 - GREY) == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_frames_keep_their_order_with_threads(tmp_path, threads):
    cine = [np.full((16, 16), 20 * t, np.uint8) for t in range(10)]
    codes = [codecs.jpeg8_encode(frame, 95) for frame in cine]
    path = make(tmp_path / "a", codes, cine[0], made.JPEG, NumberOfFrames=10)
    found = frames_of(path, threads=threads)
    assert [int(frame[0, 0]) for frame in found] == [20 * t for t in range(10)]


def test_frames_can_be_read_again_from_the_first(tmp_path):
    cine = np.arange(3 * 16, dtype=np.uint8).reshape(3, 4, 4)
    path = make(tmp_path / "a", cine.tobytes(), cine[0], NumberOfFrames=3)
    with open_cine(path) as opened:
        next(opened.frames())
        assert np.array_equal(np.stack(list(opened.frames())), cine)


def test_grey_is_the_luminance_of_the_colours_within_rounding(tmp_path):
    path = make(
        tmp_path / "a",
        [made.jpeg(COLOUR)],
        COLOUR,
        made.JPEG,
        photometric="YBR_FULL_422",
    )
    weights = picture_of(path) @ np.array([0.299, 0.587, 0.114])
    grey = picture_of(path, want="grey")
    away = np.abs(grey - weights)
    # 1 where a conversion rounds; more only where it cuts off what no screen can show.
    assert np.mean(away > 1.5) < 0.02 and away.max() < 20


@pytest.mark.parametrize("photometric", ["RGB", "PALETTE COLOR", "MONOCHROME2"])
def test_grey_is_one_plane_for_every_kind(tmp_path, photometric):
    picture = COLOUR if photometric == "RGB" else GREY
    ramp = np.arange(256, dtype=np.uint8).tobytes()
    tables = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour in ("Red", "Green", "Blue")
        for part, value in (("Descriptor", [256, 0, 8]), ("Data", ramp))
    }
    path = make(
        tmp_path / "a",
        picture.tobytes(),
        picture,
        photometric=photometric,
        **(tables if photometric == "PALETTE COLOR" else {}),
    )
    found = picture_of(path, want="grey")
    expected = COLOUR @ np.array([0.299, 0.587, 0.114]) if picture is COLOUR else GREY
    assert found.shape == GREY.shape and gap(found, np.rint(expected)) <= 1


def test_two_decoders_that_disagree_are_named(tmp_path, monkeypatch):
    path = make(tmp_path / "a", [lossless(GREY)], GREY, made.LOSSLESS)
    whiter = ours.Decoder("whitener", lambda *given: ours.libjpeg_turbo(*given) | 1)
    pair = (ours.DECODERS["lossless jpeg"][0], whiter)
    monkeypatch.setitem(ours.DECODERS, "lossless jpeg", pair)
    with pytest.raises(InputError, match="libjpeg-turbo and whitener disagree"):
        open_cine(path)
    with open_cine(path, cross_check=False) as cine:
        assert gap(next(cine.frames()), GREY) == 0


def test_a_decoder_that_fails_is_replaced_and_noted(tmp_path, monkeypatch):
    def fails(*given):
        raise RuntimeError("patient's name")

    path = make(tmp_path / "a", [lossless(GREY)], GREY, made.LOSSLESS)
    pair = (ours.Decoder("broken", fails), ours.DECODERS["lossless jpeg"][1])
    monkeypatch.setitem(ours.DECODERS, "lossless jpeg", pair)
    with open_cine(path) as cine:
        assert cine.decoder == "gdcm"
        assert cine.notes == (
            "broken cannot decode a lossless jpeg frame (RuntimeError)",
        )
        assert gap(next(cine.frames()), GREY) == 0


@pytest.mark.parametrize("seed", [39, 55, 161])
def test_damaged_jpeg_ls_is_refused_at_once(tmp_path, monkeypatch, seed):
    small = scan(16, 20)
    code = bytearray(codecs.jpegls_encode(small))
    rng = np.random.default_rng(seed)
    start, count = rng.integers(60, len(code) - 8), rng.integers(2, 30)
    junk = rng.integers(0, 256, rng.integers(0, count + 1), np.uint8)
    code[start : start + count] = junk.tobytes()  # CharLS takes 8 to 16 s over these
    path = make(tmp_path / "a", [bytes(code)], small, made.JPEGLS)
    begun = time.monotonic()
    with pytest.raises(InputError, match="gdcm cannot decode a jpegls frame"):
        open_cine(path)
    assert time.monotonic() - begun < 2
    monkeypatch.setitem(ours.DECODERS, "jpegls", ours.DECODERS["jpegls"][1:])
    with pytest.raises(InputError, match="no end mark"):
        open_cine(path)


def test_jpeg_ls_of_few_bits_is_left_to_charls(tmp_path):
    jpeg_ls = pytest.importorskip("jpeg_ls", reason="pyjpegls writes such files")
    few = GREY >> 2
    code = jpeg_ls.encode_buffer(
        few.tobytes(), rows=60, columns=80, samples_per_pixel=1, bits_stored=6
    )
    path = make(tmp_path / "a", [bytes(code)], few, made.JPEGLS, BitsStored=6)
    with open_cine(path) as cine:
        assert cine.decoder == "charls"
        assert gap(next(cine.frames()), np.rint(few / 63 * 255)) == 0


def test_a_cine_is_never_in_memory_as_a_whole(tmp_path):
    cine = np.zeros((200, 100, 200), np.uint8)
    path = make(tmp_path / "a", cine.tobytes(), cine[0], NumberOfFrames=200)
    with open_cine(path) as opened:
        tracemalloc.start()
        count = sum(1 for _ in opened.frames())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 200 and peak < cine.nbytes / 20


def test_limits_are_checked_before_anything_is_decoded(tmp_path):
    path = make(tmp_path / "a", [b"\xff\xd8\xff\xd9"], GREY, made.JPEG, Rows=60000)
    for limits in (Limits(pixels=1000), Limits(memory_bytes=1000)):
        with pytest.raises(InputError, match="allowed are"):
            open_cine(path, limits=limits)


def test_a_time_limit_ends_a_cine(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY)
    with open_cine(path, limits=Limits(seconds=1e-6)) as cine:
        with pytest.raises(InputError, match="takes more than"):
            next(cine.frames())


def test_a_compressed_frame_of_another_size_is_refused_unread(tmp_path):
    code = codecs.jpegls_encode(np.zeros((500, 500), np.uint8))
    path = make(tmp_path / "a", [code], GREY, made.JPEGLS)
    with pytest.raises(InputError, match="500 x 500 pixels, allowed are the 80 x 60"):
        open_cine(path)


def test_a_damaged_frame_is_named(tmp_path):
    good = codecs.jpegls_encode(GREY)
    path = make(
        tmp_path / "a", [good, good[:40] + b"\0" * 30], GREY, made.JPEGLS,
        NumberOfFrames=2,
    )  # fmt: skip
    with pytest.raises(InputError, match="frame 2 of 2: a compressed frame.s markers"):
        frames_of(path)


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.7.1", "1.2.3.4"]
)
def test_an_unknown_syntax_is_refused_in_one_line(tmp_path, syntax):
    known = "1.2.840.10008.1.2.4.94"
    path = make(tmp_path / "a", [b"what is this?" * 999], GREY, known)
    stated = syntax.encode().ljust(len(known), b"\0")
    path.write_bytes(path.read_bytes().replace(known.encode(), stated, 1))
    with pytest.raises(InputError, match=f"{syntax} is not supported, allowed are"):
        open_cine(path)


def test_chroma_shared_in_rows_of_an_odd_number_is_refused(tmp_path):
    picture = np.zeros((4, 5, 3), np.uint8)
    path = make(tmp_path / "a", bytes(40), picture, photometric="YBR_FULL_422")
    with pytest.raises(InputError, match="allowed is an even number of columns"):
        open_cine(path)
