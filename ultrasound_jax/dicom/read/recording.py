"""Clinical files through the one door of `media.open`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from ultrasound_jax.dicom.read.decode import Cine, open_cine
from ultrasound_jax.dicom.read.regions import choose_region
from ultrasound_jax.media.recording import Recording, Want
from ultrasound_jax.runs.limits import Limits

KIND, READS = "dicom", "DICOM files"
_PREAMBLE = 128
_FIRST_GROUPS = (2, 8)  # what a file without preamble begins with


def knows(head: bytes) -> bool:
    """Whether a file that begins so is DICOM, with its preamble or without."""
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return True
    if len(head) < 8:
        return False
    little = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:4], "little")
    big = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:4], "big")
    return any(g in _FIRST_GROUPS and element < 0x100 for g, element in (little, big))


def open_file(path: Path, *, want: Want, limits: Limits) -> Recording:
    """The cine or picture, once its first frame decodes.

    Raises:
        InputError: as `open_cine`.
    """
    return DicomRecording(open_cine(path, limits=limits, want=want))


class DicomRecording(Recording):
    """A clinical file: whole frames, as nothing is cut out or cleaned.

    cine: the open file, for those who need its header.
    """

    kind = KIND

    def __init__(self, cine: Cine) -> None:
        self.cine = cine

    def frames(self) -> Iterator[np.ndarray]:
        """As `Cine.frames`."""
        return self.cine.frames()

    @property
    def times(self) -> Float64[np.ndarray, " t"] | None:
        """As the header says; see `read_timing`."""
        header = self.cine.header
        if header.frames < 2 or header.timing.source == "none":
            return None
        return header.timing.timestamps(header.frames)

    @property
    def pixel_spacing(self) -> tuple[float, float] | None:
        """The scale of the region that `choose_region` takes by default."""
        header = self.cine.header
        chosen = choose_region(header.regions, header.rows, header.columns)
        if chosen is None or not (chosen[0].mm_x and chosen[0].mm_y):
            return None
        return chosen[0].mm_x, chosen[0].mm_y

    @property
    def notes(self) -> tuple[str, ...]:
        """As `Cine.notes`, and what was odd about the times."""
        return self.cine.notes + self.cine.header.timing.notes

    def close(self) -> None:
        """Closes the file."""
        self.cine.close()
