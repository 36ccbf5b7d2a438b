import dataclasses
import json

import jax
import numpy as np
import optax
import pytest

from tests.conftest import ROOT
from tests.opened import begin
from ultrasound_jax import config as settings
from ultrasound_jax import evaluate, experiment
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.study import tune
from ultrasound_jax.training import compiled, optim, progress, sharding

pytestmark = pytest.mark.usefixtures("one_device")


@pytest.fixture
def config(tiny_config):
    tiny_config.tune.trials = 3
    tiny_config.train.epochs = 2
    return tiny_config


@pytest.fixture
def opened(config):
    return experiment.open_experiment(config, lambda line: None)


@pytest.fixture
def without_training(monkeypatch, opened):
    """Trials whose epochs reach what `quality` says of their rate, at once."""
    trained = []

    def train(loop, state, checkpoints):
        trained.append(loop.plan.rate(0))
        for epoch in range(1, loop.experiment.config.train.epochs + 1):
            loop.on_evaluation(epoch, quality(loop.plan.rate(0), epoch))

    def quality(rate, epoch):
        return {"loss": 1.0, "macro_auroc": 0.9 - abs(np.log10(rate) + 3.0) / 10}

    def open_experiment(config, say):
        return dataclasses.replace(opened, config=config)

    def compiled_step(*given, **more):
        return lambda state, batch, scale: state

    monkeypatch.setattr(tune, "open_experiment", open_experiment)
    monkeypatch.setattr(compiled, "train_step", compiled_step)
    monkeypatch.setattr(compiled, "initial_state", lambda *_: {})
    monkeypatch.setattr(tune, "train", train)
    return trained


def states(tree):
    return [row["state"] for row in tree["trials"]]


def rates(tree):
    ended = [row for row in tree["trials"] if row["state"] != "interrupted"]
    return [row["settings"]["optim.lr"] for row in ended]


def test_a_killed_search_goes_on_from_its_checkpoint_and_never_looks_at_test_patients(
    config, tmp_path, monkeypatch, capsys
):
    judge, judged, looked_at = tune.Judged.__call__, [], set()
    predict = evaluate.predict

    def look(experiment, weights, split):
        looked_at.add(split)
        return predict(experiment, weights, split)

    def die(self, epoch, validation):
        judge(self, epoch, validation)
        judged.append((epoch, validation["macro_auroc"]))
        if len(judged) == 2:
            raise SystemExit(143)

    monkeypatch.setattr(evaluate, "predict", look)
    monkeypatch.setattr(tune.Judged, "__call__", die)
    config.tune.trials = 2
    with pytest.raises(SystemExit):
        tune.tune(config, tmp_path / "search")
    tree = tune.tune(config, tmp_path / "search")
    assert looked_at == {"validation"}
    assert states(tree) == ["interrupted", "complete", "complete"]
    # Epoch 1 was saved and is not trained again, epoch 2 was not and is.
    assert [epoch for epoch, _ in judged] == [1, 2, 2, 1, 2]
    assert judged[1] == judged[2]
    assert tree["trials"][1]["macro_auroc"] == max(v for _, v in judged[:2])
    best = tree["best"]["settings"]["optim.lr"]
    assert f"--config.optim.lr={best:.3g}" in capsys.readouterr().out
    folder = tmp_path / "search"
    assert tree == json.loads((folder / "tune.json").read_text())
    left = {"checkpoints", "predictions.csv"}
    assert not left & {path.name for path in folder.glob("trial_*/*")}
    assert not list(folder.glob(".*.lock"))


def test_the_best_rate_is_found_and_the_first_trial_has_the_rate_that_one_had(
    config, tmp_path, without_training
):
    config.tune.trials, config.optim.lr = 12, 5e-5
    tree = tune.tune(config, tmp_path / "search")
    assert rates(tree)[0] == 5e-5
    np.testing.assert_allclose(without_training, rates(tree), rtol=1e-6)
    assert all(1e-5 <= rate <= 1e-2 for rate in rates(tree))
    assert tree["best"]["macro_auroc"] == max(r["macro_auroc"] for r in tree["trials"])
    assert 3e-4 < tree["best"]["settings"]["optim.lr"] < 3e-3


def test_the_first_trials_are_spread_over_the_whole_range(
    config, tmp_path, without_training
):
    config.tune.trials = 4
    config.tune.lr_low, config.tune.lr_high = 1e-5, 1e-2
    tree = tune.tune(config, tmp_path / "search")
    assert rates(tree)[1:] == [3.16e-5, 3.16e-4, 3.16e-3]


def test_a_search_cut_between_two_trials_proposes_what_an_unbroken_one_proposes(
    config, tmp_path, without_training
):
    config.tune.trials = 8
    unbroken = tune.tune(config, tmp_path / "unbroken")
    for trials in (3, 8):
        config.tune.trials = trials
        extended = tune.tune(config, tmp_path / "extended")
    assert rates(extended) == rates(unbroken)


def test_a_finished_search_trains_nothing_again(config, tmp_path, without_training):
    first = tune.tune(config, tmp_path / "search")
    without_training.clear()
    again = tune.tune(config, tmp_path / "search")
    assert not without_training
    assert again["trials"] == first["trials"]


