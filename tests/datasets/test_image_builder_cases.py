"""TFDS's own checks of the image builders, on their dummy data."""

from tests.datasets import builder_case
from ultrasound_jax.datasets.busi import busi_dataset_builder as busi
from ultrasound_jax.datasets.folder import folder_dataset_builder as folder
from ultrasound_jax.datasets.lungsegdb import lungsegdb_dataset_builder as lungsegdb
from ultrasound_jax.datasets.pu2756 import pu2756_dataset_builder as pu2756
from ultrasound_jax.datasets.regions import regions_dataset_builder as regions
from ultrasound_jax.datasets.skin_tumor import skin_tumor_dataset_builder as skin_tumor


class TestBusi(builder_case.BuilderCase):
    DATASET_CLASS = busi.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [busi.Builder.make_config()]
    SPLITS = {"images": 4}


class TestPu2756(builder_case.BuilderCase):
    DATASET_CLASS = pu2756.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [pu2756.Builder.make_config(size=32)]
    SPLITS = {"images": 4}


class TestSkinTumor(builder_case.BuilderCase):
    DATASET_CLASS = skin_tumor.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [
        skin_tumor.Builder.make_config(drop_doppler=True, crop_skin=True)
    ]
    SPLITS = {"images": 4}


class TestLungSegDb(builder_case.BuilderCase):
    DATASET_CLASS = lungsegdb.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [lungsegdb.Builder.make_config()]
    SPLITS = {"images": 4}


class TestFolder(builder_case.BuilderCase):
    DATASET_CLASS = folder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [
        folder.Builder.make_config(size=32, ids="as_written")
    ]
    SPLITS = {"images": 5}


class TestRegions(builder_case.BuilderCase):
    DATASET_CLASS = regions.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [regions.Builder.make_config(size=16, pixels=32)]
    SPLITS = {"images": 4}
