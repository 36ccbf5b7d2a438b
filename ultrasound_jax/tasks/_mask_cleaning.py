"""What is taken out of found masks, and filled in, before they are counted.

On the host, where it takes one thread an example; never in a compiled step.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from ultrasound_jax.tasks._protocol import TaskError


@dataclass(frozen=True)
class Cleaning:
    """What is done to each structure of a found mask, in this order.

    A component is what hangs together by sides or corners (8-connected), across all
    axes of a mask that has more than two.

    smallest: components of fewer pixels are taken out.
    keep_components: of the others so many are kept, the largest (the first of equal
        ones in reading order); 0 keeps all.
    fill_holes: background that a structure encloses becomes its own. What is another
        structure's stays that, and what two enclose goes to the first.
    """

    keep_components: int = 0
    fill_holes: bool = False
    smallest: int = 0

    def __post_init__(self) -> None:
        for option in ("keep_components", "smallest"):
            value = getattr(self, option)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise TaskError(
                    f"config.task.options.{option}={value!r} is not allowed: it must "
                    "be a whole number, 0 or more"
                )
        if not isinstance(self.fill_holes, bool):
            raise TaskError(
                f"config.task.options.fill_holes={self.fill_holes!r} is not allowed: "
                "it must be True or False"
            )

    @property
    def changes(self) -> bool:
        """Whether anything is done at all."""
        return self != Cleaning()

    def all(self, found: Bool[np.ndarray, "b *space k"]) -> np.ndarray:
        """The masks of a batch, cleaned."""
        if not self.changes or not len(found):
            return found
        with ThreadPoolExecutor(min(len(found), os.cpu_count() or 1)) as pool:
            return np.stack(list(pool.map(self.one, found)))

    def one(self, found: Bool[np.ndarray, "*space k"]) -> Bool[np.ndarray, "*space k"]:
        """The masks of an example, cleaned."""
        cleaned = np.stack([self._kept(each) for each in np.moveaxis(found, -1, 0)])
        if self.fill_holes:
            for k, each in enumerate(cleaned):
                others = np.delete(cleaned, k, axis=0).any(axis=0)
                full = np.asarray(ndimage.binary_fill_holes(each))
                cleaned[k] = each | (full & ~others)
        return np.moveaxis(cleaned, 0, -1)

    def _kept(self, mask: Bool[np.ndarray, "*space"]) -> Bool[np.ndarray, "*space"]:
        if not (self.keep_components or self.smallest) or not mask.any():
            return mask
        touching = ndimage.generate_binary_structure(mask.ndim, mask.ndim)
        components = np.zeros(mask.shape, np.int32)
        ndimage.label(mask, structure=touching, output=components)
        sizes = np.bincount(components.ravel())
        sizes[0] = 0
        order = np.argsort(-sizes, kind="stable")
        order = order[sizes[order] >= max(self.smallest, 1)]
        if self.keep_components:
            order = order[: self.keep_components]
        wanted = np.zeros(len(sizes), bool)
        wanted[order] = True
        return wanted[components]
