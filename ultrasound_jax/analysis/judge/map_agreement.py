"""How well a class's map agrees with a region that people outlined, and chance with it.

A map's **area** is where it is at least THRESHOLD of its largest value, as the
skin-tumour study shows it (Sensors 2023, 23, 7374). A map that is nowhere above zero
speaks for the class nowhere: it has no area, and misses whatever there is. The map is
compared by four numbers, each 1 where it could not be better:

    iou, dice   of the area and the region
    pointing    whether the largest place lies in the region (Zhang et al., "Top-down
                Neural Attention by Excitation Backprop", IJCV 2018); of several such
                places, the share that does
    near        the same with their TOLERANCE: it lies in the region or that close
    energy      the share of all that the map says (above zero) that lies in the region
                (Wang et al., "Score-CAM", CVPR workshops 2020)

Chance is not 0. A map that always shows the depth at which lesions lie agrees with them
without having seen any. So the same numbers stand beside each:

    other_map     maps of other patients' images on this region: keeps what maps look
                  like, and where they usually are
    other_region  this map on the regions of other patients: keeps the regions'
    moved         the map's area, its largest place with it, at every place of the
                  picture where it fits: keeps its shape and size alone
    centre        a disc about the picture's middle, as large as the map's area

Each is the mean over all that there are, or over PARTNERS other images drawn by a seed:
an expectation, and no luck of a draw. Of `moved` and `centre` the energy is the share
of that area which lies in the region.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage, signal

from ultrasound_jax.analysis.errors import AnalysisError

THRESHOLD = 0.7  # of a map's largest value
ALIKE = 1e-5  # of the largest value: places that differ by less are equally large
TOLERANCE = 15.0  # pixels off a region that still count as pointing at it
PARTNERS = 200  # other images for each
MEASURES = ("iou", "dice", "pointing", "energy", "near")
NULLS = ("other_map", "other_region", "moved", "centre")


@dataclass(frozen=True, eq=False)
class Marks:
    """What a map says: its area, its largest places, and what it adds up to.

    peak, energy: shares that add up to 1; all is zero of a map without an area.
    """

    area: Bool[np.ndarray, "h w"] = field(repr=False)
    peak: Float[np.ndarray, "h w"] = field(repr=False)
    energy: Float[np.ndarray, "h w"] = field(repr=False)


def marks_of(values: Float[np.ndarray, "h w"]) -> Marks:
    """What a map says.

    Raises:
        AnalysisError: it has values that are not finite.
    """
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        raise AnalysisError("a map has values that are not finite")
    top = float(values.max(initial=0.0))
    if top <= 0:
        nothing = np.zeros(values.shape, np.float32)
        return Marks(np.zeros(values.shape, bool), nothing, nothing)
    peak = values >= (1 - ALIKE) * top
    positive = np.maximum(values, 0.0)
    shares = (one / one.sum() for one in (peak, positive))
    return Marks(values >= THRESHOLD * top, *(s.astype(np.float32) for s in shares))


def agreement(
    marks: Marks, region: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, " measure"]:
    """MEASURES of a map on a region, which must not be empty."""
    _check_region(region, marks.area.shape)
    both = np.count_nonzero(marks.area & region)
    return _measures(
        both,
        np.count_nonzero(marks.area),
        np.count_nonzero(region),
        marks.peak[region].sum(),
        marks.energy[region].sum(),
        marks.peak[_around(region)].sum(),
    )


def nulls_alone(
    marks: Marks, region: Bool[np.ndarray, "h w"]
) -> dict[str, Float[np.ndarray, " measure"]]:
    """MEASURES of `moved` and `centre`, which need no other image."""
    _check_region(region, marks.area.shape)
    return {"moved": _moved(marks, region), "centre": _centre(marks, region)}


def nulls_of_others(
    marks: list[Marks],
    regions: list[Bool[np.ndarray, "h w"]],
    patient: Int[np.ndarray, " n"],
    *,
    seed: int = 0,
) -> dict[str, Float[np.ndarray, "n measure"]]:
    """MEASURES of `other_map` and `other_region`, of images of one size.

    Raises:
        AnalysisError: all images are of one patient.
    """
    if len(set(patient.tolist())) < 2:
        raise AnalysisError(
            "regions of one patient only: maps are compared with those of others"
        )
    area = np.stack([one.area.ravel() for one in marks])
    peak = np.stack([one.peak.ravel() for one in marks])
    energy = np.stack([one.energy.ravel() for one in marks])
    region = np.stack([one.ravel() for one in regions])
    around = np.stack([_around(one).ravel() for one in regions])
    areas, sizes = area.sum(1), region.sum(1)
    found = {name: np.zeros((len(marks), len(MEASURES))) for name in NULLS[:2]}
    for i in range(len(marks)):
        others = _partners(patient, i, seed)
        # Only the pixels that count: a region, an area and a peak are small.
        own = np.flatnonzero(region[i])
        found["other_map"][i] = _measures(
            np.count_nonzero(area[np.ix_(others, own)], axis=1),
            areas[others],
            sizes[i],
            peak[np.ix_(others, own)].sum(1),
            energy[np.ix_(others, own)].sum(1),
            peak[np.ix_(others, np.flatnonzero(around[i]))].sum(1),
        ).mean(0)
        mine, places = np.flatnonzero(area[i]), np.flatnonzero(peak[i])
        found["other_region"][i] = _measures(
            np.count_nonzero(region[np.ix_(others, mine)], axis=1),
            areas[i],
            sizes[others],
            region[np.ix_(others, places)] @ peak[i, places],
            region[others] @ energy[i],
            around[np.ix_(others, places)] @ peak[i, places],
        ).mean(0)
    return found


def _partners(patient: Int[np.ndarray, " n"], i: int, seed: int) -> np.ndarray:
    """The images of other patients, or PARTNERS of them."""
    others = np.flatnonzero(patient != patient[i])
    if len(others) <= PARTNERS:
        return others
    rng = np.random.default_rng([seed, i])
    return np.sort(rng.choice(others, PARTNERS, replace=False))


def _measures(
    both: Any, area: Any, region: Any, pointing: Any, energy: Any, near: Any
) -> Float[np.ndarray, "*many measure"]:
    """MEASURES from counts of pixels, of one pair or many; regions are not empty."""
    both, total = np.asarray(both, float), np.asarray(area) + np.asarray(region)
    found = (both / (total - both), 2 * both / total, pointing, energy, near)
    return np.stack(np.broadcast_arrays(*found), axis=-1).astype(float)


def _moved(
    marks: Marks, region: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, " measure"]:
    """The mean over all places at which the area, cut to its box, fits the picture."""
    size = np.count_nonzero(marks.area)
    if not size:
        return np.zeros(len(MEASURES))
    rows, columns = (np.flatnonzero(marks.area.any(axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    def at_each_place(part: np.ndarray, of: np.ndarray) -> np.ndarray:
        turned = part[box][::-1, ::-1].astype(float)
        return signal.fftconvolve(of.astype(float), turned, mode="valid").ravel()

    both = np.rint(at_each_place(marks.area, region))
    inside, near = (
        np.clip(at_each_place(marks.peak, of), 0.0, 1.0)
        for of in (region, _around(region))
    )
    counted = np.count_nonzero(region)
    return _measures(both, size, counted, inside, both / size, near).mean(0)


def _centre(
    marks: Marks, region: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, " measure"]:
    """A disc of as many pixels about the middle, which it points to."""
    height, width = region.shape
    down = np.arange(height) - (height - 1) / 2
    across = np.arange(width) - (width - 1) / 2
    distance = np.hypot(down[:, None], across)
    middle = distance <= distance.min() + 0.1  # up to four pixels
    size = np.count_nonzero(marks.area)
    nearest = np.argsort(distance, axis=None, kind="stable")[:size]
    both = np.count_nonzero(region.ravel()[nearest])
    return _measures(
        both,
        size,
        np.count_nonzero(region),
        region[middle].mean(),
        both / max(size, 1),
        _around(region)[middle].mean(),
    )


def _around(region: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The region and what is within TOLERANCE of it."""
    distance: Any = ndimage.distance_transform_edt(~region)
    return distance <= TOLERANCE


def _check_region(region: Bool[np.ndarray, "h w"], size: tuple[int, ...]) -> None:
    if region.shape != size:
        raise AnalysisError(f"a region of {region.shape}, a map of {size}")
    if not region.any():
        raise AnalysisError("a region without a pixel: there is nothing to agree with")
