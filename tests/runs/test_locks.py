"""Two workers never hold one lock; what a dead one held is free again."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from ultrasound_jax.runs import locks


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.lock"


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_lock_is_held_once_and_free_after_release(path):
    first, second = locks.Lock(path), locks.Lock(path)
    assert first.take()
    assert not second.take()
    assert f"process {os.getpid()}" in locks.holder(path)
    second.release()
    assert path.exists()
    first.release()
    assert not path.exists()
    assert second.take()
    second.release()


def test_of_many_that_ask_at_once_one_gets_a_free_and_one_gets_a_dead_lock(path):
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        check=True,
    )
    left = locks._myself() | {"process": int(dead.stdout), "started": 1}
    for text in (None, json.dumps(left)):
        if text:
            path.write_text(text)
        asking = [locks.Lock(path) for _ in range(16)]
        taken, start = [], threading.Barrier(16)

        def ask(lock, taken=taken, start=start):
            start.wait()
            if lock.take():
                taken.append(lock)

        threads = [threading.Thread(target=ask, args=(lock,)) for lock in asking]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1
        taken[0].release()
        assert not list(path.parent.iterdir())


def test_a_lock_of_another_host_is_stale_only_when_it_is_silent(path):
    path.write_text(json.dumps(locks._myself() | {"host": "elsewhere"}))
    assert not locks.Lock(path).take()
    age(path, locks.STALE_SECONDS + 10)
    lock = locks.Lock(path)
    assert lock.take()
    lock.release()


def test_a_living_process_of_this_host_keeps_its_lock_however_silent(path):
    path.write_text(json.dumps(locks._myself()))
    age(path, 10 * locks.STALE_SECONDS)
    assert not locks.Lock(path).take()


def test_another_process_of_the_same_number_does_not_keep_the_lock(path):
    path.write_text(json.dumps(locks._myself() | {"started": 1}))
    lock = locks.Lock(path)
    assert lock.take()
    lock.release()


def test_a_lock_cut_short_by_a_full_disk_frees_itself_in_time(path):
    path.write_text("")
    assert not locks.Lock(path).take()
    age(path, locks.STALE_SECONDS + 10)
    lock = locks.Lock(path)
    assert lock.take()
    lock.release()


def test_a_held_lock_is_touched(path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.01)
    with locks.attempt(path) as taken:
        assert taken
        age(path, 1000)
        deadline = time.monotonic() + 20
        while time.time() - path.stat().st_mtime > 500:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_who_loses_a_lock_is_interrupted_and_leaves_the_new_one_alone(
    path, monkeypatch
):
    told = threading.Event()
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(locks._thread, "interrupt_main", told.set)
    lock = locks.Lock(path)
    assert lock.take()
    path.write_text("another's")
    assert told.wait(20)
    lock.release()
    assert path.read_text() == "another's"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(locks.LockError, match="file/run.lock"):
        locks.Lock(tmp_path / "file" / "run.lock").take()


def test_waiting_ends_when_the_other_is_done(path, monkeypatch):
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.01)
    lock = locks.Lock(path)
    assert lock.take()
    threading.Timer(0.05, lock.release).start()
    with locks.wait_for(path):
        assert path.exists()
    assert not path.exists()
