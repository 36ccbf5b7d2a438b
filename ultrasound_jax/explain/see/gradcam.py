"""Grad-CAM: where in its last feature map a network found what it says.

Selvaraju et al., "Grad-CAM", ICCV 2017. The map of a pattern is the feature map's
channels, weighted by the mean gradient of the pattern's logit with respect to each,
summed and cut at zero: what speaks against a pattern is not shown. Gradients come from
a push of zeros that is added to the feature map, so that networks need no hooks and
keep nothing; only what lies behind the map is differentiated.

Differences from the original's notebooks: the logit is the clip's, so that a frame
shows as much as it mattered (they explain each frame by itself); no flipped copies are
averaged in (`aug_smooth`).

Clips of different lengths compare only on one scale. Where a clip's logit comes from a
mean over its frames, weighted or not, the gradient of each frame is that of the frame's
own vector over their number, and the map is multiplied by it (`frames_share`), as
attention curves are. It is not where one frame speaks for the clip (a maximum, the last
state of an LSTM), nor for networks over whole clips: their weights are the gradient's
mean over the padded clip, in which few real steps with large gradients weigh as much as
many with small ones.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from ultrasound_jax.explain.see.inside_value import pushed
from ultrasound_jax.models._parts.encoders import Encoder
from ultrasound_jax.models._parts.layers import global_average


class PushedEncoder:
    """An encoder whose feature map is moved by `push` before it is averaged.

    `seen` is the map that it made last, before the push.
    """

    def __init__(self, encoder: Encoder, push: Array | None):
        self.encoder, self.push = encoder, push
        self.features = encoder.features
        self.seen: Any = None

    def feature_map(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n i j d"]:
        """The pushed map."""
        self.seen = self.encoder.feature_map(image, mask)
        return self.seen if self.push is None else self.seen + self.push

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n d"]:
        """The pushed map's mean."""
        return global_average(self.feature_map(image, mask))


def grad_cam(
    graphdef: nnx.GraphDef,
    state: Any,
    clip: Float[Array, "b t h w c"],
    lengths: Int[Array, " b"],
) -> tuple[dict[str, Any], Float[Array, "b p t i j"]]:
    """A frame-based network's outputs and its maps, zero or more, for each pattern.

    The network is given in its evaluation view. Frames beyond `lengths` have zeros.
    """

    def run(push: Array | None) -> tuple[Array, tuple[dict[str, Any], Array]]:
        model: Any = nnx.merge(graphdef, state, copy=True)
        model.encoder = pushed = PushedEncoder(model.encoder, push)
        outputs = model(clip, lengths)
        return outputs["logits"], (outputs, pushed.seen)

    shape = jax.eval_shape(lambda: run(None)[1][1])
    push = jnp.zeros(shape.shape, shape.dtype)
    logits, pull, (outputs, seen) = jax.vjp(run, push, has_aux=True)
    batch, frames = clip.shape[:2]
    maps = seen.reshape(batch, frames, *seen.shape[1:]).astype(jnp.float32)

    def of_pattern(chosen: Array) -> Array:
        (gradient,) = pull(jnp.broadcast_to(chosen, logits.shape))
        gradient = gradient.reshape(maps.shape).astype(jnp.float32)
        weights = gradient.mean((2, 3))
        return nnx.relu(jnp.einsum("btd,btijd->btij", weights, maps))

    cams = jax.lax.map(of_pattern, jnp.eye(logits.shape[1], dtype=logits.dtype))
    return outputs, cams.swapaxes(0, 1)


def volume_cam(
    graphdef: nnx.GraphDef,
    state: Any,
    clip: Float[Array, "b t h w c"],
    lengths: Int[Array, " b"],
) -> tuple[dict[str, Any], Float[Array, "b p t i j"]]:
    """As `grad_cam`, for a network that returns the `feature_map` of a whole clip.

    Its steps in time are fewer than the clip's frames: maps are interpolated between
    them, and the last real step stands for the padding behind it, so that the end of a
    short clip does not fade.
    """

    def run(state: Any, clip: Array, lengths: Array) -> dict[str, Any]:
        return nnx.merge(graphdef, state, copy=True)(clip, lengths)

    follow = pushed(run, "feature_map", state, clip, lengths)

    def logits_of(push: Array) -> tuple[Array, dict[str, Any]]:
        outputs = follow(push)
        return outputs["logits"], outputs

    shape = jax.eval_shape(run, state, clip, lengths)["feature_map"]
    push = jnp.zeros(shape.shape, shape.dtype)
    logits, pull, outputs = jax.vjp(logits_of, push, has_aux=True)
    maps = outputs["feature_map"].astype(jnp.float32)
    maps = _held(maps, lengths, clip.shape[1])

    def of_pattern(chosen: Array) -> Array:
        (gradient,) = pull(jnp.broadcast_to(chosen, logits.shape))
        weights = gradient.astype(jnp.float32).mean((1, 2, 3))
        return nnx.relu(jnp.einsum("bd,bsijd->bsij", weights, maps))

    cams = jax.lax.map(of_pattern, jnp.eye(logits.shape[1], dtype=logits.dtype))
    frames = (*cams.shape[:2], clip.shape[1], *cams.shape[3:])
    return outputs, jax.image.resize(cams, frames, "linear").swapaxes(0, 1)


def _held(
    maps: Float[Array, "b s i j d"], lengths: Int[Array, " b"], frames: int
) -> Float[Array, "b s i j d"]:
    """The last real step in place of padding, which is zero.

    A network rounds its real steps up or not: at least so many are real as fit into
    the length, and those that are not zero.
    """
    steps = jnp.arange(maps.shape[1])
    seen = jnp.where(jnp.any(maps != 0, (2, 3, 4)), steps, 0).max(1)
    last = jnp.maximum(seen, lengths * len(steps) // frames - 1)
    held = jnp.minimum(steps, last[:, None])
    return jnp.take_along_axis(maps, held[..., None, None, None], 1)


def method_for(model: nnx.Module, outputs: Mapping[str, Any]) -> Callable | None:
    """What makes a network's outputs and maps, None where it has no map.

    `outputs` are what the network returns, or their shapes.
    """
    if isinstance(getattr(model, "encoder", None), Encoder):
        return grad_cam
    return volume_cam if "feature_map" in outputs else None


def frames_share(model: nnx.Module) -> bool:
    """Whether a network says that its clip is a mean of its frames, weighted or not."""
    return getattr(model, "frames_share", False)
