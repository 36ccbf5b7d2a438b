"""Draws docs/figures/lus_phantom.png: what the lung-ultrasound phantom looks like.

    python experiments/phantom_contact_sheet.py [OUT.png]

A few seconds on one core; needs no data.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from ultrasound_jax.datasets.lus_phantom.cine import Cine
from ultrasound_jax.datasets.lus_phantom.patients import Findings, draw_patient
from ultrasound_jax.datasets.lus_phantom.probe import ScanConverter
from ultrasound_jax.datasets.lus_phantom.scene import draw_scene

FIGURE = Path(__file__).parent.parent / "docs/figures/lus_phantom.png"
SIZE, STRIP = 256, 128  # pixels: a panel's side, a frame's side in the strip
WIDTH = 4 * SIZE
B = Findings(b_line=True)
# Title, findings, and the numbers of patient and video they are drawn from.
PANELS = (
    ("normal: A-lines, bat sign", Findings(a_line=True), 4, 1),
    ("A-lines erased by B-lines", Findings(a_line=True, b_line=True), 3, 0),
    ("B-lines", B, 12, 0),
    ("confluent B-lines", B, 15, 0),
    ("consolidation, air bronchograms", Findings(consolidation=True), 14, 0),
    ("effusion: quad sign", Findings(pleural_effusion=True), 25, 5),
    ("effusion + consolidation", Findings(False, False, True, True), 34, 0),
    ("mixed: all four", Findings(True, True, True, True), 15, 1),
)


def cine(findings: Findings, patient: int, video: int) -> Cine:
    """The probe position that these numbers stand for."""
    person = draw_patient(0, patient)
    rng = np.random.default_rng([0, 3, patient, video])
    return Cine(rng, person, draw_scene(rng, person, findings))


def titled(picture: np.ndarray, title: str) -> np.ndarray:
    """The picture under a line of text."""
    bar = np.full((20, picture.shape[1]), 255, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(bar, title, (4, 14), font, 0.42, 0, 1, cv2.LINE_AA)
    return np.vstack([bar, picture])


def frame(scene: Cine, size: int, seconds: float) -> np.ndarray:
    """One square frame."""
    return ScanConverter(scene.probe, size)(scene.grey(seconds))


def m_mode(scene: Cine, beam: int, seconds: float, width: int) -> np.ndarray:
    """One beam over time: depth downwards, time to the right."""
    moments = np.linspace(0, seconds, width)
    lines = np.stack([scene.grey(float(t))[:, beam] for t in moments], axis=1)
    return cv2.resize(lines, (width, SIZE), interpolation=cv2.INTER_AREA)


def sheet() -> np.ndarray:
    """The whole figure, grey."""
    panels = [
        titled(frame(cine(findings, patient, video), SIZE, 0.4), title)
        for title, findings, patient, video in PANELS
    ]
    moving = cine(B, 12, 0)
    strip = np.hstack([frame(moving, STRIP, 0.25 * k) for k in range(WIDTH // STRIP)])
    normal = cine(Findings(a_line=True), 4, 1)
    fluid = cine(Findings(pleural_effusion=True), 25, 5)
    half = WIDTH // 2
    seashore = m_mode(normal, normal.probe.beams // 2, 4.0, half)
    sinusoid = m_mode(fluid, fluid.probe.beams // 2, 4.0, half)
    rows = [
        np.hstack(panels[:4]),
        np.hstack(panels[4:]),
        titled(strip, "B-lines move with the sliding pleura: a frame every 0.25 s"),
        np.hstack(
            [
                titled(seashore, "M-mode, 4 s, normal lung: seashore sign"),
                titled(sinusoid, "M-mode, 4 s, effusion: sinusoid sign"),
            ]
        ),
    ]
    return np.vstack(rows)


def main() -> None:
    """Write the figure."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else FIGURE
    out.parent.mkdir(parents=True, exist_ok=True)
    _, png = cv2.imencode(".png", sheet(), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    out.write_bytes(png.tobytes())
    print(f"{out}: {len(png) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
