"""What several tests share: a tiny phantom dataset and settings that fit it."""

import os
from pathlib import Path

from tests.flags import QUICK

# Before JAX starts: four devices, so that sharded steps can be tested on any machine.
os.environ["XLA_FLAGS"] = " ".join(
    (
        "--xla_force_host_platform_device_count=4",
        QUICK,
        os.environ.get("XLA_FLAGS", ""),
    )
)
os.environ["JAX_PLATFORMS"] = "cpu"

import tests.typed  # noqa: F401, I001  before anything of the package

import jax
import pytest

from ultrasound_jax import config as settings
from ultrasound_jax import experiment as experiments
from ultrasound_jax import models
from ultrasound_jax.training import sharding

ROOT = Path(__file__).parent.parent
SMALL = {"encoder": "resnet18", "width": 8, "heads": 4, "kernel_size": 3}
TINY = {"size": 32, "frame_rate": 5.0, "patients": 14, "videos": 1, "seed": 3}


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """Equal steps are compiled once for the whole suite."""
    from ultrasound_jax.training import compiling

    folder = tmp_path_factory.getbasetemp().parent / "ultrasound_jax_xla"
    compiling.use_compilation_cache(str(folder))


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("datasets")


@pytest.fixture
def tiny_config(data_dir):
    """The phantom experiment, small enough to train for an epoch in seconds."""
    config = settings.load(str(ROOT / "configs/luvnet.py"))
    shrink(config, data_dir)
    return config


def shrink(config, data_dir):
    config.data.name = "lus_phantom"
    config.data.data_dir = str(data_dir)
    with config.data.unlocked():
        config.data.options = TINY
    config.data.batch_size = 4
    config.data.eval_batch_size = 8
    config.data.folds = 3
    own = models.options_of(config.model.name)
    config.model.options.update({k: v for k, v in SMALL.items() if k in own})
    config.model.remat = False
    config.dtype = "float32"
    config.train.epochs = 2
    config.train.log_every = 1
    config.evaluation.replicates = 200


@pytest.fixture
def one_device(monkeypatch):
    """The program on a single device; the others stay unused."""
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
    monkeypatch.setattr(sharding, "data_mesh", lambda: mesh)
    return mesh


@pytest.fixture
def experiment(tiny_config, one_device):
    return experiments.open_experiment(tiny_config, lambda line: None)
