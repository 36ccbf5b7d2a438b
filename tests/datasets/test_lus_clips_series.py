"""Cines whose frames are files of their own, on their way into a dataset."""

import dataclasses

import pytest

from tests.dicom.scans import phantom
from tests.dicom.test_index_command import index
from tests.dicom.test_series import write_series
from ultrasound_jax.dicom.__main__ import main
from ultrasound_jax.dicom.index.table import read_index, write_index

pytest.importorskip("tensorflow_datasets")
from ultrasound_jax.datasets.lus_clips.layout import SERIES, gather
from ultrasound_jax.datasets.lus_clips.options import LusClipsConfig
from ultrasound_jax.datasets.options import checked_config


def test_a_series_is_to_be_converted_first(tmp_path):
    part = tmp_path / "development"
    write_series(tmp_path / "root", phantom(0)[0])
    assert index(tmp_path / "root", part / "index.csv", "--series", "cine") == 0
    (row,) = read_index(part / "index.csv")
    (part / "labels").mkdir()
    labelled = dataclasses.replace(row, labels={**row.labels, "A-line": "1_8"})
    write_index(part / "labels" / "version1.csv", [labelled])
    config, skipped = checked_config(LusClipsConfig, "lus_clips", {}), []
    items, _ = gather(tmp_path, config, lambda *words: skipped.append(words))
    assert items == [] and skipped == [(row.video_id, SERIES)]
    assert "`convert --to avi --rate native" in SERIES
    words = ["convert", str(part / "index.csv"), "--to", "avi", "--rate", "native"]
    assert main([*words, "--out", str(part / "avi"), "--workers", "1"]) == 0
    (item,), _ = gather(tmp_path, config, lambda *words: skipped.append(words))
    assert item.path == str(part / "avi" / f"{row.video_id}.avi")
