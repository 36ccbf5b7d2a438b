"""One cine file -> AVI, PNG frames or clips, with a sidecar; runs in a worker."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from ultrasound_jax.dicom.clean.any_file import is_film, open_to_clean, planned
from ultrasound_jax.dicom.clean.cleaning import (
    Cleaning,
    CleanSettings,
    prepare_frames,
)
from ultrasound_jax.dicom.clean.film import FilmCine
from ultrasound_jax.dicom.convert import left_out, sidecar
from ultrasound_jax.dicom.read.damage import CHOICES, OnDamage
from ultrasound_jax.dicom.read.decode import Cine, open_cine
from ultrasound_jax.dicom.read.regions import TWO_D, choose_region
from ultrasound_jax.dicom.read.series import CineSeries, open_series
from ultrasound_jax.dicom.read.timing import FrameTiming
from ultrasound_jax.media.cutting import (
    clip_windows,
    pad_tail,
)
from ultrasound_jax.media.geometry import resample_times
from ultrasound_jax.media.writers import (
    write_avi,
    write_png,
)
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

__all__ = ["CleanSettings", "Job", "convert_one", "prepare_frames", "schedule"]

TARGETS = ("avi", "png", "clips")
TAILS = ("true", "pad", "drop")
DEFAULT_RATE = 30.0  # Hz, where the file states none; the original assumes the same
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}")


@dataclass(frozen=True)
class Job:
    """What to do with one file; plain data, so that it can travel to a worker.

    source: the file; series: where the cine is several single-frame files, all of them
    in order, the first of which is the source. out: the folder to write to. suffix:
    behind the video's id in the names of files, where several regions of a video are
    cut out. to: `avi`, `png` or `clips`. rate: Hz to resample to, None keeps the file's
    frames. length, step, tail: of clips, in frames; `true` writes the frames there are,
    `pad` repeats the last one up to the length, `drop` leaves shorter clips out.
    contained: see `cutting.clip_windows`. damaged: as `open_cine` has it. about,
    fingerprint: see `sidecar`.
    """

    video_id: str
    source: str
    out: str
    to: str = "avi"
    clean: CleanSettings = field(default_factory=CleanSettings)
    rate: float | None = None
    codec: str = "ffv1"
    length: int = 30
    step: int = 24
    tail: str = "true"
    contained: str = "join"
    damaged: OnDamage = "refuse"
    limits: Limits = field(default_factory=Limits)
    about: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    suffix: str = ""
    series: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.damaged not in CHOICES:
            raise InputError(
                f"damaged is {self.damaged!r}, allowed are {', '.join(CHOICES)}"
            )
        if not _SAFE_ID.fullmatch(self.name):
            raise InputError(
                f"video_id {self.name!r} cannot name a file, allowed are letters, "
                "digits, _ and -"
            )
        if self.to not in TARGETS or self.tail not in TAILS:
            raise InputError(
                f"to {self.to!r} with tail {self.tail!r}, allowed are "
                f"{', '.join(TARGETS)} with {', '.join(TAILS)}"
            )

    @property
    def name(self) -> str:
        """What the names of its files begin with."""
        return f"{self.video_id}{self.suffix}"

    @property
    def sidecar_path(self) -> Path:
        """Where the sidecar lies; it is written last."""
        return Path(self.out) / f"{self.name}.{self.to}.json"

    def to_json(self) -> dict[str, Any]:
        """As `from_json` takes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> "Job":
        """The job that `to_json` described."""
        clean, limits = CleanSettings(**tree["clean"]), Limits(**tree["limits"])
        series = tuple(tree.get("series", ()))
        made: dict[str, Any] = {"clean": clean, "limits": limits, "series": series}
        return cls(**(tree | made))

    def outputs(self) -> list[Path]:
        """Every file of this video and target that exists, temporary ones too."""
        return outputs_of(Path(self.out), self.name, self.to)


def outputs_of(out: Path, name: str, to: str) -> list[Path]:
    """Every file of this video and target in the folder `out`, temporary ones too."""
    found = list(out.glob(f".{name}*.tmp"))
    if to == "avi":
        found += [out / f"{name}.avi"]
    elif to == "clips":
        found += out.glob(f"{name}_[0-9]*_[0-9]*.avi")
    else:
        found += (out / name).glob(f"{name}_[0-9]*.png")
        found += (out / name).glob(f".{name}*.tmp")
    sidecar_path = out / f"{name}.{to}.json"
    return [path for path in [sidecar_path, *found] if path.exists()]


