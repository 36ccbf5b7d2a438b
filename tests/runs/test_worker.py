import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.runs import worker_jobs as jobs
from ultrasound_jax.runs import limited_worker
from ultrasound_jax.runs.limited_worker import run_safely
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

LIMITS = Limits(seconds=1.0, memory_bytes=128 << 20)


def outcome(how):
    return run_safely(jobs.misbehave, [how], limits=LIMITS, workers=1)[0]


def test_outcomes_come_in_the_order_of_the_items():
    items = [{"path": "ä\udc80", "number": n} for n in range(50)]
    told = []
    outcomes = run_safely(
        jobs.echo, iter(items), limits=LIMITS, workers=2, on_done=told.append
    )
    assert [o.value for o in outcomes] == items
    assert [o.index for o in outcomes] == list(range(50))
    assert all(o.ok and o.reason == "" for o in outcomes)
    assert sorted(told, key=lambda o: o.index) == outcomes


def test_no_items_need_no_process():
    assert run_safely(jobs.echo, [], limits=LIMITS) == []


@pytest.mark.parametrize(
    ("how", "kind", "reason"),
    [
        ("segfault", "crashed", "decoder crashed (signal 11)"),
        ("abort", "crashed", "decoder crashed (signal 6)"),
        ("exit", "crashed", "decoder ended the process (exit code 3)"),
        ("hang", "time", "takes longer than 1 s"),
        ("spin", "time", "takes longer than 1 s"),
        ("allocate", "memory", "needs more than 128 MiB"),
        ("creep", "memory", "needs more than 128 MiB"),
        ("refuse", "refused", "first line of two"),
        ("flood", "failed", "its result is larger than 32 MiB"),
    ],
)
def test_a_file_that_misbehaves_costs_its_own_result_only(how, kind, reason):
    items = [how, "fine"]
    bad, good = run_safely(jobs.misbehave, items, limits=LIMITS, workers=1)
    assert (bad.kind, bad.reason, bad.value) == (kind, reason, None)
    assert good.value == "fine"
    assert bad.seconds < 2


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's RLIMIT_AS")
def test_memory_that_is_only_reserved_counts_too():
    # Nothing is touched, so that the parent's look at the process would not see it.
    assert outcome("reserve").kind == "memory"


def test_other_exceptions_tell_their_type_and_place_but_not_their_words():
    found = outcome("bug")
    assert found.kind == "failed"
    assert found.reason.startswith("KeyError at worker_jobs.py:")
    assert "Doe" not in found.reason


def test_a_result_that_is_not_plain_data_is_a_failure():
    assert outcome("not data").kind == "failed"


def test_what_a_decoder_prints_is_thrown_away(capfd):
    assert outcome("print").value == "print"
    assert capfd.readouterr() == ("", "")


def test_the_size_of_written_files_is_limited():
    assert outcome("bomb file").value == limited_worker.FILE_BYTES


def test_a_worker_handles_many_items_and_two_work_at_once():
    ids = [
        o.value for o in run_safely(jobs.own_id, range(40), limits=LIMITS, workers=2)
    ]
    assert 1 <= len(set(ids)) <= 2
    assert os.getpid() not in ids


def test_two_workers_take_no_longer_than_the_slower_of_two_items():
    begun = time.monotonic()
    outcomes = run_safely(jobs.misbehave, ["hang"] * 2, limits=LIMITS, workers=2)
    assert [o.kind for o in outcomes] == ["time", "time"]
    # Start-up is counted too, and may be slow; two in a row would take 2 s alone.
    assert time.monotonic() - begun < sum(o.seconds for o in outcomes) + 3


def test_an_item_can_have_a_time_of_its_own():
    outcomes = run_safely(
        jobs.misbehave,
        ["hang", "fine"],
        limits=Limits(),
        workers=1,
        seconds=lambda item: 0.3 if item == "hang" else 20.0,
    )
    assert outcomes[0].reason == "takes longer than 0.3 s" and outcomes[1].ok


def test_workers_do_not_load_jax():
    assert run_safely(jobs.imported, [0], limits=LIMITS)[0].value == []


def test_functions_that_cannot_be_imported_are_refused():
    with pytest.raises(InputError, match="import by name"):
        run_safely(lambda item: item, [1], limits=LIMITS)
    with pytest.raises(InputError, match="allowed are 1 and more"):
        run_safely(jobs.echo, [1], limits=LIMITS, workers=0)


def test_a_function_that_is_not_there_ends_the_run_with_its_name(monkeypatch):
    monkeypatch.setattr(jobs.echo, "__qualname__", "gone")
    with pytest.raises(InputError, match="cannot import tests.runs.worker_jobs.gone"):
        run_safely(jobs.echo, [1], limits=LIMITS)


def test_an_interrupt_leaves_no_process_behind():
    def interrupt(outcome):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_safely(
            jobs.misbehave, ["a", "hang"], limits=LIMITS, workers=2, on_done=interrupt
        )
    here = psutil.Process().children(recursive=True)
    assert not [p for p in here if "worker_child" in " ".join(p.cmdline())]


def test_a_worker_ends_by_itself_when_its_parent_is_killed(tmp_path):
    note = tmp_path / "note"
    program = (
        "from tests.runs import worker_jobs as jobs\n"
        "from ultrasound_jax.runs.limits import Limits\n"
        "from ultrasound_jax.runs.limited_worker import run_safely\n"
        f"run_safely(jobs.late, [{str(note)!r}], limits=Limits(seconds=1.0))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    wait_until(lambda: note.exists() and note.read_text())
    parent.kill()
    parent.wait()
    child = int(note.read_text())
    wait_until(lambda: not Path(f"/proc/{child}").exists() or is_gone(child))


def is_gone(child):
    try:
        return psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
