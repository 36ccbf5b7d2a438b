"""Checkpoints under any name, of one run, read back, and the best of them."""

import json
import os
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax.training import series
from ultrasound_jax.training.checkpoint import (
    CheckpointError,
    Checkpoints,
    ForeignCheckpointError,
    check_folder,
)

BOUND = {"data": "a" * 64, "splits": "b" * 64, "classes": "c" * 64, "run": "d" * 64}


def state(value):
    weights = {"kernel": jnp.full((3, 2), float(value)), "bias": jnp.zeros(2)}
    return {"params": weights, "stats": {"mean": jnp.ones(2)}, "step": jnp.int32(value)}


def weights(value):
    whole = state(value)
    return whole["params"], whole["stats"]


def host(best):
    return {"progress": {"best_step": best}}


@pytest.fixture
def said():
    return []


@pytest.fixture
def opened(tmp_path, said):
    def at(*, folder=tmp_path, **more):
        return Checkpoints(folder / "checkpoints", say=said.append, **more)

    return at


def fill(checkpoints, *, best=(2, 4), latest=(4, 6)):
    for step in best:
        checkpoints.save_best(step, weights(step))
    for step in latest:
        checkpoints.save(step, state(step), host(max(best, default=0)))
    checkpoints.wait()


def kernel(found):
    return float(found[0]["kernel"][0, 0])


