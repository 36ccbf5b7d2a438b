"""Lung-ultrasound phantom: simulated B-mode cines with known findings.

A phantom checks software. It says nothing about patients.
"""

from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lus_phantom.examples import cut_video, simulate_video
from ultrasound_jax.datasets.lus_phantom.options import PhantomConfig, checked_config
from ultrasound_jax.datasets.lus_phantom.patients import CLASSES
from ultrasound_jax.datasets.scale import ScalableBuilder

__all__ = ["Builder", "PhantomConfig", "simulate_video"]


class Builder(ScalableBuilder):
    """Builder of the phantom; needs no files and no network."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    # `tfds build` makes every listed config: one, so that it stays under a minute.
    BUILDER_CONFIGS: ClassVar = [checked_config()]

    @classmethod
    def make_config(cls, **options: Any) -> PhantomConfig:
        """The config for these options, those left out being the default's.

        Raises:
            DatasetError: an option is unknown or out of its range.
        """
        config = checked_config(**options)
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
        config = self._phantom
        videos = [
            (patient, video)
            for patient in range(config.patients)
            for video in range(config.videos)
        ]
        make = partial(cut_video, config)
        return {"clips": self.examples(videos, make, unit="videos")}
