"""Lung-ultrasound phantom: simulated B-mode cines with known findings.

A phantom checks software. It says nothing about patients.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.datasets.clip_builder import SPLIT, ClipBuilder
from ultrasound_jax.datasets.lus_phantom.examples import cut_video, simulate_video
from ultrasound_jax.datasets.lus_phantom.options import PhantomConfig
from ultrasound_jax.datasets.lus_phantom.patients import CLASSES
from ultrasound_jax.datasets.options import checked_config

__all__ = ["Builder", "PhantomConfig", "simulate_video"]


class Builder(ClipBuilder):
    """Builder of the phantom; needs no files and no network."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    # `tfds build` makes every listed config: one, so that it stays under a minute.
    BUILDER_CONFIGS: ClassVar = [checked_config(PhantomConfig, "lus_phantom", {})]

    CONFIG = PhantomConfig
    OTHER_PATIENTS = ("seed",)

    def _info(self) -> tfds.core.DatasetInfo:
        more = {
            "pattern_frames": tfds.features.Tensor(
                shape=(None, len(CLASSES)), dtype=np.int8
            ),
            "pixel_mm": np.float32,
        }
        metadata = {"skipped": [], "black_frames": {}}
        return self.clip_info(classes=CLASSES, more=more, metadata=metadata)

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """Also lists frames without a picture; a phantom should have none."""
        black = {fact.value["video_id"]: fact.value["frames"] for fact in facts}
        return {**super().account(facts, skipped), "black_frames": black}

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing is downloaded
        config = self.config
        videos = [
            (patient, video)
            for patient in range(config.patients)
            for video in range(config.videos)
        ]
        make = partial(cut_video, config)
        return {SPLIT: self.examples(videos, make, unit="videos")}
