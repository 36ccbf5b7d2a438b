"""Grad-CAM: where in a feature map a network found what it says.

Selvaraju et al., "Grad-CAM", ICCV 2017. The map of a pattern is the feature map's
channels, weighted by the mean gradient of the pattern's logit with respect to each,
summed and cut at zero: what speaks against a pattern is not shown. Gradients come from
a push of zeros that is added to the feature map (`inside_value`), so that networks need
no hooks and keep nothing; only what lies behind the map is differentiated. The map is
that of any stage (`stages`), of the last one in the paper. An earlier one is finer and
says less of the pattern: its channels are edges and textures, and one weight a channel
speaks for the whole picture.

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

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from ultrasound_jax.explain.see import stages
from ultrasound_jax.explain.see.inside_value import pushed


@dataclass(frozen=True, eq=False)
class Behind:
    """A stage's map, and how what lies behind it hangs on it.

    gradient: of the logits, weighed `b o` and summed, with respect to the map.
    """

    outputs: dict[str, Any]
    seen: Float[Array, "n *rest d"]
    gradient: Callable[[Float[Array, "b o"]], Float[Array, "n *rest d"]] = field(
        repr=False
    )


def behind(
    graphdef: nnx.GraphDef, state: Any, inputs: Mapping[str, Any], stage: int = -1
) -> Behind:
    """Runs a network, given in its evaluation view, up to a stage and on from there.

    Args:
        graphdef, state: the network.
        inputs: by the names that the network has for them.
        stage: its place in `stages.watched`; that of the last by default.
    """
    # Not an argument: a network may hold what is no array.
    run = functools.partial(stages.at_stage(graphdef, stage), state)
    follow = pushed(run, stages.STAGE, inputs)

    def logits_of(push: Array) -> tuple[Array, dict[str, Any]]:
        outputs = follow(push)
        return outputs["logits"], outputs

    shape = jax.eval_shape(run, inputs)[stages.STAGE]
    push = jnp.zeros(shape.shape, shape.dtype)
    logits, pull, outputs = jax.vjp(logits_of, push, has_aux=True)
    seen = outputs.pop(stages.STAGE)

    def gradient(weights: Array) -> Array:
        (found,) = pull(weights.astype(logits.dtype))
        return found.astype(jnp.float32)

    return Behind(outputs, seen.astype(jnp.float32), gradient)


def of_pictures(found: Behind, weights: Float[Array, "b o"]) -> Float[Array, "n i j"]:
    """The maps, zero or more, of what speaks for the logits as they are weighed.

    One for each picture that went through the encoder, by weights of its own.
    """
    channels = found.gradient(weights).mean((1, 2))
    return nnx.relu(jnp.einsum("nd,nijd->nij", channels, found.seen))


def grad_cam(
    graphdef: nnx.GraphDef,
    state: Any,
    clip: Float[Array, "b t h w c"],
    lengths: Int[Array, " b"],
    stage: int = -1,
) -> tuple[dict[str, Any], Float[Array, "b p t i j"]]:
    """A frame-based network's outputs and its maps, zero or more, for each pattern.

    The network is given in its evaluation view; see `behind`. Frames beyond `lengths`
    have zeros.
    """
    found = behind(graphdef, state, {"clip": clip, "lengths": lengths}, stage)
    cams = _each(found, lambda weights: of_pictures(found, weights))
    shape = (len(cams), *clip.shape[:2], *cams.shape[2:])
    return found.outputs, cams.reshape(shape).swapaxes(0, 1)


def volume_cam(
    graphdef: nnx.GraphDef,
    state: Any,
    clip: Float[Array, "b t h w c"],
    lengths: Int[Array, " b"],
    stage: int = -1,
) -> tuple[dict[str, Any], Float[Array, "b p t i j"]]:
    """As `grad_cam`, for a network that returns the `feature_map` of a whole clip.

    Its steps in time are fewer than the clip's frames: maps are interpolated between
    them, and the last real step stands for the padding behind it, so that the end of a
    short clip does not fade.
    """
    found = behind(graphdef, state, {"clip": clip, "lengths": lengths}, stage)
    maps = _held(found.seen, lengths, clip.shape[1])

    def of_pattern(weights: Array) -> Array:
        channels = found.gradient(weights).mean((1, 2, 3))
        return nnx.relu(jnp.einsum("bd,bsijd->bsij", channels, maps))

    cams = _each(found, of_pattern)
    frames = (*cams.shape[:2], clip.shape[1], *cams.shape[3:])
    return found.outputs, jax.image.resize(cams, frames, "linear").swapaxes(0, 1)


def _each(found: Behind, map_of: Callable[[Array], Array]) -> Float[Array, "o *map"]:
    """The map of each logit, one after the other: each is a pass back of its own."""
    logits = found.outputs["logits"]
    chosen = jnp.eye(logits.shape[1], dtype=logits.dtype)
    return jax.lax.map(lambda one: map_of(jnp.broadcast_to(one, logits.shape)), chosen)


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
    """What makes the outputs and maps of a network over clips, None without a map.

    `outputs` are what the network returns, or their shapes.
    """
    if stages.has_encoder(model):
        return grad_cam
    return volume_cam if "feature_map" in outputs else None


def frames_share(model: nnx.Module) -> bool:
    """Whether a network says that its clip is a mean of its frames, weighted or not."""
    return getattr(model, "frames_share", False)
