"""Memory that a step has had once is kept for the next one, on Linux.

XLA asks for the memory of each step anew. The C library (glibc) gives large pieces back
to the system at once, and the system hands out pages that it has to blank first, which
is a third of the default training step (experiments/kept_memory.py). Told to keep them,
the library takes them from what it has.

Whoever sets one of glibc's own variables (`MALLOC_…`, `GLIBC_TUNABLES`) has decided
otherwise, and nothing is changed.
"""

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # of <malloc.h>
# One heap for all threads, nothing beside it, and 2 GiB at its end are kept
_SET = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1))
_THREADS = "/proc/self/task"


def keep_memory() -> bool:
    """Tells the C library to keep what is freed; whether it was told.

    Has to come before there is a second thread, as each thread may have a heap of its
    own by then; after that, and where there is no glibc, nothing is done.
    """
    decided = any(n.startswith(("MALLOC_", "GLIBC_TUNABLES")) for n in os.environ)
    if decided or not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    try:
        alone = len(os.listdir(_THREADS)) == 1
    except OSError:  # no /proc
        return False
    return alone and all(library.mallopt(*each) == 1 for each in _SET)
