"""Clips of clinical lung ultrasound, from DICOM files and labelling sheets."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.datasets.clip_builder import SPLIT, ClipBuilder
from ultrasound_jax.datasets.lus_clips import summary
from ultrasound_jax.datasets.lus_clips.examples import cut_video
from ultrasound_jax.datasets.lus_clips.layout import READERS, gather, index_of
from ultrasound_jax.datasets.lus_clips.options import LusClipsConfig
from ultrasound_jax.datasets.options import checked_config
from ultrasound_jax.dicom.index.table import read_index
from ultrasound_jax.labels.findings import PATTERNS


class Builder(ClipBuilder):
    """Anybody's lung cines in LUV-Net's layout, labelled by frame ranges, as clips.

    One DICOM file is one item; it is decoded frame by frame.
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "1.1.0": "Clips that lie wholly inside the clip before are joined to it.",
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Your own recordings: --manual_dir=DIR with DIR/development/dicom (any depth) "
        "and DIR/development/labels (two annotators' sheets), and the same in "
        "DIR/temporal. A phantom to try it on: "
        "python -m ultrasound_jax.datasets.lus_phantom.export --out DIR"
    )
    BUILDER_CONFIGS: ClassVar[list[LusClipsConfig]] = [
        checked_config(LusClipsConfig, "lus_clips", options)
        for options in ({}, {"part": "temporal"})
    ]

    CONFIG = LusClipsConfig
    GROUPS = ("sex", "transducer")  # as the index has them
    # 4, that a clip shows none of the findings, is no level above 3.
    GRADED: ClassVar = {"score": ("0", "1", "2", "3")}

    def _info(self) -> tfds.core.DatasetInfo:
        labels = tfds.features.Tensor(shape=(len(PATTERNS),), dtype=np.int8)
        readers = len(READERS) if self.config.part == "temporal" else 0
        more = {
            **{f"labels_reader{n}": labels for n in range(1, readers + 1)},
            "pattern_frames": tfds.features.Tensor(
                shape=(None, len(PATTERNS)), dtype=np.int8
            ),
            "score": np.int8,
            **dict.fromkeys(("study_id", *self.GROUPS), tfds.features.Text()),
            "source_start": np.int32,
            "source_end": np.int32,
            "pixel_mm": np.float32,
        }
        metadata = summary.count([], [], [], {})
        return self.clip_info(classes=PATTERNS, more=more, metadata=metadata)

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        folder = self.manual_folder(dl_manager)
        items, self._label_notes = gather(folder, self.config, self.skip)
        index = read_index(index_of(folder, self.config.part))
        self._found = summary.found_in(index)
        make = partial(cut_video, self.config)
        return {SPLIT: self.examples(items, make, unit="videos")}

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """What was used, counted and left out."""
        metadata = summary.count(facts, skipped, self._label_notes, self._found)
        text = summary.as_text(metadata)
        logging.info("lus_clips %s:\n%s", self.config.name, text)
        return metadata
