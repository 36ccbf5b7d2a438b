"""Masks that tell their classes by colour, clean or through JPEG and soft edges."""

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from PIL import ImageColor

from ultrasound_jax.types import InputError

BACKGROUND = "background"
GREY = "grey"  # in place of a colour: whatever has none
LIMIT = 96  # of the distance in RGB up to which a pixel has a colour
_REACH = 4  # pixels over which an edge between two colours may be blurred
_FEW = 8  # pixels that are no area
_BLACK = 64  # below it a pixel has no hue
_CHROMA = 0.3  # of the brightest channel, above which a pixel has a hue
_BINS = 36  # of the circle of hues
_SHARE = 0.002  # of what is not black that makes a colour


def by_colour(
    picture: np.ndarray, colours: Mapping[str, str], *, name: str
) -> UInt8[np.ndarray, "h w"]:
    """The number of the class whose colour is nearest, 0 for the background.

    Args:
        picture: RGB `h w 3`, or grey `h w`, of 8 bits.
        colours: `#rrggbb`, or a name such as `red`, -> class; `background` is not
            marked. Black is background if it is not named. `grey` -> `background`:
            so are all pixels without a hue, such as those of a picture below.
        name: what errors call the mask.

    Raises:
        InputError: an area is of no named colour, or a colour cannot be understood.
    """
    if picture.dtype != np.uint8:
        raise InputError(
            f"{name}: {picture.dtype} colours, allowed are those of 8 bits"
        )
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    centres, numbers, below = _centres(colours)
    nearest, distance = _nearest(picture, centres)
    mask = np.array(numbers, np.uint8)[nearest]
    clear = distance <= LIMIT
    if below:
        plain = ~has_hue(picture) & (mask == 0) | ~has_hue(picture) & ~clear
        mask[plain], clear = 0, clear | plain
    stray = ~clear & ~_edges(nearest, clear, len(centres))
    if stray.sum() > max(_FEW, _SHARE * (picture.max(axis=2) > _BLACK).sum()):
        found = ", ".join(hues(picture, stray)) or "dark ones"
        raise InputError(
            f"{name}: mask with colours that the option colours does not name "
            f"({found}, {stray.mean():.1%} of the pixels); name them, with "
            f'"{GREY}={BACKGROUND}" for a picture below'
        )
    return mask


def check_colours(colours: Mapping[str, str]) -> None:
    """Looks at what `by_colour` will be given.

    Raises:
        InputError: a colour cannot be understood.
    """
    _centres(colours)


def hues(
    picture: UInt8[np.ndarray, "h w 3"],
    where: Bool[np.ndarray, "h w"] | None = None,
) -> list[str]:
    """The colours that areas have, black aside, as `#rrggbb`; shades of one are one."""
    bright = picture.max(axis=2) > _BLACK
    if where is not None:
        bright &= where
    coloured = bright & has_hue(picture)
    enough = max(_FEW, _SHARE * bright.sum())
    found = []
    plain = picture[bright & ~coloured]
    if len(plain) >= enough:
        found.append(_named(np.median(plain, axis=0)))
    pixels = picture[coloured]
    hue = cv2.cvtColor(pixels[None], cv2.COLOR_RGB2HSV)[0, :, 0] if len(pixels) else []
    place = np.asarray(hue, int) * _BINS // 180
    counts = np.bincount(place, minlength=_BINS)
    for run in _runs(counts >= enough):
        peak = max(run, key=lambda bin_: counts[bin_])
        found.append(_named(np.median(pixels[place == peak], axis=0)))
    return found


def has_hue(picture: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Which pixels are in colour."""
    brightest = picture.max(axis=2).astype(np.int16)
    chroma = brightest - picture.min(axis=2)
    return chroma > np.maximum(_CHROMA * brightest, _BLACK / 2)


def _runs(kept: Bool[np.ndarray, " n"]) -> list[list[int]]:
    """Neighbours that are kept, on a circle."""
    if kept.all():
        return [list(range(len(kept)))]
    start = int(np.argmin(kept))  # one that is not kept
    runs: list[list[int]] = [[]]
    for step in range(len(kept)):
        place = (start + step) % len(kept)
        if kept[place]:
            runs[-1].append(place)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _named(colour: np.ndarray) -> str:
    return "#" + "".join(f"{round(float(channel)):02x}" for channel in colour)


def _centres(
    colours: Mapping[str, str],
) -> tuple[list[tuple[int, ...]], list[int], bool]:
    """Colours, the number of the class of each, and whether grey is background."""
    order = list(dict.fromkeys(word for word in colours.values() if word != BACKGROUND))
    centres, numbers, below = [], [], False
    for key, word in colours.items():
        if key.strip().lower() == GREY:
            if word != BACKGROUND:
                raise InputError(
                    f"colours {key}={word}: allowed is {GREY}={BACKGROUND}"
                )
            below = True
            continue
        try:
            centre = ImageColor.getrgb(key.strip())[:3]
        except ValueError:
            raise InputError(
                f"colours {key}={word}: allowed are such as #ff0000=lesion"
            ) from None
        centres.append(centre)
        numbers.append(0 if word == BACKGROUND else order.index(word) + 1)
    if (0, 0, 0) not in centres:
        centres.append((0, 0, 0))
        numbers.append(0)
    return centres, numbers, below


def _nearest(
    picture: UInt8[np.ndarray, "h w 3"], centres: list[tuple[int, ...]]
) -> tuple[np.ndarray, np.ndarray]:
    nearest = np.zeros(picture.shape[:2], np.uint8)
    best = np.full(picture.shape[:2], np.inf, np.float32)
    for place, centre in enumerate(centres):
        gap = picture.astype(np.float32) - np.array(centre, np.float32)
        distance = np.sqrt((gap**2).sum(axis=2))
        nearer = distance < best
        nearest[nearer], best[nearer] = place, distance[nearer]
    return nearest, best


def _edges(
    nearest: np.ndarray, clear: Bool[np.ndarray, "h w"], count: int
) -> Bool[np.ndarray, "h w"]:
    """Pixels near two colours at once, which are blends of them."""
    square = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)
    near = np.zeros(nearest.shape, np.uint8)
    for place in range(count):
        near += cv2.dilate(((nearest == place) & clear).astype(np.uint8), square)
    return near >= 2
