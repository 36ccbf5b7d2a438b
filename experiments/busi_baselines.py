"""BUSI classified and segmented, cross-validated over groups of near duplicates.

    python experiments/busi_baselines.py --manual_dir ../shared/data

A fold that is done is not trained again, so the command goes on where it was
interrupted. Writes `experiments/results/busi_baselines.json`, and the contact sheet of
the segmentation as `docs/figures/busi_lesions.png`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from ultrasound_jax.runs.files import write_whole
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
        then=keep_sheet,
    )


def keep_sheet(workdir: Path) -> None:
    """Copies the contact sheet to the documentation."""
    sheet = (workdir / "segment" / "contact_sheet.png").read_bytes()
    write_whole(ROOT / "docs/figures/busi_lesions.png", sheet)


if __name__ == "__main__":
    sys.exit(main())
