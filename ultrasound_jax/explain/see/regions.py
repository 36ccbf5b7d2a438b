"""Regions that people outlined in a run's images: of a folder, or of the dataset."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from ultrasound_jax.data.examples import some
from ultrasound_jax.data.source import Source
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.media.masks import read_mask
from ultrasound_jax.media.pictures import SUFFIXES
from ultrasound_jax.runs.files import at_home
from ultrasound_jax.runs.names import file_name

NO_FILE, EMPTY = "no file of its name", "nothing marked"


@dataclass(frozen=True, eq=False)
class Regions:
    """What was outlined in some examples.

    marked: place in the source -> region, not empty, of the image's size. left_out:
    example id -> why it has none. strangers: files of the folder that are of none of
    the examples. origin: where they are from, in words.
    """

    marked: dict[int, Bool[np.ndarray, "h w"]] = field(repr=False)
    left_out: dict[str, str] = field(repr=False)
    strangers: int
    origin: str


def read_regions(
    source: Source, places: Sequence[int], folder: Path | None = None
) -> Regions:
    """The regions of some examples, of a folder's pictures or of the dataset's masks.

    A file is called as its example, `<example_id>.png`, or by what `file_name` makes of
    it; folders in an id are folders. Any structure of a mask is the region.

    Raises:
        ExplainError: no folder, no file of any example, two of one example, a picture
            of another size, or a dataset without masks.
        InputError: a file that says not what is marked.
    """
    found = (
        _of_folder(source, places, folder) if folder else _of_dataset(source, places)
    )
    marked, left_out = {}, {}
    ids = source.table.example_id
    for place, region in found:
        if region is None or not region.any():
            left_out[ids[place]] = NO_FILE if region is None else EMPTY
        else:
            marked[place] = region
    if not marked:
        raise ExplainError(
            f"none of the {len(places)} examples has anything marked"
            + (f" in {folder}" if folder else f" in the masks of {source.name}")
        )
    strangers = 0
    if folder:
        files = _files(folder)
        own = {name for place in places for name in _names(ids[place])}
        strangers = sum(name not in own for name in files)
    return Regions(
        marked,
        left_out,
        strangers,
        f"{Path(folder).name}/" if folder else f"the masks of {source.name}",
    )


Found = Iterator[tuple[int, Bool[np.ndarray, "h w"] | None]]


def _of_dataset(source: Source, places: Sequence[int]) -> Found:
    names = source.declared.of_role("mask")
    if not names:
        raise ExplainError(
            f"{source.name} has no masks: give physicians' regions by --masks DIR"
        )
    for place in places:
        record = source.records[int(place)]
        yield int(place), np.asarray(record[names[0]])[..., 0] > 0


def _of_folder(source: Source, places: Sequence[int], folder: Path) -> Found:
    files, ids = _files(folder), source.table.example_id
    own = [_names(ids[place]) for place in places]
    if not any(name in files for names in own for name in names):
        wanted = some(f"{ids[place]}.png" for place in places)
        raise ExplainError(
            f"--masks {folder}: none of its {len(files)} pictures is called as an "
            f"example; allowed are {wanted}"
        )
    for place, names in zip(places, own, strict=True):
        there = [path for name in names for path in files.get(name, ())]
        if len(there) > 1:
            raise ExplainError(
                f"--masks {folder}: {' and '.join(p.name for p in there)} are both of "
                f"example {ids[place]!r}; allowed is one"
            )
        if not there:
            yield int(place), None
            continue
        region = read_mask(there[0], name=str(there[0]))[..., 0] > 0
        size = np.shape(source.records[int(place)][source.pixels])[:2]
        if region.shape != size:
            raise ExplainError(
                f"{there[0]}: {region.shape[1]} x {region.shape[0]} pixels, the image "
                f"of {ids[place]!r} has {size[1]} x {size[0]}: outline the images as "
                "the network is given them"
            )
        yield int(place), region


def _names(example_id: str) -> set[str]:
    """What a picture of an example may be called, without its ending."""
    return {example_id, file_name(example_id)}


def _files(folder: Path) -> dict[str, list[Path]]:
    """Pictures of a folder and of folders in it, by their names without ending."""
    folder = at_home(folder)
    if not folder.is_dir():
        raise ExplainError(f"--masks {folder}: no such folder")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            name = path.relative_to(folder).with_suffix("").as_posix()
            found.setdefault(name, []).append(path)
    return found