def convert_one(tree: dict[str, Any]) -> dict[str, Any]:
    """Converts the file of a job (as JSON) and says what came out, as JSON.

    Nothing of an earlier, unfinished conversion is left.

    Raises:
        InputError: the file cannot be converted; the message names no path.
    """
    job = Job.from_json(tree)
    for path in job.outputs():
        path.unlink()
    try:
        with _open(job) as cine:
            return _convert(cine, job)
    except InputError as error:
        # Paths may carry names, and reasons are written into the summary.
        text = str(error).removeprefix(f"{job.source}: ")
        text = text.replace(job.source, "the file").replace(f"{job.out}/", "")
        raise InputError(text) from None


def _open(job: Job) -> Cine | CineSeries | FilmCine:
    if job.series:
        return open_series(job.series, limits=job.limits, damaged=job.damaged)
    if is_film(job.source):
        return open_to_clean(job.source, job.clean, limits=job.limits)
    return open_cine(job.source, limits=job.limits, damaged=job.damaged)


def schedule(
    timing: FrameTiming, frames: int, rate: float | None
) -> tuple[Int[np.ndarray, " n"], float, list[str]]:
    """Which source frame each written frame is, the written rate in Hz, and notes.

    Args:
        timing: of the file.
        frames: of the file.
        rate: Hz to resample to; None keeps the frames, at the file's (mean) rate.
    """
    notes = list(timing.notes)
    if timing.rate is None and frames > 1:
        notes.append(f"the file states no frame rate: {DEFAULT_RATE:g} Hz is assumed")
    own = timing.rate or DEFAULT_RATE
    if rate is None or frames == 1:
        if timing.times is not None:
            notes.append("frame times vary: the file written has the mean rate")
        return np.arange(frames), own, notes
    times = timing.timestamps(frames, DEFAULT_RATE)
    return resample_times(times, rate), rate, notes


def _convert(cine: Cine | CineSeries | FilmCine, job: Job) -> dict[str, Any]:
    header = cine.header
    if job.to == "clips" and header.frames == 1:
        raise InputError("a still image has no clips, allowed are cines")
    order, rate, notes = schedule(header.timing, header.frames, job.rate)
    cleaning = planned(cine, job.clean)
    frames = prepare_frames(cine, job.clean, cleaning=cleaning)
    frames = _in_order(_blackened(cine, frames), order)
    counted = _Counted(frames)
    if job.to == "avi":
        files = _write_avi(job, counted, rate)
    elif job.to == "png":
        # All damage is known, as every frame has been looked at.
        away = {one.frame for one in cleaning.watched.withheld} | dict(
            cine.damaged
        ).keys()
        files = _write_pngs(job, counted, left_out.places(order, away))
    else:
        files = _write_clips(job, counted, rate, len(order))
    if counted.count < len(order):
        notes.append(
            f"the file states {header.frames} frames, only "
            f"{order[counted.count - 1] + 1 if counted.count else 0} decode"
        )
    fields = _fields(cine, job, cleaning, order[: counted.count], rate)
    fields["notes"] = [*cine.notes, *notes, *fields["notes"]]
    fields |= {"rows": counted.shape[0], "columns": counted.shape[1], "files": files}
    sidecar.write_sidecar(job.sidecar_path, fields)
    return summary(fields)


def summary(fields: dict[str, Any]) -> dict[str, Any]:
    """What the run's table shows of a sidecar."""
    names = ("video_id", "frames", "rows", "columns", "frame_rate", "fan_kept")
    names += ("region_index",)
    row = {name: fields[name] for name in names}
    row["fan"] = (fields["fan"] or {"kind": "none"})["kind"]
    return (
        row
        | {"files": len(fields["files"])}
        | {n: len(fields[f"{n}_frames"]) for n in ("withheld", "black", "damaged")}
        | {name: list(fields[name]) for name in ("review", "notes")}
    )


