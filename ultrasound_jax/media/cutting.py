"""Cutting a video into overlapping clips (LUV-Net; specification, section 1.5)."""

import numpy as np
from jaxtyping import UInt8

from ultrasound_jax.types import InputError

CONTAINED = ("join", "keep")


def clip_step(length: int, overlap: float) -> int:
    """Frames from the start of one clip to the start of the next.

    `int(length * (1 - overlap))`, but never 0, and without the frame that floating
    point would lose where the product is whole (10 * (1 - 0.9) is 0.9999999999999998).

    Raises:
        InputError: `length` is below 1 or `overlap` is outside [0, 1).
    """
    if length < 1:
        raise InputError(f"clip length is {length} frames, allowed are 1 and more")
    if not 0 <= overlap < 1:
        raise InputError(f"clip overlap is {overlap}, allowed are 0 <= overlap < 1")
    return max(1, int(length * (1 - overlap) + 1e-9))


def clip_windows(
    frames: int, length: int, step: int, *, contained: str = "join"
) -> list[tuple[int, int]]:
    """Half-open frame ranges of the clips of a video, 0-based.

    Every start 0, step, 2 step, ... below `frames` gives a clip, so that the last ones
    may be shorter than `length`. One that lies wholly inside the clip before shows
    nothing of its own, often a single frame: `join` makes it part of that clip; `keep`
    gives it, as the original does, and there are `ceil(frames / step)`.

    Raises:
        InputError: `frames` is negative, `length` or `step` is below 1, or `contained`
            is another word.
    """
    if frames < 0:
        raise InputError(f"video has {frames} frames, allowed are 0 and more")
    if length < 1 or step < 1:
        raise InputError(
            f"clips of {length} frames every {step}, allowed are 1 and more for both"
        )
    if contained not in CONTAINED:
        raise InputError(
            f"contained clips {contained!r}, allowed are {', '.join(CONTAINED)}"
        )
    windows = [(start, min(start + length, frames)) for start in range(0, frames, step)]
    if contained == "join":
        ends = [0, *(end for _, end in windows)]
        windows = [w for w, before in zip(windows, ends, strict=False) if w[1] > before]
    return windows


def pad_tail(
    clip: UInt8[np.ndarray, "t ..."], length: int
) -> UInt8[np.ndarray, "n ..."]:
    """Fill a short clip up to `length` frames by repeating its last frame.

    This is the `duplicate` behaviour of the original, which makes invented frames look
    like recorded ones; a true length kept beside the clip is the better choice. A clip
    that already has `length` frames comes back unchanged.

    Raises:
        InputError: the clip is empty or longer than `length`.
    """
    missing = length - len(clip)
    if len(clip) == 0 or missing < 0:
        raise InputError(f"clip has {len(clip)} frames, allowed are 1 to {length}")
    if missing == 0:
        return clip
    return np.concatenate([clip, np.repeat(clip[-1:], missing, axis=0)])
