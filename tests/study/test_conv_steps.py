"""Whole steps with and without our convolutions."""

from functools import partial

import jax
import jax.numpy as jnp

from tests.study.test_committed import script
from ultrasound_jax.models._parts import image_conv

STEPS = script("conv_steps")


def program():
    def loss(kernel, image):
        tiny = image_conv.image_conv(image[:, :2, :2], kernel)
        return image_conv.image_conv(image, kernel).sum() + tiny.sum()

    arrays = jnp.zeros((3, 3, 16, 16)), jnp.zeros((2, 32, 32, 16))
    traced = jax.jit(partial(jax.grad(loss))).trace(*arrays)
    return traced.lower().as_text()


def test_xla_alone_is_without_our_products_and_only_within():
    with STEPS.xla_alone():
        plain = program()
    ours = program()
    assert "dot_general" not in plain and "dot_general" in ours
    assert ours.count("stablehlo.convolution") < plain.count("stablehlo.convolution")
