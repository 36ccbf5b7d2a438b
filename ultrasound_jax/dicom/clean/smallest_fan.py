"""The smallest sector or trapezoid that holds a set of points."""

import numpy as np
from jaxtyping import Bool, Float32

from ultrasound_jax.dicom.clean.fan_shape import Fan

TRIM = 0.004  # share of the echo area that may lie beyond each edge
POINTS, CELLS = 1500, 72  # echo points tried, and cells along the area grid's side
STEEPEST = 3.8  # dx / dy of a side: 75 degrees, as endocavitary probes have
FLAT = 0.04  # of its height; a fan whose arc would end lower has a flat bottom


def sample(area: Bool[np.ndarray, "y x"]) -> Float32[np.ndarray, "n 2"]:
    """Columns and rows of an area's pixels, at most about twice `POINTS` of them."""
    rows, columns = np.nonzero(area)
    step = max(1, len(rows) // POINTS)
    return np.stack([columns, rows], -1)[::step].astype(np.float32)


class Search:
    """Tries apexes, coarse to fine; the cost is the shape's area within the picture."""

    def __init__(self, kind: str, even: bool, points: np.ndarray, shape: tuple):
        """`even`: both sides lean out by as much, as those of unsteered fans do."""
        self.kind, self.even, self.points = kind, even, points
        self.height, self.width = shape
        self.top = float(np.quantile(points[:, 1], TRIM))
        self.middle = float((points[:, 0].min() + points[:, 0].max()) / 2)
        step = max(shape) / CELLS
        rows, columns = np.mgrid[0 : shape[0] - 1 : step, 0 : shape[1] - 1 : step]
        self.cells = np.stack([columns.ravel(), rows.ravel()], -1).astype(np.float32)
        self.cell = step * step

    def run(self, column: float | None) -> tuple[float, Fan]:
        """Area and shape of the smallest; its apex on `column` if given."""
        side = max(self.height, self.width)
        centre = np.array([self.middle if column is None else column, np.log(side / 4)])
        spread = np.array([0.4 * self.width, np.log(16.0)])
        counts = (9, 13)
        for _ in range(7):
            across = np.linspace(-1, 1, counts[0]) if column is None else np.zeros(1)
            ahead = np.linspace(-1, 1, counts[1])
            tried = np.stack(np.meshgrid(across, ahead), -1).reshape(-1, 2) * spread
            tried = tried + centre
            apexes = np.stack([tried[:, 0], self.top - np.exp(tried[:, 1])], -1)
            sizes = self.sizes(apexes)
            best = int(sizes.argmin())
            centre, spread = tried[best], spread * 0.4
            counts = (5, 5)
        return float(sizes[best]), self.fan(apexes[best])

    def sizes(self, apexes: np.ndarray) -> np.ndarray:
        """Area in grid cells of the shape that each apex needs to hold the points."""
        slopes, reach = self.edges(apexes)
        slope, far = _polar(self.kind, apexes, self.cells)
        inside = (slope >= slopes[:, :1]) & (slope <= slopes[:, 1:])
        inside &= (far >= reach[:, :1]) & (far <= reach[:, 1:])
        sizes = inside.sum(1) * self.cell
        return np.where(np.abs(slopes).max(1) <= STEEPEST, sizes, np.inf)

    def edges(self, apexes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slopes and reach; the trimmed points' share is added back outwards."""
        slope, far = _polar(self.kind, apexes, self.points)
        slopes = _ends(slope)
        if self.even:
            steepest = np.abs(slopes).max(1)
            slopes = np.stack([-steepest, steepest], -1)
        # The area of a sector grows with the square of its radius.
        return slopes, np.sqrt(np.maximum(_ends(far**2), 0))

    def fan(self, apex: np.ndarray) -> Fan:
        """The shape that belongs to an apex; cut where it has a flat bottom."""
        slopes, reach = self.edges(apex[None])
        bottom = float(self.points[:, 1].max())
        height = bottom - float(self.points[:, 1].min())
        if apex[1] + reach[0, 1] - bottom < FLAT * height:
            bottom = self.height - 1.0
        return Fan(
            self.kind,
            (0.0, 0.0, self.width - 1.0, bottom),
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


def trimmed_box(
    points: Float32[np.ndarray, "n 2"],
) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of points, but for a few at each side."""
    left, right = _ends(points[None, :, 0])[0]
    top, bottom = _ends(points[None, :, 1])[0]
    return float(left), float(top), float(right), float(bottom)
