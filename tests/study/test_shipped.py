"""Every shipped step, without a dataset, lowered for a GPU that is not there."""

import jax
import pytest

from tests.conftest import ROOT
from ultrasound_jax import config as settings
from ultrasound_jax.experiment import network_settings
from ultrasound_jax.study import shipped

QUICK = (
    "configs/luvnet.py:",
    "configs/busi.py:",
    "configs/busi.py:segment",
    "configs/video_baselines.py:c3d_full",
    "configs/video_baselines.py:vivit_full",
)


def program_of(name):
    """What decides a step's program, so that equal ones are lowered once."""
    config = settings.load(name)
    sizes = config.data.batch_size, config.data.eval_batch_size
    about = network_settings(config), config.task.to_dict(), sizes
    return str((about, shipped.spec_of(config).to_json(), config.optim.to_dict()))


EACH = {program_of(name): name for name in [*shipped.names(), *QUICK]}
SLOW = [pytest.param(n, marks=pytest.mark.slow) for n in EACH.values()]


def assert_both_steps_lower(config):
    lowered = []
    for name, step, shapes in shipped.programs(shipped.abstract(config)):
        traced = jax.jit(step).trace(*shapes)
        text = traced.lower(lowering_platforms=("cuda",)).as_text()
        assert "func.func public @main" in text
        lowered.append(name)
    assert lowered == ["train", "eval"]


@pytest.mark.parametrize(
    "name", [*QUICK, *(p for p in SLOW if p.values[0] not in QUICK)]
)
def test_a_shipped_step_lowers_for_cuda(name):
    assert_both_steps_lower(settings.load(name))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_network_of_clips_lowers_for_cuda_with_every_task_of_its_kind(task):
    config = settings.load(f"{ROOT}/configs/video_baselines.py:frame_vote_tiny")
    config.task.name = task
    assert_both_steps_lower(config)


def test_the_shapes_are_those_that_the_dataset_has(experiment):
    config = settings.load(f"{ROOT}/configs/luvnet.py")
    with config.data.unlocked():
        config.data.options.update(experiment.config.data.options)
    assert shipped.spec_of(config).shapes() == experiment.source.spec.shapes()


def test_every_configuration_is_named():
    names = shipped.names()
    assert len(names) == len(set(names)) > 60
    assert set(QUICK) <= set(names)
