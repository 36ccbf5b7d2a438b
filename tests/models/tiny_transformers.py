"""The transformers with few and narrow blocks, run as `tiny_networks` runs others."""

import json
from functools import cache
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.models.tiny_networks import Tiny
from ultrasound_jax import models
from ultrasound_jax.models.mvit import BlockSize

REFERENCE = json.loads(
    (Path(__file__).parent / "fixtures" / "torch_transformers.json").read_text()
)
NAMES = ("vivit", "mvit_v1_b", "mvit_v2_s")
FRAMES, HEIGHT, WIDTH, PATTERNS = 6, 16, 24, 4
OPTIONS = {
    "vivit": {"patch": 8, "dim": 16, "depth": 2, "heads": 2, "dim_head": 8},
    "mvit_v1_b": {"width": 8, "dropout": 0.0, "drop_path": 0.0, "remat": True},
    "mvit_v2_s": {"width": 8, "dropout": 0.0, "drop_path": 0.0},
}


def build(name, block_sizes=None, **options):
    """The network; an MViT with these blocks, the fixture's small ones unless given."""
    if name == "vivit":
        return models.build(name, **options, rngs=nnx.Rngs(0))
    kind = models.find(name)
    sizes = block_sizes or REFERENCE["cases"][f"{name}_small"]["block_sizes"]
    published = kind.block_sizes
    kind.block_sizes = tuple(BlockSize(*size) for size in sizes)
    try:
        return models.build(name, **options, rngs=nnx.Rngs(0))
    finally:
        kind.block_sizes = published


@cache
def tiny(name, **options):
    """The network, compiled once for all tests, without dropout unless asked for.

    All its values are drawn, large enough that every part of it matters.
    """
    clip_shape = (FRAMES, HEIGHT, WIDTH)
    options = {"clip_shape": clip_shape, **OPTIONS[name], **options}
    # Abstract, because every value is drawn below.
    model = nnx.eval_shape(lambda: build(name, **options))
    rng = np.random.default_rng(0)
    for path, variable in nnx.to_flat_state(nnx.state(model)):
        values = rng.normal(0, 0.5, variable.shape)
        if path[-1] == "kernel":
            values = values * 2 / np.prod(variable.shape[:-1]) ** 0.5
        elif path[-1] == "scale":
            values = rng.uniform(0.5, 1.5, variable.shape)
        variable.set_value(jnp.asarray(values, "float32"))
    return Tiny(model)


def clip_of(channels=3, seed=0):
    shape = (3, FRAMES, HEIGHT, WIDTH, channels)
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), "float32")
