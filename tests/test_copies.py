"""An epoch that has every example once as it is and once by each sub-policy."""

import collections

import numpy as np
import pytest
from ml_collections import ConfigDict

from ultrasound_jax import augment
from ultrasound_jax.data.dataset import training_batches
from ultrasound_jax.experiment import open_experiment
from ultrasound_jax.train import train_and_evaluate
from ultrasound_jax.training import optim

POLICY = {
    "ranges": ["fast"],
    "sub_policies": [[["mirror", 1.0, 0.5]], [["brighten", 1.0, 0.1]]],
}
EVERY = [{"name": "policy", "policy": POLICY, "mode": "all"}]


def batches_of(experiment, copies, count):
    places, config = experiment.indices["train"], experiment.config
    batches = training_batches(
        experiment.source, places, config.data, seed=0, copies=copies
    )
    return [next(batches) for _ in range(count)]


def test_an_epoch_has_each_copy_of_each_example_once(experiment):
    places = experiment.indices["train"]
    experiment.config.data.batch_size = len(places)
    drawn = batches_of(experiment, 3, 3)
    pairs = [
        pair
        for batch in drawn
        for pair in zip(batch["index"].tolist(), batch["copy"].tolist(), strict=True)
    ]
    assert sorted(pairs) == [(p, copy) for p in sorted(places) for copy in range(3)]
    assert len({batch["copy"].tobytes() for batch in drawn}) > 1, "they are shuffled"


def test_a_copy_is_its_example(experiment):
    for batch in batches_of(experiment, 3, 2):
        again = experiment.source.load(batch["index"])
        np.testing.assert_array_equal(batch["clip"], again["clip"])


@pytest.mark.parametrize("sampling", ["balanced", "patient"])
def test_sampling_goes_over_the_copies_alike(experiment, sampling):
    experiment.config.data.sampling = sampling
    experiment.config.data.batch_size = 8
    drawn = [b["copy"] for b in batches_of(experiment, 3, 40)]
    counts = collections.Counter(np.concatenate(drawn).tolist())
    # 320 draws with p=1/3: a standard deviation of 8.4.
    assert all(abs(count - 320 / 3) < 40 for count in counts.values())


def test_without_copies_batches_are_what_they_were(experiment):
    (batch,) = batches_of(experiment, 1, 1)
    assert "copy" not in batch


def test_a_run_with_copies_has_so_many_steps_an_epoch_and_reports(
    tiny_config, one_device, tmp_path
):
    tiny_config.augment = EVERY
    tiny_config.model.name = "tests.glance:Glance"
    tiny_config.model.options = ConfigDict({})
    tiny_config.train.epochs = 1
    experiment = open_experiment(tiny_config, lambda line: None)
    examples = len(experiment.indices["train"])
    metrics = train_and_evaluate(tiny_config, tmp_path / "run")
    assert metrics["test"]["clip"]["macro_auroc"] is not None
    steps = augment.build(EVERY).copies * examples // tiny_config.data.batch_size
    assert optim.make_plan(tiny_config, 3 * examples).total == steps
    saved = sorted((tmp_path / "run/checkpoints/latest").iterdir())
    assert saved[-1].name == str(steps)
