"""Reads picture files of any colour mode into plain arrays, or says why it cannot."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from jaxtyping import Float, Int16, UInt8
from PIL import Image

from ultrasound_jax.media.near_duplicates import (
    join_views,
    near_duplicates,
    thumbnail,
)
from ultrasound_jax.types import InputError

Item = TypeVar("Item")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
MAX_BYTES = 256 * 2**20
MAX_PIXELS = 64 * 2**20
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_BITS_PER_SAMPLE = 258  # the TIFF tag
_LOSSY_BLACK = 31  # what JPEG may make of black


def list_images(folder: Path) -> list[Path]:
    """Picture files of `folder` by name, numbers in names by value; hidden ones aside.

    Upper and lower case endings are the same: LungSegDB writes `.TIF`.
    """
    found = (
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    )
    return sorted(found, key=lambda path: natural_order(path.name))


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts `image 2` before `image 10`."""
    parts: list[tuple[int, int, str]] = []
    digits, text = "", ""
    for letter in name + "\0":
        if letter.isascii() and letter.isdigit():
            if text:
                parts.append((1, 0, text))
            digits, text = digits + letter, ""
        else:
            if digits:
                parts.append((0, int(digits), digits))
            digits, text = "", text + letter
    return (*parts, (1, 0, text))


