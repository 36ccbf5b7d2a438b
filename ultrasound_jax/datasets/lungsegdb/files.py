"""The tree of LungSegDB: which slice has which mask, and whose it is."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ultrasound_jax.media.pictures import SUFFIXES, list_images

STAGES = {"preprocessed": "preprocessed data", "raw": "raw data"}
PARTS = ("V1", "V2")
PUBLISHED = {"V1": 1800, "V2": 700}
_NAMED = re.compile(r"ID_(?P<patient>[^_]+)_Z_(?P<slice>\d+)", re.I)
_SERIES = re.compile(r"(?P<series>.*?)[\s_.(-]*(?P<slice>\d+)[\s)]*")


@dataclass(frozen=True)
class Slice:
    """One CT slice and its mask.

    patient_id: from the name, or the series that the name belongs to.
    place: number of the slice in its volume; -1 where the name has none.
    named: whether the name tells the patient.
    """

    image_id: str
    path: Path
    mask: Path
    part: str
    patient_id: str
    place: int
    named: bool

    @property
    def name(self) -> str:
        """Part and file, as messages call it."""
        return f"{self.part}/{self.path.name}"


def list_slices(
    root: Path, stage: str, parts: tuple[str, ...]
) -> tuple[list[Slice], list[tuple[str, str]]]:
    """Slices by part and file name, and what is not used, with why.

    Image and mask share the name up to its ending, which may be `.TIF` or `.tif`.
    """
    slices: list[Slice] = []
    refused: list[tuple[str, str]] = []
    for part in parts:
        folder = root / STAGES[stage] / part
        images, masks = _by_stem(folder / "CT_Images"), _by_stem(folder / "CT_Masks")
        for stem, paths in images.items():
            name = f"{part}/{paths[0].name}"
            if len(paths) + len(masks.get(stem, ())) > 2:
                refused.append((name, "several files of this name"))
            elif stem not in masks:
                refused.append((name, "has no mask"))
            else:
                slices.append(_slice(part, paths[0], masks[stem][0]))
        refused += [
            (f"{part}/{paths[0].name}", "a mask without its image")
            for stem, paths in masks.items()
            if stem not in images
        ]
        refused += [
            (f"{part}/{path.name}", f"not a picture, allowed: {', '.join(SUFFIXES)}")
            for kind in ("CT_Images", "CT_Masks")
            for path in _strays(folder / kind)
        ]
    return slices, refused


def compare(slices: list[Slice], parts: tuple[str, ...]) -> list[str]:
    """Notes where counts are not the published ones or names tell no patient."""
    counts = Counter(one.part for one in slices)
    unnamed = Counter(one.part for one in slices if not one.named)
    notes = [
        f"{part}: {counts[part]} slices, published are {PUBLISHED[part]}"
        for part in parts
        if counts[part] != PUBLISHED[part]
    ]
    return notes + [
        f"{part}: {count} names tell no patient; the series of the name stands in"
        for part, count in unnamed.items()
    ]


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in list_images(folder) if folder.is_dir() else []:
        found.setdefault(path.stem, []).append(path)
    return found


def _strays(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(
        path
        for path in found
        if path.suffix.lower() not in SUFFIXES and not path.name.startswith(".")
    )


def _slice(part: str, path: Path, mask: Path) -> Slice:
    match = _NAMED.fullmatch(path.stem)
    if match:
        patient, place = match["patient"], int(match["slice"])
        image_id = f"{part}_{patient}_{match['slice']}"
        return Slice(image_id, path, mask, part, f"{part}_{patient}", place, True)
    series = _SERIES.fullmatch(path.stem)
    prefix, place = (series["series"], int(series["slice"])) if series else ("", -1)
    patient = f"{part}_series_{prefix or 'unnamed'}"
    return Slice(f"{part}_{path.stem}", path, mask, part, patient, place, False)
