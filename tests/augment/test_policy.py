"""Policies: what a file may say, which sub-policy an example gets, for which fold."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from ultrasound_jax import augment
from ultrasound_jax.augment import _policy_file
from ultrasound_jax.augment.policy import MODES

ROLES = {"image": "pixels"}
# Tones that are told apart by what they make of one grey: 0.25 -> 0.75, 0.5, 0.
SUBS = [
    [["invert", 1.0, 0.0]],
    [["brighten", 1.0, 0.2]],
    [["invert", 0.0, 0.0], ["cutout", 1.0, 1.0], ["brighten", 1.0, 0.0]],
]
POLICY = {"ranges": ["fast"], "sub_policies": SUBS}
SPLIT = {"name": "busi", "protocol": "rotation", "folds": 3} | {
    "split_seed": 0,
    "test_fraction": 0.0,
    "manifest": "",
}
SEARCHED = {
    "ranges": ["fast"],
    "split": SPLIT,
    "folds": {"0": SUBS[:1], "1": SUBS[1:2]},
}


def data(**changes):
    return ConfigDict(SPLIT | {"fold": 0} | changes)


def build(**options):
    given = options.pop("data", None)
    return augment.build([{"name": "policy"} | options], data=given)


def greys(operation, rows, **more):
    fields = {"image": jnp.full((rows, 4, 4, 1), 64 / 255)} | more
    out = operation(fields, ROLES, key=jax.random.key(0))["image"]
    return np.round(np.asarray(out[:, 0, 0, 0]) * 255).astype(int)


def test_an_example_is_left_alone_as_often_as_it_gets_each_sub_policy():
    values, counts = np.unique(greys(build(policy=POLICY), 1200), return_counts=True)
    assert values.tolist() == [0, 64, 128, 191]
    # 1200 draws with p=1/4: a standard deviation of 15.
    assert np.abs(counts - 300).max() < 60


def test_each_copy_of_an_epoch_gets_the_sub_policy_of_its_number():
    every = build(policy=POLICY, mode="all")
    assert every.copies == 4 and list(every.fields) == ["copy"]
    copies = jnp.asarray([0, 1, 2, 3, 0, 2], jnp.int32)
    assert greys(every, 6, copy=copies).tolist() == [64, 191, 128, 0, 64, 128]
    one = build(policy=POLICY)
    assert one.copies == 1 and not one.fields


def test_a_step_is_taken_with_its_probability():
    chance = {"ranges": ["fast"], "sub_policies": [[["invert", 0.3, 0.0]]]}
    copies = jnp.ones(1000, jnp.int32)
    inverted = greys(build(policy=chance, mode="all"), 1000, copy=copies) == 191
    # 1000 draws with p=0.3: a standard deviation of 0.0145.
    assert abs(inverted.mean() - 0.3) < 0.06


def test_two_operations_cannot_both_want_copies():
    both = [{"name": "policy", "policy": POLICY, "mode": "all"}] * 2
    with pytest.raises(augment.AugmentError, match="several operations that want"):
        augment.build(both)


def test_a_written_policy_is_read_again_and_is_readable(tmp_path):
    for content in (POLICY, SEARCHED | {"about": {"preset": "small"}}):
        path = tmp_path / "policy.json"
        _policy_file.write(path, content)
        assert json.loads(path.read_text()) == content
        assert len(path.read_text().splitlines()) > len(SUBS)
        del content
        build(file=str(path))


def test_a_run_keeps_what_the_file_said(tmp_path):
    path = tmp_path / "policy.json"
    _policy_file.write(path, POLICY | {"about": {"minutes": 3}})
    (whole,) = augment.completed([{"name": "policy", "file": str(path)}])
    assert whole == {
        "name": "policy",
        "file": str(path),
        "policy": POLICY,
        "mode": "one",
    }
    path.unlink()
    assert augment.completed([whole]) == [whole]
    assert sorted(set(greys(augment.build([whole]), 300))) == [0, 64, 128, 191]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, r"augment\[0\].file='' is not allowed: give the policy's .json file"),
        ({"file": "/nowhere.json"}, "file='/nowhere.json' cannot be read: No such"),
        ({"policy": POLICY, "mode": "both"}, "mode='both' is not .* one or all"),
        ({"policy": {"ranges": ["fast"]}}, "either 'sub_policies' or 'folds'"),
        ({"policy": POLICY | {"ranges": ["fats"]}}, "ranges='fats' .* there are fast"),
        ({"policy": POLICY | {"ranges": "fast"}}, "must be a list of some of fast"),
        ({"policy": POLICY | {"size": 3}}, "'size' is no key: .* ranges, sub_policies"),
        ({"policy": POLICY | {"sub_policies": []}}, "must be a list of sub-policies"),
        (
            {"policy": POLICY | {"sub_policies": [[["invert", 1.0]]]}},
            r"sub_policies\[0\]: \['invert', 1.0\] is not .*PROBABILITY",
        ),
        (
            {"policy": POLICY | {"sub_policies": [[["invert", 1.5, 0]]]}},
            r"\[0\]: probability=1.5 is not allowed: it must be from 0 to 1",
        ),
        (
            {"policy": POLICY | {"sub_policies": [[["melt", 1.0, 0.5]]]}},
            "'melt' is not allowed: there are attenuation",
        ),
        (
            {"policy": POLICY | {"sub_policies": [[["haze", 1.0, 0.5]]]}},
            "'haze' is not in fast; it is in ultrasound",
        ),
    ],
)
def test_what_is_no_policy_is_one_line_with_what_would_be(options, said):
    with pytest.raises(augment.AugmentError, match=said) as refused:
        build(**options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", '{"ranges": NaN}', '{"a": 1, "a": 2}'])
def test_a_file_that_is_no_policy_is_named(tmp_path, text):
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises(augment.AugmentError, match="policy.json"):
        build(file=str(path))


@pytest.mark.parametrize("mode", MODES)
def test_a_fold_trains_with_its_own_sub_policies_alone(mode):
    for fold, grey in ((0, 191), (1, 128)):
        operation = build(policy=SEARCHED, mode=mode, data=data(fold=fold))
        copies = jnp.asarray([0, 1] * 50, jnp.int32)
        assert {*greys(operation, 100, copy=copies).tolist()} == {64, grey}


def test_a_fold_that_a_search_has_seen_the_test_patients_of_is_refused():
    with pytest.raises(augment.AugmentError, match="searched for the folds 0, 1; .*=2"):
        build(policy=SEARCHED, data=data(fold=2))
    with pytest.raises(augment.AugmentError, match="data.split_seed=1, there 0"):
        build(policy=SEARCHED, data=data(split_seed=1))
    with pytest.raises(augment.AugmentError, match="data.protocol='holdout', there"):
        build(policy=SEARCHED, data=data(protocol="holdout"))


def test_another_dataset_gets_the_sub_policies_of_all_folds():
    operation = build(policy=SEARCHED, data=data(name="pocus", fold=2))
    assert {*greys(operation, 300).tolist()} == {64, 128, 191}
