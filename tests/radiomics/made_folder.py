"""A folder of PU2756 in which malignant regions have coarser, brighter speckle."""

import csv

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from tests.radiomics.made import ellipse

DIAGNOSES = ("adenocarcinoma", "squamous")
EXAMS = 27
ONE_PATIENT = (0, 1, 3)  # the last is in another published fold
WITHOUT_REGION, WITHOUT_FOLD, UNKNOWN = 5, 8, 11


def write(root):
    """Exam k is benign for even k, and malignant otherwise."""
    rows = []
    for k in range(EXAMS):
        rng = np.random.default_rng(k)
        malignant = k % 2 == 1
        noise = gaussian_filter(rng.gamma(2, 40, (40, 48)), 1.6 if malignant else 0.7)
        mask = ellipse(40, 48, 20, 22 + k % 5, 11, 7, angle=k / 9)
        image = np.clip(noise + 25 * (malignant & mask), 0, 255).astype(np.uint8)
        if k == WITHOUT_REGION:
            mask[:] = False
        for kind, pixels in (("image", image), ("mask", mask * np.uint8(255))):
            path = root / kind / f"exam{k}" / "1.png"
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), pixels)
        label6 = DIAGNOSES[k // 2 % 2] if malignant else "benign"
        rows.append(
            {
                "id": f"exam{k}",
                "label2": "malignant" if malignant else "benign",
                "label6": "" if k == UNKNOWN else label6,
                "fold": "" if k == WITHOUT_FOLD else k // 3 % 3 + 1,
                "patient": "p0" if k in ONE_PATIENT else f"p{k}",
            }
        )
    with (root / "pu2756.csv").open("w", newline="") as file:
        sheet = csv.DictWriter(file, rows[0])
        sheet.writeheader()
        sheet.writerows(rows)
