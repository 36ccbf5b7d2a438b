"""LUV-Net against frame voting on the POCUS videos, cross-validated over patients.

    python experiments/pocus_luvnet.py --manual_dir ../shared/data

Both networks get the same folds, augmentation, budget and selection. A fold that is
done is not trained again, so the command goes on where it was interrupted. Writes
`experiments/results/pocus_luvnet.json`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from ultrasound_jax.study.committed import command

ROOT = Path(__file__).parent.parent
CONFIGS = {
    "luvnet": "configs/luvnet.py:pocus",
    "frame_vote": "configs/luvnet.py:pocus_frame_vote",
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    return command(
        CONFIGS,
        description=__doc__,
        root=ROOT,
        workdir=Path("runs/pocus_study"),
        out=ROOT / "experiments/results/pocus_luvnet.json",
        argv=argv,
    )


if __name__ == "__main__":
    sys.exit(main())
