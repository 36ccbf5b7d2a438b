"""What is behind each stage of a network, as a named output of one program.

A stage is a feature map that all that follows is made of: those of a network's encoder
(`models._parts.encoders.stage_maps`), or what a network without one returns as
`stage_maps`, or as `feature_map` alone. From the finest to the last; numbered from 1.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Bool, Float

from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.models._parts.encoders import Encoder, stage_maps
from ultrasound_jax.models._parts.layers import global_average

STAGES, STAGE = "stages", "stage"


class Watched:
    """An encoder that remembers what was behind its stages when it was called last."""

    def __init__(self, encoder: Encoder):
        self.encoder, self.features = encoder, encoder.features
        self.seen: list[Array] = []

    def stage_maps(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> list[Float[Array, "n _ _ _"]]:
        """The encoder's."""
        self.seen = stage_maps(self.encoder, image, mask)
        return self.seen

    def feature_map(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n i j d"]:
        """The last of them."""
        return self.stage_maps(image, mask)[-1]

    def __call__(
        self, image: Float[Array, "n h w c"], mask: Bool[Array, " n"] | None = None
    ) -> Float[Array, "n d"]:
        """Its mean."""
        return global_average(self.feature_map(image, mask))


def has_encoder(model: Any) -> bool:
    """Whether a network looks at images, or a clip's frames, through an encoder."""
    return isinstance(getattr(model, "encoder", None), Encoder)


def watched(
    graphdef: nnx.GraphDef,
) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    """A network's outputs, and under STAGES its maps, of its state and its inputs.

    A network without any has none there. It is given in its evaluation view; inputs are
    named as the network names them.
    """

    def run(state: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        model: Any = nnx.merge(graphdef, state, copy=True)
        if has_encoder(model):
            model.encoder = encoder = Watched(model.encoder)
            outputs = model(**inputs)
            return outputs | {STAGES: tuple(encoder.seen)}
        outputs = model(**inputs)
        last = (outputs["feature_map"],) if "feature_map" in outputs else ()
        return outputs | {STAGES: tuple(outputs.get("stage_maps", last))}

    return run


def at_stage(
    graphdef: nnx.GraphDef, stage: int
) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    """As `watched`, with one of the maps under STAGE; `stage` counts from 0."""
    run = watched(graphdef)

    def with_one(state: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        outputs = run(state, inputs)
        return outputs | {STAGE: outputs.pop(STAGES)[stage]}

    return with_one


def cells(
    graphdef: nnx.GraphDef, state: Any, inputs: Mapping[str, Any]
) -> list[tuple[int, int]]:
    """The rows and columns of each stage's map; nothing is computed."""
    shapes = jax.eval_shape(watched(graphdef), state, inputs)[STAGES]
    return [(one.shape[-3], one.shape[-2]) for one in shapes]


def chosen_stage(stage: int | None, sizes: Sequence[tuple[int, int]]) -> int:
    """The place of the stage with this number, the last one's if None.

    Raises:
        ExplainError: there is no such stage; the message lists those that there are.
    """
    if not sizes:
        raise ExplainError(
            "the network has no feature map over the picture, which Grad-CAM needs"
        )
    if stage is None:
        return len(sizes) - 1
    if not 1 <= stage <= len(sizes):
        there = ", ".join(f"{n}: {i} x {j}" for n, (i, j) in enumerate(sizes, start=1))
        raise ExplainError(
            f"--stage {stage}: allowed are, with the cells of each, {there}"
        )
    return stage - 1
