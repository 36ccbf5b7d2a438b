"""TFDS's own checks of the four image builders, on their dummy data."""

from tests.datasets import builder_case
from ultrasound_jax.datasets.busi import busi_dataset_builder as busi


class TestBusi(builder_case.BuilderCase):
    DATASET_CLASS = busi.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [busi.Builder.make_config()]
    SPLITS = {"images": 4}
