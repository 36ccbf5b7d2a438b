"""Two processes joined by jax.distributed train what one process does."""

import json
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests import command
from ultrasound_jax.analysis.table.predictions import Predictions


def losses(workdir):
    lines = (workdir / "scalars.csv").read_text().splitlines()
    return [float(x.split(",")[2]) for x in lines if "train/loss" in x]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_two_processes_and_four_devices_train_what_one_does(data_dir, tmp_path):
    port = free_port()
    # SGD: Adam's first steps turn rounding errors of tiny gradients into whole steps.
    # 64 pixels: at 32 the untrained network sees the fan's black corner alone, and its
    # last norms amplify the rounding errors of a constant.
    small = {
        "data__options__size": 64,
        "train__epochs": 1,
        "model__options__dropout": 0.0,
        "optim__name": "sgd",
        "optim__lr": 0.01,
    }

    def arguments(name, *more):
        workdir = tmp_path / name
        return command.arguments(workdir, data_dir, tmp_path / "cache", *more, **small)

    code, _, err = command.run(*arguments("one"), devices=1)
    assert code == 0, err
    code, _, err = command.run(*arguments("four"), devices=4)
    assert code == 0, err
    joined = [
        command.start(
            *arguments(
                "two",
                f"--coordinator=127.0.0.1:{port}",
                "--processes=2",
                f"--process={rank}",
            ),
            devices=1,
        )
        for rank in range(2)
    ]
    for code, _, err in [command.finish(process) for process in joined]:
        assert code == 0, err
    one = Predictions.read(tmp_path / "one/predictions.csv")
    for name in ("four", "two"):
        other = Predictions.read(tmp_path / name / "predictions.csv")
        assert other.example_id == one.example_id
        # The same sums in another order, through an epoch of a batch-normed network.
        assert losses(tmp_path / name) == pytest.approx(losses(tmp_path / "one"), 1e-3)
        np.testing.assert_allclose(other.scores, one.scores, atol=5e-3)
    run = json.loads((tmp_path / "two/metrics.json").read_text())["run"]
    assert run["processes"] == "2"


MEMBER = """
import sys
import jax, jax.numpy as jnp, numpy as np
from pathlib import Path
from jax.sharding import Mesh
from ultrasound_jax.training import sharding
from ultrasound_jax.training.checkpoint import Checkpoints

port, rank, task, folder = sys.argv[1:]
sharding.join(False, f"127.0.0.1:{port}", 2, int(rank))
mesh = sharding.data_mesh()
state = sharding.replicate({str(i): np.ones((300, 300)) for i in range(20)}, mesh)
if task == "fail" and rank == "0":
    raise KeyError("a mistake in one process")
with Checkpoints(Path(folder)) as checkpoints:
    for step in range(1, 7):
        checkpoints.save(step, state, {"step": step})
        checkpoints.save_best(step, state)
rows = {"x": np.ones((2, 3), np.float32)}
print(float(jax.jit(jnp.sum)(sharding.to_device(rows, mesh)["x"])))
"""


def members(task, folder):
    port = str(free_port())
    joined = [
        subprocess.Popen(
            [sys.executable, "-c", MEMBER, port, str(rank), task, str(folder)],
            cwd=command.ROOT,
            env=command.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    return [command.finish(process, seconds=200) for process in joined]


def test_saving_best_and_latest_at_once_does_not_mix_up_two_processes(tmp_path):
    for code, out, err in members("save", tmp_path):
        assert code == 0, err
        assert out.splitlines()[-1] == "12.0"


def test_a_process_that_fails_does_not_leave_the_others_waiting(tmp_path):
    first, second = members("fail", tmp_path)
    assert first[0] == 1
    assert "a mistake in one process" in first[2]
    assert second[0] != 0
