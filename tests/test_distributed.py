"""Two processes joined by jax.distributed train what one process does."""

import json
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests import command
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.training import lost_member, sharding


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


GOES_ON = """
import sys, time
import jax, jax.numpy as jnp, numpy as np
from ultrasound_jax.training import sharding

port, rank, busy = sys.argv[1:]
sharding.join(False, f"127.0.0.1:{port}", 2, int(rank))
mesh = sharding.data_mesh()
rows = {"x": np.ones((2, 3), np.float32)}
add = jax.jit(jnp.sum)
float(add(sharding.to_device(rows, mesh)["x"]))
print("begun", flush=True)
for _ in range(6000):
    if busy == "work":
        float(add(sharding.to_device(rows, mesh)["x"]))
    time.sleep(0.01)
"""


def member(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=command.ROOT,
        env=command.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def members(task, folder):
    port = str(free_port())
    joined = [member(MEMBER, port, str(rank), task, str(folder)) for rank in range(2)]
    return [command.finish(process, seconds=200) for process in joined]


def test_saving_best_and_latest_at_once_does_not_mix_up_two_processes(tmp_path):
    for code, out, err in members("save", tmp_path):
        assert code == 0, err
        assert out.splitlines()[-1] == "12.0"


def test_a_process_that_fails_does_not_leave_the_others_waiting(tmp_path):
    first, second = members("fail", tmp_path)
    assert first[0] == 1
    assert "a mistake in one process" in first[2]
    assert second[0] == lost_member.CODE
    assert second[2].splitlines() == [lost_member.SAID]


@pytest.mark.parametrize("busy", ["work", "idle"])
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_is_one_line_in_the_other(busy, victim):
    port = str(free_port())
    joined = [member(GOES_ON, port, str(rank), busy) for rank in range(2)]
    for process in joined:
        assert process.stdout is not None
        assert "begun\n" in process.stdout  # Gloo says more
    joined[victim].kill()
    joined[victim].communicate()
    code, _, err = command.finish(joined[1 - victim])
    assert code == lost_member.CODE
    assert err.splitlines() == [lost_member.SAID]


def test_what_is_written_to_the_error_output_arrives_whole():
    code = (
        "import os, sys\n"
        "from ultrasound_jax.training import lost_member\n"
        "lost_member.watch()\n"
        "os.write(2, b'W1128 10:56:16 1 coordination_service.cc:1] a word\\n')\n"
        "print('a line', file=sys.stderr)\n"
        "sys.stderr.write('no end of line')\n"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=command.ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.endswith("a word\na line\nno end of line")


def test_a_busy_port_of_the_coordinator_is_one_line():
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        run = command.run(
            f"--coordinator=127.0.0.1:{port}", "--processes=2", "--process=0"
        )
    assert run[0] == 2
    assert run[2].count("\n") == 1
    assert f"port {port} cannot be used here: Address already in use" in run[2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("host", "HOST:PORT"),
        ("host:port", "HOST:PORT"),
        ("x.invalid:1", "no such host"),
    ],
)
def test_a_coordinator_that_is_none_is_refused(given, message):
    with pytest.raises(sharding.ShardingError, match=message):
        sharding.join(False, given, 2, 1)
