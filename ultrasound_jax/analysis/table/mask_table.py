"""The table of masks: one row an example, with counted pixels and surface distances."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int, Num

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.error_table import PREFIX, ErrorTable
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.analysis.table.rows import Rows
from ultrasound_jax.analysis.table.sheet import Sheet, number, read_sheet

MASKS = "masks"
COUNTS = ("tp", "fp", "fn")
FILE = "mask_file"
LESIONS = ("lesions", "detected", "false_lesions", "lesion_dice")
DIAGONAL = "diagonal"
UNITS = ("px", "mm")


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskTable(Rows):
    """How predicted masks cover the true ones, class by class, and whose they are.

    From counts, Dice, IoU, sensitivity and precision follow, of an example as of any
    sum over examples; distances cannot be had from counts.

    tp, fp, fn: pixels (voxels) in both masks, in the predicted one only, in the true
        one only.
    distances: name -> distance between the masks' surfaces, or the share of them that
        is near; NaN where one of the masks is empty or the spacing of the pixels is not
        known. The unit stands in the name (`hd95_px`, `assd_mm`), and of a normalised
        surface distance its tolerance (`nsd_2px`, `nsd_0p5mm`). Names without a unit,
        as older tables have them, are of a unit that the table does not tell.
    lesions: name -> counts of connected lesions, and the sum of the Dice of those
        detected: `lesions`, and with the least intersection over union of a pair
        `detected_iou0p1`, `false_lesions_iou0p1`, `lesion_dice_iou0p1`; see
        `lesion_counts`. NaN where they were not counted.
    diagonals: unit (`px`, `mm`) -> the diagonal of each example's picture, which is the
        distance of what was missed; NaN where the spacing is not known.
    mask_file: where the predicted mask is, relative to the table; empty if not kept.

    Raises:
        AnalysisError: arrays of another shape, counts or distances below 0, a file that
            is not inside the table's folder, or see `Rows`.
    """

    PREFIXES: ClassVar[tuple[str, ...]] = tuple(f"{name}_" for name in COUNTS)
    kind: ClassVar[str] = MASKS

    tp: Int[np.ndarray, "n k"] = field(repr=False)
    fp: Int[np.ndarray, "n k"] = field(repr=False)
    fn: Int[np.ndarray, "n k"] = field(repr=False)
    distances: Mapping[str, Float[np.ndarray, "n k"]] = field(
        default_factory=dict, repr=False
    )
    lesions: Mapping[str, Float[np.ndarray, "n k"]] = field(
        default_factory=dict, repr=False
    )
    diagonals: Mapping[str, Float[np.ndarray, " n"]] = field(
        default_factory=dict, repr=False
    )
    mask_file: tuple[str, ...] = field(default=(), repr=False)

    def _check_content(self) -> None:
        wanted = (len(self), len(self.classes))
        if not self.classes:
            raise AnalysisError("a table of masks needs one class or more")
        for name in COUNTS:
            counts = np.asarray(getattr(self, name))
            _check_array(name, counts, wanted)
            if counts.dtype.kind not in "iu":
                raise AnalysisError(f"{name} are {counts.dtype}, not whole numbers")
            object.__setattr__(self, name, counts.astype(np.int64))
        for kept, what in (("distances", "distance"), ("lesions", "count of lesions")):
            given = getattr(self, kept).items()
            found = {k: np.asarray(v, np.float64) for k, v in given}
            for name, values in found.items():
                other = name in (*COUNTS, DIAGONAL) or not name.isidentifier()
                if other or is_of_lesions(name) != (kept == "lesions"):
                    raise AnalysisError(f"a {what} cannot be called {name!r}")
                _check_array(name, values, wanted)
            object.__setattr__(self, kept, found)
        across = {k: np.asarray(v, np.float64) for k, v in self.diagonals.items()}
        for unit, values in across.items():
            if unit not in UNITS:
                raise AnalysisError(f"a diagonal is in {', '.join(UNITS)}, not {unit}")
            _check_array(f"{DIAGONAL}_{unit}", values, wanted[:1])
        object.__setattr__(self, "diagonals", across)
        if not self.mask_file:
            object.__setattr__(self, "mask_file", ("",) * len(self))
        if len(self.mask_file) != len(self):
            raise AnalysisError(f"{len(self.mask_file)} {FILE}s, {len(self)} rows")
        for file in self.mask_file:
            path = PurePosixPath(file)
            if path.is_absolute() or ".." in path.parts:
                raise AnalysisError(f"{FILE} is '{file}', not a path within the folder")

    def _content_header(self) -> list[str]:
        names = (*self.distances, *self.lesions)
        return _header(self.classes, names, tuple(self.diagonals))

    def _content_cells(self, row: int) -> list[Any]:
        counts = [int(v) for name in COUNTS for v in getattr(self, name)[row]]
        far = [v for values in self.distances.values() for v in values[row].tolist()]
        for name, values in self.lesions.items():
            sums = name.startswith("lesion_dice")
            far += [v if sums or np.isnan(v) else int(v) for v in values[row].tolist()]
        far += [float(values[row]) for values in self.diagonals.values()]
        return [*counts, *("" if np.isnan(v) else repr(v) for v in far)] + [
            self.mask_file[row]
        ]

    def _content_at(self, places: Int[np.ndarray, " m"]) -> dict[str, Any]:
        return {
            **{name: getattr(self, name)[places] for name in COUNTS},
            **{
                kept: {k: v[places] for k, v in getattr(self, kept).items()}
                for kept in _NAMED
            },
            "mask_file": tuple(self.mask_file[i] for i in places),
        }

    def _content_with(self, others: Sequence[Any]) -> dict[str, Any]:
        tables = (self, *others)
        return {
            **{n: np.concatenate([getattr(t, n) for t in tables]) for n in COUNTS},
            **{kept: _joined_named(tables, kept) for kept in _NAMED},
            "mask_file": tuple(file for t in tables for file in t.mask_file),
        }

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "MaskTable":
        """Reads csv; AnalysisError names the file, the line and the value.

        Columns behind the known ones are read as `extra`.
        """
        return cls.of_sheet(read_sheet(path), path)

    @classmethod
    def of_sheet(cls, sheet: Sheet, path: str | os.PathLike[str]) -> "MaskTable":
        """Makes sense of the cells of a file; see `read`."""
        try:
            return _parse(sheet)
        except AnalysisError as error:
            raise AnalysisError(f"{Path(path)}: {error}") from error


_NAMED = ("distances", "lesions", "diagonals")  # fields by name; NaN where not known


def is_of_lesions(name: str) -> bool:
    """Whether a column's name is that of a count of lesions, and not of a distance."""
    return name.partition("_iou")[0] in LESIONS


