"""The dataset of regions, on drawn pictures."""

import json
import shutil

import numpy as np
import pytest

from tests.datasets.building import REPO, built, records, skipped
from ultrasound_jax.data.source import Source
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.regions import files
from ultrasound_jax.datasets.regions.regions_dataset_builder import Builder
from ultrasound_jax.media.regions import Cut, cut_out

DRAWN = REPO / "ultrasound_jax/datasets/regions/dummy_data"


def made(tmp_path, root=DRAWN, **options):
    given = {"size": 16, "pixels": 32} | options
    return built(Builder, root, tmp_path / "built", **given)


@pytest.mark.parametrize("kind", ["roi", "masked_roi", "true_roi", "whole"])
def test_a_region_is_what_cutting_gives_with_the_ids_of_its_picture(tmp_path, kind):
    builder = made(tmp_path, kind=kind, margin=25, shape="stretched")
    found = records(builder)
    assert sorted(found) == ["D0", "D1", "D2", "D3"]
    for name, record in found.items():
        picture = files.read_grey(DRAWN / f"pictures/{name}.png")
        folder = "true" if kind == "true_roi" else "found"
        mask = files.read_grey(DRAWN / f"{folder}/{name}.png") > 0
        cut = Cut(kind, 25, shape="stretched", size=16)
        region, box, _ = cut_out(picture, mask, cut)
        assert np.array_equal(record["image"][..., 0], region)
        assert record["box"].tolist() == [box.top, box.left, *box.sides]
        assert record["patient_id"] == f"P{name[1:]}"
        assert record["found"] == ("no" if name == "D3" else "yes")
    source = Source(builder)
    assert source.table.groups["found"].count("no") == 1
    assert source.classes == ("benign", "malignant")
    assert source.spec.units == ("image", "image")


def test_where_nothing_was_found_it_is_left_out_and_listed_if_asked(tmp_path):
    builder = made(tmp_path, nothing="skip", kind="true_roi")
    assert sorted(records(builder)) == ["D0", "D1", "D2"]
    assert skipped(builder) == {"D3": "nothing was found on it"}


def test_a_judged_fold_has_masks_of_its_own(tmp_path):
    root = tmp_path / "cases"
    shutil.copytree(DRAWN, root)
    shutil.copytree(root / "true", root / "found_1")
    found = records(made(tmp_path, root, outer=1))
    assert {record["found"] for record in found.values()} == {"yes"}


def test_pictures_of_another_size_and_other_files_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="32 x 32 pixels, the option pixels=64"):
        made(tmp_path, pixels=64)
    root = tmp_path / "cases"
    shutil.copytree(DRAWN, root)
    (root / "cases.csv").write_text("example_id,label_benign\nD0,1\n")
    with pytest.raises(DatasetError, match="allowed are rows of example_id, video_id"):
        made(tmp_path, root)
    (root / "cases.json").write_text(json.dumps({"classes": []}))
    with pytest.raises(DatasetError, match="cases.json: lacks"):
        made(tmp_path, root)
