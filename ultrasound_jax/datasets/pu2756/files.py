"""The pictures of a PU2756 examination and the mask of each."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ultrasound_jax.datasets.beam.records import Skipped
from ultrasound_jax.datasets.pu2756.sheet import Examination
from ultrasound_jax.media.pictures import SUFFIXES, list_images


@dataclass(frozen=True)
class Picture:
    """One picture and its mask, under a name that tells nobody."""

    image_id: str
    path: Path
    mask: Path


def list_pictures(
    root: Path, examination: Examination
) -> tuple[list[Picture], list[Skipped]]:
    """An examination's pictures by name, and what of its files is not used.

    `E0007` is the only picture of examination 7; of several, `E0007_2` is the second.
    A mask has its picture's name up to the ending: `1.jpg` and `1.png`.
    """
    name = examination.image_id
    images = _pictures(root / "image" / examination.folder)
    masks = _pictures(root / "mask" / examination.folder)
    pictures, left = [], _strays(root, examination)
    if not images:
        left.append(Skipped(name, "0 pictures, allowed is one or more"))
    stems = Counter(path.stem for path in images)
    for place, path in enumerate(images, start=1):
        image_id = name if len(images) == 1 else f"{name}_{place}"
        beside = [mask for mask in masks if mask.stem == path.stem]
        if stems[path.stem] > 1:
            left.append(Skipped(image_id, "several pictures of its name"))
        elif len(beside) > 1:
            left.append(Skipped(image_id, "several masks of its name"))
        elif not beside:
            left.append(Skipped(image_id, "has no mask of the image's name"))
        else:
            pictures.append(Picture(image_id, path, beside[0]))
    alone = sum(mask.stem not in stems for mask in masks)
    if alone:
        left.append(Skipped(name, f"{alone} masks without their image"))
    return pictures, left


def _pictures(folder: Path) -> list[Path]:
    return list_images(folder) if folder.is_dir() else []


def _strays(root: Path, examination: Examination) -> list[Skipped]:
    """What lies beside the pictures; endings are told, names are not."""
    left = []
    for kind in ("image", "mask"):
        folder = root / kind / examination.folder
        strays = [
            path
            for path in (folder.iterdir() if folder.is_dir() else ())
            if path.suffix.lower() not in SUFFIXES and not path.name.startswith(".")
        ]
        if strays:
            reason = f"{len(strays)} files of {kind} are none of {', '.join(SUFFIXES)}"
            left.append(Skipped(examination.image_id, reason))
    return left
