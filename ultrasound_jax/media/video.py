"""Grey cines from any video file, with the time of every frame.

PyAV decodes; OpenCV is asked where PyAV cannot. Frames are handled one by one, so that
no cine ever stands in memory at its full resolution. What a container claims (frames,
rate) is not believed: the frames that decode are counted and their own times are read.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from ultrasound_jax.media.geometry import letterbox
from ultrasound_jax.media.recording import Want
from ultrasound_jax.types import InputError

SUFFIXES = (".avi", ".gif", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
RATE_RANGE = (0.1, 1000.0)  # Hz; slower is a slide show, faster no B-mode
# Naming the demuxers keeps pictures, text and play lists that point at other files out.
_DEMUXERS = "asf,avi,flv,gif,matroska,webm,mov,mp4,mpeg,mpegts,mpegvideo,ogg"
_LUMA_FIRST = ("yuv4", "yuvj4", "yuva4", "nv12", "nv21", "gray")
NEUTRAL = 4  # levels of chroma from the middle; marks in colour have ten times that
_FULL_RANGE, _LIMITED_RANGE = 2, 1  # AVCOL_RANGE_JPEG, AVCOL_RANGE_MPEG
_EXPAND = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


class Frame(NamedTuple):
    """A decoded frame: upright, at its stored size, `h w` grey or `h w 3` RGB.

    seconds: presentation time, None where the file has none.
    pixel_aspect: width of a pixel over its height.
    stated_rate: what the container says, Hz; 0 where it says nothing.
    colours: the same in its colours, grey where there are none; made when it is called,
        which must be before the next frame.
    """

    pixels: np.ndarray
    seconds: float | None
    pixel_aspect: float
    stated_rate: float
    colours: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Video:
    """A decoded cine.

    timestamps: seconds after the first frame, strictly increasing.
    frame_rate: measured, Hz: intervals over their total time.
    decoder: `pyav` or `opencv`.
    damaged: packets that did not decode; their frames are missing from `frames`.
    """

    frames: UInt8[np.ndarray, "t h w"]
    timestamps: Float64[np.ndarray, " t"]
    frame_rate: float
    decoder: str
    damaged: int

    @property
    def frame_seconds(self) -> float:
        """How long a frame typically lasts: the median interval."""
        if len(self.timestamps) < 2:
            return 1 / self.frame_rate
        return float(np.median(np.diff(self.timestamps)))


def read_video(
    path: str | Path, size: int | None = None, *, interpolation: int | None = None
) -> Video:
    """Decodes a video file to grey frames.

    Grey is luminance: the Y of YUV streams widened from limited to full range (equal to
    OpenCV's BGR2GRAY of the same frame within its rounding), BT.601 weights for RGB
    streams, black where a GIF is transparent. Rotation tags are applied. Pixels that
    are not square are made so only with `size`.

    Args:
        path: an .avi, .gif, .mkv, .mov, .mp4, .mpeg, .webm or .wmv file.
        size: side in pixels that every frame is letterboxed to as it is decoded; None
            keeps the stored size, and then the whole cine in memory.
        interpolation: as for `letterbox`.

    Raises:
        InputError: no such file, not a video, no frames, empty frames, several sizes of
            frames, or a rate outside 0.1-1000 Hz.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    decoder, damage, reason = "pyav", Damage(), "no frame decodes"
    frames, seconds, stated_rate = [], [], 0.0
    try:
        frames, seconds, stated_rate = _collect(
            path, pyav_frames(path, damage), size, interpolation
        )
    except av.error.FFmpegError as error:
        reason = error.strerror
    if not frames:
        decoder = "opencv"
        try:
            frames, seconds, stated_rate = _collect(
                path, opencv_frames(path), size, interpolation
            )
        except cv2.error as error:
            reason = f"{reason}; {error.err}"
        if len(frames) < 2:  # OpenCV also opens pictures and pieces of text
            raise InputError(
                f"{path}: not a video that PyAV or OpenCV can read ({reason})"
            )
    timestamps, rate = clean_times(path, seconds, stated_rate)
    return Video(np.stack(frames), timestamps, rate, decoder, damage.packets)


class Damage:
    """What did not decode, while a generator runs.

    packets: how many gave nothing. patched: frames, counted from 1, in which the
    decoder has made up what was damaged.
    """

    def __init__(self) -> None:
        self.packets = 0
        self.patched: list[int] = []


def _collect(
    path: Path, stream: Iterator[Frame], size: int | None, interpolation: int | None
) -> tuple[list[np.ndarray], list[float | None], float]:
    """Frames brought to their final size, their times, and the stated rate."""
    frames, seconds, stated_rate, shape = [], [], 0.0, None
    for frame in stream:
        if frame.pixels.size == 0:
            raise InputError(f"{path}: a frame has no pixels")
        shape = shape or frame.pixels.shape
        if frame.pixels.shape != shape:
            raise InputError(
                f"{path}: frames of {shape} and of {frame.pixels.shape} pixels, "
                "allowed is one size"
            )
        grey = frame.pixels
        if size is not None:
            grey = letterbox(
                grey, size, pixel_aspect=frame.pixel_aspect, interpolation=interpolation
            )
        frames.append(grey)
        seconds.append(frame.seconds)
        stated_rate = frame.stated_rate
    return frames, seconds, stated_rate


def pyav_frames(path: Path, damage: Damage, want: Want = "grey") -> Iterator[Frame]:
    """The frames that PyAV decodes; packets that it cannot are counted as `damage`."""
    pixels_of = _luminance if want == "grey" else _as_stored
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
    # Titles in other alphabets than UTF-8 must not keep a film from being read.
    with av.open(
        str(path), container_options=options, metadata_errors="replace"
    ) as container:
        if not container.streams.video:
            return
        stream = container.streams.video[0]
        stated_rate = float(stream.average_rate or 0)
        aspect = float(stream.sample_aspect_ratio or 0) or 1.0
        packets, count = container.demux(stream), 0
        while True:
            try:
                packet = next(packets, None)
                decoded = packet.decode() if packet is not None else ()
            except av.error.FFmpegError:
                # A bad packet loses its own frames only: what follows keeps its time.
                damage.packets += 1
                continue
            if packet is None:
                return
            for frame in decoded:
                count += 1
                if frame.is_corrupt:
                    damage.patched.append(count)
                turns = round(frame.rotation / 90)
                yield Frame(
                    _upright(pixels_of, frame, turns),
                    frame.time,
                    1 / aspect if turns % 2 else aspect,
                    stated_rate,
                    partial(_upright, _colours_if_any, frame, turns),
                )


def _upright(
    pixels_of: Callable[[av.VideoFrame], np.ndarray], frame: av.VideoFrame, turns: int
) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(pixels_of(frame), turns))


