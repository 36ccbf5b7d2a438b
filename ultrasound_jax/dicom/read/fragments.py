"""Where each frame's bytes lie in the file."""

import dataclasses
import struct
from collections.abc import Sequence

from ultrasound_jax.dicom.read import elements
from ultrasound_jax.dicom.read.codestream import starts_picture
from ultrasound_jax.dicom.read.samples import Layout
from ultrasound_jax.dicom.read.source import Source
from ultrasound_jax.dicom.read.stream import BoundedStream
from ultrasound_jax.types import InputError

_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
Piece = tuple[int, int]  # where it starts in the stream, and how many bytes it has


@dataclasses.dataclass(frozen=True)
class FrameTable:
    """The pieces of every frame in order, and what was odd about finding them."""

    frames: Sequence[Sequence[Piece]]
    notes: tuple[str, ...] = ()

    def read(self, stream: BoundedStream, index: int) -> bytes:
        """The bytes of frame `index`.

        Raises:
            InputError: the file ends within it.
        """
        parts = []
        for start, length in self.frames[index]:
            stream.seek(start)
            parts.append(stream.read(length))
            if len(parts[-1]) != length:
                raise InputError(f"the file ends within frame {index + 1}")
        return parts[0] if len(parts) == 1 else b"".join(parts)


def encapsulated_frames(
    source: Source, frames: int, *, stated: bool = True
) -> FrameTable:
    """Finds the frames of encapsulated pixel data.

    One frame takes all fragments; as many fragments as frames are one each. Otherwise
    the extended offset table says where frames begin, then the basic one, if it points
    at fragments; then the fragments themselves, as a JPEG's first bytes are known.

    More frames than stated are left out with a note: a header may count well and be
    followed by something else. Fewer are an error: half a recording must not pass for
    a whole one. `stated` is whether the header says how many there are.

    Raises:
        InputError: the items are damaged, the file ends within them, or too few.
    """
    stream = source.stream
    items, notes = _walk(stream, source.pixels_start, 65_536 + 64 * frames)
    if not items:
        raise InputError("its pixel data has no items")
    (table_start, table_length), *fragments = items
    fragments = [piece for piece in fragments if piece[1]]
    if not fragments:
        raise InputError("its pixel data is empty")
    groups = _group(source, fragments, frames, table_start, table_length)
    if len(groups) < frames:
        raise InputError(f"states {frames} frames and holds {len(groups)}")
    if len(groups) > frames:
        says = f"states {frames} frames" if stated else "has no NumberOfFrames"
        notes.append(f"{says} and holds {len(groups)}: the others are left out")
    return FrameTable(groups[:frames], tuple(notes))


def film_pieces(source: Source) -> list[Piece]:
    """Finds the pieces of a film, which has no frames of its own in the file.

    Raises:
        InputError: the items are damaged, or the film is empty.
    """
    items, _ = _walk(source.stream, source.pixels_start, 1 << 20)
    pieces = [piece for piece in items[1:] if piece[1]]
    if not pieces:
        raise InputError("its pixel data is empty")
    return pieces


def _walk(
    stream: BoundedStream, place: int, most: int
) -> tuple[list[Piece], list[str]]:
    items: list[Piece] = []
    while True:
        stream.seek(place)
        head = stream.read(8)
        if len(head) < 8:
            return items, ["the pixel data has no end mark"]
        group, element, length = struct.unpack("<HHI", head)
        if (group, element) == _END:
            return items, []
        if (group, element) != _ITEM:
            if not items:
                raise InputError("its pixel data has no items")
            return items, ["something other than an item ends the pixel data"]
        if not stream.holds(place + 8, length):
            raise InputError(
                f"the file ends within item {len(items)} of its pixel data"
            )
        items.append((place + 8, length))
        if len(items) > most:
            raise InputError(f"its pixel data has more than {most} items")
        place += 8 + length


def _group(
    source: Source,
    fragments: list[Piece],
    frames: int,
    table_start: int,
    table_length: int,
) -> list[list[Piece]]:
    if frames == 1:
        groups = _by_starts(source, fragments)
        return groups if groups else [fragments]
    if len(fragments) == frames:
        return [[piece] for piece in fragments]
    first = fragments[0][0] - 8
    extended = elements.value(source.dataset, "ExtendedOffsetTable")
    tables = []
    if isinstance(extended, bytes):
        tables.append(struct.unpack_from(f"<{len(extended) // 8}Q", extended))
    if table_length:
        source.stream.seek(table_start)
        table = source.stream.read(table_length)
        tables.append(struct.unpack_from(f"<{table_length // 4}I", table))
    places = {piece[0] - 8 - first: index for index, piece in enumerate(fragments)}
    for offsets in tables:
        starts = [places.get(offset, -1) for offset in offsets]
        if len(starts) == frames and starts[0] == 0 and -1 not in starts:
            if starts == sorted(set(starts)):
                ends = [*starts[1:], len(fragments)]
                return [fragments[a:b] for a, b in zip(starts, ends, strict=True)]
    return _by_starts(source, fragments) or [[piece] for piece in fragments]


def _by_starts(source: Source, fragments: list[Piece]) -> list[list[Piece]]:
    """Groups fragments by the first bytes of a picture; [] if the first has none."""
    groups: list[list[Piece]] = []
    kind = b""
    for start, length in fragments:
        source.stream.seek(start)
        head = source.stream.read(min(length, 12))
        kind = kind or head[:2]
        if starts_picture(head) and head[:2] == kind:
            groups.append([])
        elif not groups:
            return []
        groups[-1].append((start, length))
    return groups


def native_frames(source: Source, layout: Layout, frames: int) -> FrameTable:
    """Finds the frames of pixel data that is not encapsulated.

    Raises:
        InputError: the element or the file is too short for the frames that are stated.
    """
    bits, stated, notes = layout.frame_bits, source.pixels_length, []
    needed = (frames * bits + 7) // 8
    if stated < needed:
        raise InputError(
            f"states {frames} frames and holds {8 * stated // bits}: {stated} bytes of "
            f"pixel data, {needed} are needed"
        )
    if not source.stream.holds(source.pixels_start, needed):
        raise InputError(f"the file ends within its pixel data of {needed} bytes")
    if stated > needed + 1:
        notes.append(
            f"{stated - needed} bytes follow the last frame: they are left out"
        )
    table = []
    for index in range(frames):
        first, last = index * bits // 8, ((index + 1) * bits + 7) // 8
        if layout.swapped_bytes:  # words are turned round whole
            first, last = first - first % 2, min(last + last % 2, stated)
        table.append([(source.pixels_start + first, last - first)])
    return FrameTable(table, tuple(notes))
