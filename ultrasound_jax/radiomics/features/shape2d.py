"""Shape of a region in pixels, from its outline by marching squares.

The outline runs half-way between pixels inside and outside (Lorensen and Cline 1987);
pixels that touch at a corner only are apart. IBSI defines shape in 3-D alone; these are
pyradiomics' two-dimensional ones.
"""

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from ultrasound_jax.radiomics.region import Region

# By how many of a square's four corners are inside, 2 meaning neighbours: how long the
# outline in it is, and how much of the square is within. Opposite corners are two of 1.
_LENGTH = np.array([0.0, np.sqrt(0.5), 1.0, np.sqrt(0.5), 0.0])
_AREA = np.array([0.0, 0.125, 0.5, 0.875, 1.0])


def shape2d(region: Region) -> dict[str, float]:
    """The 9 features; pixels are of one unit, so lengths and areas are in pixels."""
    perimeter, surface = _outline(region)
    small, large = _axes(region)
    return {
        "Elongation": float(np.sqrt(small / large)),
        "MajorAxisLength": float(4 * np.sqrt(large)),
        "MaximumDiameter": _diameter(region),
        "MeshSurface": surface,
        "MinorAxisLength": float(4 * np.sqrt(small)),
        "Perimeter": perimeter,
        "PerimeterSurfaceRatio": perimeter / surface,
        "PixelSurface": float(len(region)),
        "Sphericity": float(2 * np.sqrt(np.pi * surface) / perimeter),
    }


def _outline(region: Region) -> tuple[float, float]:
    """Its length, and the area within, holes taken away."""
    inside = np.zeros((region.rows.max() + 3, region.columns.max() + 3), np.intp)
    inside[region.rows + 1, region.columns + 1] = 1
    first, second = inside[:-1, :-1], inside[:-1, 1:]
    third, fourth = inside[1:, 1:], inside[1:, :-1]
    corners = first + second + third + fourth
    opposite = int(((corners == 2) & (first == third)).sum())
    found = np.bincount(corners.ravel(), minlength=5)
    found[2] -= opposite
    found[1] += 2 * opposite
    return float(found @ _LENGTH), float(found @ _AREA)


def _axes(region: Region) -> tuple[float, float]:
    """The smaller and the larger variance along the region's principal axes."""
    places = np.stack([region.rows, region.columns], axis=1).astype(np.float64)
    places -= places.mean(axis=0)
    small, large = np.linalg.eigvalsh(places.T @ places / len(region))
    return max(float(small), 0.0), float(large)


def _diameter(region: Region) -> float:
    """The largest distance between points of the outline: sides' middles."""
    sides = ((0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.5))
    places = np.stack([region.rows, region.columns], axis=1)
    points = np.concatenate([places + side for side in sides])
    return float(pdist(points[ConvexHull(points).vertices]).max())
