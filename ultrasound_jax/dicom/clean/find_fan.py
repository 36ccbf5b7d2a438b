"""Finds the fan: the smallest sector, trapezoid or rectangle that holds the echoes.

The shape is fitted to the dense echo area only, so that text which touches the fan
stays outside, and it is filled, so that dark tissue within it stays inside. Where the
header states the middle of the probe, the fit uses it. See `fit_fan` for what happens
when nothing fits.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from ultrasound_jax.dicom.clean.echo import (
    MARK,
    Echoes,
    find_echoes,
    shrink,
)
from ultrasound_jax.dicom.clean.fan_shape import (
    Fan,
    whole,
)
from ultrasound_jax.dicom.clean.pixel_statistics import Moments
from ultrasound_jax.dicom.clean.smallest_fan import (
    Search,
    sample,
    trimmed_box,
)

MARGIN = 1.0  # cells of the grid that are added around the fit
SMALLEST = 0.01  # of the picture; less echo than that is no fan
FAINT = 0.25  # share of echo pixels that extends the fan outwards
MARKED = 0.02  # share of still marks that stops it
# Kind, whether it is even, and how much smaller it must be to be preferred to a
# rectangle. Steered fans are rare, shadowed ones that only look so are not.
SHAPES = (
    ("sector", True, 1.04),
    ("trapezoid", True, 1.04),
    ("sector", False, 1.3),
    ("trapezoid", False, 1.3),
)
AIMED = 1.15  # how much larger a fan around the header's middle may be
COVERED = 0.97  # of the echo area that a fit has to hold
KEPT = 0.95  # of all moving light; less is for somebody to look at


@dataclass(frozen=True)
class Fit:
    """A fan and how good it is.

    mask: the fan without letters that reach into it from outside.
    covered: share of the dense echo area inside the fan.
    kept: share of all visible echo, weighted by brightness, inside the mask; text
        counts as echo where nothing moves.
    filled: the mask's share of the picture.
    notes: what a reader must know.
    review: why somebody has to look at the result before it is given away.
    """

    fan: Fan
    mask: Bool[np.ndarray, "h w"]
    covered: float
    kept: float
    filled: float
    notes: tuple[str, ...] = ()
    review: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Grid:
    """What the fit looks at, on the small grid: shares of pixels in each cell.

    area: dense echo. echo: any. faint: anything above the background. marks: bright
    and still, or just bright where nothing moves. foreign: bright, and not near `area`.
    """

    area: Bool[np.ndarray, "y x"]
    echo: Float32[np.ndarray, "y x"]
    faint: Float32[np.ndarray, "y x"]
    marks: Float32[np.ndarray, "y x"]
    foreign: Float32[np.ndarray, "y x"]
    moving: bool


def fit_fan(moments: Moments, *, middle: float | None = None) -> Fit | None:
    """Fits a fan to a cropped cine; None where no echoes are found at all.

    A fit that leaves more than 3 % of the echo area outside is not used: then the hull
    of the echo areas that move is kept, without marks that touch none of them. Marks
    that do may be kept (a line for review says so).

    Args:
        moments: of the cropped frames.
        middle: column of the probe's middle where the header states it.
    """
    echoes = find_echoes(moments)
    if echoes.area.mean() < SMALLEST:
        return None
    grid = _grid(moments, echoes)
    fan = _best_shape(grid, middle, echoes.pixels.shape)
    notes, review = _left_out(moments)
    if not echoes.moving:
        notes.append("fan found without movement")
    scale = np.divide(echoes.pixels.shape[::-1], grid.area.shape[::-1])
    covered = float(fan.mask(*grid.area.shape)[grid.area].mean())
    hull = covered < COVERED
    if hull:
        review.append(_no_shape(covered, echoes.moving))
        grid = replace(grid, area=_changing(grid))
        fan = _hull(grid.area)
        covered = float(fan.mask(*grid.area.shape)[echoes.area].mean())
    fan = fan.scaled(*scale)
    inside = fan.mask(*echoes.pixels.shape)
    inside = _without_letters(inside, moments, echoes, grid.area if hull else None)
    light = np.abs(moments.peak.astype(np.float32) - echoes.background) * echoes.pixels
    kept = float(light[inside].sum() / max(light.sum(), 1))
    if inside.all():
        fan = whole(*inside.shape)
        review.append("the fan fills the picture: nothing is masked")
    if echoes.moving and kept < KEPT:
        review.append(f"{1 - kept:.0%} of what moves lies outside the fan")
    filled = float(inside.mean())
    return Fit(fan, inside, covered, kept, filled, tuple(notes), tuple(review))


def _left_out(moments: Moments) -> tuple[list[str], list[str]]:
    """A note on flat frames; a line for review on those that may show other things."""
    total = moments.frames + moments.flat + moments.unlike
    notes, review = [], []
    if moments.flat:
        verb = "is" if moments.flat == 1 else "are"
        notes.append(
            f"{moments.flat} of {total} frames looked at {verb} flat: the fan is found "
            "from the others"
        )
    if moments.unlike:
        verb = "is" if moments.unlike == 1 else "are"
        review.append(
            f"{moments.unlike} of {total} frames looked at {verb} unlike the others: "
            "the fan is found from those, and need not fit these"
        )
    return notes, review


def _no_shape(covered: float, moving: bool) -> str:
    what = "moves" if moving else "has texture (nothing moves, text has it too)"
    return (
        f"no regular fan fits ({covered:.0%} of the echoes inside): the hull of what "
        f"{what} is kept; marks that touch no echoes are taken out, others may be there"
    )


def _changing(grid: _Grid) -> np.ndarray:
    """The connected echo areas that change, all of them where nothing does."""
    if not grid.moving:
        return grid.area
    _, labels = cv2.connectedComponents(grid.area.astype(np.uint8), connectivity=8)
    parts = np.asarray(labels, np.int32)
    sizes = np.maximum(np.bincount(parts.ravel()), 1)
    moves = np.bincount(parts.ravel(), grid.echo.ravel()) / sizes >= FAINT
    moves[0] = False
    return moves[parts]


def _without_letters(
    inside: np.ndarray, moments: Moments, echoes: Echoes, area: np.ndarray | None
) -> np.ndarray:
    """Takes away marks that the fan's border cuts: whole, if most of one is outside.

    Given an echo area, which a hull does not follow closely, takes away every mark that
    does not touch it as well.
    """
    marks = _shown(moments, echoes)
    if echoes.moving:
        marks &= ~echoes.pixels
    count, labels = cv2.connectedComponents(marks.astype(np.uint8), connectivity=8)
    parts = np.asarray(labels, np.int32)
    within = np.bincount(parts[inside], minlength=count)
    everywhere = np.bincount(parts.ravel(), minlength=count)
    cut = (within > 0) & (within < 0.5 * everywhere)
    if area is not None:
        size = inside.shape[::-1]
        near = cv2.resize(area.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        cut |= np.bincount(parts[near > 0], minlength=count) == 0
    cut[0] = False
    # Antialiased strokes and lossy codecs have a faint rim.
    rim = cv2.dilate(cut[parts].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return inside & ~rim


def _shown(moments: Moments, echoes: Echoes) -> np.ndarray:
    return moments.peak.astype(np.int16) - echoes.background >= MARK


def _grid(moments: Moments, echoes: Echoes) -> _Grid:
    shown = _shown(moments, echoes)
    marks = shrink(shown & ~echoes.pixels if echoes.moving else shown)
    side = max(3, round(0.04 * max(echoes.area.shape)) | 1)
    near = cv2.dilate(echoes.area.astype(np.uint8), np.ones((side, side), np.uint8))
    return _Grid(
        area=echoes.area,
        echo=shrink(echoes.pixels),
        faint=shrink(moments.peak.astype(np.int16) > echoes.background),
        marks=marks,
        foreign=np.where(near > 0, 0, shrink(shown)),
        moving=echoes.moving,
    )


def _best_shape(grid: _Grid, middle: float | None, full: tuple[int, int]) -> Fan:
    """The smallest of the shapes; the likelier one where it is nearly as small."""
    height, width = grid.area.shape
    points = sample(grid.area)
    fans = [(1.0, Fan("rectangle", trimmed_box(points)))]
    for kind, even, handicap in SHAPES:
        search = Search(kind, even, points, grid.area.shape)
        size, fan = search.run(None)
        if middle is not None and 0 <= middle < full[1]:
            aimed_size, aimed = search.run((middle + 0.5) * width / full[1] - 0.5)
            if aimed_size <= AIMED * size:
                fan = aimed
        if np.isfinite(size):
            fans.append((handicap, fan))
    _, fan = min(fans, key=lambda pair: pair[0] * _cost(pair[1], grid))
    return _with_margin(fan if fan.apex is None else _extended(fan, grid))


def _cost(fan: Fan, grid: _Grid) -> float:
    """Area, and more for marks inside that are far from any echo."""
    inside = fan.mask(*grid.area.shape)
    return float(inside.sum() + 4 * grid.foreign[inside].sum())


def _extended(fan: Fan, grid: _Grid) -> Fan:
    """Add beams and depths whose echoes are too faint to be dense.

    Never over marks.
    """
    shape = grid.area.shape
    for edge in ("left", "right", "far", "near"):
        for _ in range(2 * max(shape)):
            wider = _moved(fan, edge, 1.0)
            added = wider.mask(*shape) & ~fan.mask(*shape)
            if added.sum() < 4 or not _belongs(fan, added, edge, grid):
                break
            fan = wider
    return fan


def _belongs(fan: Fan, added: np.ndarray, edge: str, grid: _Grid) -> bool:
    """Whether the cells that a step would add show echoes."""
    # The near field is small: the trimmed share is most of its first rows.
    if edge == "near" and grid.area[added].mean() >= 0.5:
        return True
    if grid.marks[added].mean() > MARKED:
        return False
    if grid.moving and grid.echo[added].mean() >= FAINT:
        return True
    return edge == "far" and _fills(fan, added, grid)


def _fills(fan: Fan, added: np.ndarray, grid: _Grid) -> bool:
    """Whether a further depth is filled between the sides but not beside them."""
    rows = np.nonzero(added.any(1))[0]
    assert fan.slopes is not None  # noqa: S101
    low, high = (
        slope + sign * 0.06 for slope, sign in zip(fan.slopes, (-1, 1), strict=True)
    )
    wide = replace(fan, kind="trapezoid", slopes=(low, high), reach=(0.0, 1e9))
    beside = ~replace(wide, box=(0.0, 0.0, 1e9, 1e9)).mask(*grid.area.shape)
    beside[: rows.min()], beside[rows.max() + 1 :] = False, False
    if beside.sum() < 4:
        return False
    inside = float(grid.faint[added].mean())
    return inside >= 0.4 and grid.faint[beside].mean() <= 0.25 * inside


def _moved(fan: Fan, edge: str, step: float) -> Fan:
    """The fan with one edge moved outwards by `step` cells (sides: at the far end)."""
    (left, right), (near, far) = fan.slopes or (0.0, 0.0), fan.reach or (0.0, 0.0)
    box_left, box_top, box_right, bottom = fan.box
    if edge == "left":
        left -= step / far
    elif edge == "right":
        right += step / far
    elif edge == "far":
        far, bottom = far + step, bottom + step
    else:
        near = max(near - step, 0.0)
    box = (box_left, box_top, box_right, bottom)
    return replace(fan, slopes=(left, right), reach=(near, far), box=box)


def _with_margin(fan: Fan) -> Fan:
    left, top, right, bottom = fan.box
    box = (left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN)
    if fan.slopes is None or fan.reach is None:
        return replace(fan, box=box)
    near, far = fan.reach
    # A margin across the sides is widest, in slope, near the apex.
    mid = max((near + far) / 2, 1.0)
    left_slope, right_slope = fan.slopes
    slopes = (
        left_slope - MARGIN * np.hypot(1, left_slope) / mid,
        right_slope + MARGIN * np.hypot(1, right_slope) / mid,
    )
    return replace(fan, box=box, slopes=slopes, reach=(near - MARGIN, far + MARGIN))


def _hull(area: np.ndarray) -> Fan:
    """The convex hull of the echo area, a little widened."""
    side = max(3, round(0.03 * max(area.shape)) | 1)
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    grown = cv2.dilate(area.astype(np.uint8), ball)
    rows, columns = np.nonzero(grown)
    hull = cv2.convexHull(np.stack([columns, rows], -1).astype(np.int32))[:, 0]
    box = (columns.min(), rows.min(), columns.max(), rows.max())
    left, top, right, bottom = (float(edge) for edge in box)
    corners = tuple((float(x), float(y)) for x, y in hull)
    return Fan("hull", (left, top, right, bottom), corners=corners)
