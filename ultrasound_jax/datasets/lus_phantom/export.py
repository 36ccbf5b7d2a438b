"""The phantom as a hospital would hand it over: DICOM files and labelling sheets.

python -m ultrasound_jax.datasets.lus_phantom.export --out DIR

Whoever wants to try the way from a scanner's files to a trained network can do so
without any patient. The layout is LUV-Net's (specification, sections 1.1, 1.2, 1.7):

    DIR/development/dicom/<date>/<patient>/00001.dcm ...
    DIR/development/labels/annotator_1.csv, annotator_2.csv
    DIR/temporal/dicom/...
    DIR/temporal/labels/expert.csv, reader_1.csv, reader_2.csv

`annotator_1` and `expert` hold the truth, frame by frame. The others are imagined:
the truth with ends of ranges moved by up to two frames, and now and then a finding
missed. Everything follows from the seed.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lus_phantom.lus_phantom_dataset_builder import (
    Builder,
    PhantomConfig,
    simulate_video,
)
from ultrasound_jax.datasets.lus_phantom.patients import draw_findings, draw_patient
from ultrasound_jax.datasets.lus_phantom.scene import draw_scene
from ultrasound_jax.dicom.make.ultrasound_file import (
    SYNTAXES,
    Calibration,
    Identity,
    write_cine,
)
from ultrasound_jax.labels.findings import (
    COLUMNS,
    PATTERNS,
    SCORE_COLUMN,
    score_text,
)
from ultrasound_jax.labels.sheet import (
    Range,
    format_ranges,
    ranges_of,
)
from ultrasound_jax.runs import cli
from ultrasound_jax.runs.bar import Progress
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv

READERS = {
    "development": ("annotator_1", "annotator_2"),
    "temporal": ("expert", "reader_1", "reader_2"),
}
DATES = {
    "development": "20010101",
    "temporal": "20020202",
}  # long before ultrasound_jax
ZONES = ("R1", "R2", "R3", "R4", "L1", "L2", "L3", "L4")
MARGIN = 24  # pixels of screen around the picture, where scanners print names
CONFLUENT_LINES = 14  # scenes with as many B-lines are drawn as confluent
MISSED = 0.15  # how often an imagined reader overlooks a finding
HEADING = (
    *("PatientID", "Data_idx", "StudyDate", "Data_type", "Point Zone"),
    *COLUMNS.values(),
    *("Lung sliding", SCORE_COLUMN),
)

Marks = dict[str, tuple[Range, ...]]


@dataclass(frozen=True)
class Filmed:
    """One exported video: its name and what is true of it.

    patient_id: as in the DICOM file and the sheets. length: in frames. frames: uint8
    `t s s`, as they stand in the file's region. marks: the true ranges of each finding.
    """

    part: str
    patient_id: str
    data_idx: int
    zone: str
    length: int
    frames: np.ndarray
    pixel_mm: float
    marks: Marks


def film(config: PhantomConfig, part: str, patient: int, video: int) -> Filmed:
    """Simulates one video of the phantom; the same as the data set's own."""
    frames, visible, pixel_mm = simulate_video(config, patient, video)
    shown = {
        name: ranges_of((np.flatnonzero(column) + 1).tolist())
        for name, column in zip(PATTERNS, visible.T, strict=True)
    }
    if _is_confluent(config, patient, video):
        shown["confluent_b_line"] = shown.pop("b_line")
    return Filmed(
        part,
        f"PHANTOM{patient:04d}",
        video + 1,
        ZONES[video % len(ZONES)],
        len(frames),
        frames,
        pixel_mm,
        {name: shown.get(name, ()) for name in COLUMNS},
    )


def _is_confluent(config: PhantomConfig, patient: int, video: int) -> bool:
    """Draws the scene again, as `simulate_video` does, and counts its B-lines."""
    person = draw_patient(config.seed, patient)
    rng = np.random.default_rng([config.seed, 3, patient, video])
    findings = draw_findings(rng, person.tendency)
    rng.uniform(2.0, 3.3)  # the length
    lines = draw_scene(rng, person, findings).b_lines
    return lines is not None and len(lines.level) >= CONFLUENT_LINES


def imagined(marks: Marks, frames: int, rng: np.random.Generator) -> Marks:
    """What another reader might have marked."""
    seen = {}
    for name, ranges in marks.items():
        missed = rng.random() < MISSED
        moved = []
        for start, end in ranges:
            shift = rng.integers(-2, 3, 2)
            start = int(np.clip(start + shift[0], 1, frames))
            moved.append((start, int(np.clip(end + shift[1], start, frames))))
        seen[name] = () if missed else tuple(moved)
    return seen


