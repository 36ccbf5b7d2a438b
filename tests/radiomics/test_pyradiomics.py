"""The features of the reference, which pyradiomics 3.0.1 computed."""

import numpy as np
import pytest

from tests.radiomics.made import REFERENCE, case
from ultrasound_jax.radiomics import extract

CASES = REFERENCE["cases"]


@pytest.mark.parametrize("expected", CASES, ids=["large", "small", "slanted"])
def test_every_feature_is_pyradiomics_own(expected):
    image, mask = case(**expected["case"])
    assert (mask.sum(), image.sum(dtype=int)) == (
        expected["pixels_in_mask"],
        expected["image_sum"],
    )
    found = extract(image, mask)
    assert list(found) == REFERENCE["names"]
    # The reference has 9 digits.
    np.testing.assert_allclose(list(found.values()), expected["values"], rtol=1e-7)


def test_an_image_of_whole_numbers_is_the_same_in_any_type():
    image, mask = case(**CASES[1]["case"])
    found = extract(image, mask)
    for kind in (np.int16, np.uint16, np.float32, np.float64):
        assert extract(image.astype(kind), mask) == found


def test_a_mask_may_mark_by_any_value():
    image, mask = case(**CASES[1]["case"])
    assert extract(image, mask.astype(np.uint8) * 255) == extract(image, mask)
