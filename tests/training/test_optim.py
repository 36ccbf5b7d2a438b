import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ultrasound_jax.training import optim


@pytest.fixture
def config(tiny_config):
    tiny_config.optim.lr = 0.1
    return tiny_config


def rates(config, examples=40):
    plan = optim.make_plan(config, examples)
    return plan, [plan.rate(s) for s in range(plan.total)]


def test_a_constant_schedule_is_constant(config):
    config.optim.schedule = "constant"
    _, values = rates(config)
    assert values == pytest.approx([0.1] * 20, rel=1e-6)


def test_a_cosine_falls_to_nothing(config):
    config.optim.schedule = "cosine"
    plan, values = rates(config)
    expected = 0.05 * (1 + np.cos(np.pi * np.arange(plan.total) / plan.total))
    assert values == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_steps_are_pytorchs(config):
    """StepLR: lr * gamma ** (epoch // step_size), stepped at the end of each epoch."""
    config.optim.schedule, config.train.epochs = "step", 8
    config.optim.step_epochs, config.optim.step_factor = 3, 0.1
    plan, values = rates(config)
    epochs = np.arange(plan.total) // plan.steps_per_epoch
    assert plan.steps_per_epoch > 1 and epochs.max() == 7
    np.testing.assert_allclose(values, 0.1 * 0.1 ** (epochs // 3), rtol=1e-6)


def test_steps_are_counted_from_the_end_of_the_warmup(config):
    config.optim.schedule, config.train.epochs = "step", 4
    config.optim.step_epochs, config.optim.warmup_epochs = 2, 1.0
    plan, values = rates(config)
    once = plan.steps_per_epoch
    np.testing.assert_allclose(values[once : 3 * once], 0.1, rtol=1e-6)
    np.testing.assert_allclose(values[3 * once :], 0.01, rtol=1e-6)


def test_warmup_rises_to_the_rate(config):
    config.optim.schedule = "constant"
    config.optim.warmup_epochs = 0.5
    _, values = rates(config)
    assert np.all(np.diff(values[:6]) > 0)
    assert values[5] == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_every_optimizer_goes_downhill(config, name):
    config.optim.name = name
    optimizer = optim.make_optimizer(config.optim, optax.constant_schedule(0.1))
    params = {"w": jnp.ones((2, 2))}
    updates, _ = optimizer.update({"w": params["w"]}, optimizer.init(params), params)
    assert np.all(np.asarray(updates["w"]) < 0)


def test_adamw_decays_matrices_and_spares_vectors(config):
    config.optim.name, config.optim.weight_decay = "adamw", 0.5
    optimizer = optim.make_optimizer(config.optim, optax.constant_schedule(0.1))
    params = {"matrix": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    zeros = {k: jnp.zeros_like(v) for k, v in params.items()}
    updates, _ = optimizer.update(zeros, optimizer.init(params), params)
    np.testing.assert_allclose(updates["matrix"], -0.05)
    np.testing.assert_array_equal(updates["bias"], 0)


def test_clipping_bounds_the_whole_gradient(config):
    config.optim.name, config.optim.clip_norm, config.optim.momentum = "sgd", 1.0, 0.0
    optimizer = optim.make_optimizer(config.optim, optax.constant_schedule(1.0))
    params = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    grads = {"a": jnp.array([30.0]), "b": jnp.array([40.0])}
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose([updates["a"][0], updates["b"][0]], [-0.6, -0.8], 1e-6)


def test_a_plateau_below_zero_is_no_improvement():
    """As of a boundary loss; 1e-4 of it are no lower loss either."""
    plateau = optim.Plateau(factor=0.1, patience=1)
    for loss in (-1.0, -1.0, -1.00005):
        plateau.update(loss)
    assert plateau.scale == 0.1
    plateau.update(-1.1)
    assert plateau.best == -1.1


def test_a_plateau_waits_then_drops():
    plateau = optim.Plateau(factor=0.1, patience=1)
    scales = []
    for loss in (1.0, 1.0, 1.0, 0.5, 0.5, 0.5):
        plateau.update(loss)
        scales.append(plateau.scale)
    assert scales == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01])


def test_folds_of_other_sizes_share_one_compiled_step(config):
    """The schedule's length is not compiled into the step."""
    config.optim.schedule, config.optim.warmup_epochs = "cosine", 1.0
    programs = []
    for examples in (40, 56):
        plan = optim.make_plan(config, examples)
        params = {"w": jnp.ones(3)}
        update = jax.jit(plan.optimizer.update)
        lowered = update.lower(params, plan.optimizer.init(params), params)
        programs.append(lowered.as_text())
        scales = [plan.scale(step) for step in range(plan.total)]
        rates = [plan.rate(step) for step in range(plan.total)]
        assert max(scales) == pytest.approx(1.0, rel=1e-6)
        np.testing.assert_allclose(np.array(scales) * config.optim.lr, rates, rtol=1e-6)
    assert programs[0] == programs[1]


def test_more_steps_than_can_be_planned_are_refused_with_the_setting(config):
    config.train.epochs = 10**12
    with pytest.raises(optim.OptimError, match=r"config.train.epochs=10{12} makes .*"):
        optim.make_plan(config, 40)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_an_encoder_goes_its_share_of_a_step_and_the_rest_a_whole_one(config, share):
    config.optim.name, config.optim.clip_norm = "adamw", 1.0
    params = {"encoder": {"w": jnp.ones((2, 2))}, "head": {"w": jnp.ones((2, 2))}}

    def step():
        optimizer = optim.make_optimizer(config.optim, optax.constant_schedule(0.1))
        return optimizer.update(params, optimizer.init(params), params)[0]

    whole = step()
    config.optim.encoder_rate = share
    found = step()
    np.testing.assert_array_equal(found["head"]["w"], whole["head"]["w"])
    wanted = share * whole["encoder"]["w"]
    np.testing.assert_allclose(found["encoder"]["w"], wanted, rtol=1e-6)


def test_a_share_for_an_encoder_that_is_not_there_is_refused(config):
    config.optim.encoder_rate = 0.1
    optimizer = optim.make_optimizer(config.optim, optax.constant_schedule(0.1))
    with pytest.raises(optim.OptimError, match="encoder_rate=0.1 is not allowed"):
        optimizer.init({"head": jnp.ones((2, 2))})
