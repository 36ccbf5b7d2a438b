"""A region as a record."""

from collections.abc import Iterator

import numpy as np

from ultrasound_jax.datasets.beam.records import Made, Skipped
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.regions.files import PICTURES, Case, masks_of, read_grey
from ultrasound_jax.datasets.regions.options import SKIP, RegionsConfig
from ultrasound_jax.media.regions import cut_out
from ultrasound_jax.runs.files import at_home

NOTHING_FOUND = "nothing was found on it"
YES, NO = "yes", "no"


def make_record(root: str, config: RegionsConfig, case: Case) -> Iterator[Made]:
    """The record of a case; `found` is whether a network marked anything on it."""
    folder = at_home(root)
    picture = read_grey(folder / PICTURES / case.file)
    if picture.shape != (config.pixels, config.pixels):
        raise DatasetError(
            f"{folder / PICTURES / case.file}: {picture.shape[0]} x {picture.shape[1]} "
            f"pixels, the option pixels={config.pixels} allows squares of that side"
        )
    found = read_grey(folder / masks_of("", config.outer) / case.file) > 0
    if config.nothing == SKIP and not found.any():
        yield Skipped(case.example_id, NOTHING_FOUND)
        return
    mask = read_grey(folder / masks_of(config.kind, config.outer) / case.file) > 0
    region, box, _ = cut_out(picture, mask, config.cut)
    yield (
        case.example_id,
        {
            "image": region[..., np.newaxis],
            "labels": np.array(case.labels, np.int8),
            "example_id": case.example_id,
            "image_id": case.video_id,
            "video_id": case.video_id,
            "patient_id": case.patient_id,
            "found": YES if found.any() else NO,
            "box": np.array([box.top, box.left, *box.sides], np.int32),
        },
    )
