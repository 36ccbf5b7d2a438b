"""Which regions of an index's files are cut out, and which files are left alone."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from ultrasound_jax.dicom.index.table import IndexRow
from ultrasound_jax.dicom.read.region_kinds import KINDS, largest_of
from ultrasound_jax.dicom.read.regions import Region, side_by_side
from ultrasound_jax.types import InputError

AUTO, ALL = "auto", "all"


@dataclass(frozen=True)
class Cut:
    """One region to cut out; None chooses. suffix: for the names of its files."""

    region: int | None = None
    suffix: str = ""


def region_word(text: str) -> str | int:
    """A word of `--region`: auto, all, or a number."""
    if text in (AUTO, ALL):
        return text
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither auto nor all nor a number from 0"
        )
    return int(text)


def asked_regions(words: Sequence[str | int]) -> str | tuple[int, ...]:
    """What `--region` asks for, given any number of times: auto, all, or numbers.

    Raises:
        InputError: `auto` or `all` beside others.
    """
    several = list(dict.fromkeys(words)) or [AUTO]
    numbers = tuple(word for word in several if isinstance(word, int))
    if len(numbers) == len(several):
        return numbers
    if len(several) > 1:
        raise InputError(
            f"--region {' '.join(map(str, several))}: allowed are numbers, or {AUTO} "
            f"or {ALL} alone"
        )
    return str(several[0])


def cuts_of(row: IndexRow, asked: str | tuple[int, ...]) -> list[Cut]:
    """The regions of a video that are cut out, each into files of its own.

    `all` takes the 2-D pictures that lie side by side (`side_by_side`); a video of one
    picture is named as ever. A file without a 2-D region gives the largest of its kind.

    Raises:
        InputError: the row's regions are not what `index` writes.
    """
    if not isinstance(asked, str):
        suffixes = [f"_r{number}" * (len(asked) > 1) for number in asked]
        return [Cut(*pair) for pair in zip(asked, suffixes, strict=True)]
    if row.data_type in KINDS:
        return [Cut(largest_of(_regions(row), row.data_type).index)]
    if asked == AUTO or not row.regions:
        return [Cut()]
    beside = side_by_side(_regions(row), row.rows or 0, row.columns or 0)
    if len(beside) < 2:
        return [Cut()]
    return [Cut(region.index, f"_r{region.index}") for region in beside]


def reason_to_skip(row: IndexRow, keep: Sequence[str]) -> str:
    """Why a file of the index is not converted, or ""."""
    if not row.ok:
        return f"skipped by the index: {row.reason}"
    if row.data_type in KINDS and row.data_type not in keep:
        return (
            f"{row.data_type}: no region is 2-D (--keep {row.data_type} cuts out the "
            "region that there is)"
        )
    return ""


def _regions(row: IndexRow) -> tuple[Region, ...]:
    try:
        return tuple(Region(**entry) for entry in row.regions)
    except TypeError:
        raise InputError(
            f"{row.video_id}: its regions are not those that `index` writes"
        ) from None
