"""One picture of a folder, and its masks, as a record."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ultrasound_jax.datasets.beam.records import Made, Skipped
from ultrasound_jax.datasets.folder.files import Picture
from ultrasound_jax.datasets.image_builder import fitted, identity, one_hot
from ultrasound_jax.datasets.image_files import (
    MASKS,
    Reading,
    fitted_and_told,
    grey_image,
    joined_masks,
    told_of,
    told_of_contrast,
)
from ultrasound_jax.types import InputError


def make_record(
    how: Reading, classes: Sequence[str], masked: bool, picture: Picture
) -> Iterator[Made]:
    """The record, or why there is none.

    Args:
        how: files are read.
        classes: in the order of `labels`; () where a label is whether a mask has marks.
        masked: a record has a mask, an empty one if the picture has none.
        picture: what is read.
    """
    name = picture.image_id
    try:
        image = grey_image(picture.path, how, name=name)
        mask = np.zeros_like(image)
        if picture.masks:
            mask = joined_masks(picture.masks, how, name=name, image=image)
    except InputError as error:
        yield Skipped(name, str(error).removeprefix(f"{name}: "))
        return
    of_masks = (told_of(path, name, MASKS) for path in picture.masks)
    yield from chain(told_of(picture.path, name), *of_masks)
    yield from told_of_contrast(image, name)
    record: dict[str, Any] = {"image": fitted(image, how.size, stretch=how.stretch)}
    if masked:
        record["mask"], told = fitted_and_told(mask, how, name)
        yield from told if picture.masks else ()
    if classes:
        record["label"] = classes.index(picture.label)
        record["labels"] = one_hot(record["label"], len(classes))
    else:
        record["labels"] = np.array([mask.any()], np.int8)
    yield name, record | identity(name, picture.patient_id)
