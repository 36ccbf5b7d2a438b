"""Decoders of one compressed frame: raw samples, no colour conversion.

Each kind of picture has a first decoder and, where another can read it too, a second
one of another origin that checks it. All are permissively licensed. pylibjpeg-libjpeg
is never used: it is GPL, and it whitens some scanners' lossless pictures.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple, cast

import cv2
import imagecodecs
import numpy as np

from ultrasound_jax.dicom.read.codestream import Codestream, read_codestream
from ultrasound_jax.dicom.read.damage import DamagedFrame
from ultrasound_jax.dicom.read.samples import Layout
from ultrasound_jax.dicom.read.source import RLE
from ultrasound_jax.dicom.read.whole_jpeg import decode_jpeg
from ultrasound_jax.dicom.read.whole_jpeg2000 import check_jpeg2000
from ultrasound_jax.runs.unraised import unraised
from ultrasound_jax.types import InputError

_JPEG_SYNTAX = {
    "jpeg": "1.2.840.10008.1.2.4.50",
    "lossless jpeg": "1.2.840.10008.1.2.4.57",
    "jpegls": "1.2.840.10008.1.2.4.81",
    "j2k": "1.2.840.10008.1.2.4.91",
}
# Two correct decoders of a DCT differ by rounding, and at chroma edges by how they
# enlarge the chroma; JPEG 2000's irreversible wavelet by rounding.
_LOSSY = {"jpeg": (2.0, 48), "j2k": (1.0, 4), "htj2k": (1.0, 4)}
_LOSSY["jpegxl"] = _LOSSY["jpeg"]  # of which it can be had a second time
_FFMPEG_DEPTHS = {"gray": 8, "rgb24": 8, "gray16le": 16, "rgb48le": 16}
_SPARE = 1024  # an RLE segment may be padded; one that unpacks to far more is a bomb


class Decoder(NamedTuple):
    """A name for messages, and a function from code to samples, `h w` or `h w 3`.

    final: what it cannot decode is not given to the decoders behind it.
    """

    name: str
    decode: Callable[[bytes, Codestream, Layout], np.ndarray]
    final: bool = False


def libjpeg_turbo(code: bytes, stream: Codestream, layout: Layout) -> np.ndarray:
    """Any JPEG of 2 to 16 bits, DCT or lossless."""
    return decode_jpeg(code, stream)


def luma_of_jpeg(code: bytes, stream: Codestream, layout: Layout) -> np.ndarray:
    """The Y of a YCbCr JPEG, without decoding its chroma."""
    return decode_jpeg(code, stream, luma=True)


def charls(code: bytes, stream: Codestream, layout: Layout) -> np.ndarray:
    """JPEG-LS; it must have its end mark, or CharLS 2.4 looks for it for seconds."""
    if not code.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise DamagedFrame("its JPEG-LS data have no end mark")
    return imagecodecs.jpegls_decode(code)


def libjxl(code: bytes, stream: Codestream, layout: Layout) -> np.ndarray:
    """JPEG XL; RGB where a transform was used, else the samples as they were given."""
    return imagecodecs.jpegxl_decode(code, index=0, keeporientation=True, numthreads=1)


def jpeg_of_jpegxl(code: bytes, stream: Codestream, layout: Layout) -> np.ndarray:
    """A recompressed JPEG by way of the JPEG that it was; RGB."""
    jpeg = imagecodecs.jpegxl_decode_jpeg(code, numthreads=1)
    was = read_codestream(bytes(jpeg))
    if (was.columns, was.rows) != (stream.columns, stream.rows):
        raise InputError("a JPEG XL frame holds a JPEG of another size")
    return imagecodecs.jpeg8_decode(jpeg)


def openjpeg(code: bytes, stream: Codestream, layout: Layout) -> np.ndarray:
    """JPEG 2000, high-throughput or not; undoes its colour transform."""
    check_jpeg2000(code)
    return imagecodecs.jpeg2k_decode(code, verbose=0, numthreads=1)


def openjph(code: bytes, stream: Codestream, layout: Layout) -> np.ndarray:
    """High-throughput JPEG 2000. Of lossy pictures some whites come out as black.

    OpenJPH rounds what is nearly white to one level above it, and imagecodecs 2026.3
    takes the low bits of that: 256 becomes 0.

    Raises:
        DamagedFrame: it gave up within; imagecodecs hands out a black picture then.
    """
    check_jpeg2000(code)
    with unraised() as errors:
        samples = imagecodecs.htj2k_decode(code, planar=False)
    if errors:
        raise DamagedFrame("openjph gives up within a htj2k frame")
    return samples


def ffmpeg(code: bytes, stream: Codestream, layout: Layout) -> np.ndarray:
    """JPEG 2000, high-throughput or not: a judge, as it is not always right itself."""
    import av  # its libraries take long to load

    context = cast(av.VideoCodecContext, av.CodecContext.create("jpeg2000", "r"))
    context.thread_count = 1
    most = (stream.columns + 128) * (stream.rows + 128) + 1  # it pads before it counts
    context.options = {"max_pixels": str(most)}
    [frame] = [*context.decode(av.Packet(code)), *context.decode(None)]
    depth = _FFMPEG_DEPTHS.get(frame.format.name)
    if depth is None:
        raise InputError(f"ffmpeg decodes pixels of the format {frame.format.name}")
    samples = np.asarray(frame.to_ndarray(), f"u{depth // 8}")
    return samples >> max(0, depth - stream.precision)  # it fills the upper bits


def packbits(code: bytes, stream: Codestream, layout: Layout) -> np.ndarray:
    """DICOM's RLE: a plane a byte of a sample, the most significant first (PS3.5 G)."""
    size, wide = layout.rows * layout.columns, layout.bits_allocated // 8
    count, *offsets = struct.unpack_from("<16I", code)
    if count != layout.samples * wide:
        raise InputError(
            f"an RLE frame has {count} segments, allowed are {layout.samples * wide}"
        )
    ends = [*offsets[1:count], len(code)]
    planes = []
    for start, end in zip(offsets[:count], ends, strict=True):
        unpacked = imagecodecs.packbits_decode(code[start:end], out=size + _SPARE)
        plane = np.frombuffer(unpacked, np.uint8)
        padding = end - start - len(code[start:end].rstrip(b"\0"))
        spare = len(plane) - size  # two zeros of padding unpack to one
        if not 0 <= spare <= (padding + 1) // 2 or plane[size:].any():
            raise DamagedFrame(
                f"an RLE segment has {len(plane)} bytes, {size} are needed"
            )
        planes.append(plane[:size])
    words = np.stack(planes).reshape(layout.samples, wide, size)
    samples = np.ascontiguousarray(words.transpose(2, 0, 1)).view(f">u{wide}")
    picture = samples.reshape(layout.rows, layout.columns, layout.samples)
    return np.squeeze(picture.astype(f"u{wide}"), axis=2 if layout.samples == 1 else ())


