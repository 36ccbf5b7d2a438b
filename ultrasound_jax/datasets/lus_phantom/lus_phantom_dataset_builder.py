"""Lung-ultrasound phantom: simulated B-mode cines with known findings.

A phantom checks software. It says nothing about patients.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lus_phantom.cine import Cine, film
from ultrasound_jax.datasets.lus_phantom.patients import (
    CLASSES,
    draw_findings,
    draw_patient,
)
from ultrasound_jax.datasets.lus_phantom.probe import ScanConverter
from ultrasound_jax.datasets.lus_phantom.scene import draw_scene
from ultrasound_jax.dicom.clips import clip_step, clip_windows

# Option: type, smallest and largest allowed value.
OPTIONS = {
    "size": (int, 16, 1024),
    "frame_rate": (float, 1, 200),
    "patients": (int, 1, 100_000),
    "videos": (int, 1, 100),
    "seed": (int, 0, 2**31 - 1),
    "clip_seconds": (float, 0.1, 10),
    "overlap": (float, 0, 0.95),
}


@dataclass(kw_only=True)
class PhantomConfig(tfds.core.BuilderConfig):
    """What is simulated and how it is cut; the name is derived from it.

    size: side of a frame in pixels. frame_rate: Hz. patients, videos: how many, and of
    each patient. clip_seconds: nominal length of a clip. overlap: share of a clip that
    the next one repeats.
    """

    size: int = 64
    frame_rate: float = 10.0
    patients: int = 48
    videos: int = 3
    seed: int = 0
    clip_seconds: float = 1.0
    overlap: float = 0.2

    @property
    def clip_frames(self) -> int:
        """Nominal frames of a clip."""
        return max(1, round(self.clip_seconds * self.frame_rate))


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    checked = {}
    for key, value in options.items():
        if key not in OPTIONS:
            allowed = ", ".join(OPTIONS)
            raise DatasetError(f"lus_phantom has no option {key!r}, allowed: {allowed}")
        kind, low, high = OPTIONS[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or kind(value) != value or not low <= value <= high:
            word = "a whole number" if kind is int else "a number"
            raise DatasetError(
                f"lus_phantom {key}={value!r}, allowed is {word} from {low} to {high}"
            )
        checked[key] = kind(value)
    return checked


def _config(**options: Any) -> PhantomConfig:
    drawn = PhantomConfig(name="unnamed", **_checked(options))
    name = (
        f"{drawn.size}px_{drawn.frame_rate:.12g}hz_{drawn.clip_seconds:.12g}s"
        f"_{100 * drawn.overlap:.12g}pct_{drawn.patients}x{drawn.videos}"
        f"_seed{drawn.seed}"
    )
    drawn.name = name.replace(".", "p")
    drawn.description = (
        f"{drawn.patients} patients x {drawn.videos} videos, {drawn.size} pixels, "
        f"{drawn.frame_rate:g} Hz, clips of {drawn.clip_seconds:g} s."
    )
    return drawn


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


class Builder(tfds.core.GeneratorBasedBuilder):
    """Builder of the phantom; needs no files and no network."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    # `tfds build` makes every listed config: one, so that it stays under a minute.
    BUILDER_CONFIGS: ClassVar = [_config()]

    def __init__(self, *, file_format: Any = None, **kwargs: Any):
        super().__init__(file_format=file_format or "array_record", **kwargs)

    @classmethod
    def make_config(cls, **options: Any) -> PhantomConfig:
        """The config for these options, those left out being the default's.

        Raises:
            DatasetError: an option is unknown or out of its range.
        """
        config = _config(**options)
        # TFDS wants its own object where a config is one of the listed.
        listed = {known.name: known for known in cls.BUILDER_CONFIGS}
        return listed.get(config.name, config)

    def _info(self) -> tfds.core.DatasetInfo:
        config = self._phantom
        side = config.size
        text = tfds.features.Text
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    # Raw bytes: reading a record is then little more than a copy.
                    "clip": tfds.features.Tensor(
                        shape=(None, side, side, 1), dtype=np.uint8, encoding="bytes"
                    ),
                    "labels": tfds.features.Tensor(
                        shape=(len(CLASSES),), dtype=np.int8
                    ),
                    "pattern_frames": tfds.features.Tensor(
                        shape=(None, len(CLASSES)), dtype=np.int8
                    ),
                    "example_id": text(),
                    "video_id": text(),
                    "patient_id": text(),
                    "start_frame": np.int32,
                    "frame_rate": np.float32,
                    "pixel_mm": np.float32,
                }
            ),
            metadata=tfds.core.MetadataDict(
                classes=list(CLASSES),
                clip_frames=config.clip_frames,
                size=side,
                frame_rate=config.frame_rate,
                skipped=[],
            ),
        )

    @property
    def _phantom(self) -> PhantomConfig:
        config = self.builder_config
        if not isinstance(config, PhantomConfig):
            raise DatasetError(
                f"lus_phantom config {config!r}, allowed is what make_config returns"
            )
        return config

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing is downloaded
        return {"clips": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
        config = self._phantom
        length = config.clip_frames
        step = clip_step(length, config.overlap)
        for patient in range(config.patients):
            for video in range(config.videos):
                frames, visible, pixel_mm = simulate_video(config, patient, video)
                video_id = f"P{patient:03d}_V{video}"
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
