"""Two processes joined by jax.distributed train what one process does."""

import json
import socket

import numpy as np
import pytest

from tests import command
from ultrasound_jax.analysis.predictions import Predictions


def losses(workdir):
    lines = (workdir / "scalars.csv").read_text().splitlines()
    return [float(x.split(",")[2]) for x in lines if "train/loss" in x]


def test_two_processes_and_four_devices_train_what_one_does(data_dir, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # SGD: Adam's first steps turn rounding errors of tiny gradients into whole steps.
    # 64 pixels: at 32 the untrained network sees the fan's black corner alone, and its
    # last norms amplify the rounding errors of a constant.
    small = {
        "data__options__size": 64,
        "train__epochs": 1,
        "model__dropout": 0.0,
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
    for process in joined:
        code, _, err = command.finish(process)
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