def _luminance(frame: av.VideoFrame) -> np.ndarray:
    """Full-range grey of one frame, without a colour conversion where Y is stored."""
    name = frame.format.name
    first = frame.format.components[0]
    if name.startswith(_LUMA_FIRST) and first.bits == 8:
        plane = frame.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        luma = rows[: frame.height, : frame.width]
        # Untagged YUV is limited range and untagged grey is full range by convention.
        full = int(frame.color_range) == _FULL_RANGE or name.startswith("yuvj")
        if name.startswith("gray"):
            full = int(frame.color_range) != _LIMITED_RANGE
        return luma.copy() if full else _EXPAND[luma]
    return cv2.cvtColor(_colours(frame), cv2.COLOR_RGB2GRAY)


def _as_stored(frame: av.VideoFrame) -> np.ndarray:
    """One frame in its colours; grey only where the film itself is."""
    if frame.format.name.startswith("gray"):
        return _luminance(frame)
    return _colours(frame)


def _colours_if_any(frame: av.VideoFrame) -> np.ndarray:
    """As `_as_stored`, but grey where a YUV frame has no colour: that is soon seen."""
    name, parts = frame.format.name, frame.format.components
    planar = name.startswith(("yuv4", "yuvj4")) and len(frame.planes) == 3
    if planar and all(part.bits == 8 for part in parts):
        for plane in frame.planes[1:]:
            chroma = np.frombuffer(memoryview(plane), np.uint8)
            chroma = chroma.reshape(-1, plane.line_size)[: plane.height, : plane.width]
            if chroma.max() > 128 + NEUTRAL or chroma.min() < 128 - NEUTRAL:
                return _as_stored(frame)
        return _luminance(frame)
    return _as_stored(frame)


def _colours(frame: av.VideoFrame) -> np.ndarray:
    """RGB of one frame, black where it is transparent."""
    name = frame.format.name
    if name in ("pal8", "rgba", "bgra", "argb", "abgr"):  # GIF, PNG
        rgba = frame.to_ndarray(format="rgba")
        return np.where(rgba[..., 3:] == 0, 0, rgba[..., :3]).astype(np.uint8)
    # Not by way of `rgba`: FFmpeg then makes up the last columns of YUV whose width is
    # no multiple of 8.
    return frame.to_ndarray(format="rgb24")


def opencv_frames(path: Path, want: Want = "grey") -> Iterator[Frame]:
    """The same through OpenCV's own decoders; ends at the first frame that fails."""
    wanted = cv2.COLOR_BGR2GRAY if want == "grey" else cv2.COLOR_BGR2RGB
    for backend in (cv2.CAP_FFMPEG, cv2.CAP_OPENCV_MJPEG):
        capture = cv2.VideoCapture(str(path), backend)
        try:
            stated_rate = capture.get(cv2.CAP_PROP_FPS)
            read, image = capture.read()
            if not read:
                continue
            while read:
                seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                colours = partial(_converted, image, cv2.COLOR_BGR2RGB)
                pixels = _converted(image, wanted)
                yield Frame(pixels, seconds, 1.0, stated_rate, colours)
                read, image = capture.read()
            return
        finally:
            capture.release()


def _converted(image: np.ndarray, how: int) -> np.ndarray:
    return cv2.cvtColor(image, how) if image.ndim == 3 else image


def clean_times(
    path: Path, seconds: list[float | None], stated_rate: float
) -> tuple[Float64[np.ndarray, " t"], float]:
    """Times from 0 and the measured rate; the stated rate only where times are bad."""
    low, high = RATE_RANGE
    if None not in seconds and len(seconds) > 1:
        times = np.asarray(seconds, np.float64)
        if np.all(np.diff(times) > 0):
            times = times - times[0]
            rate = float((len(times) - 1) / times[-1])
            if not low <= rate <= high:
                raise InputError(
                    f"{path}: {rate:.6g} frames a second, allowed are {low} to {high}"
                )
            return times, rate
    if not low <= stated_rate <= high:
        raise InputError(
            f"{path}: frames have no usable times and the file states "
            f"{stated_rate:.6g} frames a second, allowed are {low} to {high}"
        )
    return np.arange(len(seconds)) / stated_rate, stated_rate
