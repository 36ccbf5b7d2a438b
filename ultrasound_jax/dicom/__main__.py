"""Clinical files in: `python -m ultrasound_jax.dicom <verb> …`."""

import sys
from collections.abc import Sequence

from ultrasound_jax.runs import cli

VERBS = {
    "index": (
        "ultrasound_jax.dicom.commands.index",
        "a folder of DICOM files -> index.csv, the sheet",
    ),
    "convert": (
        "ultrasound_jax.dicom.commands.convert",
        "index.csv -> de-identified AVI, PNG or clips",
    ),
    "labels": (
        "ultrasound_jax.labels.commands.sheets",
        "the sheets of two annotators -> one, and a report",
    ),
    "clips": (
        "ultrasound_jax.labels.commands.clips",
        "index.csv and labels -> the table of clips",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one verb."""
    return cli.run_verb(
        "python -m ultrasound_jax.dicom",
        "From DICOM files to de-identified, calibrated frames and clips.",
        VERBS,
        argv,
    )


if __name__ == "__main__":
    sys.exit(main())
