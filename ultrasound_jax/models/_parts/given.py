"""What the program gives to every network, beside the options of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from flax import nnx

from ultrasound_jax.models._parts.checks import compute_dtype, require_counts


@dataclass(frozen=True)
class Given:
    """What every network is given; it travels as one value.

    outputs: width of the head. shape: of the input without its batch and channels,
    `(frames, height, width)` or `(height, width)`; None where nobody says. channels: of
    the input; one grey channel may stand for them, as `grey_scale` and `grey_offset`
    say (see `StemConv`). dtype: of computation, float32 or bfloat16; parameters and
    statistics are float32. remat: compute each block again for the gradient.
    """

    rngs: nnx.Rngs
    outputs: int = 4
    shape: tuple[int, ...] | None = None
    channels: int = 3
    grey_scale: Sequence[float] | None = None
    grey_offset: Sequence[float] | None = None
    dtype: Any = jnp.float32
    remat: bool = False

    def __post_init__(self) -> None:
        """Refuse what no network could be made with, by `ModelError`."""
        require_counts(outputs=self.outputs, channels=self.channels)
        object.__setattr__(self, "dtype", compute_dtype(self.dtype))

    @property
    def layer(self) -> dict[str, Any]:
        """What of it a layer takes: `dtype` and `rngs`."""
        return {"dtype": self.dtype, "rngs": self.rngs}
