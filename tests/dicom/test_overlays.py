"""Text inside the fan, through the codecs that scanners write, and clean pictures."""

import io
from functools import cache
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.dicom.scans import Made, moments_of, phantom, speckle
from ultrasound_jax.dicom.clean.cleaning import CleanSettings, plan_cleaning
from ultrasound_jax.dicom.clean.overlays import find_overlays

CODECS = ["jpeg 95", "jpeg 60", "mjpeg 4", "mpeg4 5", "h264 18", "h264 30"]
FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"


@cache
def scan(level=30.0, gain=400.0, seed=0, frames=24, blur=1.2):
    """A fan of speckle that is new in every frame, and where the fan is."""
    rows, columns = 240, 320
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    depth = np.hypot(x - 160, y - 10)
    fan = (depth > 25) & (depth < 210) & (abs(np.arctan2(x - 160, y - 10)) < 0.6)
    clip = []
    for _ in range(frames):
        noise = rng.gamma(2, 1, (rows, columns)).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), blur)
        echo = level + gain * noise / noise.max() * (1 - depth / 300)
        clip.append(np.where(fan, np.clip(echo, 8, 255), 0).astype(np.uint8))
    return np.stack(clip), fan


def through(frames, codec):
    """The same frames, grey or RGB, as they come out of a codec."""
    name, quality = codec.split()
    if name == "jpeg":
        setting = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
        coded = [cv2.imencode(".jpg", frame, setting)[1] for frame in frames]
        shown = [cv2.imdecode(code, cv2.IMREAD_UNCHANGED) for code in coded]
        return np.stack([np.asarray(frame) for frame in shown])
    held, grey = io.BytesIO(), frames[0].ndim == 2
    kind = "gray" if grey else "rgb24"
    with av.open(held, "w", format="matroska") as box:
        stream = box.add_stream("libx264" if name == "h264" else name, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if name == "mjpeg" else "yuv420p"
        stream.options = {"qmin": quality, "qmax": quality}
        if name == "h264":
            stream.options = {"crf": quality, "preset": "veryfast"}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format=kind)
            box.mux(stream.encode(picture.reformat(format=stream.pix_fmt)))
        box.mux(stream.encode())
    held.seek(0)
    with av.open(held, "r") as box:
        return np.stack([f.to_ndarray(format=kind) for f in box.decode(video=0)])


def written(
    frames,
    words,
    at,
    height=12,
    *,
    ink: object = 255,
    font="DejaVuSans.ttf",
    smooth=True,
    rim: object = None,
):
    """Copies of frames with a line of text, whose capitals are `height` pixels high."""
    pen = Image.new("L", frames[0].shape[1::-1])
    draw = ImageDraw.Draw(pen)
    draw.fontmode = "L" if smooth else "1"
    face = ImageFont.truetype(str(FONTS / font), round(height / 0.72))
    draw.text(at, words, fill=255, font=face, anchor="ls")
    share = np.asarray(pen, np.float32) / 255
    marked = frames.astype(np.float32)
    if marked.ndim == 4:
        share = share[..., None]
    if rim is not None:
        wide = cv2.dilate(share, np.ones((3, 3))).reshape(share.shape)
        marked += wide * (np.asarray(rim, np.float32) - marked)
    marked += share * (np.asarray(ink, np.float32) - marked)
    return np.rint(marked).astype(np.uint8)


def found(frames, inside):
    return find_overlays(moments_of(frames), inside)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("ink", [255, 190, 0])
def test_text_that_stays_is_found_through_every_codec(codec, ink):
    clip, fan = scan(level=90, gain=200) if not ink else scan(gain=200)
    marked = written(clip, "DOE 1950", (120, 130), ink=ink)
    assert found(through(marked, codec), fan).suspected
    assert not found(through(clip, codec), fan).suspected


@pytest.mark.parametrize("height", [8, 11, 16, 24, 40])
@pytest.mark.parametrize("face", ["DejaVuSans-Bold", "DejaVuSerif", "cmtt10"])
def test_letters_of_any_height_and_font_are_found(height, face):
    clip, fan = scan(seed=3)
    words = "MRN 7745120" if height < 20 else "R 41"
    for at, smooth in (((100, 150), True), ((110, 190), False)):
        marked = written(clip, words, at, height, font=f"{face}.ttf", smooth=smooth)
        assert found(through(marked, "jpeg 75"), fan).suspected


@pytest.mark.parametrize("at", [(135, 75), (90, 160), (150, 200), (85, 120)])
def test_text_is_found_anywhere_in_the_fan(at):
    clip, fan = scan(seed=4)
    place = np.s_[at[1] - 8 : at[1], at[0] : at[0] + 40]
    assert fan[place].mean() > 0.8
    for words in ("Ada B.", "3.2 cm", "12.11.2019"):
        marked = written(clip, words, at, height=9, rim=0)
        assert found(through(marked, "h264 24"), fan).suspected


