"""Masks: one rule for what a picture file marks, whatever wrote it.

A mask of two values is taken at its word, also where one is hardly brighter than the
other (0 and 1, 0 and 100), where it stands in alpha, and where it went through JPEG or
was drawn with soft edges. What needs to be told is asked for and never guessed: several
values (`labels`) and several colours (`colours`).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from ultrasound_jax.media.mask_colours import by_colour, hues
from ultrasound_jax.media.mask_values import (
    BLACK,
    Labels,
    by_value,
    foreground,
    if_equal,
    label_values,
)
from ultrasound_jax.media.picture_file import Samples, read_samples
from ultrasound_jax.media.sample_depth import bits_of, upper_eight
from ultrasound_jax.types import InputError

_TEXTURE = 16  # colours that a cut-out picture has at least, and a drawing has not


def read_mask(
    path: Path,
    *,
    name: str,
    labels: Labels | None = None,
    colours: Mapping[str, str] | None = None,
    page: int = 0,
) -> UInt8[np.ndarray, "h w 1"]:
    """A mask: 0 and the number of the class in the order of `mask_classes`.

    Args:
        path: the file.
        name: what errors call it.
        labels: value -> class, for masks whose values are numbers of structures;
            `background` is one that is not marked, as is 0 if it is not named. A key
            may be a range, `128-255`.
        colours: `#rrggbb` -> class, for masks that tell classes by colour. Black is not
            marked; `grey` -> `background` says that a picture lies beneath.
        page: as `picture_file.read_samples`.

    Raises:
        InputError: not readable, or it does not say what is marked; the message names
            the values or colours and the option.
    """
    if labels and colours:
        raise InputError(f"{name}: labels and colours, allowed is one of them")
    found = read_samples(path, name=f"{name}: mask", page=page)
    if labels:
        return by_value(_numbers(found, labels, name), labels, name=name)[..., None]
    if colours:
        return by_colour(_over_black(found), colours, name=name)[..., None]
    return foreground(_plane(found, name), name=name, lossy=found.lossy)


def _numbers(found: Samples, labels: Labels, name: str) -> np.ndarray:
    """The numbers that labels speak of: as stored or, if those have none, as shown."""
    numbers, shown = if_equal(found.stored), if_equal(found.shown)
    if found.alpha is not None and np.ptp(found.alpha) > 0 and np.ptp(numbers) == 0:
        numbers = found.alpha
    if numbers.ndim == 3:
        raise InputError(
            f"{name}: colours have no values, allowed is the option colours"
        )
    meant = {0, *label_values(labels)}
    if not meant.issuperset(np.unique(numbers).tolist()) and shown.ndim == 2:
        if meant.issuperset(np.unique(shown).tolist()):
            return shown
    return numbers


def _of_one_colour(picture: np.ndarray, where: Bool[np.ndarray, "h w"]) -> bool:
    pixels = picture[where]
    return not len(pixels) or bool((pixels == pixels[0]).all())


def _plane(found: Samples, name: str) -> np.ndarray:
    """Where the mask stands: in alpha, in the stored numbers, or in what is shown."""
    if found.alpha is not None and np.ptp(found.alpha) > 0:
        seen = foreground(_eight(found.alpha), name=f"{name}: alpha")[..., 0] > 0
        if _of_one_colour(found.shown, seen) or _is_cut_out(found, seen):
            return seen.astype(np.uint8)
        return _over_black(found)
    clear = found.alpha is not None and not found.alpha.any()
    everywhere = np.ones(found.shown.shape[:2], bool)
    if clear and _of_one_colour(found.shown, everywhere):
        return np.zeros(found.shown.shape[:2], np.uint8)  # a sheet with nothing on it
    if found.white_is_zero and found.shown.ndim == 2:
        return _marked_reading(found)
    return found.shown


def _marked_reading(found: Samples) -> np.ndarray:
    """WhiteIsZero as stored or as shown.

    tifffile and ImageJ declare it and mean the numbers: what is 1 is marked though it
    is shown in black. Fax and whoever inverts before writing mean what is shown. Where
    nothing tells, it is the reading that marks less of the picture's border.
    """
    if found.white_is_zero != "file":
        return found.stored if found.white_is_zero == "program" else found.shown

    def covered(plane: np.ndarray) -> tuple[float, float]:
        marked = plane > plane.max(initial=0) / 2
        border = np.concatenate(
            [marked[0], marked[-1], marked[:, 0], marked[:, -1]], axis=0
        )
        return float(border.mean()), float(marked.mean())

    return min((found.stored, found.shown), key=covered)


def _is_cut_out(found: Samples, seen: Bool[np.ndarray, "h w"]) -> bool:
    """Whether a picture shows where the mask is, and nothing elsewhere."""
    colours = _eight(found.shown)[seen]
    if len(np.unique(colours, axis=0)) < _TEXTURE:
        return False
    plane = _over_black(found)
    if plane.ndim == 3 and len(hues(plane)) > 1:
        return False
    try:
        foreground(plane, name="cut-out")
    except InputError:
        return True
    return False  # a drawing with soft edges


def _over_black(found: Samples) -> UInt8[np.ndarray, "h w *c"]:
    """What is seen on black; what is not seen has no colour."""
    shown = _eight(found.shown)
    if found.alpha is None or np.ptp(found.alpha) == 0:
        return shown  # an alpha that is the same everywhere tells nothing
    seen = _eight(found.alpha) > BLACK
    return np.where(seen if shown.ndim == 2 else seen[..., None], shown, 0)


def _eight(values: np.ndarray) -> UInt8[np.ndarray, "h w *c"]:
    if values.dtype == np.uint8:
        return values
    return upper_eight(values, bits_of(int(values.max(initial=0))))
