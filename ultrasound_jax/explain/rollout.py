"""Attention rollout: how much of each patch and frame reaches the class token.

Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ultrasound_jax.explain.attention import FrameWeights


def frame_weights(
    outputs: Mapping[str, Any], row: int, length: int, patterns: int
) -> FrameWeights | None:
    """The frames' share in the class token, the same for every pattern."""
    del outputs, row, length, patterns
    return None


def maps(
    outputs: Mapping[str, Any], length: int, size: tuple[int, int]
) -> np.ndarray | None:
    """The patches' share in the class token, the same for every pattern."""
    del outputs, length, size
    return None
