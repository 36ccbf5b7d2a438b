"""Marks drawn over the echoes: calipers, labels and arrows that no mask can remove.

What is found is reported for review, never painted over: a guess would alter anatomy.
What is not found may still be there. Lines of text are told by their shape in the mean
of all frames, of stretches of them, or in a still (`text_lines`); other marks by white
strokes that stand still while echoes move, and by colour, unless there is flow.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool

from ultrasound_jax.dicom.clean.pixel_statistics import Moments
from ultrasound_jax.dicom.clean.text_lines import text_lines

STILL = 8.0  # grey levels over time, below which a pixel stands still; codecs add to it
STAYS = 0.25  # the same of a line of text, as a share of its contrast
MOVES = 1.0  # grey levels over time in the mean of the fan, from which echoes move
WELL = 4.0, 8  # the same, and frames, from which their steps average out
FAINT, PLAIN = 45.0, 75.0  # grey levels that text stands out by, if so and otherwise
BRIGHT = 60  # grey levels above the neighbourhood that make a mark
EDGE = 80  # grey levels from a stroke's pixel to a direct neighbour
COLOURED = 40  # distance from the picture's own tint in Cb or Cr
FEWEST = 18  # pixels; fewer are noise
STROKE = 9  # pixels; thicker things are no strokes
MARK = (5, 50)  # pixels of its sides; less is a dot or a line, more a frame or a scale
LENGTHY = 2.5  # times its shorter side, that the longer one of such a mark has at most
ROUND = 8  # pixels with hard edges that such a mark has
FLOWING = 0.3  # share of a line's pixels in the colour of flow, which is no text then


@dataclass(frozen=True)
class Overlays:
    """What was found inside the fan.

    still: pixels of strokes that never move, and of text that stays. coloured: strokes
    in colour; none are told where there is flow. fleeting: strokes and text in some of
    the frames only. flow: whether there are areas of colour, as of Doppler, which are
    anatomy.
    """

    still: int
    coloured: int
    fleeting: int
    flow: bool

    @property
    def suspected(self) -> bool:
        """Whether somebody should look before the frames are given away."""
        return max(self.still, self.coloured, self.fleeting) >= FEWEST


def find_overlays(moments: Moments, inside: Bool[np.ndarray, "h w"]) -> Overlays:
    """Count the pixels of strokes inside the fan that echoes do not explain."""
    if not inside.any():
        return Overlays(0, 0, 0, False)
    inner = _without_edge(inside)
    coloured, flow = _coloured(moments, inside)
    stays, passes = _text(moments, inner, flow)
    if _motion(moments, inside) > MOVES:
        stays |= _still_strokes(moments, inner)
    passes |= moments.fleeting & inner
    return Overlays(
        int(stays.sum()),
        int(coloured.sum()),
        int((passes & ~stays).sum()),
        flow is not None,
    )


def _without_edge(inside: np.ndarray) -> np.ndarray:
    """The fan without two pixels at its edge, which is hard wherever it ends."""
    kernel = np.ones((5, 5), np.uint8)
    inner = cv2.erode(
        inside.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return inner > 0


def _motion(moments: Moments, inside: np.ndarray) -> float:
    return float(moments.spread[inside].mean()) if moments.frames > 1 else 0.0


def _text(
    moments: Moments, inner: np.ndarray, flow: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of lines of text: those that stay, and those that come and go."""
    stays, passes = np.zeros_like(inner), np.zeros_like(inner)
    if not inner.any():
        return stays, passes
    averaged = _motion(moments, inner) >= WELL[0] and moments.frames >= WELL[1]
    contrast = FAINT if averaged else PLAIN
    mean = np.rint(moments.mean).astype(np.uint8)
    for line in text_lines(mean, inner, contrast=contrast):
        place = line.rows, line.columns
        if flow is not None and flow[place].mean() > FLOWING:
            continue
        flicker = float(np.median(moments.spread[place]))
        still = flicker < max(STILL, STAYS * line.contrast)
        (stays if still else passes)[place] = True
    for picture in moments.stretches:
        for line in text_lines(picture, inner, contrast=PLAIN):
            place = line.rows, line.columns
            if flow is None or flow[place].mean() <= FLOWING:
                passes[place] = True
    # What stays is in every stretch as well, a pixel wider or narrower.
    near = cv2.dilate(stays.astype(np.uint8), np.ones((STROKE, STROKE), np.uint8)) > 0
    return stays, passes & ~near


def _still_strokes(moments: Moments, inner: np.ndarray) -> np.ndarray:
    """White strokes that hold their place and level while echoes move."""
    mean = moments.mean.astype(np.uint8)
    stroke = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (STROKE, STROKE))
    # A top-hat keeps what is brighter than its neighbourhood and thin.
    thin = cv2.morphologyEx(mean, cv2.MORPH_TOPHAT, stroke) >= BRIGHT
    thin &= (moments.spread < STILL) & inner
    # Echoes are blurred by the machine's spot; drawn strokes have hard edges.
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    hard = thin & (cv2.absdiff(mean, cv2.erode(mean, cross)) >= EDGE)
    if not hard.any():
        return hard
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        thin.astype(np.uint8), connectivity=8
    )
    parts, stats = np.asarray(parts, np.int32), np.asarray(stats)
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    mark = (sides.min(axis=1) >= MARK[0]) & (sides.max(axis=1) <= MARK[1])
    # Layers of tissue are longer than high, and hard here and there; marks all around.
    mark &= sides.max(axis=1) <= LENGTHY * sides.min(axis=1)
    mark &= np.bincount(parts[hard], minlength=count) >= ROUND
    return hard & mark[parts]


def _coloured(
    moments: Moments, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Strokes in colour; or else, where there is flow, all that is coloured."""
    nothing = np.zeros_like(inside)
    if moments.colour is None:
        return nothing, None
    stroke = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (STROKE, STROKE))
    tint = float(np.median(moments.colour[inside]))
    strong = (moments.colour >= tint + COLOURED) & inside
    thick = cv2.morphologyEx(strong.astype(np.uint8), cv2.MORPH_OPEN, stroke) > 0
    if thick.sum() > 4 * STROKE**2:
        return nothing, strong
    return strong & (cv2.dilate(thick.astype(np.uint8), stroke) == 0), None
