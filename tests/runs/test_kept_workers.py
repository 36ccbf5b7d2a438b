import gc
import threading
import time

import psutil
import pytest

from tests.runs import worker_jobs as jobs
from ultrasound_jax.runs.kept_workers import KeptWorkers, LimitedWorker
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

LIMITS = Limits(seconds=1.0, memory_bytes=128 << 20)


@pytest.fixture
def worker():
    one = LimitedWorker(jobs.misbehave, LIMITS)
    yield one
    one.close()


def gone(process_id):
    """Whether a process has ended, at once or soon."""
    for _ in range(100):
        if not psutil.pid_exists(process_id):
            return True
        time.sleep(0.02)
    return False


def test_one_process_answers_call_after_call():
    worker = LimitedWorker(jobs.own_id, LIMITS)
    first, second = (worker.call(None).value for _ in range(2))
    assert first == second and psutil.pid_exists(first)
    worker.close()
    assert gone(first)


@pytest.mark.parametrize(
    ("how", "kind"),
    [("abort", "crashed"), ("hang", "time"), ("creep", "memory"), ("bug", "failed")],
)
def test_a_call_that_misbehaves_leaves_a_worker_for_the_next(worker, how, kind):
    assert worker.call(how).kind == kind
    assert worker.call("fine").value == "fine"


def test_a_call_may_have_less_time_than_others(worker):
    outcome = worker.call("hang", seconds=0.2)
    assert (outcome.kind, outcome.reason) == ("time", "takes longer than 0.2 s")


def test_a_worker_that_nobody_holds_ends():
    worker = LimitedWorker(jobs.own_id, LIMITS)
    process_id = worker.call(None).value
    del worker
    gc.collect()
    assert gone(process_id)


def test_threads_have_workers_of_their_own_which_stay():
    workers = KeptWorkers(jobs.own_id, LIMITS)
    met, found = threading.Barrier(2), []

    def ask():
        met.wait()
        found.append(workers.call(None).value)

    for _ in range(2):
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 1 <= len(set(found)) <= 2 and len(found) == 4
    workers.close()
    assert all(gone(one) for one in found)
    assert workers.call(None).ok  # by a new one
    workers.close()


def test_a_function_that_no_worker_can_import_is_refused():
    with pytest.raises(InputError, match="import by name"):
        LimitedWorker(lambda item: item, LIMITS)
