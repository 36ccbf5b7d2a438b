"""One skin-tumour image as a record."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.image_builder import fitted, identity, one_hot
from ultrasound_jax.datasets.images import grey, read_picture
from ultrasound_jax.datasets.scale import Fact, Made, Skipped
from ultrasound_jax.datasets.skin_tumor.files import CLASSES, Picture
from ultrasound_jax.datasets.skin_tumor.panels import skin_crop, without_doppler


def read_grey(picture: Picture) -> UInt8[np.ndarray, "h w"]:
    """The picture as it is, in grey.

    Raises:
        DatasetError: it cannot be read.
    """
    name = picture.image_id
    return grey(read_picture(picture.path, name=name), name=name)


def make_record(
    size: int, drop_doppler: bool, crop_skin: bool, picture: Picture
) -> Iterator[Made]:
    """The record, or why there is none; a `Fact` where a panel was removed."""
    name = picture.image_id
    try:
        pixels = read_picture(picture.path, name=name)
        if drop_doppler and pixels.ndim == 3 and pixels.dtype == np.uint8:
            whole, pixels = pixels.shape, without_doppler(pixels, name=name)
            if pixels.shape != whole:
                yield Fact("panel_removed", name)
        image = grey(pixels, name=name)
    except DatasetError as error:
        yield Skipped(name, str(error).removeprefix(f"{name}: "))
        return
    label = CLASSES.index(picture.label)
    yield (
        name,
        {
            "image": fitted(skin_crop(image) if crop_skin else image, size),
            "labels": one_hot(label, len(CLASSES)),
            "label": label,
            **identity(name, picture.patient_id),
        },
    )
