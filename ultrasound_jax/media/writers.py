"""Writes frames as AVI and PNG that carry pixels and nothing else.

No title, date, encoder or source stands in the containers, and equal frames give equal
bytes. Files appear whole or not at all.
"""

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
from av.codec.context import Flags
from av.container import OutputContainer
from jaxtyping import UInt8

from ultrasound_jax.runs.files import whole_file, write_whole
from ultrasound_jax.types import InputError

CODECS = ("ffv1", "mjpeg")
_PIXELS = {("ffv1", 2): "gray", ("ffv1", 3): "bgr0"}
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_QUALITY = 2  # of MJPEG: 2 is the best that FFmpeg offers, 31 the worst


def write_avi(
    path: str | os.PathLike[str],
    frames: Iterable[UInt8[np.ndarray, "h w *c"]],
    rate: float,
    *,
    codec: str = "ffv1",
) -> int:
    """Writes frames, grey `h w` or RGB `h w 3`, as they come; returns how many.

    FFV1 is lossless, so that decoding gives the frames back bit for bit; MJPEG is for
    programs that cannot read it. AVI has one rate: times that vary belong beside it.

    Raises:
        InputError: no frames, frames of several sizes, a codec or rate that is not
            allowed, or the file cannot be written.
    """
    path = Path(path)
    if codec not in CODECS:
        raise InputError(f"codec is {codec!r}, allowed are {', '.join(CODECS)}")
    if not 0 < rate <= 1000:
        raise InputError(f"rate is {rate} Hz, allowed are above 0 and to 1000")
    with whole_file(path) as temporary:
        try:
            written = _encode(temporary, frames, rate, codec)
        except av.error.FFmpegError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error
        if written == 0:
            raise InputError(f"{path}: no frames to write")
    return written


def write_png(path: str | os.PathLike[str], frame: UInt8[np.ndarray, "h w *c"]) -> None:
    """Writes one frame, grey `h w` or RGB `h w 3`.

    Raises:
        InputError: it cannot be written.
    """
    shown = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", shown)
    write_whole(path, encoded.tobytes())


def _encode(path: Path, frames: Iterable[np.ndarray], rate: float, codec: str) -> int:
    written, stream = 0, None
    # `bitexact` keeps FFmpeg from writing its version and a date.
    options = {"fflags": "+bitexact"}
    with av.open(str(path), "w", format="avi", container_options=options) as container:
        for frame in frames:
            if stream is None:
                stream = _stream(container, frame, rate, codec)
            if frame.shape[:2] != (stream.height, stream.width):
                raise InputError(
                    f"frames of {stream.width} x {stream.height} and of "
                    f"{frame.shape[1]} x {frame.shape[0]} pixels in one video, "
                    "allowed is one size"
                )
            container.mux(stream.encode(_video_frame(frame, stream, codec, written)))
            written += 1
        if stream is not None:
            container.mux(stream.encode())
    return written


def _stream(
    container: OutputContainer, frame: np.ndarray, rate: float, codec: str
) -> av.VideoStream:
    stream = container.add_stream(codec, Fraction(rate).limit_denominator(10_000))
    assert isinstance(stream, av.VideoStream)  # noqa: S101
    stream.height, stream.width = frame.shape[:2]
    stream.pix_fmt = _PIXELS.get((codec, frame.ndim), "yuvj420p")
    context = stream.codec_context
    context.flags |= int(Flags.bitexact)
    if codec == "mjpeg":
        context.qmin, context.qmax = _QUALITY, _QUALITY
        context.color_range = _FULL_RANGE
    else:
        context.gop_size = 1  # every frame can be read by itself
    return stream


def _video_frame(
    frame: np.ndarray, stream: av.VideoStream, codec: str, index: int
) -> av.VideoFrame:
    frame = np.ascontiguousarray(frame)
    name = "gray" if frame.ndim == 2 else "rgb24"
    picture = av.VideoFrame.from_ndarray(frame, format=name)
    if picture.format.name != stream.pix_fmt:
        wide = _FULL_RANGE if codec == "mjpeg" else None
        picture = picture.reformat(
            format=stream.pix_fmt, src_color_range=wide, dst_color_range=wide
        )
    picture.pts = index
    picture.time_base = 1 / Fraction(stream.codec_context.framerate or 1)
    return picture
