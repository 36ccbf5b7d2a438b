"""One BUSI picture and its masks as a record."""

from collections.abc import Iterator
from functools import reduce
from itertools import chain

import numpy as np

from ultrasound_jax.datasets.beam.records import Fact, Made, Skipped
from ultrasound_jax.datasets.busi.calipers import count_calipers
from ultrasound_jax.datasets.busi.files import CLASSES, Picture
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.image_builder import fitted, identity, one_hot
from ultrasound_jax.datasets.image_files import (
    MASKS,
    Reading,
    fitted_and_told,
    grey_image,
    image_mask,
    told_of,
    told_of_contrast,
)
from ultrasound_jax.types import InputError

NORMAL = "normal"  # the class without a lesion


def make_record(how: Reading, picture: Picture) -> Iterator[Made]:
    """The record, or why there is none; a `Fact` where calipers are burned in."""
    try:
        image = grey_image(picture.path, how, name=picture.name)
        mask = _union(picture, how, image)
    except InputError as error:
        yield Skipped(picture.name, str(error).removeprefix(f"{picture.name}: "))
        return
    calipers = count_calipers(image)
    if calipers:
        yield Fact("calipers", picture.image_id)
    of_files = (told_of(path, picture.image_id, MASKS) for path in picture.masks)
    yield from chain(told_of(picture.path, picture.image_id), *of_files)
    yield from told_of_contrast(image, picture.image_id)
    small, told = fitted_and_told(mask, how, picture.image_id)
    yield from told
    if mask.any() == (picture.label == NORMAL):
        yield Fact("against_label", picture.image_id)
    label = CLASSES.index(picture.label)
    yield (
        picture.image_id,
        {
            "image": fitted(image, how.size, stretch=how.stretch),
            "mask": small,
            "labels": one_hot(label, len(CLASSES)),
            "label": label,
            "masks": len(picture.masks),
            "calipers": calipers,
            **identity(picture.image_id, picture.patient_id),
        },
    )


def _union(picture: Picture, how: Reading, image: np.ndarray) -> np.ndarray:
    """Every lesion of the picture: the original's users often read the first only."""
    if not picture.masks:
        raise DatasetError(f"{picture.name}: has no mask")
    parts = [
        image_mask(path, how, name=f"{picture.label}/{path.name}", image=image)
        for path in picture.masks
    ]
    return reduce(np.maximum, parts)
