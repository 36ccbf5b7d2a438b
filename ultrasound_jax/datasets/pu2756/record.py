"""The pictures of a PU2756 examination as records."""

from collections.abc import Iterator
from pathlib import Path

from ultrasound_jax.datasets.beam.records import Fact, Made, Skipped
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
from ultrasound_jax.datasets.pu2756.files import Picture, list_pictures
from ultrasound_jax.datasets.pu2756.sheet import DIAGNOSES, LABELS, Examination
from ultrasound_jax.types import InputError


def make_record(root: str, how: Reading, examination: Examination) -> Iterator[Made]:
    """A record for each picture, or why there is none; facts on its mask."""
    pictures, left = list_pictures(Path(root), examination)
    yield from left
    for picture in pictures:
        yield from _of_picture(how, picture, examination)


def _of_picture(
    how: Reading, picture: Picture, examination: Examination
) -> Iterator[Made]:
    name = picture.image_id
    try:
        image = grey_image(picture.path, how, name=name)
        mask = image_mask(picture.mask, how, name=name, image=image)
    except InputError as error:
        yield Skipped(name, str(error).removeprefix(f"{name}: "))
        return
    yield from told_of(picture.path, name)
    yield from told_of_contrast(image, name)
    yield from told_of(picture.mask, name, MASKS)
    if not mask.any():
        yield Fact("empty_mask", name)
    small, told = fitted_and_told(mask, how, name)
    yield from told
    label = LABELS.index(examination.label)
    yield (
        name,
        {
            "image": fitted(image, how.size, stretch=how.stretch),
            "mask": small,
            "labels": one_hot(label, len(LABELS)),
            "label": label,
            "label6": DIAGNOSES.index(examination.diagnosis),
            "fold": examination.fold,
            **identity(name, examination.patient_id),
        },
    )
