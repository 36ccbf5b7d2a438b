"""One slice of the phantom as a record."""

from collections.abc import Iterator

import numpy as np

from ultrasound_jax.datasets.beam.records import Made
from ultrasound_jax.datasets.image_builder import identity
from ultrasound_jax.datasets.phantom_ct.options import PhantomCtConfig
from ultrasound_jax.datasets.phantom_ct.patients import heights
from ultrasound_jax.datasets.phantom_ct.picture import draw_slice


def make_record(config: PhantomCtConfig, numbers: tuple[int, int]) -> Iterator[Made]:
    """The record of a slice, given by its patient's number and its own."""
    patient, place = numbers
    z = float(heights(config.seed, patient, config.slices)[place])
    drawn = draw_slice(config.seed, patient, place, z, config.size)
    patient_id = f"P{patient:03d}"
    ids = identity(f"{patient_id}_{place:02d}", patient_id)
    yield (
        ids["example_id"],
        {
            "image": drawn.image[..., np.newaxis],
            "mask": drawn.mask[..., np.newaxis],
            "labels": np.array([drawn.mask.any()], np.int8),
            "slice": place,
            "pixel_mm": drawn.pixel_mm,
            **ids,
        },
    )
