"""Where each frame's bytes lie in the file."""

import dataclasses
import struct
from collections.abc import Sequence

from ultrasound_jax.dicom.read import elements
from ultrasound_jax.dicom.read.codestream import read_codestream, starts_picture
from ultrasound_jax.dicom.read.damage import believed
from ultrasound_jax.dicom.read.samples import Layout
from ultrasound_jax.dicom.read.source import DEFLATED, RLE, Source
from ultrasound_jax.dicom.read.stream import BoundedStream
from ultrasound_jax.types import InputError

_SHIFTED = "its deflated data are damaged, so that pixels stand in false places"
_PADDING = 4096
_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
Piece = tuple[int, int]  # where it starts in the stream, and how many bytes it has


@dataclasses.dataclass(frozen=True)
class FrameTable:
    """The pieces of every frame that is there, in order.

    notes: what was odd about finding them.
    missing: how the file has fewer frames than it states, or "".
    doubt: why none of them is sure, or "".
    """

    frames: Sequence[Sequence[Piece]]
    notes: tuple[str, ...] = ()
    missing: str = ""
    doubt: str = ""

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

    More frames than stated are frames if each is a whole picture like the first. Others
    are left out with a note: a header may count well and be followed by something else.
    Fewer are a tail that is missing; see `FrameTable`. `stated` is whether the header
    says how many there are.

    Raises:
        InputError: the items are damaged, or there are none.
    """
    stream = source.stream
    walked = _walk(stream, source.pixels_start, 65_536 + 64 * frames)
    if not walked.items:
        raise InputError(walked.cut or "its pixel data has no items")
    (table_start, table_length), *fragments = walked.items
    fragments = [piece for piece in fragments if piece[1]]
    if not fragments:
        raise InputError(walked.cut or "its pixel data is empty")
    groups = _group(source, fragments, frames, table_start, table_length)
    notes, missing = walked.notes, ""
    if len(groups) < frames:
        missing = f"states {frames} frames and holds {len(groups)}"
        missing = f"{missing}: {walked.cut}" if walked.cut else missing
    elif walked.cut:
        missing = walked.cut
    elif len(groups) > frames:
        there = frames + _more_frames(source, groups[0], groups[frames:])
        if there > frames:
            notes.append(believed(frames if stated else None, there, "file"))
        if there < len(groups):
            says = f"states {frames} frames" if stated else "has no NumberOfFrames"
            notes.append(f"{says} and holds {len(groups)}: the others are left out")
        groups = groups[:there]
    return FrameTable(groups, tuple(notes), missing)


def film_pieces(source: Source) -> tuple[list[Piece], str]:
    """Finds the pieces of a film, which has no frames of its own in the file.

    Returns:
        The pieces, and how the file ends before their end, or "".

    Raises:
        InputError: the items are damaged, or the film is empty.
    """
    walked = _walk(source.stream, source.pixels_start, 1 << 20)
    pieces = [piece for piece in walked.items[1:] if piece[1]]
    if walked.rest and walked.items:
        pieces.append(walked.rest)
    if not pieces:
        raise InputError(walked.cut or "its pixel data is empty")
    return pieces, walked.cut


@dataclasses.dataclass
class _Walked:
    """The whole items of pixel data; how the file ends within one, and what is left."""

    items: list[Piece] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    cut: str = ""
    rest: Piece | None = None


def _walk(stream: BoundedStream, place: int, most: int) -> _Walked:
    found = _Walked()
    items = found.items
    while True:
        stream.seek(place)
        head = stream.read(8)
        if len(head) < 8:
            found.notes.append("the pixel data has no end mark")
            return found
        group, element, length = struct.unpack("<HHI", head)
        if (group, element) == _END:
            return found
        if (group, element) != _ITEM:
            if not items:
                raise InputError("its pixel data has no items")
            found.notes.append("something other than an item ends the pixel data")
            return found
        there = stream.available(place + 8, length)
        if there < length:
            found.cut = f"the file ends within item {len(items)} of its pixel data"
            found.rest = (place + 8, there) if there else None
            return found
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
        if not groups and len(fragments) > 1 and _is_rle(source, fragments):
            groups = [[piece] for piece in fragments]
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


def _is_rle(source: Source, fragments: list[Piece]) -> bool:
    """Whether each fragment begins as a frame of RLE must, the same way."""
    if source.syntax != RLE:
        return False
    heads = set()
    for start, length in fragments:
        source.stream.seek(start)
        heads.add(source.stream.read(min(length, 8)))
    return len(heads) == 1 and heads.pop()[4:] == struct.pack("<I", 64)


def _more_frames(source: Source, first: list[Piece], others: list[list[Piece]]) -> int:
    """How many of the groups behind the stated frames are frames too.

    They begin as pictures of the first's kind and size, and the last of them is whole;
    what is not whole between them is a damaged frame, and behind them it is nothing.
    """
    one, count = _code(source.stream, first), 0
    for number, group in enumerate(others, 1):
        two = _code(source.stream, group)
        if not _begins_like(source, one, two):
            break
        if source.syntax == RLE or not starts_picture(one) or _ends(two) == _ends(one):
            count = number
    return count


def _begins_like(source: Source, one: bytes, two: bytes) -> bool:
    if source.syntax == RLE:
        return len(two) >= 64 and one[:8] == two[:8]
    if not starts_picture(one):
        return len(one) == len(two)
    try:
        streams = read_codestream(one), read_codestream(two)
    except InputError:
        return False
    heads = [(s.kind, s.columns, s.rows, s.samples, s.precision) for s in streams]
    return heads[0] == heads[1]


def _ends(code: bytes) -> bool:
    return b"\xff\xd9" in code[-16:]


def _code(stream: BoundedStream, pieces: Sequence[Piece]) -> bytes:
    parts = []
    for start, length in pieces:
        stream.seek(start)
        parts.append(stream.read(length))
    return b"".join(parts)


def native_frames(
    source: Source, layout: Layout, frames: int, *, stated: bool = True
) -> FrameTable:
    """Finds the frames of pixel data that is not encapsulated.

    Bytes that are a whole number of frames more than stated are frames; others are left
    out with a note. Too few are a missing tail.

    Raises:
        InputError: there is not one frame.
    """
    bits, length, notes, missing = layout.frame_bits, source.pixels_length, [], ""
    needed = (frames * bits + 7) // 8
    there = source.stream.available(source.pixels_start, min(length, needed))
    if there < needed:
        frames, stated_frames = 8 * there // bits, frames
        missing = (
            f"states {stated_frames} frames and holds {frames}: {there} bytes of pixel "
            f"data, {needed} are needed"
        )
        if there < length and length >= needed:
            missing += ", and the file ends within them"
    elif length > needed + 1:
        more = _whole_frames(source, layout, frames)
        if more > frames:
            notes.append(believed(frames if stated else None, more, "file"))
            frames = more
        else:
            notes.append(
                f"{length - needed} bytes follow the last frame: they are left out"
            )
    table = []
    for index in range(frames):
        first, last = index * bits // 8, ((index + 1) * bits + 7) // 8
        if layout.swapped_bytes:  # words are turned round whole
            first, last = first - first % 2, min(last + last % 2, length)
        table.append([(source.pixels_start + first, last - first)])
    doubt = "" if missing or _ends_well(source) else _SHIFTED
    return FrameTable(table, tuple(notes), missing, doubt)


def _ends_well(source: Source) -> bool:
    """Whether what follows inflated pixels is the end, or an element of a later group.

    Deflated data have no checksum; what is damaged within mostly shifts all behind it.
    """
    if source.syntax != DEFLATED:
        return True
    end = source.pixels_start + source.pixels_length
    try:
        source.stream.seek(end)
        head = source.stream.read(_PADDING)
    except InputError:
        return False
    if not any(head):  # many zeros are padding, a few are black pixels out of place
        return len(head) in (0, _PADDING)
    return len(head) >= 8 and struct.unpack_from("<H", head)[0] >= 0x7FE0


def _whole_frames(source: Source, layout: Layout, frames: int) -> int:
    """How many frames all bytes make, or those stated where they make no whole number.

    Chroma may or may not be shared in a header that says so: there nothing is sure.
    """
    length, bits = source.pixels_length, layout.frame_bits
    whole = 8 * length // bits
    exact = length - (whole * bits + 7) // 8 in (0, 1)
    there = source.stream.available(source.pixels_start, length) == length
    return whole if exact and there and not layout.may_share_chroma else frames
