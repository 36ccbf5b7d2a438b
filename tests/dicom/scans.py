"""Pictures whose fan is known: phantom cines, rectangles, and what is burned in."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from ultrasound_jax.datasets.lus_phantom.cine import Cine, film
from ultrasound_jax.datasets.lus_phantom.patients import draw_findings, draw_patient
from ultrasound_jax.datasets.lus_phantom.probe import ScanConverter
from ultrasound_jax.datasets.lus_phantom.scene import draw_scene
from ultrasound_jax.dicom.clean.pixel_statistics import (
    Moments,
    MomentsBuilder,
)
from ultrasound_jax.dicom.read.header import CineHeader
from ultrasound_jax.dicom.read.timing import FrameTiming


@cache
def phantom(patient, size=256, frames=8):
    """Frames of a phantom's cine, and the true mask of its fan."""
    person = draw_patient(1, patient)
    rng = np.random.default_rng([patient, 5])
    scene = draw_scene(rng, person, draw_findings(rng, person.tendency))
    converter = ScanConverter(person.probe, size)
    clip, _ = film(Cine(rng, person, scene), converter, 5.0, frames / 5)
    full = np.full((person.probe.samples, person.probe.beams), 255, np.uint8)
    clip.flags.writeable = False
    return clip, converter(full) > 0


def speckle(shape, seed=0, frames=8):
    """Frames of independent speckle, smooth over a few pixels."""
    rng = np.random.default_rng(seed)
    noise = rng.rayleigh(40, (frames, *shape)).astype(np.float32)
    clip = [cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in noise]
    return np.clip(np.stack(clip) * 1.2, 0, 255).astype(np.uint8)


def burned_in(size, *, text=("DOE^JANE 1234567", "HOSPITAL X", "12/11/2019")):
    """Marks of a scanner on black: text in all corners, ruler, grey bar, logo."""
    marks, scale = np.zeros((size, size), np.uint8), size / 512

    def write(words, x, y, height=0.5):
        at = (int(x * scale), int(y * scale))
        thick = max(1, round(scale))
        cv2.putText(
            marks, words, at, cv2.FONT_HERSHEY_SIMPLEX, height * scale, 230, thick
        )

    for line, words in enumerate(text):
        write(words, 4, 16 + 18 * line)
    write("ID 99-1234", 390, 16)
    write("MI 0.8", 4, 500)
    write("Frq 3.5", 420, 500)
    for y in range(20, 500, 25):
        left, right = int(504 * scale), int(511 * scale)
        cv2.line(marks, (left, int(y * scale)), (right, int(y * scale)), 200, 1)
    corner, end = (int(4 * scale), int(70 * scale)), (int(22 * scale), int(130 * scale))
    cv2.rectangle(marks, corner, end, 255, -1)
    cv2.circle(marks, (int(60 * scale), int(440 * scale)), int(22 * scale), 230, 2)
    return marks


def ecg(size, tick):
    """A trace that is written from left to right at the bottom, as `tick` grows."""
    strip, scale = np.zeros((size, size), np.uint8), size / 512
    columns = np.arange(min(size, int(60 * scale * (tick + 1))))
    beat = np.exp(-((((columns / scale) % 120 - 60) / 5) ** 2))
    rows = ((485 - 30 * beat) * scale).astype(int)
    strip[rows, columns] = strip[rows + 1, columns] = 220
    return strip


def moments_of(frames) -> Moments:
    builder = MomentsBuilder()
    for frame in frames:
        builder.add(np.ascontiguousarray(frame))
    return builder.finish()


class Made:
    """Frames in memory, as `open_cine` would give them."""

    def __init__(self, frames, *regions):
        self.clip = frames
        self.header = header(len(frames), regions)

    def frames(self):
        yield from self.clip


def header(frames, regions=()):
    """A header of which only frames and regions are of interest."""
    return CineHeader(
        path=Path("made"),
        sop_instance_uid="1.2",
        patient_id="X",
        study_uid="1.2",
        study_date="",
        instance_number=None,
        is_ultrasound=True,
        frames=frames,
        multi_frame=True,
        rows=1,
        columns=1,
        samples=1,
        bits_allocated=8,
        transfer_syntax="1.2.840.10008.1.2.1",
        photometric="MONOCHROME2",
        timing=FrameTiming(None, "none"),
        regions=tuple(regions),
        manufacturer="",
        model="",
        frame_bytes=1,
    )


def overlap(one, other):
    """Intersection over union of two masks."""
    return float((one & other).sum() / (one | other).sum())


def widened(mask):
    """A mask and two pixels around it."""
    return grown(mask, 2)


def grown(mask, pixels):
    """A mask and what is near it."""
    side = 2 * pixels + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side))).astype(bool)
