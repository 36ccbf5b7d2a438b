"""Broken DICOM files, as many as wanted, the same for the same seed.

Tiny whole files of many syntaxes are damaged as networks, disks, bad exporters and
attackers do it.
"""

import resource
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.dicom.whole_files import (
    BIG,
    DEFLATED,
    EXPLICIT,
    FRAMES,
    JPEG,
    JPEG_2000,
    RLE,
    SYNTAXES,
    whole_file,
)
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.dicom.read.header import read_header
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

_VRS = b"AE AS CS DA DS DT FD FL IS LO LT OB OW PN SH SL SQ SS ST TM UI UL UN US UT XX"
BOMB_BYTES = 64 << 20  # beyond the limit that the tests set

Rng = np.random.Generator
Mutation = Callable[[bytes, Rng], bytes]


def _cut(content: bytes, rng: Rng) -> bytes:
    return content[: int(rng.integers(1, len(content)))]


def _flip(content: bytes, rng: Rng, *, start: int = 132, stop: int = 0) -> bytes:
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 40))):
        place = int(rng.integers(start, stop or len(content)))
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _flip_header(content: bytes, rng: Rng) -> bytes:
    return _flip(content, rng, stop=min(len(content), 900))


def flip_pixels(content: bytes, rng: Rng) -> bytes:
    start = max(content.rfind(b"\xe0\x7f\x10\x00"), content.rfind(b"\x7f\xe0\x00\x10"))
    return _flip(content, rng, start=max(start, 132))


def cut_pixels(content: bytes, rng: Rng) -> bytes:
    """Ends the file within its last frame."""
    return content[: len(content) - int(rng.integers(20, 300))]


def _insert(content: bytes, rng: Rng) -> bytes:
    place = int(rng.integers(132, len(content)))
    junk = rng.bytes(int(rng.integers(1, 200)))
    return content[:place] + junk + content[place:]


def _remove(content: bytes, rng: Rng) -> bytes:
    place = int(rng.integers(132, len(content)))
    return content[:place] + content[place + int(rng.integers(1, 200)) :]


def _swap(content: bytes, rng: Rng) -> bytes:
    one, two = sorted(rng.integers(132, len(content), 2).tolist())
    return content[:132] + content[one:two] + content[132:one] + content[two:]


def _zeros(content: bytes, rng: Rng) -> bytes:
    place = int(rng.integers(132, len(content)))
    size = int(rng.integers(1, 400))
    return content[:place] + b"\0" * size + content[place + size :]


def _no_preamble(content: bytes, rng: Rng) -> bytes:
    return _flip(content[132:], rng, start=0)


def _noise(content: bytes, rng: Rng) -> bytes:
    return content[:132] + rng.bytes(int(rng.integers(1, 4000)))


