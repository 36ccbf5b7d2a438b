"""TFDS's own checks of the builder of lung-ultrasound clips."""

from tests.datasets import builder_case
from ultrasound_jax.datasets.lus_clips.lus_clips_dataset_builder import Builder


class TestLusClips(builder_case.BuilderCase):
    """On dummy data: two phantoms, exported as DICOM, indexed and converted."""

    DATASET_CLASS = Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [
        Builder.make_config(size=16, frame_rate=0, clip_frames=10)
    ]
    SPLITS = {"clips": 3}
