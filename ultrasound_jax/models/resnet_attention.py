"""ResNet-18 with two attention gates for skin tumours (Sensors 2023, 23, 7374).

Deep features say where shallower ones are to be trusted: a grid attention gate
(Schlemper et al., Medical Image Analysis 2019) at a stride of 8 and one of 16, each
asked by the features at 32. Each of the three levels tells the classes apart by itself,
and a last layer weighs what they say.

Differences from the published code: starting values of the encoder are timm's (the last
norm of each block starts at zero); a layer `fc` that the code makes and never calls is
not here, and is ignored where a file has it. The published gate is almost the constant
one half, so others can be had (see `GATES`).
"""

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import require
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.layers import (
    Linear,
    PointwiseConv,
    call,
    global_average,
)
from ultrasound_jax.models._parts.normalisation import Normalisation
from ultrasound_jax.models._parts.one_channel import pixel_scale
from ultrasound_jax.models._parts.torch_names import Names
from ultrasound_jax.models.resnet import ResNet18

LEVELS = (1, 2, 3)  # the encoder's stages, of strides 8, 16 and 32
SCORE_BIAS = 10.0  # where a gate's bias starts; a softmax does not see it


def sigmoid_of_softmax(scores: Float[Array, "b h w"]) -> Float[Array, "b h w"]:
    """Between 0.5 and 0.731, and next to 0.5 wherever the map has many places."""
    return jax.nn.sigmoid(jax.nn.softmax(scores, (1, 2)))


def softmax_over_max(scores: Float[Array, "b h w"]) -> Float[Array, "b h w"]:
    """The softmax over its largest value: 1 at the best place, towards 0 elsewhere."""
    return jnp.exp(scores - scores.max((1, 2), keepdims=True))


GATES: dict[str, Callable[[Array], Array]] = {
    "published": sigmoid_of_softmax,
    "max_softmax": softmax_over_max,
    "sigmoid": jax.nn.sigmoid,
}


class GridAttention(nnx.Module):
    """How far each place of a feature map is let through, asked by a deeper one.

    `width` channels compare the two; the deeper map is brought to the size of the other
    (bilinear). `gate` is one of GATES. A plain sigmoid starts without a bias: with the
    published one of 10 it would be almost the constant 1.
    """

    def __init__(
        self, given: Given, inputs: int, deeper: int, *, width: int, gate: str
    ):
        self.theta = PointwiseConv(inputs, width, **given.layer)
        self.phi = PointwiseConv(deeper, width, **given.layer)
        self.psi = PointwiseConv(width, 1, bias=True, **given.layer)
        start = 0.0 if gate == "sigmoid" else SCORE_BIAS
        self.psi.bias = nnx.Param(jnp.full((1,), start))
        self.gate = gate

    def __call__(
        self, image: Float[Array, "b h w c"], deeper: Float[Array, "b i j d"]
    ) -> Float[Array, "b h w"]:
        """The gate of each place, in float32."""
        asked = self.phi(deeper)
        size = (*image.shape[:3], asked.shape[-1])
        asked = jax.image.resize(asked, size, "bilinear", antialias=False)
        scores = self.psi(nnx.relu(self.theta(image) + asked))[..., 0]
        return GATES[self.gate](scores.astype(jnp.float32))


class ResNetAttention(nnx.Module):
    """ResNet-18 whose stages of stride 8 and 16 are gated by the last one.

    Returns `logits` `b k`; `gates`, the gate of each of these two stages, `b h w`;
    `pyramid`, the maps `b h w c` that are averaged, from the finest: both gated stages
    and the last; `features` `b d`, these averages side by side. `logits` are linear in
    the averages, see `map_weights`. `gate` is `published` (the sigmoid of a softmax
    over all places), `max_softmax` (the softmax over its largest value) or `sigmoid`.
    `width` is the encoder's, 64 if not given.
    """

    NORMALISATION: ClassVar[Normalisation] = Normalisation((0.5,), (0.5,))
    TORCH_NAMES: ClassVar[Names] = (
        (r"^attentions\.(\d)\b", "compatibility_score<0>"),
        (r"^heads\.(\d)\b", "classifier<0>"),
        (r"^encoder\.", ""),
    )
    TORCH_UNUSED: ClassVar[tuple[str, ...]] = (r"fc\.(weight|bias)$",)

    def __init__(
        self, given: Given, *, gate: str = "published", width: int | None = None
    ):
        require(gate in GATES, "gate", gate, f"one of {', '.join(GATES)}")
        given, self.pixels = pixel_scale(given)
        self.remat = given.remat
        self.encoder = ResNet18(given, width=width)
        deepest = self.encoder.features
        sizes = [deepest * 2**stage // 2 ** LEVELS[-1] for stage in LEVELS]
        self.attentions = nnx.List(
            GridAttention(given, size, deepest, width=deepest, gate=gate)
            for size in sizes[:-1]
        )
        self.heads = nnx.List(
            Linear(size, given.outputs, **given.layer) for size in sizes
        )
        self.classifier = Linear(
            len(LEVELS) * given.outputs, given.outputs, **given.layer
        )

    def __call__(
        self, image: Float[Array, "b h w c"], *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array | tuple[Array, ...]]:
        """Classify; `rngs` is taken so that all networks are called alike."""
        del rngs
        stages = self.encoder.stage_maps(self.pixels(image))
        *finer, deepest = (stages[stage] for stage in LEVELS)
        gates = tuple(
            call(attention, x, deepest, remat=self.remat)
            for attention, x in zip(self.attentions, finer, strict=True)
        )
        gated = [
            x * g[..., None].astype(x.dtype) for x, g in zip(finer, gates, strict=True)
        ]
        pyramid = (*gated, deepest)
        averages = [global_average(x) for x in pyramid]
        said = [head(x) for head, x in zip(self.heads, averages, strict=True)]
        logits = self.classifier(jnp.concatenate(said, -1))
        return {
            "logits": logits.astype(jnp.float32),
            "features": jnp.concatenate(averages, -1),
            "gates": gates,
            "pyramid": pyramid,
        }

    def map_weights(self) -> tuple[Float[Array, "c k"], ...]:
        """What a channel of each of `pyramid` adds to each logit, for its average of 1.

        All behind the averages is linear: a class's map at a level is `pyramid` times
        these, and the maps' averages and a constant of the class add up to its logit.
        """
        last = jnp.split(self.classifier.kernel[...], len(LEVELS))
        return tuple(
            head.kernel[...] @ part for head, part in zip(self.heads, last, strict=True)
        )


NETWORKS = {"resnet_attention": ResNetAttention}
