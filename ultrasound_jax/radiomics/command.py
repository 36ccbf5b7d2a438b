"""The features of one outlined region: one line a feature, `name value`.

The image is taken as stored, deep pictures too, and of colour the first channel, as the
original did; the mask is what is marked in its file, whatever values it marks with.
"""

import argparse
import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ultrasound_jax.media.masks import read_mask
from ultrasound_jax.media.pictures import read_picture
from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.radiomics.extract import Settings, extract
from ultrasound_jax.radiomics.filters import IMAGES
from ultrasound_jax.runs import cli
from ultrasound_jax.runs.files import write_whole

PROGRAM = "python -m ultrasound_jax.radiomics"
_WRITERS = (".csv", ".json")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command."""
    parser = cli.Parser(PROGRAM, description=__doc__)
    parser.add_argument("image", type=Path, metavar="IMAGE", help="a picture")
    parser.add_argument("mask", type=Path, metavar="MASK", help="a picture of its size")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write FILE.csv or FILE.json instead"
    )
    add_settings(parser)
    given = parser.parse_args(argv)
    return cli.guard(lambda prompt: _run(given))


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds what `settings_of` reads."""
    parser.add_argument(
        "--bin_width", type=float, default=25.0, help="of grey levels (default 25)"
    )
    parser.add_argument(
        "--images",
        nargs="+",
        default=IMAGES,
        metavar="NAME",
        help=f"which to measure, of {', '.join(IMAGES)} (default all)",
    )
    parser.add_argument(
        "--log_sigma",
        nargs="+",
        type=float,
        default=(),
        metavar="PIXELS",
        help="also Laplacians of Gaussians of these widths",
    )


def settings_of(given: argparse.Namespace) -> Settings:
    """What a command line asks for."""
    return Settings(given.bin_width, tuple(given.images), tuple(given.log_sigma))


def _run(given: argparse.Namespace) -> None:
    if given.out and given.out.suffix not in _WRITERS:
        raise RadiomicsError(f"{given.out}: allowed are {' and '.join(_WRITERS)}")
    settings = settings_of(given)
    image = read_picture(given.image, name=str(given.image))
    mask = read_mask(given.mask, name=str(given.mask))[..., 0]
    if image.ndim == 3:
        image = image[..., 0]
    try:
        found = extract(image, mask, settings)
    except RadiomicsError as error:
        raise RadiomicsError(f"{given.image}, {given.mask}: {error}") from error
    if given.out is None:
        for name, value in found.items():
            print(f"{name} {value!r}")
        return
    text = as_csv(found) if given.out.suffix == ".csv" else as_json(found)
    write_whole(given.out, text)
    print(f"{len(found)} features written: {given.out}")


def as_csv(features: Mapping[str, float]) -> str:
    """Two columns, `feature` and `value`; empty where a feature is not defined."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["feature", "value"])
    rows.writerows(
        [name, "" if math.isnan(v) else repr(v)] for name, v in features.items()
    )
    return out.getvalue()


def as_json(features: Mapping[str, float]) -> str:
    """An object of features; null where one is not defined."""
    tree = {name: None if math.isnan(v) else v for name, v in features.items()}
    return json.dumps(tree, indent=1) + "\n"