def test_text_that_was_scaled_with_the_picture_is_found():
    clip, fan = scan(seed=5)
    marked = written(clip, "MILLER, A 1961", (95, 140), height=12)
    size = 480, 360
    large = np.stack([cv2.resize(frame, size) for frame in marked])
    inside = cv2.resize(fan.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    assert found(through(large, "jpeg 80"), inside).suspected


@pytest.mark.parametrize("codec", CODECS)
def test_a_line_that_is_shown_for_a_part_of_the_time_is_found(codec):
    clip, fan = scan(seed=6, frames=32)
    for start, end, ink in ((0, 9, 255), (11, 20, 220), (25, 32, 255)):
        marked = clip.copy()
        marked[start:end] = written(clip[start:end], "MRN 555123", (100, 150), ink=ink)
        overlays = found(through(marked, codec), fan)
        assert overlays.fleeting >= 20 and overlays.still == 0


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("patient", range(3))
def test_a_phantom_without_marks_is_not_listed(codec, patient):
    clip, fan = phantom(patient, frames=24)
    assert not found(through(clip, codec), fan).suspected
    assert not found(through(clip, codec)[:1], fan).suspected
    marked = written(clip, "JANE DOE", (90, 190))
    assert found(through(marked, codec), fan).suspected


@pytest.mark.parametrize("blur", [0.8, 1.2, 2.0, 3.0])
def test_a_still_is_listed_with_text_and_not_without(blur):
    for seed in range(4):
        clip, fan = scan(level=10, gain=200, seed=seed, frames=1, blur=blur)
        assert not found(clip, fan).suspected
        assert not found(through(clip, "jpeg 70"), fan).suspected
    for words in ("LT AXILLA", "DOE^JANE", "R 12.4"):
        marked = written(clip, words, (110, 120), height=9)
        assert found(marked, fan).suspected
        assert found(through(marked, "jpeg 70"), fan).suspected


def doppler(seed, frames=24):
    """RGB frames with vessels that pulsate, and the scanner's box around them."""
    clip, fan = scan(seed=seed, frames=frames)
    colour = np.repeat(clip[..., None], 3, axis=-1)
    rng = np.random.default_rng(seed)
    flow = cv2.GaussianBlur(rng.normal(size=clip.shape[1:]), (0, 0), 5)
    for time, frame in enumerate(colour):
        level = 0.06 + 0.02 * np.sin(time)
        cut = np.zeros(fan.shape, bool)
        cut[90:170, 120:200] = True
        frame[cut & (flow > level)] = 230, 60, 20
        frame[cut & (flow < -level)] = 30, 70, 220
        cv2.rectangle(frame, (118, 88), (202, 172), (240, 240, 240), 1)
    return colour, fan


@pytest.mark.parametrize("frames", [1, 24])
@pytest.mark.parametrize("codec", ["jpeg 85", "h264 22"])
def test_doppler_is_listed_with_text_and_not_without(frames, codec):
    clip, fan = doppler(2, frames)
    overlays = found(through(clip, codec), fan)
    assert overlays.flow and not overlays.suspected
    for ink in ((255, 255, 255), (255, 240, 0)):
        marked = written(clip, "DOE 1950", (115, 195), ink=ink, rim=(0, 0, 0))
        assert found(through(marked, codec), fan).suspected


def test_dots_of_a_scale_along_the_fan_are_no_marks():
    clip, fan = scan(seed=7)
    dotted = clip.copy()
    for row in range(60, 160, 20):
        column = int(np.flatnonzero(fan[row])[0]) + 3
        dotted[:, row - 1 : row + 2, column - 1 : column + 2] = 255
    assert not found(through(dotted, "jpeg 85"), fan).suspected


def test_calipers_are_found_in_a_lossy_cine():
    clip, fan = scan(seed=8)
    marked = clip.copy()
    for frame in marked:
        cv2.drawMarker(frame, (140, 120), 255, cv2.MARKER_CROSS, 13, 1)
        cv2.drawMarker(frame, (180, 150), 255, cv2.MARKER_CROSS, 13, 1)
    assert found(through(marked, "jpeg 90"), fan).suspected


def test_the_plan_of_a_lossy_cine_names_the_marks():
    clip, _ = scan()
    marked = written(clip, "DOE 1950", (120, 130))
    plan = plan_cleaning(Made(through(marked, "jpeg 90")), CleanSettings())
    assert "marks inside the fan" in " ".join(plan.review)
    plan = plan_cleaning(Made(through(clip, "jpeg 90")), CleanSettings())
    assert "marks inside the fan" not in " ".join(plan.review)


def test_a_large_picture_with_large_letters_is_listed():
    noise = np.stack([speckle((300, 400), seed=9, frames=8)]).reshape(8, 300, 400)
    large = np.stack([cv2.resize(f, (1600, 1200), interpolation=2) for f in noise])
    inside = np.ones(large[0].shape, bool)
    assert not found(large, inside).suspected
    marked = written(large, "DOE 1950", (300, 700), 70, font="DejaVuSans-Bold.ttf")
    assert found(marked, inside).suspected
