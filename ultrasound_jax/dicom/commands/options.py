"""The options that every verb which opens untrusted files has."""

import argparse

from ultrasound_jax.runs.limited_worker import default_workers
from ultrasound_jax.runs.limits import Limits

_MIB = 1 << 20


def add_run_arguments(
    parser: argparse.ArgumentParser, *, seconds: float | None = None
) -> None:
    """Adds `--workers` and the `--max-…` options; read them with `limits_of`.

    Args:
        parser: of the verb.
        seconds: its default for a file, where that is not the one of `Limits`.
    """
    defaults = Limits()
    group = parser.add_argument_group(
        "safety",
        "Each file is opened in a worker process. One beyond a limit is listed with\n"
        "the reason, and the run goes on.",
    )
    group.add_argument(
        "--workers",
        type=positive,
        default=default_workers(),
        metavar="N",
        help="worker processes (default: one a core, %(default)s here)",
    )
    for name, value, what in (
        ("seconds", seconds or defaults.seconds, "wall time for a file"),
        ("memory-mib", defaults.memory_bytes // _MIB, "memory for a file"),
        ("frames", defaults.frames, "frames of a file"),
        ("pixels", defaults.pixels, "pixels of a frame"),
        ("inflated-mib", defaults.inflated_bytes // _MIB, "size of an inflated file"),
    ):
        group.add_argument(
            f"--max-{name}",
            type=positive,
            default=int(value),
            metavar="N",
            help=f"{what} (default: %(default)s)",
        )


def limits_of(args: argparse.Namespace) -> Limits:
    """The limits that `add_run_arguments` asked for."""
    return Limits(
        memory_bytes=args.max_memory_mib * _MIB,
        seconds=float(args.max_seconds),
        frames=args.max_frames,
        pixels=args.max_pixels,
        inflated_bytes=args.max_inflated_mib * _MIB,
    )


def positive(text: str) -> int:
    """A whole number above 0, as argparse wants it."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
