"""Encoders whose first stages stay as they are."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from tests.conftest import ROOT
from tests.tasks.made import image_spec
from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax import models, tasks
from ultrasound_jax.models._parts.compiled_start import compiled_start
from ultrasound_jax.models._parts.frozen_stages import (
    Staged,
    freeze_norms,
    freeze_stages,
)
from ultrasound_jax.models._parts.layers import Frozen
from ultrasound_jax.predict import open_run
from ultrasound_jax.pretrained import open_experiment
from ultrasound_jax.train import train_and_evaluate
from ultrasound_jax.training import optim, steps

STAGES = {"efficientnet_lite0": 9, "resnet18": 5, "resnet50": 5, "densenet121": 5}
TASK = tasks.build("multiclass", image_spec(("a", "b", "c"), side=32), options={})


def build(rngs, encoder="resnet18"):
    return models.build(
        "image_classifier", encoder=encoder, width=4, patterns=3, rngs=rngs
    )


def classifier():
    """A small network with values."""
    return compiled_start(build, 0, key="test_frozen_stages")


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 255, (6, 32, 32, 1), np.uint8),
        "labels": np.eye(3, dtype=np.int8)[[0, 1, 2, 0, 1, 2]],
        "index": np.arange(6, dtype=np.int32),
    }


@pytest.mark.parametrize("encoder", STAGES)
def test_every_parameter_of_an_encoder_is_in_one_stage(encoder):
    model = nnx.eval_shape(lambda: build(nnx.Rngs(0), encoder))
    assert isinstance(model.encoder, Staged)
    stages = model.encoder.in_order()
    assert len(stages) == STAGES[encoder]
    found = [
        id(variable)
        for stage in stages
        for layer in stage
        for _, part in nnx.iter_modules(layer)
        for variable in vars(part).values()
        if isinstance(variable, nnx.Param | nnx.BatchStat)
    ]
    whole = jax.tree.leaves(nnx.state(model.encoder, (nnx.Param, nnx.BatchStat)))
    assert len(found) == len(set(found)) == len(whole)


def params_of(model):
    return nnx.to_flat_state(nnx.state(model, nnx.Param))


def trained(images, stages, *, norms=False, ema=0.0, accumulate=1):
    """The states before and after two steps of AdamW, which decays what it knows."""
    model = classifier()
    if stages:
        freeze_stages(model, stages)
    if norms:
        freeze_norms(model)
    network, params, stats = steps.split(model)
    optimizer = optax.adamw(0.01, weight_decay=0.1)
    state = steps.init_state(params, stats, optimizer, averaged=ema > 0)
    step = jax.jit(
        steps.make_train_step(
            network,
            TASK,
            optimizer,
            augment=lambda fields, roles, key: fields,
            seed=0,
            ema=ema,
            accumulate=accumulate,
        )
    )
    before = state
    for _ in range(2):
        state, _ = step(state, images, jnp.float32(1))
    return before, state


def encoder_of(params, stats):
    """Every variable of the encoder by its path, whichever of the two holds it."""
    pairs = [*nnx.to_flat_state(params), *nnx.to_flat_state(stats)]
    flat = {path: np.asarray(v[...]) for path, v in pairs}
    return {path[1:]: v for path, v in flat.items() if path[0] == "encoder"}


def changed(one, other):
    return {path for path in one if not np.array_equal(one[path], other[path])}


@pytest.mark.parametrize("stages", [3, -1])
def test_frozen_stages_keep_weights_and_statistics_to_the_last_bit(images, stages):
    before, after = trained(images, stages, ema=0.9)
    moved = changed(
        encoder_of(before.params, before.stats), encoder_of(after.params, after.stats)
    )
    averaged = changed(
        encoder_of(before.params, before.stats), encoder_of(*steps.evaluated(after))
    )
    places = {(path[0], path[1]) for path in moved}
    if stages == -1:
        assert not moved and not averaged
    else:
        learns = {("stages", 2), ("stages", 3)}  # behind the stem and two stages
        assert places == learns
        assert {(path[0], path[1]) for path in averaged} == learns
    head = [after.params["classifier"], before.params["classifier"]]
    assert not np.array_equal(*(np.asarray(h["kernel"][...]) for h in head))


def test_without_frozen_stages_everything_moves(images):
    before, after = trained(images, 0)
    parts = encoder_of(before.params, before.stats)
    assert changed(parts, encoder_of(after.params, after.stats)) == set(parts)


def test_frozen_norms_keep_their_statistics_and_learn_the_rest(images):
    before, after = trained(images, 0, norms=True)
    params = [encoder_of(state.params, nnx.State({})) for state in (before, after)]
    stats = [encoder_of(nnx.State({}), state.stats) for state in (before, after)]
    assert changed(*params) == set(params[0]) and not changed(*stats)
    assert {path[-1] for path in params[0]} >= {"scale", "bias", "kernel"}


@pytest.mark.parametrize("freeze", [lambda m: freeze_stages(m, -1), freeze_norms])
def test_what_is_frozen_computes_in_training_as_in_evaluation(images, freeze):
    model = classifier()
    freeze(model)
    network, params, stats = steps.split(model)
    image = jnp.float32(images["image"]) / 255
    found = [
        nnx.merge(view, params, stats, copy=True)(image, rngs=nnx.Rngs(0))["features"]
        for view in (network.train, network.evaluation)
    ]
    np.testing.assert_array_equal(*found)


def test_nothing_frozen_is_known_to_the_optimiser(images):
    model = classifier()
    freeze_stages(model, -1)
    _, params, stats = steps.split(model)
    assert {path[0] for path, _ in params_of(model)} == {"classifier"}
    kept = [v for _, v in nnx.to_flat_state(stats) if isinstance(v, Frozen)]
    assert len(kept) > 30
    state = optax.adam(0.1).init(params)
    assert len(jax.tree.leaves(state)) == 2 * len(jax.tree.leaves(params)) + 1


def test_a_frozen_prefix_is_not_differentiated(images):
    """The compiled step has fewer operations, which is what freezing saves."""

    def work(stages):
        model = classifier()
        freeze_stages(model, stages)
        network, params, stats = steps.split(model)
        optimizer = optax.sgd(0.1)
        step = steps.make_train_step(
            network, TASK, optimizer, augment=lambda f, roles, key: f, seed=0
        )
        state = steps.init_state(params, stats, optimizer, averaged=False)
        lowered = jax.jit(step).lower(state, images, jnp.float32(1))
        return lowered.cost_analysis()["flops"]

    whole, half, none = work(0), work(3), work(-1)
    assert none < half < whole and none < 0.5 * whole


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("image_classifier", {"frozen_stages": 6}, "_stages=6: allowed is from 0 to 5"),
        ("breast_cnn", {"frozen_stages": 2}, "_stages=2: allowed is 0, as BreastCnn"),
        ("breast_cnn", {"frozen_norms": True}, "_norms=True: allowed is False, as Br"),
    ],
)
def test_what_cannot_be_frozen_is_refused_with_the_setting(name, given, said):
    options = {} if name == "breast_cnn" else {"encoder": "resnet18", "width": 4}
    about = {"name": name, "options": options, "dtype": "float32", "remat": False}
    with pytest.raises(models.ModelError, match=f"config.optim.frozen{said}"):
        experiments.make_network(about | given, TASK, seed=0)


def test_the_setting_is_checked_and_a_share_for_a_frozen_encoder_refused(tiny_config):
    tiny_config.optim.frozen_stages = -2
    with pytest.raises(settings.ConfigError, match="optim.frozen_stages=-2 is not"):
        settings.check(tiny_config)
    tiny_config.optim.encoder_rate = 0.1
    optimizer = optim.make_optimizer(tiny_config.optim, optax.constant_schedule(0.1))
    with pytest.raises(optim.OptimError, match="no encoder that is trained"):
        optimizer.init({"classifier": jnp.ones((2, 2))})


def test_a_run_with_frozen_stages_is_opened_again_and_started_from(
    data_dir, tmp_path, one_device
):
    config = settings.load(f"{ROOT}/configs/resnet_attention.py")
    config.data.data_dir = str(data_dir)
    config.data.options.update({"size": 32, "patients": 18, "images": 1})
    config.data.batch_size, config.data.folds = 4, 3
    config.model.name = "image_classifier"
    config.model.options = {"encoder": "resnet18", "width": 4}
    config.optim.frozen_stages, config.train.epochs = 3, 1
    config.optim.frozen_norms = True
    config.evaluation.replicates = 200
    settings.check(config)
    settings.complete(config)
    train_and_evaluate(copy.deepcopy(config), tmp_path / "run")
    run = open_run(tmp_path / "run", lambda line: None)
    assert run.about["network"]["frozen_stages"] == 3
    assert run.about["network"]["frozen_norms"]
    frozen = nnx.merge(run.network.evaluation, *run.weights)
    fresh = nnx.merge(
        run.network.evaluation,
        *steps.split(experiments.make_network(run.about["network"], run.task, seed=0))[
            1:
        ],
    )
    stem = [np.asarray(m.encoder.stem.conv.kernel[...]) for m in (frozen, fresh)]
    np.testing.assert_array_equal(*stem)
    config.init_from, config.optim.frozen_stages = str(tmp_path / "run"), 0
    again = open_experiment(config, lambda line: None)
    assert "stem" in again.params["encoder"]
