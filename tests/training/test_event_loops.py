"""Loops that end their tasks, and a damaged checkpoint that says nothing else."""

import asyncio
import contextlib
import gc

import jax.numpy as jnp
import pytest

from ultrasound_jax.training.event_loops import waiting_loops
from ultrasound_jax.training.series import Series
from ultrasound_jax.training.series_errors import CheckpointError
from ultrasound_jax.training.series_path import Reachable


async def first_of_two(ended):
    async def slow():
        await asyncio.sleep(0.05)
        ended.append("slow")
        raise OSError("damaged, too")

    async def fast():
        raise OSError("damaged")

    await asyncio.gather(slow(), fast())


def test_a_waiting_loop_ends_the_tasks_that_are_left():
    ended: list[str] = []
    before = asyncio.get_event_loop_policy()
    with waiting_loops():
        loop = asyncio.new_event_loop()
    with pytest.raises(OSError, match="damaged"):
        loop.run_until_complete(first_of_two(ended))
    assert asyncio.all_tasks(loop)
    loop.close()
    assert ended == ["slow"]
    assert asyncio.get_event_loop_policy() is before


def test_a_damaged_checkpoint_of_many_arrays_leaves_nothing_behind(tmp_path, capfd):
    arrays = {f"array{i}": jnp.arange(4.0 * (i + 1)) for i in range(60)}
    tree = {"params": arrays, "stats": {}}
    with opened(tmp_path) as series:
        series.save(1, tree, {})
    files = [*(tmp_path / "latest/1/arrays/d").iterdir()]
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    capfd.readouterr()
    with opened(tmp_path, writes=False) as series:
        for _ in range(5):
            with pytest.raises(CheckpointError, match="none of the checkpoints"):
                series.restore(tree)
            assert series.weights_of(1, (arrays, {})) is None
    gc.collect()
    assert capfd.readouterr().err == ""


@contextlib.contextmanager
def opened(folder, *, writes=True):
    kept = Reachable(folder, make=writes)
    series = Series(
        kept, "latest", keep=2, bound={}, writes=writes, say=lambda _line: None
    )
    try:
        yield series
    finally:
        series.close()
        kept.close()