def _wrong_length(content: bytes, rng: Rng) -> bytes:
    """Another length in one explicit element: too long, odd, negative, undefined."""
    damaged, places = bytearray(content), _explicit_elements(content)
    place = places[int(rng.integers(len(places)))]
    long = content[place + 4 : place + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    choices = (0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 1, 3, int(rng.integers(1 << 32)))
    length = choices[int(rng.integers(len(choices)))]
    if long:
        damaged[place + 8 : place + 12] = struct.pack("<I", length)
    else:
        damaged[place + 6 : place + 8] = struct.pack("<H", length & 0xFFFF)
    return bytes(damaged)


def _wrong_vr(content: bytes, rng: Rng) -> bytes:
    damaged, names = bytearray(content), _VRS.split()
    places = _explicit_elements(content)
    for _ in range(int(rng.integers(1, 4))):
        place = places[int(rng.integers(len(places)))]
        damaged[place + 4 : place + 6] = names[int(rng.integers(len(names)))]
    return bytes(damaged)


def _explicit_elements(content: bytes) -> list[int]:
    """Where something like an element of group 2, 8, 18, 28 or 7fe0 begins."""
    groups = (b"\2\0", b"\x08\0", b"\x18\0", b"\x28\0", b"\xe0\x7f")
    found = [
        place
        for place in range(132, len(content) - 12)
        if content[place : place + 2] in groups
        and content[place + 4 : place + 6] in _VRS
        and content[place + 4 : place + 6].isalpha()
    ]
    return found or [132]


def _other_syntax(content: bytes, rng: Rng) -> bytes:
    """The meta group names another transfer syntax than the pixels have."""
    present = max((s for s in SYNTAXES if s.encode() in content[:600]), key=len)
    others = [s for s in SYNTAXES if s != present]
    other = others[int(rng.integers(len(others)))].encode()
    width = len(present) + len(present) % 2
    place = content.index(present.encode())
    return (
        content[:place] + other[:width].ljust(width, b"\0") + content[place + width :]
    )


def _fragments(content: bytes, rng: Rng) -> bytes:
    """Item tags, item lengths and the offset table of encapsulated pixels."""
    item = b"\xfe\xff\x00\xe0"
    places = []
    place = content.find(item, content.rfind(b"\xe0\x7f\x10\x00"))
    while place >= 0:
        places.append(place)
        place = content.find(item, place + 4)
    if not places:
        return flip_pixels(content, rng)
    damaged, chosen = bytearray(content), places[int(rng.integers(len(places)))]
    kind = int(rng.integers(5))
    if kind == 0:
        damaged[chosen + 4 : chosen + 8] = rng.bytes(4)
    elif kind == 1:
        damaged[chosen : chosen + 4] = rng.bytes(4)
    elif kind == 2:
        table = places[0] + 8
        damaged[table : table + 4 * FRAMES] = rng.bytes(4 * FRAMES)
    elif kind == 3:
        damaged[chosen + 4 : chosen + 8] = b"\0\0\0\0"
    else:
        del damaged[-8:]  # the delimiter of the sequence
        damaged[places[0] + 4 : places[0] + 8] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(damaged)


def _codestream(content: bytes, rng: Rng) -> bytes:
    """The picture inside claims to be huge, or of another kind."""
    markers = (b"\xff\xc0", b"\xff\xc3", b"\xff\xf7", b"\xff\x51", b"\xff\xda")
    damaged = bytearray(content)
    for marker in markers:
        place = content.find(marker, content.rfind(b"\xe0\x7f\x10\x00"))
        if place >= 0 and rng.random() < 0.7:
            width = int(rng.integers(2, 12))
            lie = b"\xff" * width if rng.random() < 0.5 else rng.bytes(width)
            damaged[place + 4 : place + 4 + width] = lie
    return bytes(damaged) if damaged != content else flip_pixels(content, rng)


ANY: tuple[Mutation, ...] = (
    _cut,
    _flip,
    _flip_header,
    flip_pixels,
    cut_pixels,
    _insert,
    _remove,
    _swap,
    _zeros,
    _no_preamble,
    _noise,
    _wrong_length,
    _wrong_vr,
    _other_syntax,
    _fragments,
    _codestream,
)


def lies() -> Iterator[tuple[str, bytes]]:
    """Well-formed files whose elements state what cannot be."""
    statements: dict[str, dict[str, object]] = {
        "huge_rows": {"Rows": 65535},
        "huge_picture": {"Rows": 65535, "Columns": 65535},
        "huge_frames": {"NumberOfFrames": 2_000_000_000},
        "many_frames": {"NumberOfFrames": 400},
        "fewer_frames": {"NumberOfFrames": 1},
        "zero_frames": {"NumberOfFrames": 0},
        "negative_frames": {"NumberOfFrames": -3},
        "zero_rows": {"Rows": 0},
        "zero_columns": {"Columns": 0},
        "no_samples": {"SamplesPerPixel": 0},
        "four_samples": {"SamplesPerPixel": 4},
        "other_samples": {"SamplesPerPixel": 1, "PhotometricInterpretation": "RGB"},
        "bits_0": {"BitsAllocated": 0},
        "bits_7": {"BitsAllocated": 7},
        "bits_16": {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15},
        "bits_64": {"BitsAllocated": 64, "BitsStored": 64},
        "stored_beyond": {"BitsStored": 30, "HighBit": 29},
        "signed": {"PixelRepresentation": 1},
        "planar": {"PlanarConfiguration": 1},
        "planar_7": {"PlanarConfiguration": 7},
        "no_such_colours": {"PhotometricInterpretation": "HSV"},
        "palette_missing": {
            "PhotometricInterpretation": "PALETTE COLOR",
            "SamplesPerPixel": 1,
        },
        "ybr": {"PhotometricInterpretation": "YBR_PARTIAL_420"},
        "no_pixels": {"PixelData": b"\xfe\xff\0\xe0\0\0\0\0"},
        "volume": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.2"},
    }
    for syntax in (EXPLICIT, RLE, JPEG, JPEG_2000, BIG):
        for name, changes in statements.items():
            yield f"lie_{name}_{syntax}", whole_file(syntax, **changes)
    for name, descriptor in {
        "empty": [0, 0, 16],
        "first": [256, 65000, 16],
        "short": [65535, 0, 8],
        "bits": [256, 0, 12],
    }.items():
        yield (
            f"lie_palette_{name}",
            whole_file(
                EXPLICIT, palette=True, RedPaletteColorLookupTableDescriptor=descriptor
            ),
        )
    bare = whole_file(EXPLICIT, palette=True, BluePaletteColorLookupTableData=b"\1")
    yield "lie_palette_data", bare


def bombs() -> Iterator[tuple[str, bytes]]:
    """Little files that want to be large, and sequences without a floor."""
    plain = whole_file(DEFLATED)
    start = _end_of_meta(plain)
    head = plain[:start]
    inner = zlib.decompress(plain[start:], -15)
    zeros = b"\0" * (1 << 20)
    for name, element in {
        "private": b"\x09\0\x10\x10UN\0\0" + struct.pack("<I", BOMB_BYTES),
        "trailing": b"",
        "pixels": b"\xe0\x7f\x10\0OB\0\0" + struct.pack("<I", BOMB_BYTES),
    }.items():
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = packer.compress(element if name == "private" else inner + element)
        for _ in range(BOMB_BYTES >> 20):
            body += packer.compress(zeros)
        if name == "private":
            body += packer.compress(inner)
        yield f"bomb_deflate_{name}", head + body + packer.flush()
    meta = whole_file(EXPLICIT)
    meta = meta[: _end_of_meta(meta)]
    opening = b"\x18\0\x11\x60SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    for depth in (50, 1000, 30_000):
        yield f"bomb_nested_{depth}", meta + opening * depth
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    rest = whole_file(EXPLICIT)[len(meta) :]
    yield "bomb_nested_closed", meta + opening * 2000 + closing * 2000 + rest
    item = b"\xfe\xff\0\xe0\0\0\0\0"
    regions = b"\x18\0\x11\x60SQ\0\0" + struct.pack("<I", 300_000 * len(item))
    yield "bomb_regions", meta + regions + item * 300_000 + rest


def _end_of_meta(content: bytes) -> int:
    (length,) = struct.unpack("<I", content[140:144])
    return 144 + length


def corpus(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` damaged files at least, with names that tell what was done to them."""
    made = 0
    for name, content in [*bombs(), *lies()]:
        yield name, content
        made += 1
    rng = np.random.default_rng(seed)
    bases = [(syntax, whole_file(syntax)) for syntax in SYNTAXES]
    bases += [
        ("palette", whole_file(EXPLICIT, palette=True)),
        ("palette_rle", whole_file(RLE, palette=True)),
    ]
    turn = 0
    while made < count or turn % (len(ANY) * len(bases)):
        mutation = ANY[turn % len(ANY)]
        syntax, content = bases[turn // len(ANY) % len(bases)]
        yield f"{mutation.__name__.strip('_')}_{syntax}_{turn}", mutation(content, rng)
        turn += 1
        made += 1


def mutated(content: bytes, rng: Rng, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` ways in which one given file may be damaged."""
    general = (_cut, _flip, _flip_header, flip_pixels, _insert, _remove, _fragments)
    for mutation in rng.permutation(np.array(general, object))[:count]:
        yield mutation.__name__.strip("_"), mutation(content, rng)


def decode_file(item: dict) -> dict:
    """Reads a file as the verbs do, header and every frame. Runs in a worker.

    With `damaged` in the item, as `open_cine` has it.

    A InputError becomes the `reason`; any other exception is a bug and escapes.
    """
    limits, stated, frames, reason = Limits(**item["limits"]), 0, 0, ""
    try:
        read_header(item["path"], limits=limits)
        damaged = item.get("damaged", "refuse")
        with open_cine(item["path"], limits=limits, damaged=damaged) as cine:
            stated = cine.header.frames  # what is there, whatever the header states
            for frame in cine.frames():
                frames += frame.dtype == np.uint8
    except InputError as error:
        reason = str(error).removeprefix(f"{item['path']}: ")
    return {
        "stated": stated,
        "frames": frames,
        "reason": reason,
        "peak": peak_memory(),
    }


def peak_memory() -> int:
    """Bytes that this process has held at most."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except OSError:
        # Elsewhere; on Linux this number would count the parent's memory at the fork.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
