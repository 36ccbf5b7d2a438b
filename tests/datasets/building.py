"""What the tests of the image builders share."""

import contextlib
import os
from pathlib import Path
from unittest import mock

import pytest
import tensorflow_datasets as tfds

from ultrasound_jax.datasets import decoded

REPO = Path(__file__).parents[2]
SHARED = Path(os.environ.get("ULTRASOUND_JAX_DATA") or REPO.parent / "shared" / "data")


def built(builder_class, manual_dir, data_dir, **options):
    builder = builder_class(
        config=builder_class.make_config(**options), data_dir=data_dir
    )
    # The workers of one build serve the next: starting them takes longer than a build.
    with mock.patch.object(decoded, "workers", contextlib.nullcontext):
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
        )
    return builder


def records(builder):
    """All records by their example id, text as text."""
    source = builder.as_data_source("images")
    found = [source[index] for index in range(len(source))]
    plain = [
        {k: v.decode() if isinstance(v, bytes) else v for k, v in record.items()}
        for record in found
    ]
    return {record["example_id"]: record for record in plain}


def skipped(builder):
    return {skip["file"]: skip["reason"] for skip in builder.info.metadata["skipped"]}


def shared(name):
    if not (SHARED / name).is_dir():
        pytest.skip(f"set ULTRASOUND_JAX_DATA to the folder with {name}")
    return SHARED
