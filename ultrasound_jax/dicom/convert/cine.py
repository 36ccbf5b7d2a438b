"""One cine file -> AVI, PNG frames or clips, with a sidecar; runs in a worker."""

from collections.abc import Iterable, Iterator
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
from ultrasound_jax.dicom.convert.job import (
    DEFAULT_RATE,
    TAILS,
    TARGETS,
    Job,
    outputs_of,
)
from ultrasound_jax.dicom.convert.written import (
    Counted,
    in_order,
    write_clips,
    write_film,
    write_pngs,
)
from ultrasound_jax.dicom.read.decode import Cine, open_cine
from ultrasound_jax.dicom.read.regions import TWO_D, choose_region
from ultrasound_jax.dicom.read.series import CineSeries, open_series
from ultrasound_jax.dicom.read.timing import FrameTiming
from ultrasound_jax.media.geometry import resample_times
from ultrasound_jax.types import InputError

__all__ = [
    "DEFAULT_RATE",
    "TAILS",
    "TARGETS",
    "CleanSettings",
    "Job",
    "convert_one",
    "outputs_of",
    "prepare_frames",
    "schedule",
]


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
    frames = in_order(_blackened(cine, frames), order)
    counted = Counted(frames)
    if job.to == "avi":
        files = write_film(job, counted, rate)
    elif job.to == "png":
        # All damage is known, as every frame has been looked at.
        away = {one.frame for one in cleaning.watched.withheld} | dict(
            cine.damaged
        ).keys()
        files = write_pngs(job, counted, left_out.places(order, away))
    else:
        files = write_clips(job, counted, rate, len(order))
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
