"""Networks that compile in seconds, and the two ways in which they are run."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ultrasound_jax import models
from ultrasound_jax.models._parts.first_keys import first_keys
from ultrasound_jax.models.densenet import DenseNet
from ultrasound_jax.models.efficientnet_lite0 import EfficientNetLite0
from ultrasound_jax.models.r2plus1d import R2Plus1D
from ultrasound_jax.models.resnet import BasicBlock, Bottleneck, ResNet
from ultrasound_jax.models.x3d import X3DS


class TinyBasic(ResNet):
    """Plain blocks, one without and one with a stride."""

    block, blocks = BasicBlock, (1, 1)


class TinyBottleneck(ResNet):
    """Bottlenecks, one without and one with a stride."""

    block, blocks = Bottleneck, (1, 1)


class TinyDense(DenseNet):
    """Two dense blocks with a transition between."""

    layers = (2, 2)


class TinyLite(EfficientNetLite0):
    """A block without expansion, one with a stride, one that adds its input."""

    stages = ((1, 3, 1, 1, 16), (2, 5, 2, 6, 24))


class TinyR2Plus1D(R2Plus1D):
    """One block with and one without a stride."""

    blocks = (1, 1)


class TinyX3D(X3DS):
    """One block with and one without stride, shortcut and squeeze-and-excitation."""

    depths = (2,)


# The encoders and networks that are only here, by what names them for `models.build`.
TINY = {
    "tiny_basic": f"{__name__}:TinyBasic",
    "tiny_bottleneck": f"{__name__}:TinyBottleneck",
    "tiny_dense": f"{__name__}:TinyDense",
    "tiny_lite": f"{__name__}:TinyLite",
    "tiny_r2plus1d": f"{__name__}:TinyR2Plus1D",
    "tiny_x3d": f"{__name__}:TinyX3D",
}
FRAMES, SIZE, PATTERNS = 4, 20, 4
# What makes a network tiny that its encoder does not.
OPTIONS = {
    "luvnet": {"dropout": 0.0},
    "cnn_lstm": {"hidden": 8, "layers": 2, "embedding": 6},
    "c3d": {"dropout": 0.0, "width": 4, "clip_shape": (FRAMES, SIZE, SIZE)},
    "tiny_r2plus1d": {"width": 4},
    "tiny_x3d": {"dropout": 0.0, "width": 8},
}
ALL = [
    ("luvnet", "tiny_dense"),
    ("luvnet", "tiny_bottleneck"),
    ("luvnet_no_temporal", "tiny_dense"),
    ("frame_vote", "tiny_basic"),
    ("frame_vote", "tiny_lite"),
    ("usvn", "tiny_basic"),
    ("cnn_lstm", "tiny_basic"),
    ("c3d", None),
    ("tiny_r2plus1d", None),
    ("tiny_x3d", None),
]
TEMPORAL = ("luvnet", "cnn_lstm", "c3d", "tiny_r2plus1d", "tiny_x3d")


def build_tiny(name, encoder=None, **options):
    """The network by name; encoders that are only here have 8 channels."""
    if encoder:
        options["encoder"] = TINY.get(encoder, encoder)
    if encoder in TINY:
        options.setdefault("width", 8)
    return models.build(TINY.get(name, name), **options, rngs=nnx.Rngs(0))


@cache
def full_size(name, encoder=None, **options):
    """The published network without values."""
    if encoder:
        options["encoder"] = encoder
    return nnx.eval_shape(lambda: models.build(name, **options, rngs=first_keys(0)))


@cache
def tiny(name, encoder=None, **options):
    """The network, compiled once for all tests. Dropout is off unless asked for.

    Its values are all drawn: a fresh norm, with its zeros and ones, would hide faults.
    """
    model = build_tiny(name, encoder, **{**OPTIONS.get(name, {}), **options})
    draw_norms(model)
    return Tiny(model)


def draw_norms(model):
    """Scales and statistics that are neither zero nor one."""
    rng = np.random.default_rng(0)
    for path, variable in nnx.to_flat_state(nnx.state(model)):
        if path[-1] in ("scale", "var"):
            drawn = rng.uniform(0.5, 1.5, variable.shape)
        elif path[-1] == "mean":
            drawn = rng.normal(0, 0.1, variable.shape)
        else:
            continue
        variable[...] = jnp.asarray(drawn, "float32")


class Tiny:
    """A network and its two views, each a compiled function."""

    def __init__(self, model):
        self.model = model
        self._evaluation = nnx.split(self._view(model, evaluation=True))
        view = self._view(model, evaluation=False)
        self._graphdef, self._params, self._stats = nnx.split(view, nnx.Param, ...)
        self._evaluate = jax.jit(self._apply)
        self._train = jax.jit(self._step)

    def evaluate(self, clip, lengths=None, compiled=True):
        apply = self._evaluate if compiled else self._apply
        return apply(self._evaluation[1], clip, lengths)

    def program(self, lengths):
        return str(jax.make_jaxpr(self._apply)(self._evaluation[1], clip_of(), lengths))

    def train(self, clip, lengths=None, seed=0):
        """One step as the trainer takes it: outputs, gradients, statistics after it."""
        key = jax.random.key(seed)
        gradients, (out, stats) = self._train(
            self._params, self._stats, clip, lengths, key
        )
        return out, nnx.to_pure_dict(gradients), nnx.to_pure_dict(stats)

    def stats(self):
        return nnx.to_pure_dict(self._stats)

    def _view(self, model, evaluation):
        return nnx.view(
            model,
            deterministic=evaluation,
            use_running_average=evaluation,
            raise_if_not_found=False,
        )

    def _apply(self, values, clip, lengths):
        return nnx.merge(self._evaluation[0], values, copy=True)(clip, lengths)

    def _step(self, params, stats_before, clip, lengths, key):
        targets = jnp.arange(PATTERNS) / PATTERNS
        real = 1.0 if lengths is None else lengths > 0

        def loss(params):
            model = nnx.merge(self._graphdef, params, stats_before, copy=True)
            out = model(clip, lengths, rngs=nnx.Rngs(dropout=key))
            rows = jnp.square(out["logits"] - targets).sum(1)
            stats = nnx.state(model, nnx.Not(nnx.Param))
            return (rows * real).sum(), (out, stats)

        return jax.grad(loss, has_aux=True)(params)


def clip_of(channels=3, seed=0):
    shape = (3, FRAMES, SIZE, SIZE, channels)
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), "float32")


def lengths_of(*lengths):
    return jnp.asarray(lengths, "int32")


def assert_training_agrees(ours, theirs):
    """Two ways of taking a step, as functions of a clip, do the same.

    Rounding now and then flips a ReLU whose input is all but zero, which changes the
    gradients of one clip by percents; so they must agree on two clips of three.
    """
    failures = []
    for seed in range(3):
        logits, gradients, stats = ours(clip_of(seed=seed))
        logits2, gradients2, stats2 = theirs(clip_of(seed=seed))
        assert_trees_agree((logits, stats), (logits2, stats2), 2e-5)
        try:
            # Gradients through batch statistics subtract large terms.
            # A parameter in front of two norms has hardly any: judge it by the others.
            largest = max(np.abs(g).max() for g in jax.tree.leaves(gradients2))
            assert_trees_agree(gradients, gradients2, 1e-3, floor=1e-2 * largest)
        except AssertionError as failure:
            failures.append(failure)
    assert len(failures) <= 1, failures


def assert_trees_agree(ours, theirs, tolerance, floor=1e-3):
    """Each leaf within the tolerance times the largest value of the other's leaf.

    That value is taken to be `floor` at least.
    """
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for (path, a), b in zip(
        jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs), strict=True
    ):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        limit = tolerance * max(np.abs(b).max(initial=0), floor)
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(a, b, atol=limit, err_msg=name)
