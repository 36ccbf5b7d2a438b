"""What is freed is kept: measured by the pages that the system has to hand out."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from ultrasound_jax.runs import kept_memory

AGAIN = """
import resource
{first}
import ultrasound_jax
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use():
    piece = bytearray(64 << 20)
    del piece
use()
before = faults()
for _ in range(10):
    use()
print(faults() - before)
"""
THREAD = """import threading, time
threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"""
PAGES = 10 * (64 << 20) // 4096
linux = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and os.path.isdir("/proc/self/task")),
    reason="of Linux alone",
)


def faults(first="", **variables):
    unset = {
        n: v for n, v in os.environ.items() if not n.startswith(("MALLOC", "GLIBC"))
    }
    found = subprocess.run(
        [sys.executable, "-c", AGAIN.format(first=first)],
        cwd=ROOT,
        env=unset | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(found.stdout)


@linux
def test_memory_that_was_had_once_costs_no_pages_again():
    assert faults() < PAGES / 100


@linux
@pytest.mark.parametrize(
    "given", [{"MALLOC_ARENA_MAX": "4"}, {"GLIBC_TUNABLES": "glibc.malloc.check=0"}]
)
def test_who_has_decided_otherwise_is_left_alone(given):
    assert faults(**given) > PAGES / 100


@linux
def test_with_a_second_thread_nothing_is_changed():
    assert faults(THREAD) > PAGES / 100


def test_other_systems_are_left_alone(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("MALLOC_", "GLIBC_TUNABLES")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(kept_memory.ctypes, "CDLL", lambda name: 1 / 0)
    assert not kept_memory.keep_memory()
