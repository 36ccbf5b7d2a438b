"""The table of errors: one row an example, with how far its picture is reproduced."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.rows import Rows
from ultrasound_jax.analysis.table.sheet import Sheet, number, read_sheet

ERRORS = "errors"
PREFIX = "mse_"


@dataclass(frozen=True, eq=False, kw_only=True)
class ErrorTable(Rows):
    """Mean squared errors of examples, and whose they are.

    classes: the fields of pixels that are reproduced, such as `image`.
    mse: over an example's pixels, on the scale of 0 to 1.

    Raises:
        AnalysisError: no class, an error that is not in [0, 1], or see `Rows`.
    """

    PREFIXES: ClassVar[tuple[str, ...]] = (PREFIX,)
    kind: ClassVar[str] = ERRORS

    mse: Float[np.ndarray, "n k"] = field(repr=False)

    def _check_content(self) -> None:
        if not self.classes:
            raise AnalysisError("a table of errors needs one class or more")
        object.__setattr__(self, "mse", np.asarray(self.mse, np.float64))
        wanted = (len(self), len(self.classes))
        if self.mse.shape != wanted:
            raise AnalysisError(f"errors are {self.mse.shape}, not {wanted}")
        wrong = np.argwhere(~((self.mse >= 0) & (self.mse <= 1)))
        if len(wrong):
            row, k = wrong[0]
            raise AnalysisError(
                f"{PREFIX}{self.classes[k]} of example {self.example_id[row]!r} is "
                f"{self.mse[row, k]}; allowed are 0 to 1"
            )

    def _content_header(self) -> list[str]:
        return [f"{PREFIX}{name}" for name in self.classes]

    def _content_cells(self, row: int) -> list[Any]:
        return [repr(float(value)) for value in self.mse[row]]

    def _content_at(self, places: Int[np.ndarray, " m"]) -> dict[str, Any]:
        return {"mse": self.mse[places]}

    def _content_with(self, others: Sequence[Any]) -> dict[str, Any]:
        return {"mse": np.concatenate([t.mse for t in (self, *others)])}

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "ErrorTable":
        """Reads csv; AnalysisError names the file, the line and the value."""
        return cls.of_sheet(read_sheet(path), path)

    @classmethod
    def of_sheet(cls, sheet: Sheet, path: str | os.PathLike[str]) -> "ErrorTable":
        """Makes sense of the cells of a file; see `read`."""
        titles = [name for name in sheet.content if name.startswith(PREFIX)]
        try:
            further = sheet.check_begins_with(titles)
            columns = [
                [
                    number(cell, sheet.where(row), title, float)
                    for row, cell in enumerate(sheet.column(title))
                ]
                for title in titles
            ]
            return cls(
                **sheet.ids(further),
                classes=tuple(title.removeprefix(PREFIX) for title in titles),
                mse=np.array(columns, float).reshape(len(titles), -1).T,
            )
        except AnalysisError as error:
            raise AnalysisError(f"{Path(path)}: {error}") from error
