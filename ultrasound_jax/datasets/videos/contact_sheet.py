"""A picture of what was built: a few frames of each video under its labels.

For eyes: whether masks sit right, labels fit, and nothing is left that tells a name.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from ultrasound_jax.datasets.videos.sheet import Item
from ultrasound_jax.media.geometry import letterbox

FRAMES, SIDE = 4, 112  # of a video's strip; px a frame
BAR = 18  # px of the line of text above a strip
ACROSS = 3  # strips side by side
MOST = 120  # videos on the sheet


def strip(frames: UInt8[np.ndarray, "t y x"]) -> UInt8[np.ndarray, "h w"]:
    """Frames from the first to the last, side by side, SIDE pixels high."""
    places = np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)
    return np.hstack([letterbox(np.asarray(frames[k]), SIDE) for k in places])


def chosen(items: Sequence[Item]) -> list[Item]:
    """The items, those that are shown marked as such.

    All where they are few; else as many with as without each finding, in turn.
    """
    findings = len(items[0].labels) if items else 0
    heaps = [
        [place for place, item in enumerate(items) if item.labels[k] == label]
        for k in range(findings)
        for label in (1, 0)
    ]
    heaps.append(list(range(len(items))))
    shown: set[int] = set()
    while len(shown) < min(MOST, len(items)):
        for heap in heaps:
            while heap and heap[0] in shown:
                heap.pop(0)
            if heap and len(shown) < MOST:
                shown.add(heap.pop(0))
    return [replace(item, shown=place in shown) for place, item in enumerate(items)]


def drawn(
    videos: Sequence[Mapping[str, Any]], findings: Sequence[str]
) -> UInt8[np.ndarray, "h w"]:
    """The sheet of videos as `cut_video` tells of them, those with most in front.

    A caption gives the sheet's row, the findings that are present, and `?` with those
    that nobody has annotated.
    """
    shown = [one for one in videos if one["picture"]]
    shown.sort(key=lambda one: ([-label for label in one["labels"]], one["row"]))
    tiles = [_tile(one, findings) for one in shown]
    if not tiles:  # those that were chosen could not be read
        tiles = [np.full((BAR, FRAMES * SIDE), 255, np.uint8)]
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % ACROSS)
    rows = [np.hstack(tiles[k : k + ACROSS]) for k in range(0, len(tiles), ACROSS)]
    title = f"{len(shown)} of {len(videos)} videos; row of the sheet: findings"
    bar = np.full((BAR + 6, rows[0].shape[1]), 255, np.uint8)
    return np.vstack([_written(bar, title), *rows])


def _tile(video: Mapping[str, Any], findings: Sequence[str]) -> np.ndarray:
    present = [n for n, k in zip(findings, video["labels"], strict=True) if k == 1]
    unknown = [f"?{n}" for n, k in zip(findings, video["labels"], strict=True) if k < 0]
    caption = f"{video['row']}: {' '.join([*(present or ['nothing']), *unknown])}"
    content = np.frombuffer(base64.b64decode(video["picture"]), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
    assert picture is not None  # noqa: S101 - written by `cut_video`
    bar = np.full((BAR, picture.shape[1]), 255, np.uint8)
    framed = np.vstack([_written(bar, caption), picture])
    return np.pad(framed, ((0, 4), (0, 6)), constant_values=255)


def _written(bar: np.ndarray, text: str) -> np.ndarray:
    # OpenCV's letters are ASCII.
    plain = text.encode("ascii", "replace").decode()[:64]
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(bar, plain, (4, BAR - 5), font, 0.38, 0, 1, cv2.LINE_AA)
    return bar
