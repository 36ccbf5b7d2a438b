"""The phantom's videos and the clips that they are cut into."""

from collections.abc import Iterator

import numpy as np

from ultrasound_jax.datasets.beam.records import Fact, Made
from ultrasound_jax.datasets.lus_phantom.cine import Cine, film
from ultrasound_jax.datasets.lus_phantom.options import PhantomConfig
from ultrasound_jax.datasets.lus_phantom.patients import draw_findings, draw_patient
from ultrasound_jax.datasets.lus_phantom.probe import ScanConverter
from ultrasound_jax.datasets.lus_phantom.scene import draw_scene
from ultrasound_jax.dicom.clean.any_file import is_black
from ultrasound_jax.media.cutting import (
    clip_step,
    clip_windows,
)


def simulate_video(
    config: PhantomConfig, patient: int, video: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Frames uint8 `t s s`, visible findings int8 `t 4`, and mm a pixel.

    Depends on nothing but the seed, the two numbers, size and frame rate, so that any
    part of the set can be made again, in any order or in parallel.
    """
    person = draw_patient(config.seed, patient)
    rng = np.random.default_rng([config.seed, 3, patient, video])
    findings = draw_findings(rng, person.tendency)
    seconds = float(rng.uniform(2.0, 3.3))
    cine = Cine(rng, person, draw_scene(rng, person, findings))
    converter = ScanConverter(person.probe, config.size)
    frames, visible = film(cine, converter, config.frame_rate, seconds)
    return frames, visible, converter.pixel_mm


def cut_video(config: PhantomConfig, numbers: tuple[int, int]) -> Iterator[Made]:
    """The clips of one video, given by its patient's number and its own."""
    patient, video = numbers
    frames, visible, pixel_mm = simulate_video(config, patient, video)
    length = config.clip_frames
    video_id = f"P{patient:03d}_V{video}"
    black = [number for number, frame in enumerate(frames, 1) if is_black(frame)]
    if black:
        yield Fact("black_frames", {"video_id": video_id, "frames": black})
    step = clip_step(length, config.overlap)
    for start, end in clip_windows(len(frames), length, step):
        example_id = f"{video_id}_{start:04d}"
        yield (
            example_id,
            {
                "clip": frames[start:end, ..., None],
                "labels": visible[start:end].max(axis=0),
                "pattern_frames": visible[start:end],
                "example_id": example_id,
                "video_id": video_id,
                "patient_id": f"P{patient:03d}",
                "start_frame": start,
                "frame_rate": config.frame_rate,
                "pixel_mm": pixel_mm,
            },
        )
