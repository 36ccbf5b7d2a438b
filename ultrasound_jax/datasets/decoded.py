"""Strangers' files, decoded and cleaned in worker processes under limits.

A file that crashes its decoder, hangs or asks for too much memory is an `InputError`
with one line, and the build goes on. Pixels come back through a file that nobody else
may read and that is mapped, not loaded; everything else is JSON. Workers are started
when they are needed and stay for the next file.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from ultrasound_jax.datasets.errors import NoRoomError
from ultrasound_jax.dicom.clean.any_file import is_black, open_clean
from ultrasound_jax.dicom.clean.cleaning import CleanSettings
from ultrasound_jax.media.pictures import read_picture
from ultrasound_jax.runs.import_by_name import named
from ultrasound_jax.runs.kept_workers import KeptWorkers
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

LIMITS = Limits()
PIXELS = "pixels.raw"  # in a folder of its own that is gone before they are used


@dataclass(frozen=True, eq=False)
class Decoded:
    """A cleaned recording. Frame numbers are 1-based.

    frames: mapped from a file, in memory as far as they are looked at.
    times: seconds after the first frame; None where the file does not say.
    frame_rate, frame_rate_source: Hz and what says so; see `any_file.CleanFile`.
    pixel_mm: of the cleaned frames, across and down.
    notes, review: one line each: what was odd, and why somebody should look.
    black: frames without a picture. withheld, damaged: frames and why they are black.
    """

    frames: UInt8[np.ndarray, "t y x *c"]
    times: Float64[np.ndarray, " t"] | None
    frame_rate: float | None
    frame_rate_source: str
    pixel_mm: tuple[float | None, float | None]
    notes: tuple[str, ...]
    review: tuple[str, ...]
    black: tuple[int, ...]
    withheld: tuple[tuple[int, str], ...]
    damaged: tuple[tuple[int, str], ...]

    @property
    def frame_seconds(self) -> float | None:
        """How long a frame typically lasts: the median interval."""
        if self.times is not None and len(self.times) > 1:
            return float(np.median(np.diff(self.times)))
        return None if self.frame_rate is None else 1 / self.frame_rate


@contextlib.contextmanager
def decoded(
    path: str | Path,
    settings: CleanSettings,
    *,
    limits: Limits = LIMITS,
    withhold: bool = True,
) -> Iterator[Decoded]:
    """A recording of any kind, cleaned, while the block lasts.

    Args:
        path: of a DICOM file or a video.
        settings: how to clean.
        limits: of time and memory.
        withhold: as `open_clean` has it.

    Raises:
        InputError: it cannot be read, no fan is found to mask it to, it is beyond the
            limits, or the decoder crashed.
    """
    arguments = {
        "path": str(path),
        "settings": dataclasses.asdict(settings),
        "limits": dataclasses.asdict(limits),
        "withhold": withhold,
    }
    frames, about = _called(_clean, arguments, limits, of=str(path))
    about["frames"] = frames
    if about["times"] is not None:
        about["times"] = np.array(about["times"], np.float64)
    about["pixel_mm"] = tuple(about["pixel_mm"])
    for name in ("notes", "review", "black"):
        about[name] = tuple(about[name])
    for name in ("withheld", "damaged"):
        about[name] = tuple((number, reason) for number, reason in about[name])
    yield Decoded(**about)


def picture(
    path: str | Path,
    *,
    name: str,
    read: Callable[..., np.ndarray] = read_picture,
    limits: Limits = LIMITS,
    **options: Any,
) -> np.ndarray:
    """What `read(path, name=name, **options)` returns, read by a worker.

    Args:
        path: of the picture.
        name: what errors call it.
        read: a function at the top of a module; gives an array, raises `InputError`.
        limits: of time and memory.
        options: plain data.
    """
    arguments = {
        "path": str(path),
        "name": name,
        "read": [read.__module__, read.__qualname__],
        "options": options,
    }
    return _called(_read, arguments, limits, of=name)[0]


@contextlib.contextmanager
def workers() -> Iterator[None]:
    """A block after which no worker process waits; without it, till the program ends.

    Should another thread be at work, it gets new ones.
    """
    try:
        yield
    finally:
        for pool in list(_POOLS.values()):
            pool.close()


NO_ROOM = "there is no room on the disk"
_POOLS: dict[int, KeptWorkers] = {}  # by the bytes of memory that a call may take


def _called(
    job: Callable[..., dict[str, Any]],
    arguments: Mapping[str, Any],
    limits: Limits,
    *,
    of: str,
) -> tuple[np.ndarray, dict[str, Any]]:
    """The pixels that a job has written, and what else it says."""
    pool = _POOLS.setdefault(limits.memory_bytes, KeptWorkers(answer, limits))
    with tempfile.TemporaryDirectory(prefix="ultrasound_jax_") as folder:
        item = {"job": job.__name__, "folder": folder, "arguments": dict(arguments)}
        outcome = pool.call(item, seconds=limits.seconds)
        if not outcome.ok and NO_ROOM in outcome.reason:
            raise NoRoomError(
                f"{tempfile.gettempdir()}: {outcome.reason} of {of}; free some, or set "
                "TMPDIR to a folder of a larger disk, and build again"
            )
        if not outcome.ok:
            raise InputError(f"{of}: {outcome.reason}")
        about = outcome.value
        shape, dtype = tuple(about.pop("shape")), np.dtype(about.pop("dtype"))
        # The mapping stays when the name is gone: nothing is left behind by a crash.
        return np.memmap(Path(folder) / PIXELS, dtype, "c", shape=shape), about


def answer(item: dict[str, Any]) -> dict[str, Any]:
    """One job, in a worker: writes pixels into the item's folder, returns the rest."""
    job = {"_clean": _clean, "_read": _read}[item["job"]]
    arguments = item["arguments"]
    prefix = f"{arguments.get('name', arguments['path'])}: "
    try:
        return job(Path(item["folder"]) / PIXELS, **arguments)
    except InputError as error:
        reason = str(error).removeprefix(prefix)
        raise InputError(reason.replace(arguments["path"], "the file")) from None


