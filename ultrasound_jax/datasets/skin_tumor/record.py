"""One skin-tumour image as a record."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from ultrasound_jax.datasets import decoded
from ultrasound_jax.datasets.beam.records import Fact, Made, Skipped
from ultrasound_jax.datasets.image_builder import fitted, identity, one_hot
from ultrasound_jax.datasets.image_files import (
    Reading,
    told_of,
    told_of_contrast,
    told_of_values,
)
from ultrasound_jax.datasets.skin_tumor.files import CLASSES, Picture
from ultrasound_jax.datasets.skin_tumor.panels import skin_crop, without_doppler
from ultrasound_jax.media.pictures import (
    grey,
)
from ultrasound_jax.types import InputError


@dataclass(frozen=True)
class Preparation:
    """What is done to a picture: see `SkinTumorConfig`."""

    reading: Reading
    drop_doppler: bool
    crop_skin: bool


def views(how: Preparation, picture: Picture) -> list[np.ndarray]:
    """The picture in grey as it is stored and as it is built.

    Raises:
        DatasetError: it cannot be read or prepared.
    """
    name = picture.image_id
    stored = decoded.picture(picture.path, name=name, page=how.reading.page)
    return [
        grey(stored, name=name, bits=how.reading.bits),
        _prepared(how, stored, name)[0],
    ]


def make_record(how: Preparation, picture: Picture) -> Iterator[Made]:
    """The record, or why there is none; a `Fact` where a panel was removed."""
    name = picture.image_id
    try:
        stored = decoded.picture(picture.path, name=name, page=how.reading.page)
        image, removed = _prepared(how, stored, name)
    except InputError as error:
        yield Skipped(name, str(error).removeprefix(f"{name}: "))
        return
    yield from told_of(picture.path, name)
    yield from told_of_values(stored, name)
    in_grey = grey(stored, name=name, bits=how.reading.bits)
    yield from told_of_contrast(in_grey, name)
    if removed:
        yield Fact("panel_removed", name)
    label = CLASSES.index(picture.label)
    yield (
        name,
        {
            "image": image,
            "labels": one_hot(label, len(CLASSES)),
            "label": label,
            **identity(name, picture.patient_id),
        },
    )


def _prepared(
    how: Preparation, pixels: np.ndarray, name: str
) -> tuple[UInt8[np.ndarray, "h w 1"], bool]:
    """The image of the record, and whether a panel was removed."""
    removed = False
    if how.drop_doppler and pixels.ndim == 3 and pixels.dtype == np.uint8:
        whole, pixels = pixels.shape, without_doppler(pixels, name=name)
        removed = pixels.shape != whole
    image = grey(pixels, name=name, bits=how.reading.bits)
    cut = skin_crop(image) if how.crop_skin else image
    reading = how.reading
    return fitted(cut, reading.size, stretch=reading.stretch), removed
