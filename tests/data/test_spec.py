import json

import numpy as np
import pytest

from tests.tasks.made import clip_spec, image_spec
from ultrasound_jax.data.spec import Field, Spec, SpecError
from ultrasound_jax.datasets.busi import busi_dataset_builder as busi
from ultrasound_jax.datasets.lungsegdb import lungsegdb_dataset_builder as lungsegdb
from ultrasound_jax.datasets.lus_phantom import lus_phantom_dataset_builder as phantom


def test_a_padded_axis_gives_its_length():
    spec = clip_spec(("a", "b"), frames=5, side=4)
    assert spec.shapes() == {
        "clip": ((5, 4, 4, 1), "uint8"),
        "clip_length": ((), "int32"),
        "labels": ((2,), "int8"),
        "index": ((), "int32"),
    }
    empty = spec.empty(3)
    assert {k: (v.shape[1:], str(v.dtype)) for k, v in empty.items()} == spec.shapes()
    assert (empty["labels"] == -1).all() and (empty["index"] == -1).all()
    assert not empty["clip"].any() and not empty["clip_length"].any()


def test_what_a_run_keeps_is_the_same_specification():
    spec = image_spec(("a", "b"), dtype="int16", values=(-1000.0, 400.0))
    again = Spec.from_json(json.loads(json.dumps(spec.to_json())))
    assert dict(again) == dict(spec) and again.units == spec.units
    with pytest.raises(SpecError, match="no specification"):
        Spec.from_json({"fields": {"x": {"size": 3}}})


def test_a_missing_role_lists_what_there_is():
    with pytest.raises(SpecError, match=r"needs .*mask; .*none with mask: it has clip"):
        clip_spec(("a",)).only(("pixels", "mask"), asked_by="task 'x'")


def test_a_wrong_field_is_refused():
    with pytest.raises(SpecError, match="role 'picture'"):
        Field(shape=(1,), dtype="uint8", role="picture")
    with pytest.raises(SpecError, match="must be the smaller"):
        Field(shape=(1,), dtype="uint8", role="pixels", values=(1.0, 1.0))


def test_examples_of_several_sizes_make_no_batch():
    image = Field(shape=(None, None, 1), dtype="uint8", role="pixels")
    with pytest.raises(SpecError, match=r"several sizes, \? x \? x 1"):
        Spec({"image": image}).shapes()


def builder(module, tmp_path, **options):
    config = module.Builder.make_config(**options)
    return module.Builder(config=config, data_dir=str(tmp_path))


def test_builders_declare_what_their_records_are(tmp_path):
    spec = builder(phantom, tmp_path, size=32).spec()
    assert spec["clip"].shape == (None, 32, 32, 1) and spec["clip"].padded
    assert spec.units == ("clip", "video")
    spec = builder(busi, tmp_path, size=64).spec()
    assert spec.roles == {
        "image": "pixels",
        "labels": "labels",
        "mask": "mask",
        "label": "group",
    }
    assert spec["mask"].classes == ("lesion",) and spec.units == ("image", "image")


def test_the_window_of_hounsfield_units_is_declared(tmp_path):
    options = {"values": "hounsfield", "centre": -500.0, "width": 1000.0}
    spec = builder(lungsegdb, tmp_path, size=64, **options).spec()
    assert spec["image"].values == (-1000.0, 0.0)
    assert spec["image"].dtype == np.dtype("int16").name
    assert spec["mask"].classes == ("lung",) and spec.units[0] == "slice"


def test_labels_are_one_field_of_that_name():
    finding = Field(shape=(1,), dtype="int8", role="labels", classes=("a",))
    with pytest.raises(SpecError, match="it is called 'labels'"):
        Spec({"findings": finding})
    with pytest.raises(SpecError, match="are labels, more; allowed is one"):
        Spec({"labels": finding, "more": finding})
