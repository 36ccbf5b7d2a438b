"""Clinical files in: `python -m ultrasound_jax.dicom <verb> …`.

A verb is a module with `add_arguments(parser)` and `run(args) -> exit code`, imported
only when it is asked for.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from ultrasound_jax.runs.journal import stoppable
from ultrasound_jax.types import UltrasoundError

_PROGRAM = "python -m ultrasound_jax.dicom"
VERBS = {
    "index": (
        "dicom.commands.index",
        "a folder of DICOM files -> index.csv, the sheet",
    ),
    "convert": (
        "dicom.commands.convert",
        "index.csv -> de-identified AVI, PNG or clips",
    ),
    "labels": (
        "labels.commands.sheets",
        "the sheets of two annotators -> one, and a report",
    ),
    "clips": ("labels.commands.clips", "index.csv and labels -> the table of clips"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns 0, 2 for an error of the user, 130 if interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    outer = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="From DICOM files to de-identified, calibrated frames and clips.",
        epilog="verbs:\n"
        + "\n".join(f"  {name:9}{text}" for name, (_, text) in VERBS.items())
        + f"\n\n{_PROGRAM} <verb> --help tells what a verb writes, and where.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    outer.add_argument("verb", choices=VERBS, metavar="verb", help="see below")
    verb = outer.parse_args(words[:1]).verb
    module = importlib.import_module(f"ultrasound_jax.{VERBS[verb][0]}")
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} {verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    args = parser.parse_args(words[1:])
    try:
        with stoppable():
            return module.run(args)
    except UltrasoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command continues", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
