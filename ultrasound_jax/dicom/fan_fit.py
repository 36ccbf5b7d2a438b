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

from ultrasound_jax.dicom.echo import Echoes, find_echoes, shrink
from ultrasound_jax.dicom.fan import Fan, whole
from ultrasound_jax.dicom.moments import Moments

TRIM = 0.004  # share of the echo area that may lie beyond each edge
MARGIN = 1.0  # cells of the grid that are added around the fit
SMALLEST = 0.01  # of the picture; less echo than that is no fan
POINTS, CELLS = 1500, 72  # echo points tried, and cells along the area grid's side
FAINT = 0.25  # share of echo pixels that extends the fan outwards
MARKED = 0.02  # share of still marks that stops it
COVERED = 0.97  # of the echo area that a fit has to hold
KEPT = 0.95  # of all moving light; less is for somebody to look at


@dataclass(frozen=True)
class Fit:
    """A fan and how good it is.

    covered: share of the dense echo area inside the fan. kept: share of all visible
    echo (weighted by brightness) inside it; text counts as echo where nothing moves.
    filled: the fan's share of the picture. notes: what a reader must know. review: why
    somebody has to look at the result before it is given away.
    """

    fan: Fan
    covered: float
    kept: float
    filled: float
    notes: tuple[str, ...] = ()
    review: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Grid:
    """What the fit looks at, on the small grid."""

    area: Bool[np.ndarray, "y x"]
    echo: Float32[np.ndarray, "y x"]
    marks: Float32[np.ndarray, "y x"]
    moving: bool


def fit_fan(moments: Moments, *, middle: float | None = None) -> Fit | None:
    """Fit a fan to a cropped cine; None where no echoes are found at all.

    A fit that leaves more than 3 % of the echo area outside is not used: then the hull
    of the echo area is kept, which may keep marks that touch the fan (a note says so).

    Args:
        moments: of the cropped frames.
        middle: column of the probe's middle where the header states it.
    """
    echoes = find_echoes(moments)
    if echoes.area.mean() < SMALLEST:
        return None
    grid = _grid(moments, echoes)
    fan = _best_shape(grid, middle, echoes.pixels.shape)
    notes = [] if echoes.moving else ["fan found without movement"]
    review = []
    scale = np.divide(echoes.pixels.shape[::-1], grid.area.shape[::-1])
    covered = float(fan.mask(*grid.area.shape)[grid.area].mean())
    if covered < COVERED:
        review.append(
            f"no regular fan fits ({covered:.0%} of the echoes inside): the hull of "
            "the echoes is kept, which may hold text that touches them"
        )
        fan = _hull(grid.area)
        covered = float(fan.mask(*grid.area.shape)[grid.area].mean())
    fan = fan.scaled(*scale)
    inside = fan.mask(*echoes.pixels.shape)
    light = np.abs(moments.peak.astype(np.float32) - echoes.background) * echoes.pixels
    kept = float(light[inside].sum() / max(light.sum(), 1))
    if inside.all():
        fan = whole(*inside.shape)
        review.append("the fan fills the picture: nothing is masked")
    if echoes.moving and kept < KEPT:
        review.append(f"{1 - kept:.0%} of what moves lies outside the fan")
    filled = float(inside.mean())
    return Fit(fan, covered, kept, filled, tuple(notes), tuple(review))


def _grid(moments: Moments, echoes: Echoes) -> _Grid:
    shown = moments.peak.astype(np.int16) - echoes.background >= 40
    marks = shown & ~echoes.pixels if echoes.moving else shown
    return _Grid(echoes.area, shrink(echoes.pixels), shrink(marks), echoes.moving)


