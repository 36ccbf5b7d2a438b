"""Which process made something, as words of a file's name, and whether it lives.

A mark is `<process>-<start>-<host>`: two processes of one number are told apart by
their starts, and two containers of one name by their boot and process space.
"""

import contextlib
import hashlib
import os
import re
import socket
from pathlib import Path

import psutil

MARK = r"(?P<process>\d+)-(?P<started>\d+)-(?P<host>[0-9a-f]{6})"
# What another host's process has not touched for so long is nobody's any more.
SILENT_SECONDS = 86_400.0


def mark() -> str:
    """This process, as a file's name can hold it."""
    process = os.getpid()
    return f"{process}-{started(process)}-{_host_digits()}"


def is_gone(maker: str, *, silent: float) -> bool:
    """True if the process of a mark is dead, as far as it can be told from here.

    Args:
        maker: a mark; of another host, or with none, only the silence tells.
        silent: seconds since what it makes was last touched.
    """
    found = re.fullmatch(MARK, maker)
    if found is None or found["host"] != _host_digits():
        return silent > SILENT_SECONDS
    process = int(found["process"])
    alive = psutil.pid_exists(process) and started(process) == int(found["started"])
    return not alive


def started(process: int) -> int:
    """Ticks from boot to the start of a process, which tell two of equal id apart."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[19])


def host() -> str:
    """A host's name that no container of equal name shares."""
    parts = [socket.gethostname()]
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    with contextlib.suppress(OSError):
        parts += [boot.read_text().strip(), str(space.stat().st_ino)]
    return "/".join(parts)


def _host_digits() -> str:
    return hashlib.sha256(host().encode()).hexdigest()[:6]