def _joined_named(tables: Sequence[MaskTable], kept: str) -> dict[str, np.ndarray]:
    """A field by name of all tables, NaN for those that lack the name."""
    names = dict.fromkeys(name for t in tables for name in getattr(t, kept))
    shapes = [t.tp.shape[:1] if kept == "diagonals" else t.tp.shape for t in tables]
    nothing = [np.full(shape, np.nan) for shape in shapes]
    return {
        name: np.concatenate(
            [
                getattr(t, kept).get(name, empty)
                for t, empty in zip(tables, nothing, strict=True)
            ]
        )
        for name in names
    }


AnyTable = Predictions | MaskTable | ErrorTable


def read_table(path: str | os.PathLike[str]) -> AnyTable:
    """Reads a table of scores, masks or errors, whichever the header tells.

    Raises:
        AnalysisError: see `Predictions.read`, `MaskTable.read` and `ErrorTable.read`.
    """
    sheet = read_sheet(path)
    kinds = {"label_": Predictions, "tp_": MaskTable, PREFIX: ErrorTable}
    for prefix, kind in kinds.items():
        if any(name.startswith(prefix) for name in sheet.content):
            return kind.of_sheet(sheet, path)
    return Predictions.of_sheet(sheet, path)  # says what is missing


def _header(
    classes: Sequence[str], names: Sequence[str], diagonals: Sequence[str]
) -> list[str]:
    columns = [f"{what}_{name}" for what in (*COUNTS, *names) for name in classes]
    return [*columns, *(f"{DIAGONAL}_{unit}" for unit in diagonals), FILE]


def _parse(sheet: Sheet) -> MaskTable:
    classes = tuple(c.removeprefix("tp_") for c in sheet.header if c.startswith("tp_"))
    if not classes:
        raise AnalysisError("missing columns: tp_<class>")
    between = sheet.content[len(COUNTS) * len(classes) :]
    across = [f"{DIAGONAL}_{unit}" for unit in UNITS]
    names = []
    while len(between) >= len(classes) and between[0].endswith(f"_{classes[0]}"):
        name = between[0].removesuffix(f"_{classes[0]}")
        if between[: len(classes)] != [f"{name}_{c}" for c in classes]:
            break
        if name == DIAGONAL:  # the class is called as its unit is
            break
        names.append(name)
        between = between[len(classes) :]
    until = between.index(FILE) if FILE in between else 0
    diagonals = [c for c in between[:until] if c in across]
    units = [title.removeprefix(f"{DIAGONAL}_") for title in diagonals]
    further = sheet.check_begins_with(_header(classes, names, units))

    def cells(title: str, kind: type) -> np.ndarray:
        found = [
            _cell(cell, sheet.where(i), title, kind)
            for i, cell in enumerate(sheet.column(title))
        ]
        return np.array(found, kind)

    def column(name: str, kind: type) -> np.ndarray:
        found = [cells(f"{name}_{one}", kind) for one in classes]
        return np.stack(found, axis=1).reshape(len(sheet), len(classes))

    return MaskTable(
        **sheet.ids(further),
        classes=classes,
        tp=column("tp", int),
        fp=column("fp", int),
        fn=column("fn", int),
        distances={n: column(n, float) for n in names if not is_of_lesions(n)},
        lesions={n: column(n, float) for n in names if is_of_lesions(n)},
        diagonals={u: cells(f"{DIAGONAL}_{u}", float) for u in units},
        mask_file=tuple(sheet.column(FILE)),
    )


def _cell(cell: str, where: str, column: str, kind: type) -> float | int:
    if kind is float and not cell:
        return np.nan
    value = number(cell, where, column, kind)
    if not 0 <= value < 2**62:
        raise AnalysisError(f"{where}: {column} is '{cell}', not 0 or more")
    return value


def _check_array(
    name: str, values: Num[np.ndarray, "..."], wanted: tuple[int, ...]
) -> None:
    if values.shape != wanted:
        raise AnalysisError(f"{name} are {values.shape}, not {wanted}")
    if (values < 0).any() or np.isinf(values.astype(float)).any():
        raise AnalysisError(f"{name} must be 0 or more")