def _best_shape(grid: _Grid, middle: float | None, full: tuple[int, int]) -> Fan:
    """The smallest of the shapes; the simpler one where it is nearly as small."""
    height, width = grid.area.shape
    rows, columns = np.nonzero(grid.area)
    box = (columns.min(), rows.min(), columns.max(), rows.max())
    box = tuple(float(edge) for edge in box)
    step = max(1, len(rows) // POINTS)
    points = np.stack([columns, rows], -1)[::step].astype(np.float32)
    search = _Search(points, height, width)
    rectangle = Fan("rectangle", _trimmed_box(points))
    fans = {"rectangle": (rectangle.mask(height, width).sum(), rectangle)}
    for kind in ("trapezoid", "sector"):
        size, apex = search.run(kind, None)
        if middle is not None and 0 <= middle < full[1]:
            column = (middle + 0.5) * width / full[1] - 0.5
            aimed_size, aimed = search.run(kind, column)
            if aimed_size <= 1.06 * size:
                size, apex = aimed_size, aimed
        fans[kind] = (size, search.fan(kind, apex, box))
    handicap = {"rectangle": 1.0, "trapezoid": 1.05, "sector": 1.02}
    kind = min(fans, key=lambda name: fans[name][0] * handicap[name])
    fan = fans[kind][1]
    if kind != "rectangle":
        fan = _extended(fan, grid)
    return _with_margin(fan)


class _Search:
    """Tries apexes, coarse to fine; the cost is the shape's area within the picture."""

    def __init__(self, points: np.ndarray, height: int, width: int):
        self.points, self.height, self.width = points, height, width
        self.top = float(np.quantile(points[:, 1], TRIM))
        self.middle = float((points[:, 0].min() + points[:, 0].max()) / 2)
        step = max(height, width) / CELLS
        rows, columns = np.mgrid[0 : height - 1 : step, 0 : width - 1 : step]
        self.cells = np.stack([columns.ravel(), rows.ravel()], -1).astype(np.float32)
        self.cell = step * step

    def run(self, kind: str, column: float | None) -> tuple[float, np.ndarray]:
        """Area and apex of the smallest shape; its apex on `column` if given."""
        side = max(self.height, self.width)
        centre = np.array([self.middle if column is None else column, np.log(side / 4)])
        spread = np.array([0.3 * self.width, np.log(16.0)])
        counts = (9, 13)
        for _ in range(7):
            across = np.linspace(-1, 1, counts[0]) if column is None else np.zeros(1)
            ahead = np.linspace(-1, 1, counts[1])
            tried = np.stack(np.meshgrid(across, ahead), -1).reshape(-1, 2) * spread
            tried = tried + centre
            apexes = np.stack([tried[:, 0], self.top - np.exp(tried[:, 1])], -1)
            sizes = self.sizes(kind, apexes)
            best = int(sizes.argmin())
            centre, spread = tried[best], spread * 0.4
            counts = (5, 5)
        return float(sizes[best]), apexes[best]

    def sizes(self, kind: str, apexes: np.ndarray) -> np.ndarray:
        """Area in grid cells of the shape that each apex needs to hold the points."""
        slopes, reach = self.edges(kind, apexes)
        slope, far = _polar(kind, apexes, self.cells)
        inside = (slope >= slopes[:, :1]) & (slope <= slopes[:, 1:])
        inside &= (far >= reach[:, :1]) & (far <= reach[:, 1:])
        return inside.sum(1) * self.cell

    def edges(self, kind: str, apexes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slopes and reach; the trimmed points' share is added back outwards."""
        slope, far = _polar(kind, apexes, self.points)
        squared = far**2  # the area of a sector grows with the square of its radius
        return _ends(slope), np.sqrt(np.maximum(_ends(squared), 0))

    def fan(self, kind: str, apex: np.ndarray, box: tuple[float, ...]) -> Fan:
        """The shape that belongs to an apex."""
        slopes, reach = self.edges(kind, apex[None])
        return Fan(
            kind,
            (box[0], box[1], box[2], box[3]),
            (float(apex[0]), float(apex[1])),
            (float(slopes[0, 0]), float(slopes[0, 1])),
            (float(reach[0, 0]), float(reach[0, 1])),
        )


def _polar(
    kind: str, apexes: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slope and distance of each point seen from each apex; above it is nowhere."""
    across = points[None, :, 0] - apexes[:, 0, None].astype(np.float32)
    down = points[None, :, 1] - apexes[:, 1, None].astype(np.float32)
    below = np.maximum(down, 1e-3)
    far = below if kind == "trapezoid" else np.hypot(across, below)
    return across / below, np.where(down > 0, far, -1.0)


def _ends(values: np.ndarray) -> np.ndarray:
    """Ends of evenly spread values of which a share is trimmed on both sides."""
    low, high = np.quantile(values, [TRIM, 1 - TRIM], axis=1)
    more = TRIM * (high - low) / (1 - 2 * TRIM)
    return np.stack([low - more, high + more], -1)


def _trimmed_box(points: np.ndarray) -> tuple[float, float, float, float]:
    left, right = _ends(points[None, :, 0])[0]
    top, bottom = _ends(points[None, :, 1])[0]
    return float(left), float(top), float(right), float(bottom)


def _extended(fan: Fan, grid: _Grid) -> Fan:
    """Add beams and depths whose echoes are too faint to be dense.

    Only where movement tells echoes from marks, and never over still marks. A sector
    that is dark at one side (poor contact, a shadow) is completed to a symmetric one.
    """
    if not grid.moving:
        return fan
    step = 1.0
    for edge in ("left", "right", "far", "near"):
        for _ in range(64):
            wider = _moved(fan, edge, step)
            added = wider.mask(*grid.area.shape) & ~fan.mask(*grid.area.shape)
            if added.sum() < 4 or grid.echo[added].mean() < FAINT:
                break
            if grid.marks[added].mean() > MARKED:
                break
            fan = wider
    if fan.kind == "sector" and fan.slopes is not None:
        steepest = max(abs(slope) for slope in fan.slopes)
        even = replace(fan, slopes=(-steepest, steepest))
        even = replace(even, box=_box_of(even, grid.area.shape))
        added = even.mask(*grid.area.shape) & ~fan.mask(*grid.area.shape)
        share = added.sum() / fan.mask(*grid.area.shape).sum()
        # Less is only the fit's own uncertainty, more would be a steered sector.
        if 0.05 <= share <= 0.25 and grid.marks[added].mean() <= MARKED:
            fan = even
    return fan


def _moved(fan: Fan, edge: str, step: float) -> Fan:
    """The fan with one edge moved outwards by `step` cells (sides: at the far end)."""
    (left, right), (near, far) = fan.slopes or (0, 0), fan.reach or (0, 0)
    box_left, box_top, box_right, box_bottom = fan.box
    if edge == "left":
        left, box_left = left - step / far, box_left - step
    elif edge == "right":
        right, box_right = right + step / far, box_right + step
    elif edge == "far":
        far, box_bottom = far + step, box_bottom + step
    else:
        near, box_top = max(near - step, 0), box_top - step
    box = (box_left, box_top, box_right, box_bottom)
    return replace(fan, slopes=(left, right), reach=(near, far), box=box)


def _box_of(fan: Fan, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """The box of a sector whose sides may reach further out than the fit's."""
    height, width = shape
    open_ = replace(fan, box=(0, fan.box[1], width - 1, fan.box[3]))
    columns = np.nonzero(open_.mask(height, width).any(0))[0]
    return (float(columns.min()), fan.box[1], float(columns.max()), fan.box[3])


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
