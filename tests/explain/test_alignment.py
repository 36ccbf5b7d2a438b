"""Cells of a map are drawn where they stand in the picture."""

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.explain import small
from tests.models.tiny_networks import TINY, build_tiny
from ultrasound_jax.explain.see.alignment import enlarged, first_cells
from ultrasound_jax.models._parts.encoders import stage_maps

SHAPE = (64, 48, 3)


def test_a_pools_cells_stand_in_the_middle_of_their_squares():
    def pool(pictures):
        return (nnx.avg_pool(pictures, (4, 4), strides=(4, 4)),)

    (first,) = first_cells(pool, SHAPE)
    assert first == pytest.approx((1.5, 1.5), abs=0.2)


def test_a_slice_of_every_eighth_pixel_stands_on_the_first_one():
    (first,) = first_cells(lambda x: (jnp.square(x[:, ::8, ::8]),), SHAPE)
    assert first == pytest.approx((0, 0), abs=1e-5)


def test_cells_of_a_residual_network_do_not_stand_in_the_middle_of_their_squares():
    """Strides that pad both sides alike begin on the first pixel, stage after stage."""
    model = small.evaluated(build_tiny("frame_vote", "tiny_basic"))
    assert TINY["tiny_basic"]

    def maps(pictures):
        return stage_maps(model.encoder, pictures)

    for first in first_cells(maps, SHAPE):
        assert first == pytest.approx((0, 0), abs=1.2)


@pytest.mark.parametrize("how", [cv2.INTER_LINEAR, cv2.INTER_CUBIC])
def test_cells_in_the_middle_of_their_squares_are_enlarged_as_usual(how):
    values = np.random.default_rng(0).random((4, 3)).astype(np.float32)
    found = enlarged(values, (32, 24), (3.5, 3.5), how)
    wanted = cv2.resize(values, (24, 32), interpolation=how)
    np.testing.assert_allclose(found, wanted, atol=0.02)


def test_a_map_peaks_where_its_cell_stands():
    values = np.zeros((4, 4), np.float32)
    values[2, 1] = 1.0
    for first in ((0.0, 0.0), (3.5, 3.5), (7.0, 7.0)):
        shown = enlarged(values, (32, 32), first, cv2.INTER_LINEAR)
        down, across = np.unravel_index(shown.argmax(), shown.shape)
        assert abs(down - (16 + first[0])) <= 0.5
        assert abs(across - (8 + first[1])) <= 0.5
