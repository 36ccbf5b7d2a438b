"""One door for any recording: DICOM, video, animated GIF or picture, by its content.

A reader is a module with `KIND`, `READS` (what it reads, in words), `knows(head)`, true
if a file that begins so is its own, and `open_file(path, want=…, limits=…)`. A new
format is a new module in READERS. DICOM stands above this room and is found by name.
"""

import importlib
from pathlib import Path
from types import ModuleType

from ultrasound_jax.media.recording import Recording, Want
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

READERS = (
    "ultrasound_jax.dicom.read.recording",
    "ultrasound_jax.media.formats.picture",
    "ultrasound_jax.media.formats.video",
)
HEAD = 512  # bytes that tell what a file is


def open_recording(
    path: str | Path, *, want: Want = "stored", limits: Limits | None = None
) -> Recording:
    """The recording in a file, whose name does not matter.

    Args:
        path: the file.
        want: `stored` gives RGB for what is in colour; `grey` gives luminance for all.
        limits: what the file may take; the defaults fit real scanners.

    Raises:
        InputError: no such file, none of the kinds that can be read, damaged, or beyond
            the limits.
    """
    path = Path(path)
    reader = _reader_of(path)
    return reader.open_file(path, want=want, limits=limits or Limits())


def kind_of(path: str | Path) -> str:
    """What a file holds by its first bytes: `dicom`, `video` or `picture`.

    Raises:
        InputError: no such file, or none of these.
    """
    return _reader_of(Path(path)).KIND


def _reader_of(path: Path) -> ModuleType:
    if not path.is_file():  # a pipe or a device would block for ever
        raise InputError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    readers = [importlib.import_module(name) for name in READERS]
    for reader in readers:
        if reader.knows(head):
            return reader
    raise InputError(
        f"{path}: not a recording by its content, allowed are "
        + "; ".join(reader.READS for reader in readers)
    )
