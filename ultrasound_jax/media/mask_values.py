"""What the values of a mask mark: one foreground, or classes that labels name."""

import re
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from ultrasound_jax.media.mask_colours import BACKGROUND, hues
from ultrasound_jax.media.sample_depth import bits_of, upper_eight
from ultrasound_jax.types import InputError

BLACK, WHITE = 31, 224  # up to and from where lossy files leave black and white
MIDDLE = 127
_FEW = 8  # values of shades that label maps have, and soft edges rarely
_LEVELS = 4  # values of which none is an edge's, and each is a structure
_NUMBERS = 16  # structures that are numbered from 1
_EVEN = 0.25  # of what is bright must be areas, of which speckle has none
_SMOOTH = 0.1  # of a picture may be rough if it is a mask
_ROUGH = 24  # shades within 3 x 3 pixels, above which they are an edge
_SHOWN = 12  # values that a message lists
_STRAY = 0.02  # of what is not black may be neither an edge nor white
Labels = Mapping[Any, str]  # of whole numbers, also as text, and of ranges


def mask_classes(
    labels: Labels | None = None, colours: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The classes that a mask's values 1, 2, … stand for, each once; () if none."""
    named = (labels or colours or {}).values()
    return tuple(dict.fromkeys(word for word in named if word != BACKGROUND))


def foreground(
    picture: np.ndarray, *, name: str, lossy: bool = False
) -> UInt8[np.ndarray, "h w 1"]:
    """A mask of 0 and 1 from grey values, or colours of one hue on black.

    Of two values the one that is not 0 marks. More than two, from soft edges or JPEG,
    mark above their middle if nearly all else is black or white.

    Args:
        picture: `h w`, or RGB `h w 3`.
        name: what errors call it.
        lossy: the file was JPEG, so that values are not exact.

    Raises:
        InputError: the values may be numbers of structures, the colours those of
            several, or it shows a picture.
    """
    if picture.ndim == 3:
        picture = _one_plane(picture, name)
    if not np.isfinite(picture).all():
        raise InputError(f"{name}: mask with values that are not finite")
    if picture.size == 0:
        raise InputError(f"{name}: mask without pixels")
    values = np.unique(picture)
    if len(values) <= 2:
        return _of_two(picture, values, name)[..., None].astype(np.uint8)
    if not lossy:
        _refuse_labels(picture, values, name)
    shades = _as_shades(picture, values, name, lossy)
    return _of_shades(shades, values, name, lossy)[..., None].astype(np.uint8)


def by_value(
    numbers: np.ndarray, labels: Labels, *, name: str
) -> UInt8[np.ndarray, "h w"]:
    """Numbers of classes from a map of values: see `read_mask`.

    Raises:
        InputError: a value that no label names, or one that is no whole number.
    """
    meant = label_values(labels)
    values = np.unique(numbers)
    unnamed = [value for value in values.tolist() if value not in meant and value != 0]
    if unnamed:
        raise InputError(
            f"{name}: mask with the values {_listed(unnamed)}, which the labels do not "
            f"name; allowed are 0, {_listed(sorted(meant))}, or more labels"
        )
    order = mask_classes(labels)
    mask = np.zeros(numbers.shape, np.uint8)
    for value in values.tolist():
        word = meant.get(value, BACKGROUND)
        if word != BACKGROUND:
            mask[numbers == value] = order.index(word) + 1
    return mask


def label_values(labels: Labels) -> dict[int, str]:
    """Value -> class, ranges spelt out.

    Raises:
        InputError: a key is neither a whole number nor a range of two.
    """
    meant: dict[int, str] = {}
    for key, word in labels.items():
        match = re.fullmatch(r"\s*(-?\d+)\s*(?:-\s*(\d+)\s*)?", str(key))
        if match is None or not word:
            raise InputError(f"labels {key}={word}: allowed are such as 1=lesion, 3-5=")
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if not -(2**16) < first <= last < 2**16:
            raise InputError(f"labels {key}: allowed are ranges of up to 65535")
        for value in range(first, last + 1):
            if meant.setdefault(value, word) != word:
                raise InputError(f"labels: {value} is {meant[value]} and {word}")
    return meant


def if_equal(colours: np.ndarray) -> np.ndarray:
    """Equal channels as one."""
    if colours.ndim == 3 and (colours == colours[..., :1]).all():
        return colours[..., 0]
    return colours


def _one_plane(colours: np.ndarray, name: str) -> np.ndarray:
    """The grey of equal channels, or how bright the one hue on black is."""
    grey = if_equal(colours)
    if grey.ndim == 2:
        return grey
    if colours.dtype != np.uint8:
        colours = upper_eight(colours, bits_of(int(colours.max())))
    found = hues(colours)
    if len(found) > 1:
        raise InputError(
            f"{name}: mask with the colours {', '.join(found)}, which one means what "
            'is not said; allowed with the option colours, such as "#ff0000=lesion"'
        )
    return colours.max(axis=2)


def _of_two(
    picture: np.ndarray, values: np.ndarray, name: str
) -> Bool[np.ndarray, "h w"]:
    low, high = values[0], values[-1]
    if low < 0:
        raise InputError(_unclear(name, values))
    if len(values) == 1:
        return np.full(picture.shape, bool(high))
    middle = 0.5 if high <= 1 else _top(picture) / 2
    if low and not low <= middle < high:
        raise InputError(_unclear(name, values))
    return picture == high


def _refuse_labels(picture: np.ndarray, values: np.ndarray, name: str) -> None:
    """Several values of which each fills an area are numbers of structures."""
    top = _top(picture)
    inner = values[(values > top * BLACK / 255) & (values < top * WHITE / 255)]
    dark = values[(values > 0) & (values <= top * BLACK / 255)]
    # What JPEG leaves beside black and white fills no areas, and not beside black only.
    numbers = len(values) <= _NUMBERS and len(values) - len(inner) - len(dark) <= 2
    filled = len(dark) and all(_has_area(picture == value) for value in dark)
    shades = len(values) <= _FEW and any(_has_area(picture == one) for one in inner)
    each = len(values) <= _LEVELS and all(_has_area(picture == one) for one in values)
    if shades or each or (numbers and filled):
        raise InputError(_unclear(name, values))


def _has_area(marked: Bool[np.ndarray, "h w"]) -> bool:
    """Whether a 3 x 3 field lies in it; soft edges are thinner."""
    return bool(cv2.erode(marked.astype(np.uint8), np.ones((3, 3), np.uint8)).any())


def _as_shades(
    picture: np.ndarray, values: np.ndarray, name: str, lossy: bool
) -> UInt8[np.ndarray, "h w"]:
    """Values as shades of 0 to 255, whose marks are above the middle."""
    low, high = float(values[0]), float(values[-1])
    if low < 0 or (picture.dtype.kind == "f" and 1 < high and (values % 1).any()):
        raise InputError(_unclear(name, values))
    if picture.dtype.kind == "f" and high <= 1:
        return np.rint(picture * 255).astype(np.uint8)
    if high > 255:
        return upper_eight(picture, bits_of(int(high)))
    if high <= BLACK or (high <= MIDDLE and not lossy):
        raise InputError(_unclear(name, values))
    return picture.astype(np.uint8)


def _of_shades(
    shades: UInt8[np.ndarray, "h w"], values: np.ndarray, name: str, lossy: bool
) -> Bool[np.ndarray, "h w"]:
    """Marked above the middle, if what is between black and white is edges.

    White is the shade that areas have, where they have one.
    """
    white = _white(shades, lossy)
    dark = shades <= min(BLACK, white // 3)
    bright = np.abs(shades.astype(np.int16) - white) <= BLACK
    reach = max(8, max(shades.shape) // 32)
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    near = [cv2.dilate(one.astype(np.uint8), square) > 0 for one in (dark, bright)]
    stray = ~dark & ~bright & ~(near[0] & near[1])
    if stray.sum() > max(16, _STRAY * (~dark).sum()):
        raise InputError(
            f"{name}: mask with {len(values)} values of which "
            f"{stray.sum() / shades.size:.0%} of the pixels are neither black nor "
            f"white: a picture, or several structures ({_listed(values.tolist())}); "
            'allowed with the option labels, such as "128-255=lesion,0-127=background"'
        )
    return shades > (MIDDLE if white >= WHITE else white // 2)


def _white(shades: UInt8[np.ndarray, "h w"], lossy: bool) -> int:
    """The middle shade of the bright areas; 255 if there are hardly any.

    JPEG leaves none of a small lesion, and no roughness far from it.
    """
    field = np.ones((3, 3), np.uint8)
    rough = cv2.dilate(shades, field) - cv2.erode(shades, field) > _ROUGH
    bright = shades > int(shades.max()) // 2
    areas = shades[~rough & bright]
    if len(areas) > _EVEN * bright.sum():
        return int(np.median(areas))
    if lossy and rough.mean() < _SMOOTH:
        return int(np.median(shades[bright]))
    return 255


def _top(picture: np.ndarray) -> float:
    """White of the depth that a picture uses."""
    high = float(picture.max())
    if high <= 1:
        return 1.0 if picture.dtype.kind == "f" else 255.0
    return 255.0 if high <= 255 else float(2 ** bits_of(int(high)) - 1)


def _unclear(name: str, values: np.ndarray) -> str:
    several = "more than two values" if len(values) > 2 else "values"
    return (
        f"{name}: mask with {several} up to {values[-1]} ({_listed(values.tolist())}), "
        "which one marks what is not said; allowed with the option labels, such as "
        f'"{values[-1]:g}=lesion"'
    )


def _listed(values: list) -> str:
    some = ", ".join(f"{value:g}" for value in values[:_SHOWN])
    return some + (", …" if len(values) > _SHOWN else "")
