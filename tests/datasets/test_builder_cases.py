"""TFDS's own checks of the two video builders."""

from tests.datasets import builder_case
from ultrasound_jax.datasets.lus_phantom import lus_phantom_dataset_builder as phantom
from ultrasound_jax.datasets.pocus import pocus_dataset_builder as pocus


class TestPhantom(builder_case.BuilderCase):
    DATASET_CLASS = phantom.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [
        phantom.Builder.make_config(size=16, patients=1, videos=1)
    ]
    EXAMPLE_DIR = str(phantom.Builder.code_path.parent)  # it reads no files
    SPLITS = {"clips": 3}


class TestPocus(builder_case.BuilderCase):
    DATASET_CLASS = pocus.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [pocus.Builder.make_config(size=16, frame_rate=10)]
    SPLITS = {"clips": 6}