def read_picture(path: Path, *, name: str) -> np.ndarray:
    """Pixels as stored: `h w` or, for colour, `h w 3` (RGB, transparency dropped).

    uint8, or what 16- and 32-bit grey files hold (int16, uint16, int32, float32). Two
    colours become 0 and 255; a palette is looked up. Files are never believed: size is
    checked before anything is decoded, and a truncated file is an error.

    Args:
        path: the file.
        name: what errors call it, since a file's own name may tell a patient.

    Raises:
        InputError: not a picture of these formats, damaged, several pictures, or
            larger than `MAX_BYTES` or `MAX_PIXELS`.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{name}: file above {MAX_BYTES >> 20} MiB")
        with Image.open(path, formats=_FORMATS) as picture:
            return _pixels(picture, path, name)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    # Damaged files raise almost anything in Pillow: struct.error, SyntaxError, ...
    except Exception as error:
        raise InputError(f"{name}: {_reason(error, path)}") from error


def grey(picture: np.ndarray, *, name: str) -> UInt8[np.ndarray, "h w"]:
    """Luminance of colour (0.299, 0.587, 0.114 as in Pillow's `L`); grey as it is.

    Of 16 bits the upper 8 are kept.

    Raises:
        InputError: pixels are not 8 or 16 bits without sign.
    """
    if picture.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{name}: pixels are {picture.dtype}, allowed are uint8 and uint16"
        )
    if picture.ndim == 3:
        weights = np.array([19595, 38470, 7471], np.uint32)
        luminance = (picture.astype(np.uint32) @ weights + 0x8000) >> 16
        picture = luminance.astype(picture.dtype)
    return picture if picture.dtype == np.uint8 else (picture >> 8).astype(np.uint8)


def thumbnails_of(
    items: Sequence[Item],
    views: Callable[[Item], Sequence[np.ndarray]],
    *,
    threads: int = 2,
) -> list[np.ndarray | InputError]:
    """Thumbnails `v 32 32` of each item in order, or why it cannot be read.

    One picture a thread is in memory. Decoding releases the interpreter's lock.

    Args:
        items: what there is.
        views: an item's picture in the forms in which it may be compared, such as
            stored and as built; as many for each.
        threads: that read.
    """

    def small(item: Item) -> np.ndarray | InputError:
        try:
            return np.stack([thumbnail(view) for view in views(item)])
        except InputError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(small, items))


def groups_by_likeness(
    items: Sequence[Item],
    views: Callable[[Item], Sequence[np.ndarray]],
    *,
    names: Sequence[str],
) -> tuple[dict[str, str], dict[str, str]]:
    """For sets without patients: the near-duplicate group of each name.

    Items belong together if any of their views do. A group is called after its first:
    `like_lipoma_0001`. What cannot be read comes second, with the reason.
    """
    small = dict(zip(names, thumbnails_of(items, views), strict=True))
    readable: dict[str, np.ndarray] = {}
    refused: dict[str, str] = {}
    for name, one in small.items():
        if isinstance(one, InputError):
            refused[name] = str(one).removeprefix(f"{name}: ")
        else:
            readable[name] = one
    if not readable:
        return {}, refused
    group = join_views([near_duplicates(v) for v in by_view(readable.values())])
    first: dict[int, str] = {}
    groups = {
        name: first.setdefault(number, f"like_{name}")
        for name, number in zip(readable, group.tolist(), strict=True)
    }
    return groups, refused


def by_view(thumbnails: Iterable[np.ndarray]) -> np.ndarray:
    """From one stack `v 32 32` an item to one stack `n 32 32` a view."""
    return np.ascontiguousarray(np.stack(list(thumbnails)).swapaxes(0, 1))


def foreground(
    picture: np.ndarray, *, name: str, level: int | None = None
) -> UInt8[np.ndarray, "h w 1"]:
    """A mask of 0 and 1 from what a file calls one.

    Args:
        picture: of any colour mode; a pixel is marked where any channel is.
        name: what errors call it.
        level: marked is above it. None takes a mask of at most two values at its word
            (the one that is not 0 marks) and one of more, such as an enlarged one, as
            marked above the middle of its type.

    Raises:
        InputError: without a level, more than two values and none above the middle
            (nothing tells what they mean), or a value that is not finite.
    """
    if not np.isfinite(picture).all():
        raise InputError(f"{name}: mask with values that are not finite")
    flat = picture if picture.ndim == 2 else picture.max(axis=2)
    if level is not None:
        return (flat > level).astype(np.uint8)[..., None]
    highest = flat.max()
    if np.isin(flat, (0, highest)).all():
        return (flat != 0).astype(np.uint8)[..., None]
    middle = 0.5 if flat.dtype.kind == "f" else np.iinfo(flat.dtype).max // 2
    if _LOSSY_BLACK < highest <= middle:
        raise InputError(
            f"{name}: mask with more than two values up to {highest}, allowed: two "
            f"values, or up to {2 * middle:g}"
        )
    return (flat > middle).astype(np.uint8)[..., None]


def hounsfield(picture: np.ndarray, *, name: str) -> Int16[np.ndarray, "h w"]:
    """Grey values of a CT slice as int16; rounds where they are fractions.

    Raises:
        InputError: colour, or values that int16 does not hold.
    """
    limits = np.iinfo(np.int16)
    if picture.ndim != 2:
        raise InputError(f"{name}: colour, allowed for Hounsfield units is grey")
    if not np.isfinite(picture).all():
        raise InputError(f"{name}: values that are not finite")
    low, high = picture.min(), picture.max()
    if low < limits.min or high > limits.max:
        raise InputError(
            f"{name}: values {low} to {high}, allowed are {limits.min} to {limits.max}"
        )
    return np.rint(picture).astype(np.int16)


def windowed(
    units: Int16[np.ndarray, "h w"], *, centre: float, width: float
) -> UInt8[np.ndarray, "h w"]:
    """Hounsfield units as grey: `centre - width / 2` is 0, `centre + width / 2` 255."""
    scaled: Float[np.ndarray, "h w"] = (units - (centre - width / 2)) * (255 / width)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _pixels(picture: Image.Image, path: Path, name: str) -> np.ndarray:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name}: {width} x {height} px, allowed are {MAX_PIXELS} pixels"
        )
    if getattr(picture, "n_frames", 1) > 1:
        raise InputError(f"{name}: several pictures in one file, allowed is one")
    bits = getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    if len(bits) > 1 and max(bits) > 8:
        return _deep_colour(path, name)
    if picture.mode in ("L", "RGB") or picture.mode[0] in "IF":
        return _narrow(np.asarray(picture), max(bits))
    mode = "L" if picture.mode in ("1", "LA", "La") else "RGB"
    if picture.mode == "P" and _grey_palette(picture):
        mode = "L"
    return np.asarray(picture.convert(mode))


def _narrow(pixels: np.ndarray, bits: int) -> np.ndarray:
    # Pillow widens int16 TIFF to int32 and reads big endian as such.
    native = pixels.dtype.newbyteorder("=")
    pixels = pixels.astype(native, copy=False)
    limits = np.iinfo(np.int16)
    fits = pixels.dtype == np.int32 and bits <= 16
    if fits and limits.min <= pixels.min() and pixels.max() <= limits.max:
        return pixels.astype(np.int16)
    return pixels


def _grey_palette(picture: Image.Image) -> bool:
    colours = np.asarray(picture.getpalette() or [], np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _deep_colour(path: Path, name: str) -> np.ndarray:
    """Colour of 16 bits, which Pillow would cut to 8 without a word."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise InputError(f"{name}: a 16-bit colour picture that does not decode")
    return pixels[..., 2::-1]


def _reason(error: Exception, path: Path) -> str:
    words = " ".join(str(error).split()).replace(str(path), "the file")
    if "cannot identify image file" in words:
        return f"not a picture or a damaged one, allowed: {', '.join(_FORMATS)}"
    if path.name in words or not words:
        words = type(error).__name__
    return f"does not decode ({words[:120]})"
