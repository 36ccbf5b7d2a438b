"""The window of Hounsfield units that the step applies, against NumPy."""

import jax
import numpy as np
import pytest

from tests.tasks.made import image_spec
from ultrasound_jax import tasks
from ultrasound_jax.data.spec import Spec, SpecError

UNITS = np.array([-2048, -1350, -1024, -601, -600, -1, 0, 149, 150, 3071], np.int16)


def units_of(centre, width):
    spec = image_spec(("lung",), side=2, dtype="int16", values=(-1350.0, 150.0))
    return spec.windowed(centre, width)


@pytest.mark.parametrize(
    "window", [(-600.0, 1500.0), (40.0, 400.0), (-500.5, 1.0), (0.0, 8192.0)]
)
def test_a_window_is_a_ramp_from_its_lower_to_its_upper_end(window):
    centre, width = window
    task = tasks.build("segmentation", units_of(centre, width), options={})
    pixels = np.tile(UNITS[:, None, None, None], (1, 2, 2, 1))
    batch = {"image": pixels, "index": np.arange(len(UNITS))}
    found = jax.jit(task.floats)(batch)["image"]
    wanted = np.clip((UNITS.astype(float) - (centre - width / 2)) / width, 0, 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0, 0, 0], wanted, atol=2e-7 * 8192 / width)


def test_a_window_is_in_the_specification_that_a_run_keeps():
    spec = units_of(40.0, 400.0)
    assert spec["image"].values == (-160.0, 240.0)
    assert Spec.from_json(spec.to_json())["image"] == spec["image"]


def test_grey_values_of_8_bits_have_no_window():
    with pytest.raises(SpecError, match=r"hu_width=400 is not allowed.*uint8"):
        image_spec(("lung",)).windowed(40.0, 400.0)
