"""Made images and masks, the same whoever makes them."""

import json
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

REFERENCE = json.loads(
    (Path(__file__).parent / "fixtures/pyradiomics.json").read_text()
)


def speckled(seed, h, w):
    """An image of smoothed gamma noise, uint8."""
    noise = np.random.default_rng(seed).gamma(2, 40, (h, w))
    return np.clip(np.rint(gaussian_filter(noise, 1)), 0, 255).astype(np.uint8)


def ellipse(h, w, cy, cx, a, b, angle=0.3):
    """A mask."""
    y, x = np.mgrid[:h, :w]
    u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    v = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    return (u / a) ** 2 + (v / b) ** 2 < 1


def case(seed, h, w, **shape):
    """A case of the reference, by its recipe."""
    return speckled(seed, h, w), ellipse(h, w, **shape)


def torn_mask(seed, h=17, w=23):
    """A mask with holes, several parts, single pixels, and pixels at every border."""
    mask = np.random.default_rng(seed).random((h, w)) < 0.6
    mask[:, 9:11] = False
    mask[3:8, 2:7] = True
    mask[5, 4] = False
    mask[0, 0] = mask[-1, -1] = mask[0, -1] = True
    return mask
