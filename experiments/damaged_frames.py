"""Which damage of a compressed frame is noticed?

    python experiments/damaged_frames.py

Damages made-up frames of a fan in each way and each syntax, and counts how often it is
noticed. Writes `experiments/results/damaged_frames.json`, of which `readme_tables.py`
makes the table in `docs/dicom.md`; takes some minutes on one core and needs no data.

A film is damaged as a whole, 30 frames at once, its index of frames in front left as it
is; all others frame by frame, behind their first marker of data.
"""

import io
import json
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import av
import cv2
import imagecodecs
import numpy as np
from av.video.stream import VideoStream
from jaxtyping import UInt8
from PIL import Image

from ultrasound_jax.dicom.read import codecs
from ultrasound_jax.dicom.read.codestream import Codestream, read_codestream
from ultrasound_jax.dicom.read.film import FilmFile
from ultrasound_jax.dicom.read.samples import Layout
from ultrasound_jax.dicom.read.stream import BoundedStream
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.types import InputError

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments/results/damaged_frames.json"
ROWS, COLUMNS, PICTURES, REPEATS, FILM_REPEATS, LENGTH = 240, 320, 8, 200, 60, 30
Rng = np.random.Generator


def picture(seed: int) -> UInt8[np.ndarray, "240 320 3"]:
    """A fan of speckle on black, with a coloured mark."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    depth = np.hypot(x - COLUMNS / 2, y - 10)
    fan = (depth > 25) & (depth < 0.87 * ROWS)
    fan &= abs(np.arctan2(x - COLUMNS / 2, y - 10)) < 0.6
    speckle = rng.gamma(2, 1, (ROWS, COLUMNS)).astype(np.float32)
    speckle = cv2.GaussianBlur(speckle, (0, 0), 1.2)
    grey = np.clip(30 + 400 * speckle / speckle.max() * (1 - depth / 300), 8, 255)
    colours = np.repeat(np.where(fan, grey, 0).astype(np.uint8)[..., None], 3, axis=2)
    colours[10:20, 10:40] = (255, 200, 0)
    return colours


def grey(colours: np.ndarray) -> np.ndarray:
    """One channel, in memory of its own."""
    return np.ascontiguousarray(colours[..., 0])


def pillow(colours: np.ndarray) -> bytes:
    """A progressive JPEG."""
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "JPEG", quality=90, progressive=True)
    return file.getvalue()


def rle(plane: np.ndarray) -> bytes:
    """A grey frame of DICOM's RLE."""
    part = b"".join(imagecodecs.packbits_encode(row) for row in plane)
    return struct.pack("<16I", 1, 64, *[0] * 14) + part + b"\0" * (len(part) % 2)


def opencv(colours: np.ndarray) -> bytes:
    """A baseline JPEG with restart marks."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_RST_INTERVAL, 20]
    return cv2.imencode(".jpg", colours, options)[1].tobytes()


ENCODERS: dict[str, Callable[[np.ndarray], bytes | bytearray]] = {
    "JPEG baseline, grey": lambda p: imagecodecs.jpeg8_encode(grey(p), 90),
    "JPEG baseline, 4:2:2": lambda p: imagecodecs.jpeg8_encode(
        p, 90, colorspace="RGB", outcolorspace="YCBCR", subsampling="422"
    ),
    "JPEG baseline, 4:2:0": lambda p: imagecodecs.jpeg8_encode(
        p, 90, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"
    ),
    "JPEG baseline, restart marks": opencv,
    "JPEG progressive": pillow,
    "JPEG lossless SV1": lambda p: imagecodecs.jpeg8_encode(
        grey(p), lossless=True, predictor=1
    ),
    "JPEG-LS": lambda p: imagecodecs.jpegls_encode(grey(p)),
    "JPEG 2000": lambda p: imagecodecs.jpeg2k_encode(
        grey(p), codecformat="J2K", reversible=True
    ),
    "HTJ2K": lambda p: imagecodecs.htj2k_encode(grey(p)),
    "RLE": lambda p: rle(grey(p)),
}
FILMS = {
    "MPEG-2 film": ("mpeg2video", "mpeg"),
    "H.264 film": ("libx264", "mp4"),
    "HEVC film": ("libx265", "mp4"),
}


def film(codec: str, container: str) -> bytes:
    """A film whose index, if it has one, stands in front."""
    ahead = {"movflags": "+faststart"} if container == "mp4" else {}
    with tempfile.NamedTemporaryFile() as file:
        with av.open(file.name, "w", format=container, container_options=ahead) as out:
            stream = cast(VideoStream, out.add_stream(codec, rate=25))
            stream.width, stream.height, stream.pix_fmt = COLUMNS, ROWS, "yuv420p"
            for seed in range(LENGTH):
                frame = av.VideoFrame.from_ndarray(picture(seed), format="rgb24")
                out.mux(stream.encode(frame.reformat(format="yuv420p")))
            out.mux(stream.encode())
        return Path(file.name).read_bytes()


def cut(code: bytes, start: int, rng: Rng) -> bytes:
    """Without its end."""
    return code[: int(rng.integers(start + 1, len(code) - 32))]


def cut_with_mark(code: bytes, start: int, rng: Rng) -> bytes:
    """Without its end, but for the end mark."""
    return cut(code, start, rng) + b"\xff\xd9"


def zeros(code: bytes, start: int, rng: Rng) -> bytes:
    """64 to 2048 bytes within are zero, as in a sector that was not written."""
    count = int(rng.integers(64, 2049))
    place = int(rng.integers(start, max(start + 1, len(code) - count - 2)))
    return code[:place] + bytes(count) + code[place + count :]


def zeros_to_end(code: bytes, start: int, rng: Rng) -> bytes:
    """Zero from somewhere on."""
    kept = cut(code, start, rng)
    return kept + bytes(len(code) - len(kept))


def flipped(bits: int) -> Callable[[bytes, int, Rng], bytes]:
    """So many bits are the other way round."""

    def flip(code: bytes, start: int, rng: Rng) -> bytes:
        """Bits anywhere are the other way round."""
        damaged = bytearray(code)
        for place in rng.integers(start, len(code) - 2, bits):
            damaged[place] ^= 1 << int(rng.integers(8))
        return bytes(damaged)

    return flip


def lost(code: bytes, start: int, rng: Rng) -> bytes:
    """1 to 512 bytes within are not there."""
    place = int(rng.integers(start, len(code) - 600))
    return code[:place] + code[place + int(rng.integers(1, 513)) :]


def noise(code: bytes, start: int, rng: Rng) -> bytes:
    """512 bytes within are others."""
    place = int(rng.integers(start, len(code) - 600))
    return code[:place] + rng.bytes(512) + code[place + 512 :]


DAMAGES = {
    "cut": cut,
    "cut, end mark": cut_with_mark,
    "zeros": zeros,
    "zeros to the end": zeros_to_end,
    "1 bit": flipped(1),
    "10 bits": flipped(10),
    "bytes lost": lost,
    "noise": noise,
}


def begin(name: str, code: bytes) -> int:
    """Where a frame's data begin."""
    if name == "RLE":
        return 64
    if name in FILMS:  # behind the index and the first, whole frame of an MP4
        return max(code.find(b"mdat"), 0) + len(code) // 4
    mark = b"\xff\x93" if name in ("JPEG 2000", "HTJ2K") else b"\xff\xda"
    return code.index(mark) + 14


