"""Marks drawn over the echoes: calipers, labels and arrows that no mask can remove.

What is found is reported for review, never painted over: a guess would alter anatomy.
What is not found may still be there.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool

from ultrasound_jax.dicom.clean.pixel_statistics import Moments

STILL = 0.5  # grey levels over time, below which a bright pixel stands still
BRIGHT = 60  # grey levels above the neighbourhood that make a mark
EDGE = 80  # grey levels from a stroke's pixel to a direct neighbour
WHITE = 235  # marks without movement to tell them by are nearly white
COLOURED = 40  # distance from the picture's own tint in Cb or Cr
FEWEST = 18  # pixels; fewer are noise
STROKE = 9  # pixels; thicker things are no strokes


@dataclass(frozen=True)
class Overlays:
    """What was found inside the fan.

    still: bright strokes that never move, in pixels. coloured: strokes in colour.
    fleeting: strokes in some of the frames only. flow: whether there are areas of
    colour, as of Doppler, which are anatomy.
    """

    still: int
    coloured: int
    fleeting: int
    flow: bool

    @property
    def suspected(self) -> bool:
        """Whether somebody should look before the frames are given away."""
        return max(self.still, self.coloured) >= FEWEST or self.fleeting > 0


def find_overlays(moments: Moments, inside: Bool[np.ndarray, "h w"]) -> Overlays:
    """Count the pixels of strokes inside the fan that echoes do not explain."""
    if not inside.any():
        return Overlays(0, 0, 0, False)
    mean = moments.mean.astype(np.uint8)
    stroke = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (STROKE, STROKE))
    # A top-hat keeps what is brighter than its neighbourhood and thin.
    thin = cv2.morphologyEx(mean, cv2.MORPH_TOPHAT, stroke) >= BRIGHT
    # Echoes are blurred by the machine's spot; drawn strokes have hard edges.
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    thin &= cv2.absdiff(mean, cv2.erode(mean, cross)) >= EDGE
    if moments.frames > 1 and float(moments.spread[inside].mean()) > 1:
        still = thin & (moments.spread < STILL)
    else:
        still = thin & (mean >= WHITE)
    coloured, flow = np.zeros_like(inside), False
    if moments.colour is not None:
        tint = float(np.median(moments.colour[inside]))
        strong = (moments.colour >= tint + COLOURED) & inside
        thick = cv2.morphologyEx(strong.astype(np.uint8), cv2.MORPH_OPEN, stroke) > 0
        flow = bool(thick.sum() > 4 * STROKE**2)
        coloured = strong & (cv2.dilate(thick.astype(np.uint8), stroke) == 0)
    fleeting = int((moments.fleeting & inside).sum())
    return Overlays(int((still & inside).sum()), int(coloured.sum()), fleeting, flow)
