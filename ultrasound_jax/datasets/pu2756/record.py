"""One PU2756 examination as a record."""

from collections.abc import Iterator
from pathlib import Path

from ultrasound_jax.datasets import decoded
from ultrasound_jax.datasets.beam.records import Fact, Made, Skipped
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.image_builder import fitted, identity, one_hot
from ultrasound_jax.datasets.pu2756.sheet import DIAGNOSES, LABELS, Examination
from ultrasound_jax.media.pictures import (
    foreground,
    grey,
    list_images,
)
from ultrasound_jax.types import InputError

LEVEL = 127  # of a mask's grey; JPEG masks are not two-valued


def make_record(root: str, size: int, examination: Examination) -> Iterator[Made]:
    """The record, or why there is none; a `Fact` where nothing is outlined."""
    name = examination.image_id
    try:
        path, beside = _files(Path(root), examination)
        image = grey(decoded.picture(path, name=name), name=name)
        mask = foreground(
            decoded.picture(beside, name=f"{name}: mask"), name=name, level=LEVEL
        )
        if mask.shape[:2] != image.shape:
            raise DatasetError(
                f"{name}: mask of {mask.shape[1]} x {mask.shape[0]} px, the image has "
                f"{image.shape[1]} x {image.shape[0]}"
            )
    except InputError as error:
        yield Skipped(name, str(error).removeprefix(f"{name}: "))
        return
    if not mask.any():
        yield Fact("empty_mask", name)
    label = LABELS.index(examination.label)
    yield (
        name,
        {
            "image": fitted(image, size),
            "mask": fitted(mask[..., 0], size, nearest=True),
            "labels": one_hot(label, len(LABELS)),
            "label": label,
            "label6": DIAGNOSES.index(examination.diagnosis),
            "fold": examination.fold,
            **identity(name, examination.patient_id),
        },
    )


def _files(root: Path, examination: Examination) -> tuple[Path, Path]:
    """The examination's image and its mask of the same name."""
    folder = root / "image" / examination.folder
    pictures = list_images(folder) if folder.is_dir() else []
    if len(pictures) != 1:
        raise DatasetError(
            f"{examination.image_id}: {len(pictures)} pictures, allowed is one"
        )
    mask = root / "mask" / examination.folder / pictures[0].name
    if not mask.is_file():
        raise DatasetError(f"{examination.image_id}: has no mask of the image's name")
    return pictures[0], mask
