"""Reads picture files of any colour mode into plain arrays, or says why it cannot."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int16, UInt8

from ultrasound_jax.media.near_duplicates import (
    join_views,
    near_duplicates,
    thumbnail,
)
from ultrasound_jax.media.picture_file import read_samples
from ultrasound_jax.media.sample_depth import bits_of, upper_eight
from ultrasound_jax.types import InputError

Item = TypeVar("Item")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


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


def read_picture(path: Path, *, name: str, page: int = 0) -> np.ndarray:
    """Pixels upright: `h w` or, for colour, `h w 3` (RGB, transparency dropped).

    uint8, or what deeper files hold (int16, uint16, int32, float32, float64). Two
    colours become 0 and 255; a palette is looked up; WhiteIsZero is inverted; what EXIF
    says of its orientation is done.

    Args:
        path: the file.
        name: what errors call it, since a file's own name may tell a patient.
        page: which one of a TIFF of several pages is, from 1; 0 allows one page only.

    Raises:
        InputError: as `picture_file.read_samples`.
    """
    return read_samples(path, name=name, page=page).shown


def grey(picture: np.ndarray, *, name: str, bits: int = 0) -> UInt8[np.ndarray, "h w"]:
    """Luminance of colour (0.299, 0.587, 0.114 as in Pillow's `L`); grey as it is.

    Of deeper pixels the upper 8 of the bits that are used are kept; fractions of 0 to 1
    become 0 to 255.

    Args:
        picture: pixels as `read_picture` gives them.
        name: what errors call it.
        bits: that are used, as `largest_value` of a whole set tells; 0 for what this
            picture's largest value needs.

    Raises:
        InputError: numbers with a sign, or fractions beyond 1: no shades of grey.
    """
    if picture.dtype.kind == "f":
        return _of_fractions(picture, name)
    whole = picture.dtype == np.int32 and picture.min(initial=0) >= 0
    if picture.dtype not in (np.uint8, np.uint16) and not whole:
        raise InputError(
            f"{name}: pixels are {picture.dtype}, allowed are uint8, uint16 and "
            "fractions of 0 to 1"
        )
    bits = 8 if picture.dtype == np.uint8 else bits or bits_of(int(picture.max()))
    if picture.ndim == 3:
        weights = np.array([19595, 38470, 7471], np.uint32)
        luminance = (picture.astype(np.uint32) @ weights + 0x8000) >> 16
        picture = luminance.astype(picture.dtype)
    return picture if picture.dtype == np.uint8 else upper_eight(picture, bits)


def _of_fractions(picture: np.ndarray, name: str) -> UInt8[np.ndarray, "h w"]:
    low, high = float(picture.min()), float(picture.max())
    if not (0 <= low and high <= 1):
        raise InputError(
            f"{name}: pixels are fractions of {low:g} to {high:g}, allowed are 0 to 1"
        )
    if picture.ndim == 3:
        picture = picture @ np.array([0.299, 0.587, 0.114])
    return np.rint(picture * 255).astype(np.uint8)


def largest_value(picture: np.ndarray) -> int:
    """The largest value of a picture of whole numbers of more than 8 bits; else 0.

    See `sample_depth`; `picture_header.is_deep` tells which files need to be decoded.
    """
    shades = picture.dtype in (np.uint16, np.int32)
    return int(picture.max(initial=0)) if shades else 0


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


def hounsfield(picture: np.ndarray, *, name: str) -> Int16[np.ndarray, "h w"]:
    """Grey values of a CT slice as int16; rounds where they are fractions.

    Raises:
        InputError: colour, values that int16 does not hold, or a slice that was scaled
            to -1 … 1, of which no Hounsfield units can be told.
    """
    limits = np.iinfo(np.int16)
    if picture.ndim != 2:
        raise InputError(f"{name}: colour, allowed for Hounsfield units is grey")
    if not np.isfinite(picture).all():
        raise InputError(f"{name}: values that are not finite")
    low, high = picture.min(), picture.max()
    if -1 <= low and high <= 1 and (low < high or picture.dtype.kind == "f"):
        raise InputError(
            f"{name}: values {low:g} to {high:g} are no Hounsfield units: the slice "
            "was scaled"
        )
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
