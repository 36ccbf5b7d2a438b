"""Draws docs/figures/augmentation.png: every primitive of a policy on the phantom.

    python experiments/augmentation_contact_sheet.py [OUT.png]

A row a primitive, its name before it: the frame as it is, then magnitudes that rise,
each with another draw. About a minute on one core; needs no data.
"""

import sys
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from ultrasound_jax.augment import _mixture, primitives
from ultrasound_jax.datasets.lus_phantom.cine import Cine
from ultrasound_jax.datasets.lus_phantom.patients import Findings, draw_patient
from ultrasound_jax.datasets.lus_phantom.probe import ScanConverter
from ultrasound_jax.datasets.lus_phantom.scene import draw_scene

FIGURE = Path(__file__).parent.parent / "docs/figures/augmentation.png"
SIZE, COLUMNS = 128, 2  # pixels of a panel; primitives beside each other
MAGNITUDES = (0.25, 0.5, 0.75, 1.0)
FINDINGS, PATIENT, VIDEO = Findings(consolidation=True, a_line=True), 14, 0


def picture() -> np.ndarray:
    """One frame of the phantom."""
    person = draw_patient(0, PATIENT)
    rng = np.random.default_rng([0, 3, PATIENT, VIDEO])
    scene = Cine(rng, person, draw_scene(rng, person, FINDINGS))
    return ScanConverter(scene.probe, SIZE)(scene.grey(1.0))


def row(name: str, frame: np.ndarray) -> np.ndarray:
    """The frame, and the frame after a primitive of each magnitude."""
    known = (primitives.find(name),)
    count = len(MAGNITUDES)
    images = jnp.broadcast_to(frame[None, :, :, None] / 255.0, (count, SIZE, SIZE, 1))
    chosen = _mixture.Chosen(
        jnp.zeros((count, 1), jnp.int32), jnp.asarray(MAGNITUDES)[:, None]
    )
    keys = jax.random.split(jax.random.key(1), count)
    fields = {"image": images.astype(jnp.float32)}
    out = _mixture.apply(fields, {"image": "pixels"}, keys, known, chosen)["image"]
    panels = np.round(255 * np.asarray(out[..., 0])).astype(np.uint8)
    return titled(np.hstack([frame, *panels]), name)


def titled(strip: np.ndarray, title: str) -> np.ndarray:
    """The strip under a line of text."""
    bar = np.full((18, strip.shape[1]), 255, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(bar, title, (4, 13), font, 0.42, 0, 1, cv2.LINE_AA)
    return np.vstack([bar, strip])


def main(out: Path) -> None:
    """Writes the sheet."""
    frame = picture()
    rows = [row(name, frame) for name in primitives.names()]
    while len(rows) % COLUMNS:
        rows.append(np.full_like(rows[0], 255))
    gap = np.full((rows[0].shape[0], 12), 255, np.uint8)
    lines = [
        np.hstack([part for one in rows[at : at + COLUMNS] for part in (one, gap)])
        for at in range(0, len(rows), COLUMNS)
    ]
    cv2.imwrite(str(out), np.vstack(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FIGURE)
