"""The original layout of BUSI: which picture has which masks."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ultrasound_jax.media.pictures import (
    SUFFIXES,
    list_images,
)

CLASSES = ("benign", "malignant", "normal")
PUBLISHED = {"benign": 437, "malignant": 210, "normal": 133}
_NAME = re.compile(r"(benign|malignant|normal) ?\((\d+)\)(_mask(?:_\d+)?)?", re.I)


@dataclass(frozen=True)
class Picture:
    """One image, its masks, and whose it is as far as that can be known.

    patient_id: the near-duplicate group; empty until `duplicates.py` has looked.
    """

    image_id: str
    path: Path
    masks: tuple[Path, ...]
    label: str
    patient_id: str = ""

    @property
    def name(self) -> str:
        """The file's name with its folder, as in the original."""
        return f"{self.path.parent.name}/{self.path.name}"


def list_pictures(root: Path) -> tuple[list[Picture], list[tuple[str, str]]]:
    """Pictures in the order of classes and numbers, and what is not one, with why.

    The class is the folder's: a `benign (3).png` in `malignant` is not used.
    """
    pictures: list[Picture] = []
    refused: list[tuple[str, str]] = []
    for label in CLASSES:
        folder = root / label
        if not folder.is_dir():
            continue
        images: dict[int, Path] = {}
        masks: dict[int, list[Path]] = defaultdict(list)
        for path in list_images(folder):
            match = _NAME.fullmatch(path.stem)
            if match is None or match[1].lower() != label:
                reason = f"not named as `{label} (n)` or `{label} (n)_mask`"
                refused.append((f"{label}/{path.name}", reason))
            elif match[3]:
                masks[int(match[2])].append(path)
            elif int(match[2]) in images:
                refused.append((f"{label}/{path.name}", "its number occurs twice"))
            else:
                images[int(match[2])] = path
        refused += [
            (f"{label}/{path.name}", "a mask without its image")
            for number in sorted(masks.keys() - images.keys())
            for path in masks[number]
        ]
        refused += _strays(folder)
        pictures += [
            Picture(
                f"{label}_{number:04d}", images[number], tuple(masks[number]), label
            )
            for number in sorted(images)
        ]
    return pictures, refused


def _strays(folder: Path) -> list[tuple[str, str]]:
    strays = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() not in SUFFIXES and not path.name.startswith(".")
    )
    reason = f"not a picture, allowed: {', '.join(SUFFIXES)}"
    return [(f"{folder.name}/{name}", reason) for name in strays]
