"""TFDS's own test of a builder, for builders that write ArrayRecords.

Import this module, not the class, so that pytest collects subclasses only.
"""

import pytest
import tensorflow_datasets as tfds

# TFDS's test case imports it and does not say so.
pytest.importorskip("dill", reason="tfds.testing needs dill: install the dev extra")


class BuilderCase(tfds.testing.DatasetBuilderTestCase):
    """Set DATASET_CLASS, SPLITS, BUILDER_CONFIG_NAMES_TO_TEST and dummy data."""

    def _make_builder(self, config=None):
        # `as_dataset`, which the case reads with, exists for TFRecords only.
        return self.dataset_class(
            data_dir=self.tmp_dir,
            config=config,
            version=self.VERSION,
            file_format="tfrecord",
        )
