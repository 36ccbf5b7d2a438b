"""TFDS's own checks of the video builders and of the phantoms."""

from tests.datasets import builder_case
from ultrasound_jax.datasets.lesion_phantom import (
    lesion_phantom_dataset_builder as lesion_phantom,
)
from ultrasound_jax.datasets.lus_phantom import lus_phantom_dataset_builder as phantom
from ultrasound_jax.datasets.phantom_ct import phantom_ct_dataset_builder as phantom_ct
from ultrasound_jax.datasets.pocus import pocus_dataset_builder as pocus


class TestPhantom(builder_case.BuilderCase):
    DATASET_CLASS = phantom.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [
        phantom.Builder.make_config(size=16, patients=1, videos=1)
    ]
    EXAMPLE_DIR = str(phantom.Builder.code_path.parent)  # it reads no files
    SPLITS = {"clips": 3}


class TestLesionPhantom(builder_case.BuilderCase):
    DATASET_CLASS = lesion_phantom.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [
        lesion_phantom.Builder.make_config(size=32, patients=3, images=1)
    ]
    EXAMPLE_DIR = str(lesion_phantom.Builder.code_path.parent)  # it reads no files
    SPLITS = {"images": 3}


class TestPhantomCt(builder_case.BuilderCase):
    DATASET_CLASS = phantom_ct.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [
        phantom_ct.Builder.make_config(size=32, patients=1, slices=3)
    ]
    EXAMPLE_DIR = str(phantom_ct.Builder.code_path.parent)  # it reads no files
    SPLITS = {"images": 3}


class TestPocus(builder_case.BuilderCase):
    DATASET_CLASS = pocus.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [pocus.Builder.make_config(size=16, frame_rate=10)]
    SPLITS = {"clips": 6}