def _clean(
    target: Path,
    path: str,
    settings: dict[str, Any],
    limits: dict[str, Any],
    withhold: bool,
) -> dict[str, Any]:
    count, black, shape = 0, [], (0, 0)
    how, within = CleanSettings(**settings), Limits(**limits)
    opened = open_clean(path, how, limits=within, withhold=withhold)
    with opened as file, target.open("wb") as pixels:
        for count, frame in enumerate(file.frames(), 1):
            if shape not in ((0, 0), frame.shape):
                raise InputError("frames of several sizes, allowed is one size")
            shape = frame.shape
            if is_black(frame):
                black.append(count)
            _write(pixels.write, frame)
        if not count:
            raise InputError("no frame decodes")
        damaged = getattr(file.cine, "damaged", ())
        hidden = {number for number, _ in (*file.withheld, *damaged)}
        return {
            "shape": [count, *shape],
            "dtype": "uint8",
            "times": None if file.times is None else file.times[:count].tolist(),
            "frame_rate": file.frame_rate,
            "frame_rate_source": file.frame_rate_source,
            "pixel_mm": file.pixel_mm,
            "notes": file.notes,
            "review": file.review,
            "black": [number for number in black if number not in hidden],
            "withheld": file.withheld,
            "damaged": damaged,
        }


def _read(
    target: Path, path: str, name: str, read: list[str], options: dict[str, Any]
) -> dict[str, Any]:
    function = named(*read, setting="a picture's reader")
    pixels = np.asarray(function(Path(path), name=name, **options))
    with target.open("wb") as file:
        _write(file.write, pixels)
    return {"shape": pixels.shape, "dtype": pixels.dtype.str}


def _write(write: Callable[[Any], Any], pixels: np.ndarray) -> None:
    try:
        write(np.ascontiguousarray(pixels).data)
    except OSError as error:
        raise InputError(f"{NO_ROOM} ({error.strerror}) for the pixels") from error
