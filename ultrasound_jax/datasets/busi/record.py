"""One BUSI picture and its masks as a record."""

from collections.abc import Iterator
from functools import reduce

import numpy as np

from ultrasound_jax.datasets import decoded
from ultrasound_jax.datasets.beam.records import Fact, Made, Skipped
from ultrasound_jax.datasets.busi.calipers import count_calipers
from ultrasound_jax.datasets.busi.files import CLASSES, Picture
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.image_builder import fitted, identity, one_hot
from ultrasound_jax.media.pictures import (
    foreground,
    grey,
)
from ultrasound_jax.types import InputError


def make_record(size: int, picture: Picture) -> Iterator[Made]:
    """The record, or why there is none; a `Fact` where calipers are burned in."""
    try:
        stored = decoded.picture(picture.path, name=picture.name)
        image = grey(stored, name=picture.name)
        mask = _union(picture, image.shape)
    except InputError as error:
        yield Skipped(picture.name, str(error).removeprefix(f"{picture.name}: "))
        return
    calipers = count_calipers(image)
    if calipers:
        yield Fact("calipers", picture.image_id)
    label = CLASSES.index(picture.label)
    yield (
        picture.image_id,
        {
            "image": fitted(image, size),
            "mask": fitted(mask[..., 0], size, nearest=True),
            "labels": one_hot(label, len(CLASSES)),
            "label": label,
            "masks": len(picture.masks),
            "calipers": calipers,
            **identity(picture.image_id, picture.patient_id),
        },
    )


def _union(picture: Picture, shape: tuple[int, ...]) -> np.ndarray:
    """Every lesion of the picture: the original's users often read the first only."""
    if not picture.masks:
        raise DatasetError(f"{picture.name}: has no mask")
    parts = []
    for path in picture.masks:
        name = f"{picture.label}/{path.name}"
        part = foreground(decoded.picture(path, name=name), name=name)
        if part.shape[:2] != shape:
            height, width = part.shape[:2]
            raise DatasetError(
                f"{name}: mask of {width} x {height} px, the image has "
                f"{shape[1]} x {shape[0]}"
            )
        parts.append(part)
    return reduce(np.maximum, parts)
