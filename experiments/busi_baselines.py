"""BUSI classified and segmented, cross-validated over groups of near duplicates.

    python experiments/busi_baselines.py --manual_dir ../shared/data

A fold that is done is not trained again, so the command goes on where it was
interrupted. Writes `experiments/results/busi_baselines.json`; the contact sheet of the
segmentation stays in its run's folder, since the pictures are not ours.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from ultrasound_jax.study.committed import command

ROOT = Path(__file__).parent.parent
CONFIGS = {"classify": "configs/busi.py", "segment": "configs/busi.py:segment"}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    return command(
        CONFIGS,
        description=__doc__,
        root=ROOT,
        workdir=Path("runs/busi_baselines"),
        out=ROOT / "experiments/results/busi_baselines.json",
        argv=argv,
    )


if __name__ == "__main__":
    sys.exit(main())
