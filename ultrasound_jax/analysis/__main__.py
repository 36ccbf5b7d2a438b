"""Numbers from predictions tables: `python -m ultrasound_jax.analysis <verb> RUN …`.

A verb is imported only when it is asked for, so that only verbs that need a network
need JAX. `table.inputs.add_run_arguments` adds what all of them take:
`RUN [RUN…] --out DIR`.
"""

import sys
from collections.abc import Sequence

from ultrasound_jax.runs import cli

VERBS = {
    "metrics": (
        "ultrasound_jax.analysis.commands.metrics",
        "every metric with its interval, calibration, subgroups",
    ),
    "compare": (
        "ultrasound_jax.analysis.commands.compare",
        "which differences between runs survive, and which do not",
    ),
    "readers": (
        "ultrasound_jax.analysis.commands.readers",
        "agreement of a run with human readers",
    ),
    "report": (
        "ultrasound_jax.analysis.commands.report",
        "all of it as one HTML file and Markdown",
    ),
    "attention": (
        "ultrasound_jax.explain.commands.attention",
        "where a network looks: curves over frames, strips, videos",
    ),
    "cam": (
        "ultrasound_jax.explain.commands.cam",
        "class activation maps of images beside regions that people outlined",
    ),
    "cost": (
        "ultrasound_jax.explain.commands.cost",
        "parameters, FLOPs, memory and latency",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one verb."""
    return cli.run_verb(
        "python -m ultrasound_jax.analysis",
        "Numbers, tables and figures from the predictions of runs.",
        VERBS,
        argv,
    )


if __name__ == "__main__":
    sys.exit(main())
