"""The shipped configurations of masks: valid, as published, and trained two steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import breast_segnet, fusionlungnet, mednext, unet
from tests.conftest import ROOT
from tests.opened import begin
from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax.study import shipped
from ultrasound_jax.training import sharding, steps

FILES = (unet, mednext, breast_segnet, fusionlungnet)
VARIANTS = {one.__name__.partition(".")[2]: (*one.VARIANTS,) for one in FILES}
ALL = [f"{file}.py:{name}" for file, names in VARIANTS.items() for name in names]
QUICK = ("unet.py:", "mednext.py:")  # the others compile for minutes in all
EACH = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in ALL
    if not name.endswith(("phantom", "phantom_ct"))
]
LESIONS = {"size": 32, "patients": 12, "images": 1, "seed": 0}
LUNGS = {"size": 32, "patients": 12, "slices": 2, "seed": 0}
TINY = {"width": 2, "depth": 2, "blocks": 1}


def load(name):
    config = settings.load(f"{ROOT}/configs/{name}")
    settings.check(config)
    return config


@pytest.mark.parametrize("name", ALL)
def test_a_configuration_of_masks_is_valid_and_selects_by_dice(name):
    config = load(name)
    assert config.task.name == "segmentation" and config.train.select == "mean_dice"
    file = name.partition(":")[0]
    with pytest.raises(settings.ConfigError, match=f"{file} has no variant 'brain'"):
        load(f"{file}:brain")


def shrunk(name, data_dir):
    """The variant on a phantom of its kind, its network tiny and otherwise as it is."""
    config = load(name)
    lungs = config.data.name in ("phantom_ct", "lungsegdb")
    with config.data.unlocked():
        config.data.name = "phantom_ct" if lungs else "lesion_phantom"
        config.data.options = LUNGS if lungs else LESIONS
    config.data.data_dir = str(data_dir)
    own = {k: v for k, v in TINY.items() if k in config.model.options}
    config.model.options.update(own)
    if config.model.options.get("encoder"):
        config.model.options.encoder = "resnet18"
        config.init_part = "all"
        config.optim.encoder_rate = 1.0
        config.optim.frozen_norms = False
    config.init_part = "all"
    config.data.batch_size, config.data.eval_batch_size = 4, 4
    config.data.folds = 3
    config.optim.accumulate = 1
    return config


@pytest.mark.parametrize("name", EACH)
def test_a_network_of_masks_trains_two_steps(name, data_dir, one_device):
    opened = experiments.open_experiment(shrunk(name, data_dir), lambda line: None)
    _, state, step, batches = begin(opened)
    for _ in range(2):
        batch = sharding.to_device(next(batches), opened.mesh)
        state, terms = step(state, batch, jnp.float32(1))
        assert np.isfinite(terms["loss"])
    assert int(state.step) == 2


@pytest.mark.parametrize("name", [n for n in ALL if not n.endswith(":")])
def test_a_network_of_its_size_answers_with_a_mask_of_the_pictures(name):
    """By shapes alone."""
    experiment = shipped.abstract(load(name))
    rows = shipped.rows_of(experiment, 2)

    def answer(params, stats, batch):
        fields = experiment.task.floats(batch)
        inputs = experiment.task.inputs(fields)
        return steps.apply(experiment.network, params, stats, inputs)["logits"]

    found = jax.eval_shape(answer, experiment.params, experiment.stats, rows)
    size = experiment.config.data.options.size
    assert (found.shape, found.dtype) == ((2, size, size, 1), jnp.float32)


def test_sizes_are_the_published_ones_where_they_are_said_to_be():
    counts = {
        "unet.py:pu2756": 7_762_465 + 2 * 9 * 32,  # the stem has three channels
        "fusionlungnet.py:published": 46_101_701,
        "breast_segnet.py:busi_published": 49_665,
    }
    for name, count in counts.items():
        assert shipped.count(shipped.abstract(load(name))) == count, name


def test_networks_of_lesions_differ_in_the_network_alone():
    """So that a paired comparison of them is one of networks."""
    for variant in ("phantom", "busi"):
        configs = {f: load(f"{f}.py:{variant}") for f in ("unet", "mednext")}
        configs["breast_segnet"] = load(f"breast_segnet.py:{variant}")
        trees = [dict(settings.flatten(c)) for c in configs.values()]
        keys = {key for tree in trees for key in tree if not key.startswith("model.")}
        assert all(tree[key] == trees[0][key] for tree in trees for key in keys)


def test_sets_of_lungsegdb_are_apart_and_the_raw_one_keeps_its_units():
    parts = {n: load(f"fusionlungnet.py:{n}") for n in VARIANTS["fusionlungnet"][2:]}
    chosen = {n: (c.data.options.stage, c.data.options.part) for n, c in parts.items()}
    assert chosen["lungsegdb"] == chosen["v1_to_v2"] == ("preprocessed", "V1")
    assert chosen["lungsegdb_v2"] == ("preprocessed", "V2")
    raw = parts["lungsegdb_raw"]
    assert chosen["lungsegdb_raw"] == ("raw", "V1")
    assert raw.data.options["values"] == "hounsfield"
    assert (raw.data.hu_centre, raw.data.hu_width) == (-600.0, 1500.0)
    assert {c.evaluation.mask_file for c in parts.values()} == {"tif"}
