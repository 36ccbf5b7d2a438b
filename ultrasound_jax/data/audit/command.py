"""Proves that nothing of a dataset is on two sides of a split, or shows what is.

    python -m ultrasound_jax.data.audit pocus --manual_dir ~/data
    python -m ultrasound_jax.data.audit --manifest runs/1/splits.json

A run's splits say which dataset with which options they are of. Without a manifest
every patient is a side: whoever looks the same as another patient may end up across any
split. It ends with 0 if all is clean, 1 if something leaks, 2 if it could not be looked
at.
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
from ultrasound_jax.data.examples import SplitError
from ultrasound_jax.data.manifest import Manifest
from ultrasound_jax.media.near_duplicates import THRESHOLD
from ultrasound_jax.runs import cli, json_text
from ultrasound_jax.runs.bar import watched
from ultrasound_jax.runs.files import read_json

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
        UltrasoundError: the manifest is another dataset's.
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
            watch=watched,
        )
    return leaks, samples


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    given = _parser().parse_args(argv)
    return cli.guard(lambda prompt: _run(given))


def _run(given: argparse.Namespace) -> int:
    manifest = Manifest.read(given.manifest) if given.manifest else None
    name, options = _dataset(given, manifest)
    where: dict[str, Any] = {"options": options, "data_dir": given.data_dir}
    sources.prepare(name, **where, manual_dir=given.manual_dir, flag="--manual_dir")
    source = sources.open_source(name, **where)
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


def _dataset(
    given: argparse.Namespace, manifest: Manifest | None
) -> tuple[str, dict[str, Any]]:
    """Which dataset is meant, with its options: as said, else as the manifest says.

    Raises:
        SplitError: neither says it.
    """
    built = manifest.built if manifest else {}
    beside = Path(given.manifest).parent / "model.json"  # of a run before `built`
    if manifest and not built and beside.is_file():
        about = read_json(beside)["preprocessing"]
        built = {"name": about["dataset"], "options": about["options"]}
    name = given.dataset or built.get("name")
    if not name:
        raise SplitError(
            f"{given.manifest or 'without --manifest'}: nothing says which dataset is "
            "meant; give its name, and --option=KEY=VALUE for each of its options"
        )
    told = built["options"] if built.get("name") == name else {}
    options = {**told, **dict(given.option)}
    if told:
        print(f"{name} with {', '.join(f'{k}={v!r}' for k, v in options.items())}")
    return name, options


def _parser() -> cli.Parser:
    parser = cli.Parser(
        prog="python -m ultrasound_jax.data.audit",
        description="Does anything of a dataset stand on two sides of a split?",
    )
    add = parser.add_argument
    add(
        "dataset",
        nargs="?",
        default="",
        help="name of a folder in ultrasound_jax/datasets; a manifest says it too",
    )
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