def reads(name: str, code: bytes) -> bool:
    """Whether nothing is said against a frame or film."""
    try:
        if name in FILMS:
            _read_film(code)
        else:
            _read_frame(name, code)
    except InputError:
        return False
    return True


def _read_frame(name: str, code: bytes) -> None:
    if name == "RLE":
        stream = Codestream("rle", COLUMNS, ROWS, 1, 8, lossless=True)
    else:
        stream = read_codestream(code)
    if (stream.columns, stream.rows) != (COLUMNS, ROWS):
        raise InputError("another size")
    layout = Layout(
        rows=ROWS,
        columns=COLUMNS,
        samples=stream.samples,
        bits_allocated=8,
        bits_stored=8,
        high_bit=7,
        signed=False,
        planar=False,
        subsampled=False,
        big_endian=False,
        swapped_bytes=False,
    )
    codecs.decode(codecs.decoders_for(stream)[0], code, stream, layout)


def _read_film(code: bytes) -> None:
    stream = BoundedStream(io.BytesIO(code), len(code), 1 << 30)
    opened = FilmFile(stream, [(0, len(code))], 1 << 24)
    counted = opened.packets()
    shown = [frame for _, frame in opened.decoded()]
    whole = [frame for frame in shown if frame is not None and not frame.is_corrupt]
    if not counted.count == LENGTH == len(shown) == len(whole):
        raise InputError("damaged")


def measure(name: str) -> dict[str, Any]:
    """The share of each kind of damage that is noticed, and false alarms."""
    if name in FILMS:
        if FILMS[name][0] not in av.codecs_available:
            raise InputError(f"this PyAV has no encoder {FILMS[name][0]}")
        codes, repeats = [film(*FILMS[name])], FILM_REPEATS
    else:
        codes = [bytes(ENCODERS[name](picture(seed))) for seed in range(PICTURES)]
        repeats = REPEATS
    row: dict[str, Any] = {"name": name, "repeats": repeats}
    row["false_alarms"] = sum(not reads(name, code) for code in codes)
    for what, damage in DAMAGES.items():
        rng, noticed = np.random.default_rng(0), 0
        for turn in range(repeats):
            code = codes[turn % len(codes)]
            damaged = damage(code, begin(name, code), rng)
            noticed += damaged != code and not reads(name, damaged)
        row[what] = noticed / repeats
    return row


def main() -> None:
    """Measures, and writes results."""
    rows = []
    for name in (*ENCODERS, *FILMS):
        rows.append(measure(name))
        print(rows[-1], flush=True)
    tree = {
        "run": provenance.facts(),
        "rows_columns": [ROWS, COLUMNS],
        "damages": {
            name: " ".join((damage.__doc__ or name).split())
            for name, damage in DAMAGES.items()
        },
        "rows": rows,
    }
    write_whole(RESULTS, json.dumps(tree, indent=1) + "\n")


if __name__ == "__main__":
    main()