def export(
    out: str | Path,
    *,
    config: PhantomConfig,
    temporal_patients: int = 2,
    syntax: str = "explicit",
    keep_frames: bool = False,
) -> list[Filmed]:
    """Writes the tree below `out`; returns what is true of it.

    One patient is in memory at a time; the frames of those returned are left out unless
    `keep_frames`.

    Each patient also gets what real folders hold: a still image, a screen without a
    calibrated region, and a second copy of the first video. The last
    `temporal_patients` of the configuration's patients make the temporal set.

    Raises:
        DatasetError: `out` is not empty, or no patients are left for development.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out}: allowed is a new or an empty folder")
    if not 0 <= temporal_patients < config.patients:
        raise DatasetError(
            f"{temporal_patients} of {config.patients} patients for the temporal set, "
            f"allowed are 0 to {config.patients - 1}"
        )
    videos, first_temporal = [], config.patients - temporal_patients
    with Progress(config.patients, "patients") as progress:
        for patient in range(config.patients):
            part = "temporal" if patient >= first_temporal else "development"
            filmed = [film(config, part, patient, v) for v in range(config.videos)]
            _write_patient(out, filmed, config.frame_rate, syntax)
            for video in filmed:
                kept = video.frames if keep_frames else video.frames[:0].copy()
                videos.append(replace(video, frames=kept))
            progress.advance()
    for part, readers in READERS.items():
        rows = [video for video in videos if video.part == part]
        for number, reader in enumerate(readers if rows else ()):
            path = out / part / "labels" / f"{reader}.csv"
            write_whole(path, _sheet(rows, config.seed, number))
    return videos


def _write_patient(
    out: Path, videos: list[Filmed], frame_rate: float, syntax: str
) -> None:
    name, part = videos[0].patient_id, videos[0].part
    folder = out / part / "dicom" / DATES[part] / name
    size = videos[0].frames.shape[1]

    def write(frames: np.ndarray, number: int, video: Filmed | None, **how) -> None:
        identity = Identity(
            patient_id=name, study_date=DATES[part], instance=how.pop("copy_of", number)
        )
        end = MARGIN + size - 1
        region = video and Calibration(
            left=MARGIN, top=MARGIN, right=end, bottom=end, pixel_mm=video.pixel_mm
        )
        write_cine(
            folder / f"{number:05d}.dcm",
            frames,
            identity=identity,
            frame_rate=frame_rate,
            calibration=region,
            syntax=syntax,
            **how,
        )

    for video in videos:
        write(_screens(video.frames, name), video.data_idx, video)
    first, last = videos[0], videos[-1].data_idx
    still = _screens(first.frames[:1], name)
    write(still, last + 1, first, multi_frame=False)
    write(np.zeros_like(still), last + 2, None, multi_frame=False)
    write(_screens(first.frames, name), last + 3, first, copy_of=first.data_idx)


def _screens(frames: np.ndarray, text: str) -> np.ndarray:
    """The scanner's screen around the picture, with a name printed above it."""
    size = frames.shape[1]
    screen = np.zeros((size + 2 * MARGIN, size + 2 * MARGIN), np.uint8)
    where, font = (2, MARGIN - 8), cv2.FONT_HERSHEY_PLAIN
    cv2.putText(screen, text, where, font, 0.7, 255)
    cv2.putText(screen, "SIMULATED", (2, size + 2 * MARGIN - 8), font, 0.7, 200)
    screens = np.repeat(screen[None], len(frames), axis=0)
    screens[:, MARGIN : MARGIN + size, MARGIN : MARGIN + size] = frames
    return np.repeat(screens[..., None], 3, axis=-1)


def _sheet(videos: list[Filmed], seed: int, reader: int) -> str:
    rows: list[list[str | int]] = [list(HEADING)]
    for place, video in enumerate(videos):
        marks = video.marks
        if reader:
            rng = np.random.default_rng([seed, 4, reader, place])
            marks = imagined(marks, video.length, rng)
        present = [name for name, ranges in marks.items() if ranges]
        rows.append(
            [video.patient_id, video.data_idx, DATES[video.part], "video", video.zone]
            + [format_ranges(marks[name]) for name in COLUMNS]
            + ["+", score_text(present)]
        )
    return people_csv(rows)


def main(argv: list[str] | None = None) -> int:
    """The command; see the module."""
    parser = cli.Parser(
        "python -m ultrasound_jax.datasets.lus_phantom.export",
        description="Writes the lung-ultrasound phantom as DICOM files with labels.",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--size", type=int, default=256, help="pixels, default 256")
    parser.add_argument("--frame-rate", type=float, default=30.0, help="Hz, default 30")
    parser.add_argument("--patients", type=int, default=8, help="in all, default 8")
    parser.add_argument("--temporal-patients", type=int, default=2, help="of these")
    parser.add_argument("--videos", type=int, default=2, help="of each, default 2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--syntax", choices=SYNTAXES, default="explicit")
    args = parser.parse_args(argv)
    return cli.guard(lambda prompt: _export(args))


def _export(args: argparse.Namespace) -> None:
    config = Builder.make_config(
        size=args.size,
        frame_rate=args.frame_rate,
        patients=args.patients,
        videos=args.videos,
        seed=args.seed,
    )
    videos = export(
        args.out,
        config=config,
        temporal_patients=args.temporal_patients,
        syntax=args.syntax,
    )
    frames = sum(video.length for video in videos)
    print(
        f"{args.out}: {len(videos)} videos of {args.patients} phantoms, {frames} frames"
    )


if __name__ == "__main__":
    sys.exit(main())
