"""What is asked of two stages, and what of it must stay when they go on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultrasound_jax.datasets.regions.options import SKIP, USE_WHOLE
from ultrasound_jax.media.regions import LARGEST, MASKED, ROI, SQUARE, TRUE, WHOLE
from ultrasound_jax.predict.stages.errors import StagesError
from ultrasound_jax.runs.files import read_json, write_whole

RADIOMICS_TRUE, RADIOMICS_FOUND = "radiomics_true", "radiomics_found"
RADIOMICS = (RADIOMICS_TRUE, RADIOMICS_FOUND)
OF_NETWORKS = (WHOLE, ROI, MASKED, TRUE)
KINDS = (*OF_NETWORKS, *RADIOMICS)
REFUSE = "refuse"
NOTHING = (USE_WHOLE, SKIP, REFUSE)
MARGINS = (0, 10, 25, 50)
NAME = "asked.json"


@dataclass(frozen=True)
class Asked:
    """What the command line says of regions.

    kinds: what is classified. margins: in percent, of those that have a box.
    part, shape: see `media.regions.Cut`. nothing: what is done with a picture on which
    nothing was found. pixels: side of the pictures that are cut; 0 is the segmenter's.
    classes: to tell apart; none is all. strict: masks of training cases are of networks
    that saw nothing of the judged fold. trials, inner: of the search of radiomics.
    """

    kinds: tuple[str, ...] = (WHOLE, ROI, MASKED)
    margins: tuple[int, ...] = MARGINS
    part: str = LARGEST
    shape: str = SQUARE
    nothing: str = USE_WHOLE
    pixels: int = 0
    classes: tuple[str, ...] = ()
    strict: bool = False
    trials: int = 50
    inner: int = 10

    def variants(self) -> dict[str, tuple[str, int]]:
        """Name of a run -> its kind and its margin, the whole picture first."""
        found: dict[str, tuple[str, int]] = {}
        for kind in KINDS:
            if kind not in self.kinds:
                continue
            if kind in (WHOLE, *RADIOMICS):
                found[kind] = (kind, 0)
                continue
            for margin in self.margins:
                found[f"{kind}_m{margin:02d}"] = (kind, margin)
        return found


def claim(folder: Path, told: Mapping[str, Any]) -> None:
    """Keeps what a folder's masks are of; refuses one that was begun with others.

    Kinds and margins may be added.

    Raises:
        StagesError: the folder holds something else, or other settings.
    """
    path = folder / NAME
    told = json.loads(json.dumps(dict(told)))
    if path.is_file():
        begun = read_json(path)
        for key, value in told.items():
            if begun.get(key) != value:
                raise StagesError(
                    f"--workdir '{folder}' was begun with {key}={begun.get(key)!r}, "
                    f"now it is {value!r}; give the same, or another --workdir"
                )
        return
    if folder.is_dir() and any(one.name[0] != "." for one in folder.iterdir()):
        raise StagesError(
            f"--workdir '{folder}' holds other files and no two stages (no {NAME}); "
            "give an empty or a new folder"
        )
    write_whole(path, json.dumps(told, indent=1) + "\n")
