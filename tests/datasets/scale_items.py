"""What the toy set of `test_scale.py` makes; Beam's workers import it by this name."""

import os
from collections.abc import Iterator

import numpy as np
import psutil

from ultrasound_jax.datasets.beam.records import Fact, Made, Skipped


def make(side: int, number: int) -> Iterator[Made]:
    """Three images of one number; every seventh file is broken."""
    if number % 7 == 3:
        yield Skipped(f"file{number}", f"broken at byte {number}")
        return
    rng = np.random.default_rng([7, number])
    for image in range(3):
        key = f"{number:04d}_{image}"
        pixels = rng.integers(0, 255, (side, side, 1), np.uint8)
        yield key, {"image": pixels, "example_id": key}
    yield Fact("number", number)


def make_and_tell(side: int, number: int) -> Iterator[Made]:
    """The same, and which process made it and how much memory that has by then."""
    yield from make(side, number)
    memory = psutil.Process().memory_info().rss
    yield Fact("process", {"id": os.getpid(), "megabytes": memory / 1e6})


def make_nothing(number: int) -> Iterator[Made]:
    """A set in which every file is broken."""
    yield Skipped(f"file{number}", "broken")


def make_the_same(number: int) -> Iterator[Made]:
    """An example with the same key as every other item's."""
    image = np.full((4, 4, 1), number, np.uint8)
    yield "same", {"image": image, "example_id": "same"}
