"""The front of two stages; they train, so their work stands in `study/stages`.

It is imported by its name when it is asked for, as every verb of a command is.
"""

import importlib
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    work = importlib.import_module("ultrasound_jax.study.stages.command")
    return work.main(argv)


if __name__ == "__main__":
    sys.exit(main())
