"""What the tests let workers do: they import it by name."""

import ctypes
import os
import sys
import time
from pathlib import Path

import numpy as np

from ultrasound_jax.types import InputError


def echo(item):
    return item


def misbehave(how):
    """Does what broken decoders do."""
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "abort":
        os.abort()
    elif how == "exit":
        os._exit(3)
    elif how == "hang":
        time.sleep(60)
    elif how == "spin":
        while True:
            pass
    elif how == "allocate":
        return float(np.ones(1 << 30)[0])
    elif how == "reserve":
        return np.empty(1 << 30, np.uint8).size
    elif how == "creep":
        kept = []
        while True:
            kept.append(b"x" * (1 << 20))
    elif how == "refuse":
        raise InputError("first line\nof two")
    elif how == "bug":
        return {}["Doe^Jane"]
    elif how == "not data":
        return {1, 2}
    elif how == "flood":
        return "x" * (33 << 20)
    elif how == "print":
        print("Doe^Jane")
        print("Doe^Jane", file=sys.stderr)
        os.write(1, b"Doe^Jane\n")
        os.write(2, b"Doe^Jane\n")
    elif how == "bomb file":
        import resource

        return resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return how


def own_id(item):
    return os.getpid()


def imported(item):
    return [name for name in ("jax", "tensorflow", "torch") if name in sys.modules]


def late(item):
    """Says who works on it, in the file given, and then takes long."""
    Path(item).write_text(str(os.getpid()))
    time.sleep(60)


def picture(path, *, name, how="fine"):
    """Reads a picture as broken decoders do."""
    if how == "refuse":
        raise InputError(f"{name}: is no picture, as {path} has it")
    misbehave(how)
    return np.arange(12, dtype=np.int16).reshape(3, 4)
