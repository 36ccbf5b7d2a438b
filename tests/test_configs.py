"""Every shipped configuration trains for two steps, so that none can rot."""

import importlib
import json

import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import ROOT, shrink
from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax import optim, sharding

VARIANTS = importlib.import_module("configs.luvnet").VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_shipped_config_is_valid_and_trains_two_steps(variant, data_dir, one_device):
    config = settings.load(f"{ROOT}/configs/luvnet.py:{variant}")
    settings.check(config)
    encoder, remat, dtype = config.model.encoder, config.model.remat, config.dtype
    shrink(config, data_dir)
    config.model.remat, config.dtype = remat, dtype
    if "densenet" in encoder:
        config.model.encoder = "densenet121"
    opened = experiments.open_experiment(config, lambda line: None)
    plan = optim.make_plan(config, len(opened.indices["train"]))
    state = opened.initial_state(plan.optimizer)
    step = opened.compile_train_step(plan.optimizer, state, lambda line: None)
    batches = opened.train_batches()
    for _ in range(2):
        batch = sharding.to_device(next(batches), opened.mesh)
        state, terms = step(state, batch, jnp.float32(1))
        assert np.isfinite(terms["loss"])
    assert int(state.step) == 2


def test_the_paper_config_is_the_papers_recipe():
    config = settings.load(f"{ROOT}/configs/luvnet.py:paper")
    options = config.data.options
    assert (options.size, options.frame_rate * options.clip_seconds) == (256, 30)
    model = config.model
    assert (model.encoder, model.heads, model.kernel_size) == ("densenet161", 8, 13)
    assert (config.optim.name, config.optim.lr) == ("adam", 1e-6)
    assert (config.data.batch_size, config.train.epochs) == (4, 150)
    assert config.train.patience == 20


def test_no_setting_has_two_types():
    """JSON gives back what a config holds, so that a run can be continued."""
    for variant in VARIANTS:
        config = settings.load(f"{ROOT}/configs/luvnet.py:{variant}")
        tree = config.to_dict()
        assert json.loads(json.dumps(tree)) == tree
