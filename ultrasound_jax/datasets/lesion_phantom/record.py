"""One image of the phantom as a record."""

from collections.abc import Iterator

import numpy as np

from ultrasound_jax.datasets.beam.records import Made
from ultrasound_jax.datasets.image_builder import identity, one_hot
from ultrasound_jax.datasets.lesion_phantom.options import LesionConfig
from ultrasound_jax.datasets.lesion_phantom.patients import CLASSES, kind_of
from ultrasound_jax.datasets.lesion_phantom.picture import draw_picture


def make_record(config: LesionConfig, numbers: tuple[int, int]) -> Iterator[Made]:
    """The record of an image, given by its patient's number and its own."""
    patient, image = numbers
    drawn = draw_picture(config.seed, patient, image, config.size, clear=config.clear)
    label = CLASSES.index(kind_of(config.seed, patient))
    patient_id = f"P{patient:03d}"
    ids = identity(f"{patient_id}_{image}", patient_id)
    yield (
        ids["example_id"],
        {
            "image": drawn.image[..., np.newaxis],
            "mask": drawn.mask[..., np.newaxis],
            "labels": one_hot(label, len(CLASSES)),
            "label": label,
            "pixel_mm": drawn.pixel_mm,
            **ids,
        },
    )
