"""Text as scanners burn it in, over real frames, and the codecs that they write.

What `overlay_rates.py` draws from; nothing here is random but by the generator given.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralBol.ttf",
    "cmss10.ttf",
    "cmtt10.ttf",
)
CODECS = (
    "raw",
    "jpeg 95",
    "jpeg 90",
    "jpeg 75",
    "jpeg 60",
    "mjpeg 3",
    "mjpeg 8",
    "mpeg4 4",
    "h264 18",
    "h264 24",
    "h264 30",
)
INKS = ("white", "grey", "black")
APART = 60  # grey levels between ink and tissue; less is hard to read for anybody


@dataclass(frozen=True)
class Mark:
    """One line of text: how much ink a pixel has, and of which level.

    ink, rim: shares from 0 to 1 as large as the picture; rim is the outline's.
    """

    ink: np.ndarray
    rim: np.ndarray
    level: int
    text: str
    height: int

    def on(self, frame: np.ndarray) -> np.ndarray:
        """The frame with the text on it."""
        edge = 0 if self.level >= 100 else 255
        out = frame + self.rim * (edge - frame.astype(np.float32))
        out += self.ink * (self.level - out)
        return np.rint(np.clip(out, 0, 255)).astype(np.uint8)


def words(rng: np.random.Generator) -> str:
    """A name, a number, a date, a measure or a side, none of which is anybody's."""
    letters = list("ABCDEFGHIKLMNOPRSTUVWZ")

    def name(least: int, most: int) -> str:
        return "".join(rng.choice(letters, rng.integers(least, most + 1)))

    return [
        lambda: f"{name(3, 8)} {name(3, 6)}",
        lambda: f"{name(4, 9)}, {name(1, 1)} {rng.integers(1920, 2010)}",
        lambda: f"MRN {rng.integers(10**5, 10**7)}",
        lambda: (
            f"{rng.integers(1, 29):02}.{rng.integers(1, 13):02}.20{rng.integers(24)}"
        ),
        lambda: f"{rng.integers(1, 99) / 10} cm",
        lambda: f"{name(4, 7).title()} {name(4, 8).title()}",
    ][rng.integers(6)]()


def make_mark(
    rng: np.random.Generator, mean: np.ndarray, inside: np.ndarray, ink: str
) -> Mark | None:
    """Text somewhere inside the fan where it can be read; None if there is no room."""
    rows, columns = mean.shape
    for _ in range(60):
        height = int(np.exp(rng.uniform(np.log(7), np.log(40))))
        if height > max(8, min(rows, columns) // 7):
            continue
        text = words(rng)
        drawn = _pencil(rng, text, height)
        pad = 2
        drawn = np.pad(drawn, pad)
        tall, wide = drawn.shape
        if tall >= rows or wide >= columns:
            continue
        for _ in range(20):
            y = int(rng.integers(0, rows - tall))
            x = int(rng.integers(0, columns - wide))
            place = np.s_[y : y + tall, x : x + wide]
            if inside[place].mean() < 0.99:
                continue
            level = _level(rng, ink, mean[place])
            if level is None:
                continue
            share = np.zeros(mean.shape, np.float32)
            share[place] = drawn
            rim = np.zeros_like(share)
            if rng.random() < 0.3:
                rim = cv2.dilate(share, np.ones((3, 3)))
            return Mark(share, rim, level, text, height)
    return None


def _level(rng: np.random.Generator, ink: str, tissue: np.ndarray) -> int | None:
    """A grey level that stands out from nearly all of the tissue beneath, or None."""
    low, high = np.percentile(tissue, (10, 90))
    if ink == "white":
        return int(rng.integers(225, 256)) if high < 225 - APART else None
    if ink == "black":
        return int(rng.integers(0, 20)) if low > 20 + APART else None
    level = int(rng.integers(110, 210))
    return level if high < level - APART else None


def _pencil(rng: np.random.Generator, text: str, height: int) -> np.ndarray:
    """Shares of ink of a text whose capitals are `height` pixels high."""
    if rng.random() < 0.3:
        return _hershey(rng, text, height)
    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    path = str(folder / FONTS[rng.integers(len(FONTS))])
    font = ImageFont.truetype(path, 100)
    box = font.getbbox("H")
    font = ImageFont.truetype(path, max(5, round(100 * height / (box[3] - box[1]))))
    left, top, right, bottom = (int(side) for side in font.getbbox(text))
    picture = Image.new("L", (right - left, bottom - top))
    pen = ImageDraw.Draw(picture)
    pen.fontmode = "L" if rng.random() < 0.7 else "1"
    pen.text((-left, -top), text, fill=255, font=font)
    return np.asarray(picture, np.float32) / 255


def _hershey(rng: np.random.Generator, text: str, height: int) -> np.ndarray:
    face = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_PLAIN)[
        rng.integers(3)
    ]
    tall = cv2.getTextSize("H", face, 10, 1)[0][1] / 10
    scale, thick = height / tall, max(1, round(height / 12))
    (width, above), below = cv2.getTextSize(text, face, scale, thick)
    picture = np.zeros((above + below + 2 * thick, width + 2 * thick), np.uint8)
    line = cv2.LINE_AA if rng.random() < 0.7 else cv2.LINE_8
    at = (thick, above + thick)
    cv2.putText(picture, text, at, face, scale, 255, thick, line)
    return picture.astype(np.float32) / 255


def through(frames: Sequence[np.ndarray], codec: str) -> list[np.ndarray]:
    """What a codec leaves of grey frames, `h w` (or of `h w 3`, in colour)."""
    name, _, quality = codec.partition(" ")
    if name == "raw":
        return list(frames)
    if name == "jpeg":
        options = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
        coded = [cv2.imencode(".jpg", frame, options)[1] for frame in frames]
        return [np.asarray(cv2.imdecode(c, cv2.IMREAD_UNCHANGED)) for c in coded]
    held = io.BytesIO()
    kind = "gray" if frames[0].ndim == 2 else "rgb24"
    with av.open(held, "w", format="matroska") as box:
        stream = box.add_stream({"h264": "libx264"}.get(name, name), rate=25)
        assert isinstance(stream, av.VideoStream)  # noqa: S101  (these codecs are)
        stream.height, stream.width = (side - side % 2 for side in frames[0].shape[:2])
        stream.pix_fmt = "yuvj420p" if name == "mjpeg" else "yuv420p"
        stream.options = {"qmin": quality, "qmax": quality}
        if name == "h264":
            stream.options = {"crf": quality, "preset": "veryfast"}
        for frame in frames:
            even = np.ascontiguousarray(frame[: stream.height, : stream.width])
            picture = av.VideoFrame.from_ndarray(even, format=kind)
            box.mux(stream.encode(picture.reformat(format=stream.pix_fmt)))
        box.mux(stream.encode())
    held.seek(0)
    with av.open(held, "r") as box:
        return [frame.to_ndarray(format=kind) for frame in box.decode(video=0)]
