"""Clips of clinical lung ultrasound, from DICOM files and labelling sheets."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lus_clips import summary
from ultrasound_jax.datasets.lus_clips.examples import cut_video
from ultrasound_jax.datasets.lus_clips.layout import READERS, gather
from ultrasound_jax.datasets.lus_clips.options import LusClipsConfig, checked_config
from ultrasound_jax.datasets.scale import Fact, ScalableBuilder, Skipped
from ultrasound_jax.dicom.findings import PATTERNS


class Builder(ScalableBuilder):
    """Anybody's lung cines in LUV-Net's layout, labelled by frame ranges, as clips.

    One DICOM file is one item; it is decoded frame by frame.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Your own recordings: --manual_dir=DIR with DIR/development/dicom (any depth) "
        "and DIR/development/labels (two annotators' sheets), and the same in "
        "DIR/temporal. A phantom to try it on: "
        "python -m ultrasound_jax.datasets.lus_phantom.export --out DIR"
    )
    BUILDER_CONFIGS: ClassVar[list[LusClipsConfig]] = [
        checked_config(),
        checked_config(part="temporal"),
    ]

    @classmethod
    def make_config(cls, **options: Any) -> LusClipsConfig:
        """The config of these options; see `LusClipsConfig` for what there is.

        Raises:
            DatasetError: an unknown option, or a value that is not allowed.
        """
        config = checked_config(**options)
        # TFDS takes a shipped config only as the very object that it ships.
        shipped = {known.name: known for known in cls.BUILDER_CONFIGS}
        return shipped.get(config.name, config)

    @property
    def _config(self) -> LusClipsConfig:
        config = self.builder_config
        if not isinstance(config, LusClipsConfig):
            raise DatasetError(
                f"lus_clips config {config!r}, allowed is what make_config returns"
            )
        return config

    def _info(self) -> tfds.core.DatasetInfo:
        config = self._config
        labels = tfds.features.Tensor(shape=(len(PATTERNS),), dtype=np.int8)
        readers = len(READERS) if config.part == "temporal" else 0
        features = {
            # Raw bytes: reading a record is then little more than a copy.
            "clip": tfds.features.Tensor(
                shape=(None, config.size, config.size, 1),
                dtype=np.uint8,
                encoding="bytes",
            ),
            "labels": labels,
            **{f"labels_reader{n}": labels for n in range(1, readers + 1)},
            "pattern_frames": tfds.features.Tensor(
                shape=(None, len(PATTERNS)), dtype=np.int8
            ),
            "score": np.int8,
            "example_id": tfds.features.Text(),
            "video_id": tfds.features.Text(),
            "patient_id": tfds.features.Text(),
            "study_id": tfds.features.Text(),
            "start_frame": np.int32,
            "source_start": np.int32,
            "source_end": np.int32,
            "frame_rate": np.float32,
            "pixel_mm": np.float32,
        }
        metadata = {
            "classes": list(PATTERNS),
            "clip_frames": config.clip_frames,
            "size": config.size,
            "frame_rate": config.frame_rate,
            **summary.count([], [], []),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(metadata),
            supervised_keys=("clip", "labels"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        folder = self.manual_folder(dl_manager)
        items, self._label_notes = gather(folder, self._config, self.skip)
        make = partial(cut_video, self._config)
        return {"clips": self.examples(items, make, unit="videos")}

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """What was used, counted and left out."""
        metadata = summary.count(facts, skipped, self._label_notes)
        text = summary.as_text(metadata)
        logging.info("lus_clips %s:\n%s", self._config.name, text)
        return metadata
