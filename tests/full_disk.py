"""A disk that is full after some bytes of a file, without mounting one."""

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def full_after(size: int) -> Iterator[None]:
    """Within the block no file of this process or its children grows beyond `size`.

    The system refuses a write as it does on a full disk, with EFBIG for ENOSPC; Python
    ignores the signal that comes with it.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files_in(folder: Path) -> dict[str, bytes]:
    """What each file below a folder holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
