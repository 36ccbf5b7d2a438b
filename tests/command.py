"""Runs the program as a user does: as a process of its own."""

import os
import subprocess
import sys
import time

from tests.conftest import ROOT, TINY
from tests.flags import QUICK

SMALL = {
    **{f"data.options.{name}": value for name, value in TINY.items()},
    "data.batch_size": 4,
    "data.eval_batch_size": 8,
    "data.folds": 3,
    "model.options.width": 8,
    "model.options.heads": 4,
    "model.options.kernel_size": 3,
    "train.epochs": 3,
    "train.log_every": 4,
    "train.save_every": 3,
    "evaluation.replicates": 200,
}


def arguments(workdir, data_dir, cache, *more, **changes):
    settings = SMALL | {
        "data.data_dir": data_dir,
        "compilation_cache": cache,
    }
    return [
        "--config=configs/luvnet.py",
        f"--workdir={workdir}",
        *(f"--config.{name}={value}" for name, value in settings.items()),
        *(f"--config.{k.replace('__', '.')}={v}" for k, v in changes.items()),
        *more,
    ]


def environment(devices=1):
    return os.environ | {
        "XLA_FLAGS": f"{QUICK} --xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
    }


def start(*args, devices=1):
    return subprocess.Popen(
        [sys.executable, "-m", "ultrasound_jax.main", *args],
        cwd=ROOT,
        env=environment(devices),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, seconds=300):
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"not done in {seconds} s: {out}\n{err}") from None
    return process.returncode, out, err


def run(*args, devices=1):
    return finish(start(*args, devices=devices))


def wait_for_step(process, workdir, step):
    """Returns as soon as the run has logged that step."""
    deadline = time.monotonic() + 240
    path = workdir / "scalars.csv"
    while time.monotonic() < deadline:
        if path.exists() and f"\n{step},train/loss" in path.read_text():
            return
        if process.poll() is not None:
            raise AssertionError(f"it ended early: {process.communicate()}")
        time.sleep(0.005)
    raise AssertionError(f"step {step} was not reached")
