"""An encoder whose first stages stay as they are while what stands behind them learns.

The early layers of a pretrained encoder see edges and textures, which are the same
everywhere; with few patients they are better left alone. Frozen are weights and the
running statistics of norms, by which these normalise in training too: else an encoder
whose weights are kept would still drift, and see each batch through its own moments.
Nothing frozen has a gradient, so that none is computed for the stages before the first
one that learns.

Norms alone can be frozen too (`freeze_norms`): their scale and bias learn, but they
normalise by the statistics that came with the weights. A small batch's own moments are
far from these, so that a pretrained network begins by unlearning what it knows.
"""

from typing import Any, Protocol, runtime_checkable

from flax import nnx

from ultrasound_jax.models._parts.checks import OptionError
from ultrasound_jax.models._parts.layers import BatchNorm, freeze

WHOLE = -1  # every stage


@runtime_checkable
class Staged(Protocol):
    """An encoder that can say where it could be cut."""

    def in_order(self) -> list[list[nnx.Module]]:
        """The layers of each stage, in the order in which an image passes them.

        Every parameter is in one of them.
        """
        ...


def freeze_stages(model: nnx.Module, stages: int) -> None:
    """Keeps the first `stages` stages of a network's `encoder`; WHOLE keeps all.

    Raises:
        OptionError: it has no encoder that says its stages, or fewer of them.
    """
    encoder: Any = getattr(model, "encoder", None)
    if not isinstance(encoder, Staged):
        raise OptionError("frozen_stages", stages, f"0, as {_no_encoder(model)}")
    found = encoder.in_order()
    if not WHOLE <= stages <= len(found):
        raise OptionError(
            "frozen_stages",
            stages,
            f"from 0 to {len(found)}, the stages of {type(encoder).__name__}, or "
            f"{WHOLE} for all",
        )
    for stage in found if stages == WHOLE else found[:stages]:
        for layer in stage:
            freeze(layer)


def freeze_norms(model: nnx.Module) -> None:
    """Keeps the running statistics of a network's `encoder`, which serve in training.

    Raises:
        OptionError: it has no encoder.
    """
    encoder: Any = getattr(model, "encoder", None)
    if not isinstance(encoder, nnx.Module):
        raise OptionError("frozen_norms", True, f"False, as {_no_encoder(model)}")  # noqa: FBT003
    for _, part in nnx.iter_modules(encoder):
        if isinstance(part, BatchNorm):
            part.frozen = True


def _no_encoder(model: nnx.Module) -> str:
    return f"{type(model).__name__} has no encoder"