def cut(folder):
    for path in folder.rglob("d/*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "name", ["1234[5]", "a\\b", "gs:x", "a*b?", "Müller", "s3%3A{x}", "two  words"]
)
def test_a_folder_of_any_name_keeps_its_checkpoints(tmp_path, opened, name):
    folder = tmp_path / name
    with opened(folder=folder) as checkpoints:
        fill(checkpoints)
    with opened(folder=folder) as checkpoints:
        restored = checkpoints.restore(state(0))
        assert restored is not None
        assert int(restored[0]["step"]) == 6
        assert kernel(checkpoints.restore_best(weights(0))) == 4.0
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_not_utf8_is_refused_before_any_work(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    with pytest.raises(CheckpointError, match=r"caf\\xe9' is not UTF-8"):
        check_folder(folder)
    check_folder(tmp_path / "café")


def test_a_save_that_cannot_be_read_back_ends_the_run_at_once(opened, monkeypatch):
    damage = series.Series._sync_files

    def lose(self):
        damage(self)
        for path in self.folder.glob(f"*{series.UNDER_WAY}*"):
            cut(path)

    monkeypatch.setattr(series.Series, "_sync_files", lose)
    with opened() as checkpoints, pytest.raises(CheckpointError, match="read back"):
        checkpoints.save(1, state(1), host(0))


def test_files_are_on_the_disk_before_a_checkpoint_has_its_name(opened, monkeypatch):
    synced, names = [], os.fsync

    def watched(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        names(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    with opened() as checkpoints:
        checkpoints.save(1, state(1), host(0))
    files = [path for path in synced if series.UNDER_WAY in path]
    assert any("/d/" in path for path in files)
    assert any(path.endswith("host/metadata") or "/host" in path for path in files)


def test_a_checkpoint_of_other_data_splits_classes_or_run_is_refused(opened):
    with opened(bound=BOUND) as checkpoints:
        fill(checkpoints)
    for name in BOUND:
        with opened(bound=BOUND | {name: "e" * 64}) as checkpoints:
            with pytest.raises(ForeignCheckpointError, match="not made by this run"):
                checkpoints.restore(state(0))
            with pytest.raises(ForeignCheckpointError, match="not made by this run"):
                checkpoints.restore_best(weights(0))
    with opened(bound=BOUND) as checkpoints:
        assert checkpoints.restore(state(0)) is not None


def test_a_checkpoint_from_before_they_were_bound_is_read(opened):
    with opened() as checkpoints:
        fill(checkpoints)
    with opened(bound=BOUND) as checkpoints:
        assert checkpoints.restore(state(0)) is not None
        assert kernel(checkpoints.restore_best(weights(0))) == 4.0


def test_a_reader_changes_nothing_beside_a_run_that_is_under_way(tmp_path, opened):
    with opened() as checkpoints:
        fill(checkpoints)
    under_way = tmp_path / f"checkpoints/latest/7{series.UNDER_WAY}"
    under_way.mkdir()
    cut(tmp_path / "checkpoints/best/4/arrays")
    before = sorted(tmp_path.rglob("*"))
    with opened(writes=False) as checkpoints:
        found = checkpoints.best(weights(0))
    assert sorted(tmp_path.rglob("*")) == before
    assert kernel(found.weights) == 4.0  # `latest` has this step, too


def test_a_reader_of_nothing_makes_no_folder(tmp_path, opened):
    with opened(writes=False) as checkpoints:
        assert checkpoints.restore(state(0)) is None
        with pytest.raises(CheckpointError, match="train with --mode train"):
            checkpoints.restore_best(weights(0))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["damaged", "gone"])
def test_the_best_is_rebuilt_from_the_same_step_of_the_latest(
    tmp_path, opened, said, how
):
    with opened() as checkpoints:
        fill(checkpoints)
    best = tmp_path / "checkpoints/best"
    cut(best / "4/arrays") if how == "damaged" else shutil.rmtree(best)
    with opened() as checkpoints:
        found = checkpoints.best(weights(0))
    assert kernel(found.weights) == 4.0
    assert not found.note
    assert any("taken from" in line for line in said)
    shutil.rmtree(tmp_path / "checkpoints/latest")
    with opened() as checkpoints:
        assert kernel(checkpoints.restore_best(weights(0))) == 4.0


def test_averaged_weights_are_what_is_rebuilt(tmp_path, opened):
    averaged = state(4) | {"average": weights(9)}
    with opened() as checkpoints:
        checkpoints.save(4, averaged, host(4))
        assert kernel(checkpoints.best(weights(0)).weights) == 9.0


@pytest.mark.parametrize("how", ["damaged", "gone"])
def test_the_second_best_says_that_it_is(tmp_path, opened, how):
    with opened() as checkpoints:
        fill(checkpoints, latest=(5, 6))
    best = tmp_path / "checkpoints/best/4"
    cut(best / "arrays") if how == "damaged" else shutil.rmtree(best)
    with opened() as checkpoints:
        found = checkpoints.best(weights(0))
    assert kernel(found.weights) == 2.0
    assert found.note == (
        "the second best, of step 2: the best, of step 4, are damaged or gone"
    )


def test_without_any_good_best_the_message_says_what_to_do(tmp_path, opened):
    with opened() as checkpoints:
        fill(checkpoints, latest=(5, 6))
    shutil.rmtree(tmp_path / "checkpoints/best")
    with opened() as checkpoints:
        with pytest.raises(CheckpointError, match="bring best/4 back from a copy, or"):
            checkpoints.best(weights(0))


HOSTILE = {
    "empty": b"",
    "a list": b"[]",
    "no checksums": b'{"progress": {}}',
    "not UTF-8": b'{"checksums": "\xff"}',
    "deeply nested": b"[" * 100_000,
    "cut": b'{"checksums": {"params.bias": 1',
    "not a number": b'{"checksums": {"params.bias": NaN}}',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_damaged_host_file_is_said_and_the_one_before_is_used(
    tmp_path, opened, said, content
):
    with opened() as checkpoints:
        fill(checkpoints)
    path = tmp_path / "checkpoints/latest/6/host/metadata"
    path.write_bytes(content)
    with opened() as checkpoints:
        restored = checkpoints.restore(state(0))
    assert restored is not None
    assert int(restored[0]["step"]) == 4
    assert "latest/6 is damaged" in said[0]
    assert (tmp_path / "checkpoints/damaged-latest-6").is_dir()


def test_a_flipped_bit_anywhere_is_damage_or_of_no_consequence(tmp_path, opened, said):
    with opened() as checkpoints:
        fill(checkpoints)
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "checkpoints", kept)
    drawn = np.random.default_rng(0)
    files = sorted(p for p in kept.rglob("latest/6/**/*") if p.stat().st_size)
    for path in (p for p in files if p.is_file()):
        content = bytearray(path.read_bytes())
        content[drawn.integers(len(content))] ^= 1 << int(drawn.integers(8))
        shutil.rmtree(tmp_path / "checkpoints")
        shutil.copytree(kept, tmp_path / "checkpoints")
        (tmp_path / "checkpoints" / path.relative_to(kept)).write_bytes(content)
        with opened() as checkpoints:
            restored = checkpoints.restore(state(0))
        assert restored is not None
        step = int(restored[0]["step"])
        assert step == (4 if any("latest/6 is damaged" in s for s in said) else 6)
        assert float(restored[0]["params"]["kernel"][0, 0]) == step
        said.clear()


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, opened):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/best").write_text("")
    with pytest.raises(CheckpointError, match="checkpoints/best' is no folder"):
        opened()


def test_what_a_checkpoint_is_bound_to_lies_beside_its_arrays(tmp_path, opened):
    with opened(bound=BOUND) as checkpoints:
        checkpoints.save(1, state(1), host(0))
    path = tmp_path / "checkpoints/latest/1/host/metadata"
    assert json.loads(path.read_text())["bound"] == BOUND
