"""Proves that nothing of a dataset is on two sides of a split, or shows what is.

    python -m ultrasound_jax.data.audit pocus --manual_dir ~/data
    python -m ultrasound_jax.data.audit pocus --manifest runs/1/splits.json

Without a manifest every patient is a side: whoever looks the same as another patient
may end up across any split. It ends with 0 if all is clean, 1 if something leaks, 2 if
it could not be looked at.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ultrasound_jax.data import source as sources
from ultrasound_jax.data.audit import page
from ultrasound_jax.data.audit.leaks import (
    Leaks,
    find_leaks,
    sides_of,
)
from ultrasound_jax.data.audit.thumbnails import (
    COPY,
    Samples,
    sample,
)
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.media.near_duplicates import THRESHOLD
from ultrasound_jax.runs import cli, json_text
from ultrasound_jax.runs.bar import watched

MOST_PICTURES = 100_000  # 400 MB of thumbnails on disk, three times that in memory


def audit(
    source: sources.Source,
    manifest: Manifest | None = None,
    *,
    threshold: float = THRESHOLD,
    least_detail: float = -1.0,
    most: int = MOST_PICTURES,
) -> tuple[Leaks, Samples]:
    """Looks for everything that crosses; see `Leaks` and `Samples`.

    Raises:
        UltrasoundError: the manifest is another dataset's, or too much looks alike.
    """
    sides = sides_of(source.table, manifest)
    with tempfile.TemporaryFile() as file:
        samples = sample(source, file, most=most, watch=watched("pictures"))
        leaks = find_leaks(
            source,
            samples,
            sides,
            threshold=threshold,
            least_detail=least_detail,
            watch=watched("pairs"),
        )
    return leaks, samples


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    given = _parser().parse_args(argv)
    return cli.guard(lambda prompt: _run(given))


def _run(given: argparse.Namespace) -> int:
    where: dict[str, Any] = {
        "options": dict(given.option),
        "data_dir": given.data_dir,
    }
    manifest = Manifest.read(given.manifest) if given.manifest else None
    sources.prepare(
        given.dataset, **where, manual_dir=given.manual_dir, flag="--manual_dir"
    )
    source = sources.open_source(given.dataset, **where)
    leaks, samples = audit(
        source,
        manifest,
        threshold=given.threshold,
        least_detail=given.detail,
        most=given.pictures,
    )
    report = page.Report(
        source=source,
        samples=samples,
        leaks=leaks,
        threshold=given.threshold,
        manifest=Path(given.manifest).name if given.manifest else "",
    )
    print(report.as_text())
    for path in report.write(Path(given.out)):
        print(f"wrote {path}")
    return 0 if leaks.clean else 1


def _parser() -> cli.Parser:
    parser = cli.Parser(
        prog="python -m ultrasound_jax.data.audit",
        description="Does anything of a dataset stand on two sides of a split?",
    )
    add = parser.add_argument
    add("dataset", help="name of a folder in ultrasound_jax/datasets")
    add("--manifest", default="", help="splits.json; without it, between patients")
    add("--data_dir", default="", help="where built datasets are")
    add("--manual_dir", default="", help="your files, if it is not built yet")
    add(
        "--option",
        action="append",
        default=[],
        type=_option,
        metavar="KEY=VALUE",
        help="of the dataset's config, as config.data.options; any number of times",
    )
    add("--out", default="audit", help="folder for audit.json, audit.csv, audit.png")
    add(
        "--threshold",
        type=float,
        default=THRESHOLD,
        help="correlation of 32x32 thumbnails from which on pictures are alike",
    )
    add(
        "--detail",
        type=float,
        default=-1.0,
        help="pairs whose grain agrees less than that do not count as a leak; by "
        f"default all count, copies agree by more than {COPY} in most cases",
    )
    add(
        "--pictures",
        type=int,
        default=MOST_PICTURES,
        help="to compare at most; of larger sets every n-th clip of a video",
    )
    return parser


def _option(text: str) -> tuple[str, Any]:
    key, equal, value = text.partition("=")
    if not key or not equal:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        return key, json_text.parsed(value)
    except ValueError:
        return key, value
