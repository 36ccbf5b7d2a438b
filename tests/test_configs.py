"""Every shipped configuration trains for two steps, or is built, so none can rot."""

import importlib
import json

import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import ROOT, TINY, shrink
from tests.opened import begin
from tests.tasks.made import clip_spec
from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax import models
from ultrasound_jax.study import plan as studies
from ultrasound_jax.training import sharding

VARIANTS = importlib.import_module("configs.luvnet").VARIANTS
PROBES = importlib.import_module("configs.probe").VARIANTS
BASELINES = importlib.import_module("configs.video_baselines")
PATTERNS = ("a_line", "b_line", "consolidation", "pleural_effusion")
SHAPES = {"_tiny": (16, 32), "": (16, 64)}  # frames, and pixels a side
PUBLISHED = {
    "luvnet": 136_222_884,
    "luvnet_no_temporal": 62_677_188,
    "usvn": 26_483_044,
    "cnn_lstm": 28_759_792,
    "frame_vote": 26_480_836,
    "c3d": 214_327_044,
    "r2plus1d_18": 33_176_989,
    "r2plus1d_34": 63_510_749,
    "vivit": 5_184_580,
    "mvit_v1_b": 36_398_980,
    "mvit_v2_s": 34_270_468,
    "x3d_s": 2_982_870,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_shipped_config_is_valid_and_trains_two_steps(variant, data_dir, one_device):
    config = settings.load(f"{ROOT}/configs/luvnet.py:{variant}")
    settings.check(config)
    remat, dtype = config.model.remat, config.dtype
    shrink(config, data_dir)
    config.model.remat, config.dtype = remat, dtype
    assert_trains_two_steps(config)


@pytest.mark.parametrize("variant", PROBES)
def test_a_probe_has_the_folds_of_the_configuration_that_it_stands_beside(variant):
    config = settings.load(f"{ROOT}/configs/probe.py:{variant}")
    settings.check(config)
    file = "busi.py" if variant == "busi" else f"luvnet.py:{variant}"
    beside = settings.load(f"{ROOT}/configs/{file}")
    apart = dict(settings.flatten(config.data)), dict(settings.flatten(beside.data))
    differ = {key for key in apart[0] | apart[1] if apart[0][key] != apart[1][key]}
    assert differ <= {"options.size", "eval_batch_size"}
    assert config.task == beside.task and config.train == beside.train
    assert config.init_part == "encoder"


def test_the_network_of_a_probe_trains_two_steps(data_dir, one_device):
    config = settings.load(f"{ROOT}/configs/probe.py")
    shrink(config, data_dir)
    assert_trains_two_steps(config)


def assert_trains_two_steps(config):
    opened = experiments.open_experiment(config, lambda line: None)
    _, state, step, batches = begin(opened)
    for _ in range(2):
        batch = sharding.to_device(next(batches), opened.mesh)
        state, terms = step(state, batch, jnp.float32(1))
        assert np.isfinite(terms["loss"])
    assert int(state.step) == 2


def test_the_paper_config_is_the_papers_recipe():
    config = settings.load(f"{ROOT}/configs/luvnet.py:paper")
    options = config.data.options
    assert (options.size, options.frame_rate * options.clip_seconds) == (256, 30)
    model = config.model.options
    assert (model.encoder, model.heads, model.kernel_size) == ("densenet161", 8, 13)
    assert (config.optim.name, config.optim.lr) == ("adam", 1e-6)
    assert (config.data.batch_size, config.train.epochs) == (4, 150)
    assert config.train.patience == 20
    assert (config.data.protocol, config.data.test_fraction) == ("holdout", 0.1)
    assert config.data.folds == 5


def test_no_setting_has_two_types():
    """JSON gives back what a config holds, so that a run can be continued."""
    files = [f"luvnet.py:{variant}" for variant in VARIANTS]
    files += [f"video_baselines.py:{variant}" for variant in BASELINES.VARIANTS]
    for file in files:
        config = settings.load(f"{ROOT}/configs/{file}")
        tree = config.to_dict()
        assert json.loads(json.dumps(tree)) == tree


def baseline(variant):
    return settings.load(f"{ROOT}/configs/video_baselines.py:{variant}")


@pytest.mark.parametrize("name", ["c3d", "vivit"])
def test_a_baseline_of_each_kind_trains_two_steps(name, data_dir, one_device):
    """One that convolves clips, one of tokens; luvnet.py has those that read frames."""
    config = baseline(f"{name}_tiny")
    config.data.data_dir = str(data_dir)
    with config.data.unlocked():
        config.data.options = TINY | {"frame_rate": 16.0}
    assert_trains_two_steps(config)


def test_every_baseline_is_there_in_every_size_and_valid():
    clips = {n for n in models.names() if models.arguments_of(n)[0] == "clip"}
    assert set(BASELINES.NETWORKS) == clips == set(PUBLISHED)
    for variant in BASELINES.VARIANTS:
        settings.check(baseline(variant))


def clips_of(frames, side):
    return clip_spec(PATTERNS, frames, side)


@pytest.mark.parametrize("name", BASELINES.NETWORKS)
def test_a_small_baseline_can_be_built_for_its_clips(name):
    """Those of POCUS are the phantom's, and so are their clips."""
    for size, shape in SHAPES.items():
        config = baseline(name + size)
        assert studies.count_parameters(config, clips_of(*shape)) > 1000
    small, pocus = baseline(name), baseline(f"{name}_pocus")
    assert small.model == pocus.model
    assert small.data.options.size == pocus.data.options.size


@pytest.mark.slow
@pytest.mark.parametrize("name", BASELINES.NETWORKS)
def test_the_full_and_paper_networks_have_the_published_parameters(name):
    for size in ("_full", "_paper"):
        count = studies.count_parameters(baseline(name + size), clips_of(30, 256))
        assert count == PUBLISHED[name]


def test_rates_of_the_pocus_networks_are_those_that_the_committed_study_found():
    path = ROOT / "experiments/results/pocus_study.json"
    found = json.loads(path.read_text())
    rates = {n: t["settings"]["optim.lr"] for n, t in found["networks"].items()}
    assert found["trials"] > 0 and BASELINES.LEARNING_RATES["_pocus"] == rates


@pytest.mark.parametrize("size", ["", "_tiny", "_pocus", "_full"])
def test_one_protocol_differs_in_the_network_and_its_rate_alone(size):
    configs = {name: baseline(name + size) for name in BASELINES.NETWORKS}
    assert studies.differences(configs) == {}


def test_the_papers_recipes_differ_as_the_original_does():
    configs = {name: baseline(f"{name}_paper") for name in BASELINES.NETWORKS}
    apart = studies.differences(configs)
    assert set(apart) == {"optim.schedule", "train.epochs", "train.patience"}
    for name, config in configs.items():
        ours = name.startswith("luvnet")
        assert apart["optim.schedule"][name] == ("constant" if ours else "plateau")
        assert (config.train.epochs, config.train.patience) == (
            (150, 20) if ours else (100, 30)
        )
        assert (config.optim.name, config.optim.lr) == ("adam", 1e-6)
        assert (config.optim.plateau_factor, config.optim.plateau_patience) == (0.1, 3)
        assert (config.data.batch_size, config.train.select) == (4, "loss")
        assert config.data.options.size == 256
    assert configs["usvn"].model.options.heads == 32


def test_a_variant_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(settings.ConfigError, match="NAME_paper.*luvnet.*x3d_s"):
        baseline("swin")
