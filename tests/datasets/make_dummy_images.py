"""Draws small trees in the layouts of the image sets, out of nothing but numbers.

`python -m tests.datasets.make_dummy_images` writes them as the `dummy_data` of each
builder; the tests draw their own copies and damage them.
"""

import csv
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

DATASETS = Path(__file__).parents[2] / "ultrasound_jax" / "datasets"


def tissue(seed, height=40, width=48, lesion=True):
    """A smooth grey picture with a dark disc, and the disc as a mask of 0 and 255."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 220, (6, 8)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((height, width), np.uint8)
    if lesion:
        centre = (int(rng.integers(14, width - 14)), int(rng.integers(14, height - 14)))
        cv2.circle(mask, centre, 8, 255, -1)
    picture[mask > 0] *= 0.3
    return np.clip(picture, 0, 255).astype(np.uint8), mask


def save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path)


def busi(root):
    """Two benign, one malignant and one normal; two masks, and every mask mode."""
    root = root / "Dataset_BUSI_with_GT"
    for label, number, seed, mode in (
        ("benign", 1, 1, "1"),
        ("benign", 2, 2, "RGBA"),
        ("malignant", 1, 3, "L"),
        ("normal", 1, 4, "RGB"),
    ):
        picture, mask = tissue(seed, lesion=label != "normal")
        save(root / label / f"{label} ({number}).png", picture, "RGB")
        save(root / label / f"{label} ({number})_mask.png", mask, mode)
    second = np.zeros((40, 48), np.uint8)
    second[2:6, 2:8] = 255
    save(root / "benign" / "benign (2)_mask_1.png", second, "1")


def pu2756(root):
    """Four examinations of three patients, one of them as JPEG."""
    rows = []
    for place, (label2, label6, fold, patient, suffix) in enumerate(
        (
            ("benign", "benign", 1, "a", "png"),
            ("malignant", "adenocarcinoma", 2, "b", "jpg"),
            ("malignant", "squamous", 3, "b", "png"),
            ("malignant", "small_cell", 4, "c", "png"),
        ),
        start=1,
    ):
        exam = f"exam{place}"
        picture, mask = tissue(10 + place, 44, 52)
        save(root / "image" / exam / f"1.{suffix}", picture, "RGB")
        save(root / "mask" / exam / f"1.{suffix}", mask)
        rows.append([exam, label2, label6, fold, patient])
    with (root / "pu2756.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["id", "label2", "label6", "fold", "patient"], *rows]
        )


def skin_tumor(root):
    """Four images of three patients, one with a colour Doppler panel at its side."""
    rows = [["file", "patient_id"]]
    for place, (folder, patient) in enumerate(
        (
            ("epidermal cyst", "a"),
            ("epidermal cyst", "b"),
            ("lipoma", "b"),
            ("pilomatricoma", "c"),
        )
    ):
        picture, _ = tissue(20 + place, 60, 60)
        colour = np.repeat(picture[..., None], 3, axis=2)
        if folder == "lipoma":
            colour = np.concatenate([colour, doppler(colour)], axis=1)
        name = f"{folder}/{place}.png"
        save(root / name, colour)
        rows.append([name, patient])
    with (root / "patients.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def doppler(colour):
    """The same picture with a patch of red and blue flow."""
    height, width = colour.shape[:2]
    flow = colour.copy()
    top, left = height // 3, width // 3
    flow[top : top + height // 5, left : left + width // 4] = (200, 30, 20)
    flow[top + height // 5 : top + height // 3, left : left + width // 5] = (
        20,
        40,
        210,
    )
    return flow


def folder(root):
    """Five pictures of three patients in two classes, and the sheet that says whose."""
    rows = [["file", "patient"]]
    for place, (label, patient) in enumerate(
        (("cyst", 1), ("cyst", 1), ("cyst", 2), ("lipoma", 2), ("lipoma", 3)), start=1
    ):
        picture, _ = tissue(40 + place)
        save(root / label / f"{place}.png", picture)
        rows.append([f"{label}/{place}.png", patient])
    with (root / "patients.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def lungsegdb(root):
    """Two slices of one int16 volume (V1), two uint8 colour slices (V2)."""
    for place in range(2):
        folder = root / "preprocessed data" / "V1"
        units, mask = chest(place)
        save_tiff(folder / "CT_Images" / f"ID_0001_Z_{place:04d}.TIF", units)
        save_tiff(folder / "CT_Masks" / f"ID_0001_Z_{place:04d}.TIF", mask)
        folder = root / "preprocessed data" / "V2"
        picture, mask = tissue(30 + place, 40, 40)
        save(folder / "CT_Images" / f"ID_{place + 5:04d}_Z_0003.tif", picture, "RGB")
        save(folder / "CT_Masks" / f"ID_{place + 5:04d}_Z_0003.tif", mask, "RGB")


def chest(seed, side=40):
    """Hounsfield units of two dark lungs in a body, and their mask of 0 and 255."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), np.uint8)
    for column in (side // 3, 2 * side // 3):
        cv2.ellipse(mask, (column, side // 2), (5, 10), 0, 0, 360, 255, -1)
    units = np.where(mask > 0, -800, 40) + rng.normal(0, 15, (side, side))
    return np.rint(units).astype(np.int16), mask


def save_tiff(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), pixels):
        raise OSError(f"{path} was not written")


def main():
    for draw in (busi, pu2756, skin_tumor, folder, lungsegdb):
        draw(DATASETS / draw.__name__ / "dummy_data")


if __name__ == "__main__":
    main()
