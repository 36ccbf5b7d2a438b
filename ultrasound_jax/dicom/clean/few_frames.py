"""Letters in cines of few frames, in which nothing is usual enough to be unlike it.

Over many frames a name is told by how it comes and goes; in few, echoes come and go as
clearly. There each frame is looked at as a still is, for lines of letters.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from ultrasound_jax.dicom.clean.text_lines import TextLine, text_lines

FEW = 12  # frames, up to which a cine has few
CONTRAST = 75.0  # grey levels that letters stand out by, as in a still
SAME = 0.4  # of that contrast, up to which another frame shows the same line


def find_text_in_few(
    frames: Sequence[UInt8[np.ndarray, "h w"]], inside: Bool[np.ndarray, "h w"]
) -> tuple[Bool[np.ndarray, " t"], Bool[np.ndarray, " t"]]:
    """Frames with text that at most half of them show; with text that more do, not all.

    Args:
        frames: all of a cine.
        inside: what will be seen of them.
    """
    few, most = np.zeros(len(frames), bool), np.zeros(len(frames), bool)
    for frame in frames:
        for line in text_lines(frame, inside, contrast=CONTRAST):
            shows = np.array([_shows(other, frame, line) for other in frames])
            if 2 * shows.sum() <= len(frames):
                few |= shows
            elif not shows.all():
                most |= shows
    return few, most & ~few


def _shows(other: np.ndarray, frame: np.ndarray, line: TextLine) -> bool:
    """Whether another frame has the same at the line's strokes."""
    place = line.rows, line.columns
    change = np.abs(other[place].astype(np.int16) - frame[place])
    return float(np.median(change)) <= SAME * line.contrast
