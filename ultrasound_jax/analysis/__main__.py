"""Numbers from predictions tables: `python -m ultrasound_jax.analysis <verb> RUN …`.

A verb is a module with `add_arguments(parser)` and `run(options) -> exit code`,
imported only when it is asked for, so that only verbs that need a network need JAX.
`runs.add_run_arguments` adds what all of them take: `RUN [RUN…] --out DIR`.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from ultrasound_jax.types import UltrasoundError

_PROGRAM = "python -m ultrasound_jax.analysis"
VERBS: dict[str, str] = {
    "metrics": "ultrasound_jax.analysis.commands.metrics",
    "compare": "ultrasound_jax.analysis.commands.compare",
    "readers": "ultrasound_jax.analysis.commands.readers",
    "report": "ultrasound_jax.analysis.commands.report",
    "attention": "ultrasound_jax.explain.commands.attention",
    "cost": "ultrasound_jax.explain.commands.cost",
}
HELP: dict[str, str] = {
    "metrics": "every metric with its interval, calibration, subgroups",
    "compare": "which differences between runs survive, and which do not",
    "readers": "agreement of a run with human readers",
    "report": "all of it as one HTML file and Markdown",
    "attention": "where a network looks: curves over frames, strips, videos",
    "cost": "parameters, FLOPs, memory and latency",
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} ({self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns 0, or 2 for an error of the user, told in one line."""
    words = list(sys.argv[1:] if argv is None else argv)
    outer = _Parser(
        prog=_PROGRAM,
        description="Numbers, tables and figures from the predictions of runs.",
        epilog="verbs:\n"
        + "\n".join(f"  {verb:11}{text}" for verb, text in HELP.items())
        + f"\n\n{_PROGRAM} <verb> --help tells what a verb takes and writes.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    outer.add_argument("verb", choices=VERBS, metavar="verb", help="see below")
    verb = outer.parse_args(words[:1]).verb
    module = importlib.import_module(VERBS[verb])
    parser = _Parser(
        prog=f"{_PROGRAM} {verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    options = parser.parse_args(words[1:])
    try:
        return module.run(options)
    except (UltrasoundError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
