"""One lung CT slice and its mask as a record."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Int16

from ultrasound_jax.datasets import decoded
from ultrasound_jax.datasets.beam.records import Fact, Made, Skipped
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.image_builder import fitted, identity
from ultrasound_jax.datasets.image_files import (
    MASKS,
    PICTURES,
    Reading,
    fitted_and_told,
    image_mask,
    told_of,
    told_of_contrast,
    told_of_values,
)
from ultrasound_jax.datasets.lungsegdb.files import PARTS, Slice
from ultrasound_jax.media.geometry import placed
from ultrasound_jax.media.pictures import (
    grey,
    hounsfield,
    windowed,
)
from ultrasound_jax.media.sample_depth import is_fractions
from ultrasound_jax.types import InputError

AIR = -1000  # Hounsfield units of the margins of a fitted slice
DENSE = -200  # Hounsfield units that every slice of a chest goes below


@dataclass(frozen=True)
class Values:
    """What pixels become: see `LungConfig`."""

    kind: str
    centre: float
    width: float
    offset: int
    fractions: str
    how: Reading


def read_slice(one: Slice, values: Values) -> np.ndarray:
    """Pixels `h w`: uint8, or int16 Hounsfield units where they are asked for.

    Slices of 8 bits are taken as the grey values that they are, colours by luminance.

    Raises:
        DatasetError: the file cannot be read, or holds no Hounsfield units.
    """
    return _of_stored(values, one, _stored(values, one))


def _stored(values: Values, one: Slice) -> np.ndarray:
    return decoded.picture(one.path, name=one.name, page=values.how.page)


def _of_stored(values: Values, one: Slice, stored: np.ndarray) -> np.ndarray:
    if stored.dtype == np.uint8:
        if values.kind == "hounsfield":
            raise DatasetError(
                f"{one.name}: 8-bit grey values, allowed are Hounsfield units"
            )
        return grey(stored, name=one.name)
    if is_fractions(stored):
        if values.fractions != "grey":
            raise DatasetError(
                f"{one.name}: values from 0 to 1 are no Hounsfield units, allowed with "
                "the option fractions=grey: shades of grey"
            )
        return grey(stored, name=one.name)
    if stored.dtype == np.uint16 and not values.offset:
        raise DatasetError(
            f"{one.name}: values without sign, allowed with the option offset: what "
            "was added to the Hounsfield units"
        )
    if values.offset:
        stored = stored.astype(np.float32) - values.offset
    units = hounsfield(stored, name=one.name)
    if values.kind == "hounsfield":
        return units
    return windowed(units, centre=values.centre, width=values.width)


def make_record(values: Values, one: Slice) -> Iterator[Made]:
    """The record, or why there is none."""
    try:
        stored = _stored(values, one)
        image = _of_stored(values, one, stored)
        mask = image_mask(
            one.mask, values.how, name=one.name, image=image, what="slice"
        )
    except InputError as error:
        yield Skipped(one.name, str(error).removeprefix(f"{one.name}: "))
        return
    yield from told_of(one.path, one.image_id)
    yield from told_of(one.mask, one.image_id, MASKS)
    yield from told_of_values(stored, one.image_id)
    yield from told_of_contrast(image, one.image_id)
    in_units = stored.dtype != np.uint8 and not is_fractions(stored)
    if in_units and int(stored.min()) - values.offset > DENSE:
        yield Fact(PICTURES, ["without_air", one.image_id])
    small, told = fitted_and_told(mask, values.how, one.image_id)
    yield from told
    yield one.image_id, _record(values, one, image, small)


def _record(
    values: Values, one: Slice, image: np.ndarray, mask: np.ndarray
) -> dict[str, Any]:
    return {
        "image": _sized(values, image),
        "mask": mask,
        "labels": np.array([mask.any()], np.int8),
        "part": PARTS.index(one.part),
        "slice": one.place,
        **identity(one.image_id, one.patient_id),
    }


def fitted_units(
    units: Int16[np.ndarray, "h w"], size: int, *, stretch: bool = False
) -> Int16[np.ndarray, "H W 1"]:
    """As `fitted`, for Hounsfield units: what is added around them is air."""
    if size:
        height, width = units.shape
        rows, columns = placed(height, width, size, stretch=stretch)
        sides = columns.stop - columns.start, rows.stop - rows.start
        how = cv2.INTER_AREA if max(height, width) > size else cv2.INTER_LINEAR
        scaled = cv2.resize(units, sides, interpolation=how)
        units = np.full((size, size), AIR, np.int16)
        units[rows, columns] = scaled
    return units[..., np.newaxis]


def views(values: Values, one: Slice) -> list[np.ndarray]:
    """The slice at its own size and as it is built.

    Raises:
        DatasetError: as `read_slice`.
    """
    image = read_slice(one, values)
    return [image, _sized(values, image)]


def _sized(values: Values, image: np.ndarray) -> np.ndarray:
    fit = fitted_units if values.kind == "hounsfield" else fitted
    return fit(image, values.how.size, stretch=values.how.stretch)
