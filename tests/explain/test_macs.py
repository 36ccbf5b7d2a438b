from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax.explain.cost.macs import count_macs
from ultrasound_jax.explain.cost.profile import xla_flops
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.models._parts.depthwise import (
    as_one_convolution,
    depthwise_conv,
    depthwise_image_conv,
)


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def conv(image, kernel, **options):
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        image, kernel, dimension_numbers=numbers, **options
    )


def test_a_matrix_product_is_the_product_of_its_three_sides():
    counted = count_macs(jnp.dot, shape(3, 5), shape(5, 7))
    assert (counted.macs, counted.inside, counted.convolutions) == (105, 105, 0)


def test_a_batched_product_counts_its_batch_once():
    product = partial(jnp.einsum, "bij,bjk->bik")
    assert count_macs(product, shape(4, 3, 5), shape(4, 5, 7)).macs == 4 * 105


@pytest.mark.parametrize(
    ("options", "kernel", "wanted"),
    [
        ({"window_strides": (1, 1), "padding": "VALID"}, (3, 3, 4, 6), 6 * 7),
        ({"window_strides": (2, 2), "padding": ((1, 1), (1, 1))}, (3, 3, 4, 6), 4 * 5),
        (
            {
                "window_strides": (1, 1),
                "padding": "VALID",
                "feature_group_count": 2,
            },
            (3, 3, 2, 6),
            6 * 7,
        ),
        (
            {"window_strides": (1, 1), "padding": "VALID", "rhs_dilation": (2, 1)},
            (3, 3, 4, 6),
            4 * 7,
        ),
    ],
)
def test_a_convolution_is_its_kernel_at_every_output(options, kernel, wanted):
    counted = count_macs(partial(conv, **options), shape(2, 8, 9, 4), shape(*kernel))
    assert counted.macs == counted.convolutions == 2 * wanted * np.prod(kernel)


def test_taps_on_padding_are_told_apart():
    # A row of ones convolved with ones counts at each place the taps that meet it.
    options = {"window_strides": (2, 1), "padding": ((2, 1), (0, 0))}
    ones = conv(np.ones((1, 9, 1, 1)), np.ones((4, 1, 1, 1)), **options)
    counted = count_macs(partial(conv, **options), shape(1, 9, 1, 1), shape(4, 1, 1, 1))
    assert counted.inside == ones.sum()
    assert counted.macs == 4 * ones.size > counted.inside


@pytest.mark.parametrize(
    ("window", "stride"), [((3, 3, 3), 1), ((3, 3, 3), 2), ((5, 1, 1), 1)]
)
def test_a_depthwise_convolution_as_a_sum_counts_as_the_convolution_that_it_is(
    window, stride
):
    grid, kernel = shape(2, 4, 9, 6, 3, 5), shape(*window, 5)  # three heads of 5
    ours = partial(depthwise_conv, stride=stride)
    counted = count_macs(lambda g, k: jax.nn.relu(ours(g, k)), grid, kernel)
    outputs = np.prod(jax.eval_shape(ours, grid, kernel).shape)
    assert counted.macs == counted.convolutions == outputs * np.prod(window)
    theirs = count_macs(
        partial(as_one_convolution, stride=stride), shape(2 * 3, 4, 9, 6, 5), kernel
    )
    assert counted.inside == theirs.inside < counted.macs
    assert 2 * counted.inside == xla_flops(counted)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (5, 2)])
def test_a_depthwise_convolution_of_images_counts_by_its_own_padding(size, stride):
    image, kernel = shape(2, 9, 6, 5), shape(size, size, 5)
    ours = partial(depthwise_image_conv, stride=stride, same=True)
    counted = count_macs(ours, image, kernel)
    outputs = np.prod(jax.eval_shape(ours, image, kernel).shape)
    assert counted.macs == counted.convolutions == outputs * size**2
    assert 2 * counted.inside == xla_flops(counted) < 2 * counted.macs


def test_a_depthwise_convolution_in_a_loop_counts_as_often_as_it_runs():
    def loop(grid, kernel):
        again = jax.checkpoint(lambda g, _: (depthwise_conv(g, kernel), None))
        return jax.lax.scan(again, grid, None, length=3)[0]

    grid, kernel = shape(1, 4, 4, 4, 2), shape(3, 3, 3, 2)
    once = count_macs(depthwise_conv, grid, kernel)
    assert count_macs(loop, grid, kernel).macs == 3 * once.macs


def test_a_sums_gradient_is_refused_rather_than_left_out():
    def loss(grid, kernel):
        return depthwise_conv(grid, kernel).sum()

    grid, kernel = shape(1, 4, 4, 4, 2), shape(3, 3, 3, 2)
    with pytest.raises(ExplainError, match="depth-wise convolution's gradient"):
        count_macs(jax.grad(loss, (0, 1)), grid, kernel)


def test_a_loop_counts_as_often_as_it_runs_and_a_branch_by_the_costliest():
    def loop(x, w):
        return jax.lax.scan(lambda c, _: (c @ w, None), x, None, length=6)[0]

    assert count_macs(loop, shape(2, 5), shape(5, 5)).macs == 6 * 50

    def branch(x, w):
        return jax.lax.cond(x[0, 0] > 0, lambda: x @ w @ w, lambda: x)

    assert count_macs(branch, shape(2, 5), shape(5, 5)).macs == 100


def test_what_is_inside_jit_and_rematerialisation_counts_once():
    def inner(x, w):
        return jax.nn.relu(jax.checkpoint(lambda y: y @ w)(x))

    assert count_macs(jax.jit(inner), shape(2, 5), shape(5, 5)).macs == 50


def test_what_nobody_reads_does_not_count():
    def wasteful(x, w):
        unread = x @ w @ w
        del unread
        return x @ w

    assert count_macs(wasteful, shape(2, 5), shape(5, 5)).macs == 50


def test_a_loop_of_unknown_length_is_refused():
    def loop(x, w):
        return jax.lax.while_loop(lambda c: c[0, 0] < 9, lambda c: c @ w, x)

    with pytest.raises(ExplainError, match="while loop"):
        count_macs(loop, shape(2, 5), shape(5, 5))


def test_gradients_of_a_convolution_cost_twice_what_it_does():
    def loss(image, kernel):
        return conv(image, kernel, window_strides=(1, 1), padding="VALID").sum()

    image, kernel = shape(2, 8, 9, 4), shape(3, 3, 4, 6)
    forward = count_macs(loss, image, kernel)
    back = count_macs(jax.grad(loss, (0, 1)), image, kernel)
    # Of the picture's gradient the taps on padding do not count.
    assert back.inside == 2 * forward.inside
