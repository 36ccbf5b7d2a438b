"""Attention rollout: how much of each patch and frame reaches the class token.

Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020: half of a
block's output is taken to be its skipped path, and the blocks' matrices are multiplied.
It heeds neither values nor MLPs and is the same for every pattern: it shows where
information may have come from, not what spoke for a finding.

MViT pools its tokens from block to block and never holds whole matrices, so that only
the class token's own row can be followed: its patches are taken to stay what and where
they are (`class_token_rollout`). In a network that mixes patches as it does, that is
the coarser half of the truth.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from ultrasound_jax.explain.see.frame_weights import (
    ROLLOUT,
    FrameWeights,
)


def rollout(
    attention: Sequence[Float[np.ndarray, "*rest n n"]],
) -> Float[np.ndarray, "*rest n n"]:
    """The product of all blocks' attention, each averaged with the identity.

    Rows sum to one where those of `attention` do.
    """
    flow = np.eye(attention[0].shape[-1])
    for weights in attention:
        flow = (0.5 * weights + 0.5 * np.eye(weights.shape[-1])) @ flow
    return flow


def class_token_rollout(
    attention: Sequence[Float[np.ndarray, "s _ _"]],
) -> Float[np.ndarray, "s i j"]:
    """The class token's row alone, on the finest of the blocks' grids.

    `attention` is each block's weights of the pooled patches; what is missing to a sum
    of one is the class token's weight of itself.
    """
    rows = max(weights.shape[1] for weights in attention)
    columns = max(weights.shape[2] for weights in attention)
    flow = np.zeros((len(attention[0]), rows, columns))
    for weights in attention:
        total = weights.sum()
        spread = np.stack(
            [
                cv2.resize(w, (columns, rows), interpolation=cv2.INTER_LINEAR)
                for w in np.asarray(weights, np.float64)
            ]
        )
        spread *= total / max(spread.sum(), np.finfo(float).tiny)
        flow = (0.5 + 0.5 * (1 - total)) * flow + 0.5 * spread
    return flow


def patch_shares(
    outputs: Mapping[str, Any], row: int, length: int, size: tuple[int, int]
) -> Float[np.ndarray, "t i j"] | None:
    """Each patch's share in the class token; all together, over real frames, one.

    None for a network that is no transformer over patches.

    Args:
        outputs: what a network of `models.build` returned, on the host.
        row: of the batch.
        length: real frames.
        size: height and width of a frame in pixels.
    """
    if "space_attention" in outputs:
        # A factorised encoder: the frame's share times the patch's in its frame.
        space = [np.asarray(w[row], np.float64) for w in outputs["space_attention"]]
        time = [np.asarray(w[row], np.float64) for w in outputs["time_attention"]]
        in_frame = rollout([w[:length] for w in space])[:, 0, 1:]
        in_frame /= in_frame.sum(1, keepdims=True)
        of_frames = rollout(time)[0, 1 : length + 1]
        shares = of_frames[:, None] * in_frame
        side = round((size[0] * size[1] / shares.shape[1]) ** 0.5)
        shares = shares.reshape(length, size[0] // side, size[1] // side)
    elif "class_attention" in outputs:
        blocks = [np.asarray(w[row], np.float64) for w in outputs["class_attention"]]
        steps = class_token_rollout(blocks)
        # A step is two frames.
        shares = np.repeat(steps, 2, axis=0)[:length]
    else:
        return None
    return shares / max(shares.sum(), np.finfo(float).tiny)


def frame_weights(shares: Float[np.ndarray, "t i j"], patterns: int) -> FrameWeights:
    """The frames' shares times their number, the same for every pattern."""
    curve = shares.sum((1, 2)) * len(shares)
    heads = np.repeat(curve[None, None], patterns, axis=0)
    return FrameWeights(ROLLOUT, heads, shared=True)
