"""What XLA is told on a CPU, and where it does not know the words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax.training import compiling


@pytest.fixture
def options(monkeypatch):
    """The options found anew; what is patched then is forgotten again."""
    compiling.xla_options.cache_clear()
    yield monkeypatch
    compiling.xla_options.cache_clear()


def convolve(image, kernel):
    return jax.lax.conv_general_dilated(
        image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def test_convolutions_are_not_given_to_one_thread():
    image, kernel = jnp.ones((32, 8, 8, 32)), jnp.ones((3, 3, 32, 32))
    plain = jax.jit(convolve).lower(image, kernel).compile().as_text()
    if "ynn_fusion" not in plain:
        pytest.skip("this jaxlib gives no convolution away")
    ours = compiling.jit(convolve).lower(image, kernel).compile()
    assert "ynn_fusion" not in ours.as_text()
    np.testing.assert_allclose(ours(image, kernel), convolve(image, kernel), rtol=1e-6)


@pytest.mark.parametrize(
    "refused",
    [
        {"xla_cpu_of_another_version": "1"},
        {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_OF_OLD"},
    ],
)
def test_options_that_this_xla_lacks_are_left_out(options, refused):
    options.setattr(compiling, "ON_A_CPU", refused)
    assert compiling.xla_options() is None
    assert compiling.jit(lambda x: x + 1)(1) == 2


def test_other_backends_are_told_nothing(options):
    options.setattr(jax, "default_backend", lambda: "gpu")
    assert compiling.xla_options() is None
