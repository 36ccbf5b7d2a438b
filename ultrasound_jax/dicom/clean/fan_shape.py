"""The shape of an ultrasound picture: sector, trapezoid or rectangle.

A shape is kept as numbers, so that it can be drawn at any resolution, tested against a
known truth, and written beside the frames.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool


@dataclass(frozen=True)
class Fan:
    """Where echoes may be, in pixels of the cropped picture, centres at whole numbers.

    kind: `sector` (curved or phased array), `trapezoid` (linear array with slanted
    sides), `rectangle`, `hull` (no such shape fits: the hull of what moves) or `whole`
    (nothing is masked). apex: where the two sides meet, x and y. slopes: dx / dy of the
    left and right side. reach: distances from the apex at which the picture starts and
    ends; along rows for a trapezoid. box: left, top, right, bottom, end-inclusive, that
    cuts all kinds. corners: of the hull, x and y in turn.
    """

    kind: str
    box: tuple[float, float, float, float]
    apex: tuple[float, float] | None = None
    slopes: tuple[float, float] | None = None
    reach: tuple[float, float] | None = None
    corners: tuple[tuple[float, float], ...] = ()

    def mask(self, height: int, width: int) -> Bool[np.ndarray, "{height} {width}"]:
        """True inside."""
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        left, top, right, bottom = self.box
        inside = (columns >= left) & (columns <= right)
        inside &= (rows >= top) & (rows <= bottom)
        if self.corners:
            return inside & _inside_hull(self.corners, rows, columns)
        if self.apex is None or self.slopes is None or self.reach is None:
            return inside
        across, down = columns - self.apex[0], rows - self.apex[1]
        far = down if self.kind == "trapezoid" else np.hypot(across, down)
        inside &= (far >= self.reach[0]) & (far <= self.reach[1]) & (down > 0)
        inside &= across >= self.slopes[0] * down
        return inside & (across <= self.slopes[1] * down)

    def scaled(self, x: float, y: float) -> "Fan":
        """The same shape on a grid whose cells are `1/x` by `1/y` as large.

        Sectors stay sectors only if both factors are nearly the same.
        """

        def place(across: float, down: float) -> tuple[float, float]:
            return (across + 0.5) * x - 0.5, (down + 0.5) * y - 0.5

        slopes, reach = self.slopes, self.reach
        return Fan(
            self.kind,
            (*place(*self.box[:2]), *place(*self.box[2:])),
            None if self.apex is None else place(*self.apex),
            None if slopes is None else (slopes[0] * x / y, slopes[1] * x / y),
            None if reach is None else (reach[0] * y, reach[1] * y),
            tuple(place(*corner) for corner in self.corners),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, rounded to a tenth of a pixel (slopes to 1e-4)."""
        plain = {k: v for k, v in asdict(self).items() if v}
        for key, digits in (("box", 1), ("apex", 1), ("slopes", 4), ("reach", 1)):
            if key in plain:
                plain[key] = [round(float(v), digits) for v in plain[key]]
        if "corners" in plain:
            plain["corners"] = [[round(float(v), 1) for v in c] for c in self.corners]
        return plain


def whole(height: int, width: int) -> Fan:
    """The shape that masks nothing."""
    return Fan("whole", (0.0, 0.0, width - 1.0, height - 1.0))


def _inside_hull(
    corners: tuple[tuple[float, float], ...], rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Inside all edges of a convex polygon, whichever way round it is given."""
    points = np.asarray(corners, np.float64)
    ahead = np.roll(points, -1, axis=0) - points
    area = np.sum(
        points[:, 0] * np.roll(points[:, 1], -1)
        - np.roll(points[:, 0], -1) * points[:, 1]
    )
    inside = np.ones(rows.shape, bool)
    for (x, y), (dx, dy) in zip(points, ahead, strict=True):
        side = dx * (rows - y) - dy * (columns - x)
        inside &= side * np.sign(area) >= -1e-3
    return inside
