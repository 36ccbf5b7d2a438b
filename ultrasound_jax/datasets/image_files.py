"""How the builders of still images read pictures and masks, and what they tell of them.

There is one way for all of them: `grey_image` and `image_mask`. A record yields what
`told_of` says as facts, and `by_kind` lists them in the build's metadata.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ultrasound_jax.datasets import decoded
from ultrasound_jax.datasets.beam.records import Fact
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.media import mask_facts
from ultrasound_jax.media.mask_values import mask_classes
from ultrasound_jax.media.masks import read_mask
from ultrasound_jax.media.picture_header import header_facts, is_deep
from ultrasound_jax.media.pictures import grey, largest_value
from ultrasound_jax.media.sample_depth import bits_of, is_fractions
from ultrasound_jax.types import InputError

MASKS, PICTURES = "masks", "pictures"
_OF_HEADER = ("turned", "white_is_zero")
# What may be told, in the order of the metadata.
KINDS = {
    MASKS: (*mask_facts.FACTS, *_OF_HEADER),
    PICTURES: (*_OF_HEADER, "fractions", "without_air", "without_contrast"),
}
_CONTRAST = 32  # shades, or Hounsfield units, from the darkest to the brightest pixel


@dataclass(frozen=True)
class Reading:
    """How the files of a build are read: plain values.

    size, and stretch for `aspect`: see `ImageConfig`. bits: see `media.sample_depth`, 0
    for what each picture uses. page, labels, colours: see `media.masks.read_mask`.
    """

    size: int = 0
    stretch: bool = False
    bits: int = 0
    page: int = 0
    labels: Mapping[str, str] | None = None
    colours: Mapping[str, str] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that the masks' values stand for; () for one foreground."""
        return mask_classes(self.labels, self.colours)


def grey_image(path: Path, how: Reading, *, name: str) -> UInt8[np.ndarray, "h w"]:
    """A picture in grey, upright.

    Raises:
        InputError: as `read_picture` and `grey`.
    """
    stored = decoded.picture(path, name=name, page=how.page)
    return grey(stored, name=name, bits=how.bits)


def image_mask(
    path: Path, how: Reading, *, name: str, image: np.ndarray, what: str = "image"
) -> UInt8[np.ndarray, "h w"]:
    """The mask of an image, of its size.

    Raises:
        InputError: as `read_mask`, or it is of another size.
    """
    mask = decoded.picture(
        path,
        name=name,
        read=read_mask,
        labels=how.labels,
        colours=how.colours,
        page=how.page,
    )[..., 0]
    height, width = mask.shape
    if mask.shape != image.shape[:2]:
        raise DatasetError(
            f"{name}: mask of {width} x {height} px, the {what} has "
            f"{image.shape[1]} x {image.shape[0]}, both upright"
        )
    return mask


def joined_masks(
    paths: Sequence[Path], how: Reading, *, name: str, image: np.ndarray
) -> UInt8[np.ndarray, "h w"]:
    """Every lesion of an image that has a mask for each.

    Raises:
        InputError: as `image_mask`.
    """
    parts = [image_mask(path, how, name=name, image=image) for path in paths]
    return reduce(np.maximum, parts)


def fitted_and_told(
    mask: UInt8[np.ndarray, "h w"], how: Reading, name: str
) -> tuple[UInt8[np.ndarray, "H W 1"], list[Fact]]:
    """The mask in the record's size, and what is implausible of it."""
    told = mask_facts.mask_facts(mask)
    small, lost = mask_facts.fitted_mask(mask, how.size, stretch=how.stretch)
    if lost:
        told.append("lost_by_resizing")
    return small[..., np.newaxis], [Fact(MASKS, [word, name]) for word in told]


def told_of(path: Path, name: str, of: str = PICTURES) -> Iterator[Fact]:
    """What was done to a file because its header says so."""
    for word in header_facts(path, name=name):
        if word in _OF_HEADER:
            yield Fact(of, [word, name])


def told_of_values(pixels: np.ndarray, name: str) -> Iterator[Fact]:
    """What was made of a picture's values."""
    if is_fractions(pixels):
        yield Fact(PICTURES, ["fractions", name])


def told_of_contrast(image: np.ndarray, name: str) -> Iterator[Fact]:
    """That an image shows nothing: black, of one grey, or 12 bits in a set of 16."""
    if int(image.max()) - int(image.min()) < _CONTRAST:
        yield Fact(PICTURES, ["without_contrast", name])


def by_kind(facts: Sequence[Fact]) -> dict[str, dict[str, list[str]]]:
    """The metadata of a build: for masks and pictures, who is what, each once."""
    listed = {of: {word: [] for word in words} for of, words in KINDS.items()}
    for fact in facts:
        if fact.name in listed:
            word, name = fact.value
            if name not in listed[fact.name][word]:
                listed[fact.name][word].append(name)
    return listed


def as_text(listed: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """The line that a build ends with: what was found, counted; "" if nothing was."""
    parts = []
    for of, words in listed.items():
        counts = [f"{len(names)} {word}" for word, names in words.items() if names]
        if counts:
            parts.append(f"{of}: {', '.join(counts)}")
    return "; ".join(parts)


def common_bits(paths: Sequence[Path], *, page: int = 0, threads: int = 2) -> int:
    """The bits that the deepest picture of a set uses, so that all keep one scale.

    0 if none has more than 8; those are not decoded. What cannot be read counts not.
    """

    def largest(path: Path) -> int:
        if not is_deep(path):
            return 0
        try:
            pixels = decoded.picture(path, name="picture", page=page)
        except InputError:
            return 0
        return largest_value(pixels)

    with ThreadPoolExecutor(threads) as pool:
        found = max(pool.map(largest, paths), default=0)
    return bits_of(found) if found else 0
