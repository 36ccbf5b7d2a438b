"""What a picture file holds: its samples upright, before anything is made of them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from ultrasound_jax.media.picture_header import (
    CHANNELS,
    COMPRESSION,
    FORMATS,
    HEIGHT,
    ORIENTATION,
    PHOTOMETRIC,
    WIDTH,
    check_size,
    declared_by,
    has_alpha,
    is_lossy,
    is_signed,
    kind_of_samples,
    orientation_of,
    stored_bits,
    tiff_tags,
    turn_to_page,
    white_is_zero,
)
from ultrasound_jax.media.sample_depth import bits_of
from ultrasound_jax.types import InputError

MAX_BYTES = 256 * 2**20
SAMPLES = "uint8, uint16, int16, int32, float32 and float64"
INT8 = np.iinfo(np.int8).max
_FEW_BITS = (2, 4)  # a sample of grey; one bit is a mode of its own
_TURNS = {  # EXIF orientation -> what makes the picture upright
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}


@dataclass(frozen=True, eq=False)
class Samples:
    """A picture's samples, upright.

    shown: `h w`, or `h w 3` RGB, with palettes looked up and WhiteIsZero inverted, so
        that large is bright; numbers with a sign or a fraction as they are.
    stored: the numbers that the file holds: places in the palette, WhiteIsZero as
        written, 0 and 1 of one bit, 0 to 3 of two; `shown` where that is the same.
    alpha: how much is seen of each pixel; None where the file does not say.
    palette, lossy: how the file keeps them.
    white_is_zero: "" or who says so: `program` (tifffile and ImageJ declare it and mean
        the stored numbers), `fax` (means what is shown) or `file`.
    orientation: of EXIF or TIFF, 1 where nothing had to be turned.
    """

    shown: np.ndarray
    stored: np.ndarray
    alpha: np.ndarray | None = None
    palette: bool = False
    lossy: bool = False
    white_is_zero: str = ""
    orientation: int = 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the file's samples, one line each."""
        notes = []
        if self.orientation != 1:
            notes.append(f"turned upright (EXIF orientation {self.orientation})")
        if self.white_is_zero:
            notes.append("inverted, as the file says that white is 0")
        return tuple(notes)

    def turned(self, orientation: int) -> "Samples":
        """Upright, if they lie as `orientation` says."""
        turn = _TURNS.get(orientation)
        if turn is None:
            return self
        alpha = None if self.alpha is None else np.ascontiguousarray(turn(self.alpha))
        return replace(
            self,
            shown=np.ascontiguousarray(turn(self.shown)),
            stored=np.ascontiguousarray(turn(self.stored)),
            alpha=alpha,
            orientation=orientation,
        )


def read_samples(path: Path, *, name: str, page: int = 0) -> Samples:
    """The samples of a picture file.

    Files are never believed: size is checked before anything is decoded, and a
    truncated file is an error.

    Args:
        path: the file.
        name: what errors call it, since a file's own name may tell a patient.
        page: which one of a TIFF of several pages is, from 1; 0 allows one page only.

    Raises:
        InputError: not a picture of these formats, damaged, several pages and none
            named, or larger than `MAX_BYTES` or `MAX_PIXELS`.
    """
    try:
        return _read(path, name, page)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    # Damaged files raise almost anything in Pillow: struct.error, SyntaxError, ...
    except Exception as error:
        raise InputError(f"{name}: {_reason(error, path)}") from error


def _read(path: Path, name: str, page: int) -> Samples:
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{name}: file above {MAX_BYTES >> 20} MiB")
    try:
        # Opened here: Pillow maps a file that it is given by name, and scrambles what
        # lies on its side in a TIFF.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as picture:
            check_size(*picture.size, name)
            turn_to_page(picture, name, page)
            check_size(*picture.size, name)
            return _samples(picture, path, name)
    except UnidentifiedImageError:
        tags, more = tiff_tags(path)
        if not tags:
            raise
        if more:
            raise InputError(
                f"{name}: several pages of {kind_of_samples(tags)}, allowed is one"
            ) from None
        return _other_tiff(tags, path, name)


def _samples(picture: Image.Image, path: Path, name: str) -> Samples:
    # Taken first: decoding a TIFF turns it and forgets the tags.
    tags: Any = dict(getattr(picture, "tag_v2", {}))
    if picture.format == "PNG":
        picture.load()  # EXIF may stand behind the pixels
    orientation, white = orientation_of(picture), white_is_zero(picture, tags)
    bits, lossy = stored_bits(picture, path), is_lossy(picture)
    if bits > 8 and len(picture.getbands()) > 1:
        found = _deep_colour(path, name)
    else:
        found = _shallow(picture, bits)
        if is_signed(tags) and (found.stored > INT8).any():
            found = _signed(found)
        if picture.format == "TIFF":  # which Pillow turns as it decodes
            found, orientation = replace(found, orientation=orientation), 1
    if white:
        found = replace(_inverted(found, bits), white_is_zero=white)
    return replace(found, lossy=lossy).turned(orientation)


