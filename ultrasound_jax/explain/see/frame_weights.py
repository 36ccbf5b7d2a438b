"""How a network weighed the frames of a clip, in the same form for every network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

ATTENTION, SCORES, ROLLOUT = "attention", "frame scores", "attention rollout"
# Kind: what the vertical axis of its curves says, and where they stand without signal.
AXES = {
    ATTENTION: ("attention (1 = uniform)", 1.0),
    SCORES: ("score of the frame alone", None),
    ROLLOUT: ("attention rollout (1 = uniform)", 1.0),
}
# An axis reaches this far at least to either side of where curves stand without signal,
# so that noise in the fifth digit does not look like a finding.
REACH = 0.05


@dataclass(frozen=True, eq=False)
class FrameWeights:
    """One curve over a clip's real frames for each pattern and head.

    kind: `attention`: times the number of frames, so that 1 is uniform attention and
    clips of different lengths compare (the original scales each curve to 0-1, which
    makes noise look like a finding). `frame scores`: the probability that each frame
    gives by itself. `attention rollout`: as attention, one head.
    shared: the network has one curve for all patterns.
    """

    kind: str
    heads: Float[np.ndarray, "k heads t"] = field(repr=False)
    shared: bool = False

    @property
    def mean(self) -> Float[np.ndarray, "k t"]:
        """The mean over the heads."""
        return self.heads.mean(1)


def frame_weights(
    outputs: Mapping[str, Any],
    row: int,
    length: int,
    patterns: int,
    *,
    scores: Callable[[np.ndarray], np.ndarray],
    shared: bool = False,
) -> FrameWeights | None:
    """The curves of one clip of a batch; None if the network weighs no frames.

    Args:
        outputs: what a network of `models.build` returned, on the host.
        row: of the batch.
        length: real frames.
        patterns: how many there are.
        scores: logits `t k` to what the task makes of them.
        shared: its `attention` is `b heads t`, one look for all patterns, and not
            `b patterns heads t`. The network says so (`attention_is_shared`).
    """
    if "attention" in outputs:
        attention = np.asarray(outputs["attention"][row], np.float64)[..., :length]
        if shared:
            attention = np.repeat(attention[None], patterns, axis=0)
        return FrameWeights(ATTENTION, attention * length, shared)
    if "frame_logits" in outputs:
        of_frames = scores(np.asarray(outputs["frame_logits"][row])[:length])
        return FrameWeights(SCORES, np.asarray(of_frames, np.float64).T[:, None])
    return None


def axis_range(kind: str, values: Float[np.ndarray, "*any"]) -> tuple[float, float]:
    """The lowest and highest value that an axis of that kind shall show.

    They are `REACH` at least to either side of where curves stand without signal, or
    for scores, which have no such place, of the middle between them. NaN is no value.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    middle = AXES[kind][1]
    if middle is None:
        middle = min(max((low + high) / 2, REACH), 1 - REACH)
    return min(low, middle - REACH), max(high, middle + REACH)


def top_frames(values: Float[np.ndarray, " t"], count: int) -> Int[np.ndarray, " n"]:
    """The places of the largest values, largest first; earlier ones where equal.

    NaN is no value. There are fewer than `count` where there are fewer values.
    """
    order = np.argsort(-values, kind="stable")
    return order[: min(count, int(np.isfinite(values).sum()))]
