"""Masks on other pictures are measured by what those tell of their scale."""

import numpy as np
import pytest

from tests.tasks.made import image_spec
from ultrasound_jax import tasks
from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.source import Source
from ultrasound_jax.data.spec import PIXEL_MM, Field, Spec
from ultrasound_jax.external_matching import matched
from ultrasound_jax.predict import Run

SIDE = Field(shape=(), dtype="float32", role="number")
PLAIN = image_spec(("a",))
SCALED = Spec(dict(PLAIN) | {PIXEL_MM: SIDE}, PLAIN.units)


@pytest.mark.parametrize(("own", "other"), [(PLAIN, SCALED), (SCALED, PLAIN)])
def test_a_run_takes_the_scale_of_the_pictures_that_it_is_judged_on(own, other):
    source, run = object.__new__(Source), object.__new__(Run)
    names = ("e0",)
    labels = np.ones((1, 1), np.int8)
    table = ExampleTable(names, names, names, labels, ("a",), "hash")
    source.__dict__.update(spec=other, name="other", classes=("a",), table=table)
    task = tasks.build("segmentation", own, options={})
    object.__setattr__(run, "task", task)
    read, _ = matched(run, source)
    assert (PIXEL_MM in read.spec) == (PIXEL_MM in other)
    assert set(read.spec) - {PIXEL_MM} == {"image", "mask"}
