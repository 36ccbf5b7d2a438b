"""Colour tables: what the indices of a PALETTE COLOR picture mean (PS3.3, C.7.6.3)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from pydicom.dataset import Dataset

from ultrasound_jax.dicom.read import elements
from ultrasound_jax.types import InputError

_NAME = "PaletteColorLookupTable"


@elements.quiet()
def read_palette(
    dataset: Dataset, *, bits: int, signed: bool, big_endian: bool
) -> UInt8[np.ndarray, "n 3"]:
    """The colour of every possible index, `2 ** min(bits, 16)` of them.

    Indices before the first mapped one take the first entry, those behind the last one
    the last, as the standard wants. Entries of 16 bits give their upper byte, unless
    none of the table's exceeds 255: such tables hold 8-bit colours and a false depth.

    Args:
        dataset: the file's elements.
        bits: bits that hold an index.
        signed: indices are two's complement.
        big_endian: byte order of the data set.

    Raises:
        InputError: a table is missing, damaged or shorter than it states.
    """
    firsts, depths, tables = [], [], []
    for colour in ("Red", "Green", "Blue"):
        entries, first, depth = _descriptor(dataset, colour)
        table = _words(dataset, f"{colour}{_NAME}Data", entries, depth, big_endian)
        if table is None:
            packed = _words(
                dataset, f"Segmented{colour}{_NAME}Data", None, depth, big_endian
            )
            if packed is None:
                raise InputError("a PALETTE COLOR picture has no colour table")
            table = expand_segments(packed.tolist(), entries, depth)
        if len(table) < entries:
            raise InputError(f"a colour table has {len(table)} of {entries} entries")
        firsts.append(first)
        depths.append(depth)
        tables.append(table[:entries].astype(np.uint16))
    wide = max(table.max() for table in tables) > 255
    shifts = [depth - 8 if wide and depth > 8 else 0 for depth in depths]
    kept = min(bits, 16)
    codes = np.arange(1 << kept)
    if signed:
        codes = np.where(codes >= 1 << (kept - 1), codes - (1 << kept), codes)
    columns = []
    for first, shift, table in zip(firsts, shifts, tables, strict=True):
        start = first - 65536 if signed and first > 32767 else first
        place = np.clip(codes - start, 0, len(table) - 1)
        columns.append(np.minimum(table[place] >> shift, 255))
    return np.stack(columns, axis=1).astype(np.uint8)


def _descriptor(dataset: Dataset, colour: str) -> tuple[int, int, int]:
    numbers = [
        int(number) & 0xFFFF
        for number in elements.numbers(dataset, f"{colour}{_NAME}Descriptor")
    ]
    if len(numbers) != 3 or not 8 <= numbers[2] <= 16:
        raise InputError(
            "a colour table's descriptor is not entries, first index, and 8 to 16 bits"
        )
    return numbers[0] or 65536, numbers[1], numbers[2]


def _words(
    dataset: Dataset, keyword: str, entries: int | None, depth: int, big_endian: bool
) -> np.ndarray | None:
    """The numbers of a table; entries of 8 bits may stand two in a word or one."""
    found = elements.value(dataset, keyword)
    if found is None:
        return None
    if not isinstance(found, bytes):  # an explicit VR of numbers instead of words
        return np.asarray(elements.numbers(dataset, keyword)).astype(np.uint16)
    order = ">" if big_endian else "<"
    even = found[: len(found) // 2 * 2]
    single = depth == 8 and (entries is None or len(found) < 2 * entries)
    if not single:
        return np.frombuffer(even, f"{order}u2").astype(np.uint16)
    if big_endian and dataset[keyword].VR == "OW":
        found = np.frombuffer(even, np.uint16).byteswap().tobytes()
    return np.frombuffer(found, np.uint8)


def expand_segments(packed: Sequence[int], entries: int, depth: int) -> np.ndarray:
    """Unfolds a segmented table (PS3.3, section C.7.9.2) up to `entries` values.

    Raises:
        InputError: unknown or damaged segments.
    """
    values: list[int] = []
    wide = 4 if depth == 8 else 2  # numbers that make up a 32-bit offset
    base = 256 if depth == 8 else 65536

    def unfold(place: int, count: int | None, nested: bool) -> None:
        done = 0
        while len(values) < entries and (
            place < len(packed) - 1 if count is None else done < count
        ):
            kind, length = packed[place], packed[place + 1]
            if kind == 0:
                if place + 2 + length > len(packed):
                    raise IndexError
                values.extend(packed[place + 2 : place + 2 + length])
                place += 2 + length
            elif kind == 1:
                line = np.linspace(values[-1], packed[place + 2], length + 1)
                values.extend(np.rint(line[1:]).astype(int).tolist())
                place += 3
            elif kind == 2 and not nested:
                parts = packed[place + 2 : place + 2 + wide]
                offset = sum(part * base**i for i, part in enumerate(parts))
                unfold(offset // (4 // wide), length, True)
                place += 2 + wide
            elif not any(packed[place:]):
                return  # padding
            else:
                raise IndexError
            done += 1

    try:
        unfold(0, None, False)
    except IndexError:
        raise InputError("a segmented colour table is damaged") from None
    return np.array(values[:entries], np.uint16)