def test_a_trial_of_a_living_process_is_left_to_it(
    config, tmp_path, monkeypatch, without_training, capsys
):
    """A second search, started while a trial runs, takes only the others."""
    seen, train = [], tune.train

    def slow(*loop):
        if not seen:
            seen.append(True)
            seen.append(tune.tune(config, tmp_path / "search"))
        train(*loop)

    monkeypatch.setattr(tune, "train", slow)
    tree = tune.tune(config, tmp_path / "search")
    assert states(seen[1]) == ["running", "complete", "complete"]
    assert "1 trials still run" in capsys.readouterr().out
    assert states(tree) == ["complete"] * 3


def test_a_poor_trial_is_pruned(config, tmp_path, monkeypatch, without_training):
    """Each trial is worse than the ones before; two suffice to judge the next."""
    monkeypatch.setattr(tune, "STARTUP", 2)
    config.tune.trials, config.train.epochs, trials = 4, 3, []

    def train(loop, *_):
        trials.append(0.9 - 0.1 * len(trials))
        for epoch in (1, 2, 3):
            loop.on_evaluation(epoch, {"loss": 1.0, "macro_auroc": trials[-1]})

    monkeypatch.setattr(tune, "train", train)
    tree = tune.tune(config, tmp_path / "search")
    assert states(tree) == ["complete", "complete", "pruned", "pruned"]
    assert [row["epochs"] for row in tree["trials"]] == [3, 3, 1, 1]
    assert tree["best"]["trial"] == 0


def test_rates_that_diverge_are_pruned_and_a_search_of_them_alone_refused(
    config, tmp_path, monkeypatch, without_training
):
    def train(*_):
        raise progress.ProgressError("the validation loss is nan")

    monkeypatch.setattr(tune, "train", train)
    with pytest.raises(
        tune.TuneError, match="none of 3 trials.*validation loss is nan"
    ):
        tune.tune(config, tmp_path / "search")
    tree = json.loads((tmp_path / "search/tune.json").read_text())
    assert tree["best"] is None
    assert states(tree) == ["pruned"] * 3


def test_a_validation_of_one_class_is_refused(
    config, tmp_path, monkeypatch, without_training
):
    def train(loop, *_):
        loop.on_evaluation(1, {"loss": 1.0})

    monkeypatch.setattr(tune, "train", train)
    with pytest.raises(tune.TuneError, match="both kinds of examples"):
        tune.tune(config, tmp_path / "search")


def test_weight_decay_is_searched_where_it_is_asked_for(
    config, tmp_path, without_training
):
    config.tune.what, config.optim.name = "lr_and_weight_decay", "adamw"
    tree = tune.tune(config, tmp_path / "search")
    decays = [row["settings"]["optim.weight_decay"] for row in tree["trials"]]
    assert len(set(decays)) == 3
    assert decays[0] == config.tune.weight_decay_low  # 0 is not in the range


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_every_optimiser_is_linear_in_the_rate(config, name):
    """So one compiled step stands for every rate, clipping and decay included."""
    config.optim.update(name=name, weight_decay=0.1, clip_norm=0.5)
    rng = np.random.default_rng(0)
    params, *gradients = rng.normal(size=(4, 3, 5)).astype(np.float32)

    def path(rate, scale):
        rule = optim.make_optimizer(config.optim, optax.constant_schedule(rate))
        state, at = rule.init(params), params
        for gradient in gradients:
            updates, state = rule.update(gradient, state, at)
            at = optax.apply_updates(at, jax.tree.map(lambda u: u * scale, updates))
        return at

    np.testing.assert_allclose(path(3e-2, 1.0), path(1e-3, 30.0), rtol=1e-5)
    assert np.abs(path(3e-2, 1.0) - params).max() > 1e-2


def test_a_trial_trains_as_the_run_with_the_override_that_it_prints(config, tmp_path):
    """The scale that stands for another rate reaches the step."""
    config.tune.trials, config.train.epochs = 2, 1
    config.optim.name, config.optim.momentum = "sgd", 0.0
    tree = tune.tune(config, tmp_path / "search")
    rate = tree["trials"][1]["settings"]["optim.lr"]
    assert rate != config.optim.lr
    rows = (tmp_path / "search/trial_001/scalars.csv").read_text().splitlines()
    config.optim.lr = rate
    opened = experiment.open_experiment(config, lambda line: None)
    plan, state, step, batches = begin(opened)
    losses = []
    for number in range(3):
        batch = sharding.to_device(next(batches), opened.mesh)
        state, terms = step(state, batch, np.float32(plan.scale(number)))
        losses.append(float(terms["loss"]))
    logged = [float(r.split(",")[2]) for r in rows if "train/loss" in r][:3]
    np.testing.assert_allclose(logged, losses, rtol=1e-4)


def test_a_search_is_refused_to_training(config, tmp_path, without_training):
    tune.tune(config, tmp_path / "search")
    file, folder = str(ROOT / "configs/luvnet.py"), str(tmp_path / "search")
    with pytest.raises(settings.ConfigError, match="holds a search"):
        workdirs.resolve(config, file, mode="train", workdir=folder, rest=[])


def test_several_processes_for_one_trial_are_refused(config, tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(tune.TuneError, match="several times"):
        tune.tune(config, tmp_path / "search")


def test_the_range_of_rates_must_be_one(config):
    config.tune.lr_low = 1.0
    with pytest.raises(settings.ConfigError, match="tune.lr_low.*below"):
        settings.check(config)
