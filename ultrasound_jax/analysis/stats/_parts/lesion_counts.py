"""Which lesions of a picture are found: connected pixels, one pair for each.

A lesion is a component of a mask, pixels that touch at a side or a corner (8-connected)
being one. A true and a found component may be a pair where their intersection over
union is at least a criterion; of all ways to pair them, each once, the one with the
greatest sum is taken (Maier-Hein et al. 2024, by the Hungarian algorithm). A true
lesion with a pair is detected, a found one without is false, of one pixel or of many.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

NAMES = ("lesions", "detected", "false_lesions", "lesion_dice")


def lesion_counts(
    found: Bool[np.ndarray, "*space k"],
    truth: Bool[np.ndarray, "*space k"],
    *,
    iou: float,
) -> Float[np.ndarray, "k 4"]:
    """True lesions, those detected, false ones, the sum of the pairs' Dice.

    A row a structure.

    Args:
        found: what the network gives to each structure.
        truth: what belongs to each structure.
        iou: the least intersection over union of a pair, above 0 and at most 1.
    """
    rows = [_one(found[..., k], truth[..., k], iou) for k in range(found.shape[-1])]
    return np.array(rows, float).reshape(found.shape[-1], len(NAMES))


def _one(
    found: np.ndarray, truth: np.ndarray, least: float
) -> tuple[int, int, int, float]:
    touching = np.ones((3,) * truth.ndim, bool)
    true, lesions = _labelled(truth, touching)
    drawn, components = _labelled(found, touching)
    if not lesions or not components:
        return lesions, 0, components, 0.0
    pairs = true.ravel().astype(np.intp) * (components + 1) + drawn.ravel()
    count = np.bincount(pairs, minlength=(lesions + 1) * (components + 1))
    count = count.reshape(lesions + 1, components + 1)
    sizes = count.sum(axis=1)[1:, None] + count.sum(axis=0)[None, 1:]
    common = count[1:, 1:]
    iou = common / (sizes - common)
    fits = iou >= least
    rows, columns = linear_sum_assignment(np.where(fits, iou, 0.0), maximize=True)
    paired = fits[rows, columns]
    rows, columns = rows[paired], columns[paired]
    dice = 2 * common[rows, columns] / sizes[rows, columns]
    return lesions, len(rows), components - len(rows), float(dice.sum())


def _labelled(mask: np.ndarray, touching: np.ndarray) -> tuple[np.ndarray, int]:
    labels, count = ndimage.label(mask, structure=touching)  # type: ignore[misc]
    return np.asarray(labels), int(count)