def _fields(
    cine: Cine | CineSeries | FilmCine,
    job: Job,
    cleaning: Cleaning,
    order: np.ndarray,
    rate: float,
) -> dict[str, Any]:
    header = cine.header
    fields = dict(job.about) | cleaning.to_json()
    fields["damaged_frames"] = [
        {"frame": frame, "reason": reason} for frame, reason in cine.damaged
    ]
    hurt = {frame for frame, _ in cine.damaged}  # black as well, but not by themselves
    fields["black_frames"] = [n for n in fields["black_frames"] if n not in hurt]
    fields |= {
        "video_id": job.video_id,
        "fingerprint": job.fingerprint,
        "decoder": cine.decoder,
        "region_index": _region_index(cine, job),
        "source_rows": header.rows,
        "source_columns": header.columns,
        "source_frames": header.frames,
        "source_frame_rate": header.timing.rate,
        "source_frame_rate_source": header.timing.source,
        "frames": len(order),
        "frame_rate": rate,
        "codec": job.codec if job.to != "png" else "png",
    }
    if job.rate is not None:
        fields["source_frame_of_frame"] = (order + 1).tolist()
    elif header.timing.times is not None:
        times = header.timing.timestamps(len(order), DEFAULT_RATE)
        fields["frame_times"] = np.round(times, 6).tolist()
    if job.to == "clips":
        fields |= {"clip_length": job.length, "clip_step": job.step}
        fields |= {"clip_tail": job.tail, "clip_contained": job.contained}
    return fields


def _region_index(cine: Cine | CineSeries | FilmCine, job: Job) -> int | None:
    """Which of the file's regions was cut out; None where the whole picture was."""
    header, asked = cine.header, job.clean.region
    regions = header.regions or ()
    chosen = choose_region(regions, header.rows, header.columns, index=asked)
    if chosen is None or (asked is None and chosen[0].spatial_format != TWO_D):
        return None
    return chosen[0].index


def _blackened(
    cine: Cine | CineSeries | FilmCine, frames: Iterable[np.ndarray]
) -> Iterator[np.ndarray]:
    """Frames that are black wherever the file's are damaged, whatever cleaning does."""
    for number, frame in enumerate(frames, 1):
        damaged = any(number == one for one, _ in cine.damaged)
        yield np.zeros_like(frame) if damaged else frame


class _Counted:
    """Counts frames on their way to a writer."""

    def __init__(self, frames: Iterable[np.ndarray]):
        self.frames, self.count, self.shape = frames, 0, (0, 0)

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame in self.frames:
            self.count += 1
            self.shape = frame.shape
            yield frame


def _in_order(
    frames: Iterable[np.ndarray], order: Int[np.ndarray, " n"]
) -> Iterator[np.ndarray]:
    """Leaves frames out and repeats them; `order` never goes back."""
    repeats = np.bincount(order)
    for frame, count in zip(frames, repeats, strict=False):
        for _ in range(count):
            yield frame


def _write_avi(job: Job, frames: Iterable[np.ndarray], rate: float) -> list[str]:
    name = f"{job.name}.avi"
    write_avi(Path(job.out) / name, frames, rate, codec=job.codec)
    return [name]


def _write_pngs(
    job: Job, frames: Iterable[np.ndarray], left_out: Collection[int]
) -> list[str]:
    """A file for each frame but those left out, whose numbers are missing."""
    files = []
    for number, frame in enumerate(frames, 1):
        if number in left_out:
            continue
        files.append(f"{job.name}/{job.name}_{number:05d}.png")
        write_png(Path(job.out) / files[-1], frame)
    if not files:
        raise InputError("no frame decodes, or none may be shown")
    return files


def _write_clips(
    job: Job, frames: Iterable[np.ndarray], rate: float, total: int
) -> list[str]:
    """Clips as they fill; at most `length` frames are held."""
    windows = clip_windows(total, job.length, job.step, contained=job.contained)
    held: dict[int, np.ndarray] = {}
    files, seen = [], 0
    for seen, frame in enumerate(frames, 1):
        held[seen - 1] = frame
        while windows and windows[0][1] <= seen:
            files += _write_clip(job, held, *windows.pop(0), rate)
        first = windows[0][0] if windows else seen
        held = {index: held[index] for index in held if index >= first}
    # What is left are clips that the file, against its header, has not enough for.
    for start, _ in windows:
        if start < seen:
            files += _write_clip(job, held, start, seen, rate)
    if seen == 0:
        raise InputError("no frame decodes")
    return files


def _write_clip(
    job: Job, held: dict[int, np.ndarray], start: int, end: int, rate: float
) -> list[str]:
    if end - start < job.length and job.tail == "drop":
        return []
    clip = np.stack([held[index] for index in range(start, end)])
    if job.tail == "pad":
        clip = pad_tail(clip, job.length)
    name = f"{job.name}_{start + 1:05d}_{end:05d}.avi"
    write_avi(Path(job.out) / name, clip, rate, codec=job.codec)
    return [name]
