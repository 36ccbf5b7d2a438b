"""Every builder of the project makes on Beam's workers what it makes alone."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ultrasound_jax.data import source

SMALL = {
    "lus_phantom": {"size": 16, "patients": 2, "videos": 1},
    "lesion_phantom": {"size": 32, "patients": 3, "images": 1},
    "phantom_ct": {"size": 32, "patients": 1, "slices": 3},
    "pocus": {"size": 16},
    "lus_clips": {"size": 32},
    "videos": {"size": 32, "ids": "as_written"},  # makes no key beside the data
    "folder": {"size": 32, "ids": "as_written"},  # writes no list of them
    "regions": {"size": 16, "pixels": 32},
}


def built(name, folder, beam=()):
    builder = source.open_builder(name, SMALL.get(name, {}), str(folder))
    manual = type(builder).code_path.parent / "dummy_data"
    config = tfds.download.DownloadConfig(
        manual_dir=manual if builder.MANUAL_DOWNLOAD_INSTRUCTIONS else None
    )
    if beam:
        from apache_beam.options.pipeline_options import PipelineOptions

        config.beam_options = PipelineOptions(flags=list(beam))
    builder.download_and_prepare(download_config=config)
    return builder


@pytest.mark.parametrize("name", source.known_datasets())
def test_a_builder_gives_the_same_set_on_beam(name, tmp_path):
    here = built(name, tmp_path / "here")
    beam = built(name, tmp_path / "beam", ["--runner=FnApiRunner"])
    assert here.info.splits.keys() == beam.info.splits.keys()
    for split in here.info.splits:
        one, other = (list(b.as_data_source(split)) for b in (here, beam))
        assert len(one) == len(other) > 0
        for left, right in zip(one, other, strict=True):
            assert left.keys() == right.keys()
            assert all(np.array_equal(left[key], right[key]) for key in left)
    assert dict(here.info.metadata) == dict(beam.info.metadata)