def _shallow(picture: Image.Image, bits: int) -> Samples:
    """Samples of one channel, or of 8 bits."""
    picture.load()  # first: NumPy asks for the shape before a TIFF is turned
    if picture.mode in ("P", "PA"):
        places = np.asarray(picture if picture.mode == "P" else picture.getchannel(0))
        shown = picture.convert("RGBA" if has_alpha(picture) else "RGB")
        colours = np.asarray(shown)
        alpha = colours[..., 3] if colours.shape[2] == 4 else None
        return Samples(_if_grey(colours[..., :3]), places, alpha, palette=True)
    if has_alpha(picture):
        seen = picture.convert("LA" if len(picture.getbands()) < 3 else "RGBA")
        pixels = np.asarray(seen)
        values = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
        return Samples(values, values, pixels[..., -1])
    if picture.mode == "1":
        lit = np.asarray(picture).astype(np.uint8)
        return Samples(lit * 255, lit)
    if picture.mode in ("L", "RGB") or picture.mode[0] in "IF":
        values = _narrow(np.asarray(picture), bits)
    else:
        values = np.asarray(picture.convert("RGB"))
    if picture.mode == "L" and bits in _FEW_BITS:  # which Pillow spreads over all 8
        return Samples(values, values // (255 // (2**bits - 1)))
    return Samples(values, values)


def _signed(found: Samples) -> Samples:
    """Bytes with a sign, which Pillow reads without it."""
    if found.stored.dtype != np.uint8:
        return found
    values = found.stored.view(np.int8).astype(np.int16)
    return replace(found, shown=values, stored=values)


def _inverted(found: Samples, bits: int = 8) -> Samples:
    """With `stored` as written and `shown` as meant, which Pillow does for 8 bits."""
    values = found.stored
    if values.dtype == np.uint8:
        spread = values is found.shown
        return replace(found, stored=(255 if spread else 2**bits - 1) - values)
    if values.dtype == np.uint16:
        brightest = 2 ** bits_of(int(values.max(initial=0))) - 1
        return replace(found, shown=(brightest - values).astype(np.uint16))
    return found  # with a sign or a fraction they are numbers, not shades


def _narrow(pixels: np.ndarray, bits: int) -> np.ndarray:
    # Pillow widens int16 TIFF to int32 and reads big endian as such.
    native = pixels.dtype.newbyteorder("=")
    pixels = pixels.astype(native, copy=False)
    limits = np.iinfo(np.int16)
    fits = pixels.dtype == np.int32 and bits <= 16
    if fits and limits.min <= pixels.min() and pixels.max() <= limits.max:
        return pixels.astype(np.int16)
    return pixels


def _if_grey(colours: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    return colours[..., 0] if (colours == colours[..., :1]).all() else colours


def _deep_colour(path: Path, name: str) -> Samples:
    """Colour of 16 bits, which Pillow would cut to 8 without a word."""
    pixels = _by_opencv(path)
    if pixels is None or pixels.ndim != 3:
        raise InputError(f"{name}: a 16-bit colour picture that does not decode")
    colours = np.ascontiguousarray(pixels[..., 2::-1])
    if (colours == colours[..., :1]).all():
        colours = colours[..., 0]
    return Samples(colours, colours, pixels[..., 3] if pixels.shape[2] == 4 else None)


def _by_opencv(path: Path) -> np.ndarray | None:
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imread(str(path), flags)


def _other_tiff(tags: dict[int, Any], path: Path, name: str) -> Samples:
    """A TIFF that Pillow does not know but OpenCV may, such as float64."""
    check_size(int(tags.get(WIDTH, 0)), int(tags.get(HEIGHT, 0)), name)
    pixels = _by_opencv(path)
    if pixels is None or pixels.dtype.name != kind_of_samples(tags):
        channels = int(tags.get(CHANNELS, 1))
        raise InputError(
            f"{name}: a TIFF of {kind_of_samples(tags)} samples (compression "
            f"{tags.get(COMPRESSION, 1)}, {channels} a pixel), allowed are {SAMPLES}, "
            "1, 3 or 4 a pixel"
        )
    values = pixels[..., 2::-1] if pixels.ndim == 3 else pixels
    found = Samples(values, values)
    if tags.get(PHOTOMETRIC) == 0:
        found = replace(_inverted(found), white_is_zero=declared_by(tags))
    return found.turned(int(tags.get(ORIENTATION, 1)))


def _reason(error: Exception, path: Path) -> str:
    words = " ".join(str(error).split()).replace(str(path), "the file")
    if "cannot identify image file" in words:
        return f"not a picture or a damaged one, allowed: {', '.join(FORMATS)}"
    if path.name in words or not words:
        words = type(error).__name__
    return f"does not decode ({words[:120]})"
