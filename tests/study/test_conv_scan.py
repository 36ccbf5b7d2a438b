"""The scan over convolutions and pools."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.study.test_committed import script
from ultrasound_jax import config as settings

SCAN = script("conv_scan")
CONV = SCAN.Shape("conv", (2, 9, 8, 3), (3, 3, 3, 5), (2, 1), ((1, 1), (1, 1)))
UNEVEN = SCAN.Shape("conv", (2, 9, 8, 3), (4, 4, 3, 5), (1, 1), ((2, 1), (2, 1)))
POOL = SCAN.Shape("max", (2, 9, 8, 3), (3, 3), (2, 2), ((1, 1), (1, 1)))


def test_shapes_come_from_the_program():
    def program(image, kernel):
        x = jax.lax.conv_general_dilated(
            image,
            kernel,
            (2, 1),
            [(1, 1), (1, 1)],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return jax.jit(lambda x: x + 1)(x)

    arrays = [jnp.zeros(CONV.image), jnp.zeros(CONV.kernel)]
    found = SCAN.equations(jax.make_jaxpr(program)(*arrays).jaxpr)
    assert [shape for each in found if (shape := SCAN.shape_of(each))] == [CONV]
    assert CONV.out == (5, 8) and CONV.operations == 2 * 5 * 8 * 9 * 3 * 5


def test_a_shipped_network_has_its_stem_its_pool_and_its_stages():
    found = SCAN.shapes_of(settings.load("configs/luvnet.py"))
    windows = {(shape.kind, shape.kernel[:2]) for shape in found}
    assert {("conv", (7, 7)), ("conv", (3, 3)), ("max", (3, 3))} <= windows


@pytest.mark.parametrize(
    "shape", [CONV, UNEVEN, POOL], ids=["conv", "folded entrance", "pool"]
)
def test_each_way_computes_the_same_and_is_timed(shape):
    row = SCAN.row_of(shape, repeats=1)
    parts = {"values", "input gradient"}
    if shape.kind == "conv":
        parts |= {"kernel gradient"}
    assert {part for part, of in row.items() if isinstance(of, dict)} == parts
    assert set(row["values"]["gflops"]) >= {"ours", "xla", "slices"}


def test_no_window_of_a_pooled_image_has_two_equal_pixels():
    image = np.float32(SCAN.untied(np.full((1, 7, 8, 2), 5.5), 3, 3))
    for row in range(5):
        for column in range(6):
            window = image[0, row : row + 3, column : column + 3, 0]
            assert len(np.unique(window)) == 9
    np.testing.assert_allclose(image, 5.5, atol=1e-4)


def test_a_way_that_computes_something_else_is_refused():
    with pytest.raises(ValueError, match="slices .* off by"):
        SCAN.check(CONV, "values", "slices", np.ones(3), np.zeros(3))


def test_a_cliff_is_what_another_way_does_faster():
    part = {"gflops": {}, "best": "im2col", "best_to_ours": SCAN.CLIFF}
    row = {"kind": "conv", "kernel": (3, 3), "image": (1, 2)}
    slow, fine = row | {"values": part}, row | {"values": part | {"best_to_ours": 1.4}}
    assert len(SCAN.cliffs([slow, fine])) == 1
