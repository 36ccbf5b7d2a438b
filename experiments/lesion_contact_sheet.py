"""Draws docs/figures/lesion_phantom.png: what the phantom of still images looks like.

    python experiments/lesion_contact_sheet.py [OUT.png]

A few seconds on one core; needs no data.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from ultrasound_jax.datasets.lesion_phantom.patients import CLASSES, kind_of
from ultrasound_jax.datasets.lesion_phantom.picture import draw_picture

FIGURE = Path(__file__).parent.parent / "docs/figures/lesion_phantom.png"
SIZE, PATIENTS = 224, 5  # pixels of an image; patients of each kind


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image, with the lesion's border in white."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(image.copy(), contours, -1, (255,), 1)


def titled(picture: np.ndarray, title: str) -> np.ndarray:
    """The picture under a line of text."""
    bar = np.full((20, picture.shape[1]), 255, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(bar, title, (4, 14), font, 0.42, (0,), 1, cv2.LINE_AA)
    return np.vstack([bar, picture])


def row(kind: str, *, outline: bool = False) -> np.ndarray:
    """Patients of a kind side by side; the last two images are of one patient."""
    patients = [n for n in range(3 * PATIENTS) if kind_of(0, n) == kind][: PATIENTS - 1]
    numbers = [(patient, 0) for patient in patients] + [(patients[-1], 1)]
    drawn = [draw_picture(0, *one, SIZE) for one in numbers]
    return np.hstack(
        [outlined(one.image, one.mask) if outline else one.image for one in drawn]
    )


def sheet() -> np.ndarray:
    """The whole figure, grey."""
    rows = [
        titled(row(kind), f"{kind}-like: four patients, the last one twice")
        for kind in CLASSES
    ]
    masks = titled(row("malignant", outline=True), "malignant-like, with their masks")
    return np.vstack([*rows, masks])


def main() -> None:
    """Write the figure."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else FIGURE
    out.parent.mkdir(parents=True, exist_ok=True)
    _, png = cv2.imencode(".png", sheet(), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    out.write_bytes(png.tobytes())
    print(f"{out}: {len(png) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
