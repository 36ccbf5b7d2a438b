"""A network as a PyTorch state dict: what `torch_weights.load` reads, bit for bit.

The names are the originals' (see `torch_weights`). Frozen parameters and the norms'
statistics are in it; the norms' batch counters, which nothing uses, are not.
"""

import numpy as np
from flax import nnx

from ultrasound_jax.models._parts.checks import ModelError
from ultrasound_jax.models.torch_weights import Slot, expected


def state_of(model: nnx.Module) -> dict[str, np.ndarray]:
    """Every parameter and statistic by its original's name, in the original's layout.

    Raises `ModelError` for a layout that is more than another order of the numbers.
    """
    return {name: _theirs(name, slot) for name, slot in expected(model).items()}


def _theirs(name: str, slot: Slot) -> np.ndarray:
    """The value in PyTorch's layout, found by sending each place's number to ours."""
    ours = np.asarray(slot.variable.get_value())
    size = int(np.prod(slot.shape))
    places = np.arange(size, dtype=np.int64 if size > 2**31 else np.int32)
    sent = np.asarray(slot.to_ours(places.reshape(slot.shape)))
    kept = sent.shape == ours.shape and sent.dtype == places.dtype
    if not kept or np.unique(sent).size != size:  # else places would stay unwritten
        raise ModelError(f"{name}: its `torch_layout` cannot be turned round")
    value = np.empty(size, ours.dtype)
    value[sent.reshape(-1)] = ours.reshape(-1)
    value = value.reshape(slot.shape)
    if not np.array_equal(slot.to_ours(value), ours, equal_nan=True):
        raise ModelError(f"{name}: its `torch_layout` cannot be turned round")
    return value