def gdcm(code: bytes, stream: Codestream, layout: Layout) -> np.ndarray:
    """Everything but 12-bit DCT and high-throughput JPEG 2000."""
    import gdcm  # its library takes long to load

    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(code + b"\0" * (len(code) % 2))
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    rle = stream.kind == "rle"
    bits = layout.bits_allocated if rle else 8 if stream.precision <= 8 else 16
    depth = bits if rle else stream.precision
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((stream.columns, stream.rows, 1))
    image.SetDataElement(element)
    colour = stream.samples == 3
    photometric = "RGB" if colour else "MONOCHROME2"
    if stream.kind == "j2k" and stream.transformed:
        photometric = "YBR_RCT" if stream.lossless else "YBR_ICT"
    image.SetPhotometricInterpretation(
        gdcm.PhotometricInterpretation(
            gdcm.PhotometricInterpretation.GetPIType(photometric)
        )
    )
    if colour:
        image.SetPlanarConfiguration(0)
    syntax = RLE if rle else _JPEG_SYNTAX[stream.kind]
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(
        gdcm.PixelFormat(stream.samples, bits, depth, depth - 1, int(stream.signed))
    )
    # GDCM gives bytes as a str; this is how they come out of it again.
    values = image.GetBuffer().encode("utf-8", "surrogateescape")
    kind = f"{'i' if stream.signed else 'u'}{bits // 8}"
    shape = (stream.rows, stream.columns, *(3,) * colour)
    return np.frombuffer(values, kind).reshape(shape)


