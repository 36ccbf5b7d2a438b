"""What the builders of clips share: options, config and the record."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ultrasound_jax.data.spec import Field, Spec
from ultrasound_jax.datasets.beam.builder import ScalableBuilder

SPLIT = "clips"


class ClipBuilder(ScalableBuilder, skip_registration=True):
    """A builder with one clip a record; subclasses set `CONFIG` and read files.

    The options of CONFIG give `clip_frames`, `size` and `frame_rate`.
    """

    def spec(self) -> Spec:
        """Clips of `clip_frames` frames at most, and a label for each class."""
        side, metadata = self.config.size, self.info.metadata or {}
        classes = tuple(str(name) for name in metadata["classes"])
        return Spec(
            {
                "clip": Field(
                    shape=(None, side, side, 1),
                    dtype="uint8",
                    role="pixels",
                    longest=self.longest(),
                ),
                "labels": Field(
                    shape=(len(classes),), dtype="int8", role="labels", classes=classes
                ),
                **self.graded_fields(),
                **self.group_fields(),
            }
        )

    def longest(self) -> int:
        """Nominal frames of a clip, which none is longer than."""
        return self.config.clip_frames

    def clip_info(
        self,
        *,
        classes: Sequence[str],
        more: Mapping[str, Any],
        metadata: Mapping[str, Any],
        homepage: str | None = None,
    ) -> tfds.core.DatasetInfo:
        """The features of a clip record and what is known of the set.

        `clip` holds raw bytes, so that reading a record is little more than a copy
        (measured by `experiments/clip_storage.py`).

        Args:
            classes: names in the order of `labels`.
            more: features that only this set has.
            metadata: what else `info.metadata` holds.
            homepage: where the set is described.
        """
        config, text = self.config, tfds.features.Text()
        features = {
            "clip": tfds.features.Tensor(
                shape=(None, config.size, config.size, 1),
                dtype=np.uint8,
                encoding="bytes",
            ),
            "labels": tfds.features.Tensor(shape=(len(classes),), dtype=np.int8),
            **dict.fromkeys(("example_id", "video_id", "patient_id"), text),
            "start_frame": np.int32,
            "frame_rate": np.float32,
            **more,
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(
                classes=list(classes),
                clip_frames=self.longest(),
                size=config.size,
                frame_rate=config.frame_rate,
                **metadata,
            ),
            homepage=homepage,
            supervised_keys=("clip", "labels"),
        )
