"""A cross-validated segmentation, and the mask of each case that is out of its fold.

Of a rotation, fold `f`'s network trains on all folds but `f` and the next one, which it
is selected on, and finds the masks of `f`. Only these are ever given away here; the
masks of other cases that lie beside them (those that a network was selected on) never
are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from ultrasound_jax import config as configs
from ultrasound_jax.analysis.table.inputs import open_run as open_table
from ultrasound_jax.analysis.table.mask_table import MaskTable
from ultrasound_jax.analysis.table.splits import OUT_OF_FOLD
from ultrasound_jax.data.manifest import Manifest, fold_name
from ultrasound_jax.predict import binding, model_file
from ultrasound_jax.predict.stages.errors import StagesError
from ultrasound_jax.runs.bar import say
from ultrasound_jax.types import Settings


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A segmentation that was cross-validated, checked to be what it says.

    config: of its first fold. fold_of: example -> the fold that held it out.
    files: example -> the mask that this fold's network found. pixels: example -> how
    many pixels the table says that are marked.
    """

    folder: Path
    config: Settings
    manifest: Manifest
    classes: tuple[str, ...]
    fold_of: Mapping[str, int] = field(repr=False)
    files: Mapping[str, Path] = field(repr=False)
    pixels: Mapping[str, int] = field(repr=False)

    def mask(self, example: str) -> UInt8[np.ndarray, "h w"]:
        """The out-of-fold mask of an example: 0 background, then structures.

        Raises:
            StagesError: its file is not what the table was counted on.
        """
        return read_mask(self.files[example], self.pixels[example])


def open_segmenter(folder: Path) -> Segmenter:
    """The segmentation in a folder.

    Raises:
        StagesError: it is no cross-validated one, or a mask is not out of fold.
        BindingError, SplitError, AnalysisError: its splits or its table are not those
            that it was made with.
    """
    folder = folder.absolute()
    if not (folder / "splits.json").is_file() or not any(folder.glob("fold_*/")):
        raise StagesError(
            f"'{folder}' holds no cross-validation, so that each mask would be of a "
            "network that saw the case; --mode crossval makes one"
        )
    manifest = Manifest.read(folder / "splits.json")
    for fold in range(manifest.folds):
        _check_fold(folder, manifest, fold)
    table = open_table(folder).predictions
    if not isinstance(table, MaskTable):
        raise StagesError(f"'{folder}' holds {table.kind}, allowed is a segmentation")
    rows = table.of_split(OUT_OF_FOLD)
    side = {
        example: fold
        for fold in range(manifest.folds)
        for example in manifest.parts[fold_name(fold)].examples
    }
    _check_rows(folder, rows, side)
    counts = (rows.tp + rows.fp).sum(axis=1).tolist()
    files = [folder / name for name in rows.mask_file]
    return Segmenter(
        folder,
        configs.read(folder / "fold_0"),
        manifest,
        rows.classes,
        side,
        dict(zip(rows.example_id, files, strict=True)),
        dict(zip(rows.example_id, counts, strict=True)),
    )


def read_mask(path: Path, pixels: int) -> UInt8[np.ndarray, "h w"]:
    """A found mask, of which the table of its run says how many pixels are marked.

    Raises:
        StagesError: it is not there, or marks another number.
    """
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2 or mask.dtype != np.uint8:
        raise StagesError(f"{path}: no mask of 8 bits; judge the run again")
    if (found := int((mask > 0).sum())) != pixels:
        raise StagesError(
            f"{path}: marks {found} pixels, predictions.csv was counted on {pixels}: "
            "it is not the mask that the run found; judge the run again"
        )
    return mask


def _check_fold(folder: Path, manifest: Manifest, fold: int) -> None:
    """Refuses a fold that was not trained by these splits, without its own part."""
    own = folder / fold_name(fold)
    if not (own / "metrics.json").is_file():
        raise StagesError(
            f"'{own}' is not finished: {manifest.folds} folds are to be, so that every "
            "case has a mask of a network that never saw it"
        )
    data = configs.read(own).data
    if (data.protocol, data.fold) != ("rotation", fold):
        raise StagesError(
            f"'{own}' has data.protocol={data.protocol!r}, data.fold={data.fold}; "
            f"allowed is a fold of a cross-validation, 'rotation' and {fold}"
        )
    path = own / "splits.json"
    if (parts := Manifest.read(path)).parts != manifest.parts:
        raise StagesError(
            f"{path} and {folder / 'splits.json'} are other splits: nobody can say "
            "whom the fold's network has seen"
        )
    found = {"splits": binding.hash_of_splits(parts, data)}
    where = {"splits": str(path), "run": str(own)}
    binding.check(model_file.read(own), found, where=where, say=say)


def _check_rows(folder: Path, rows: MaskTable, side: Mapping[str, int]) -> None:
    """Refuses a table with a mask of a network that has seen its case."""
    if missing := sorted({*side} - {*rows.example_id}):
        raise StagesError(
            f"'{folder}' has no out-of-fold mask of {len(missing)} cases, such as "
            f"{missing[0]!r}"
        )
    found = zip(rows.example_id, rows.fold.tolist(), rows.mask_file, strict=True)
    for example, fold, file in found:
        if not file:
            raise StagesError(
                f"'{folder}': no mask of {example!r} was kept; judge the run again"
            )
        of = Path(file).parts[0]
        if side.get(example) != fold or of != fold_name(fold):
            raise StagesError(
                f"'{folder}': the mask of {example!r} is {file}, of fold {fold}; by "
                f"splits.json only fold {side.get(example)}'s network has not seen it"
            )