LUMA = Decoder("libjpeg-turbo", luma_of_jpeg)
DECODERS: dict[str, tuple[Decoder, ...]] = {
    "jpeg": (Decoder("libjpeg-turbo", libjpeg_turbo), Decoder("gdcm", gdcm)),
    "lossless jpeg": (Decoder("libjpeg-turbo", libjpeg_turbo), Decoder("gdcm", gdcm)),
    # GDCM brings an older CharLS, a little slower. It goes first, since it sees damage
    # at once, where CharLS 2.4 may take 20 s over less than a kilobyte.
    "jpegls": (Decoder("gdcm", gdcm, final=True), Decoder("charls", charls)),
    "j2k": (Decoder("openjpeg", openjpeg), Decoder("gdcm", gdcm)),
    "htj2k": (Decoder("openjph", openjph), Decoder("openjpeg", openjpeg)),
    "jpegxl": (Decoder("libjxl", libjxl), Decoder("libjpeg-turbo", jpeg_of_jpegxl)),
    "rle": (Decoder("packbits", packbits), Decoder("gdcm", gdcm)),
}

# Who is asked where the two disagree.
JUDGES = {"htj2k": Decoder("ffmpeg", ffmpeg)}


def decoders_for(stream: Codestream) -> tuple[Decoder, ...]:
    """The decoders of a picture, the first choice first.

    GDCM cannot decode a DCT of 12 bits nor JPEG-LS of less than 8, and mixes the planes
    up that RLE makes of several samples of more than 8 bits. OpenJPH, three times as
    fast as OpenJPEG, turns white to black where high-throughput JPEG 2000 is lossy.
    """
    found, deep = DECODERS[stream.kind], stream.precision > 8
    if stream.kind == "jpegxl":
        return found if stream.holds_jpeg else found[:1]
    if stream.kind == "htj2k" and not stream.lossless:
        return found[::-1]
    if stream.kind == "jpegls":
        return found if stream.precision >= 8 else found[1:]
    alone = stream.kind == "jpeg" or (stream.kind == "rle" and stream.samples > 1)
    return found[:1] if deep and alone else found


def decode(
    decoder: Decoder, code: bytes, stream: Codestream, layout: Layout
) -> np.ndarray:
    """Runs a decoder whose result must have the size that the picture states.

    Raises:
        InputError: names the decoder; codecs' own words are not passed on.
    """
    try:
        samples = decoder.decode(code, stream, layout)
    except InputError:
        raise
    except Exception as error:  # codecs raise types of their own, and MemoryError
        raise InputError(
            f"{decoder.name} cannot decode a {stream.kind} frame "
            f"({type(error).__name__})"
        ) from None
    if samples.shape != (stream.rows, stream.columns, *(3,) * (stream.samples == 3)):
        raise InputError(
            f"{decoder.name} decodes {samples.shape}, allowed are {stream.rows} x "
            f"{stream.columns} pixels of {stream.samples}"
        )
    return samples


def check_agreement(
    first: tuple[str, np.ndarray], second: tuple[str, np.ndarray], stream: Codestream
) -> None:
    """Compares what two decoders made of one frame.

    Raises:
        InputError: they differ, for lossless pictures at all, for lossy ones by more
            than rounding does; both are named.
    """
    average, largest = _gap(first[1], second[1])
    scale = max(1, 1 << (stream.precision - 8)) if stream.precision > 8 else 1
    mean, most = (0.0, 0) if stream.lossless else _LOSSY.get(stream.kind, (0.0, 0))
    if average > mean * scale or largest > most * scale:
        raise InputError(
            f"{first[0]} and {second[0]} disagree on a {stream.kind} frame: by "
            f"{average:.3g} on average and at most {largest}, allowed are "
            f"{mean * scale:.3g} and {most * scale}"
        )


def _gap(one: np.ndarray, other: np.ndarray) -> tuple[float, int]:
    """By how much samples differ: on average, and at most."""
    same = one.dtype == other.dtype and one.shape == other.shape
    if same and one.dtype in (np.uint8, np.uint16) and one.size:
        largest = int(cv2.norm(one, other, cv2.NORM_INF))
        if not largest:
            return 0.0, 0
        return cv2.norm(one, other, cv2.NORM_L1) / one.size, largest
    gap = np.abs(one.astype(np.int32) - other.astype(np.int32))
    return float(gap.mean()), int(gap.max())
