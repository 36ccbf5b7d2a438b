"""What the builders of clips tell of the frames behind them: black, withheld, damaged.

Kept in the metadata of a build and shown on the page that it ends with. Frame numbers
are 1-based and of the recording, not of a clip.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ultrasound_jax.datasets.decoded import Decoded
from ultrasound_jax.dicom.clean.cleaning import UNMASKED
from ultrasound_jax.labels.sheet import ranges_of

KINDS = ("black_frames", "withheld_frames", "damaged_frames")
MOST_LINES = 20  # of each kind on the page; the metadata have them all


def of_video(video: Decoded) -> dict[str, Any]:
    """What a builder's fact about a video holds; see `account`."""
    return {
        "black_frames": list(video.black),
        "withheld_frames": [list(one) for one in video.withheld],
        "damaged_frames": [list(one) for one in video.damaged],
        "notes": list(video.notes),
        # That nothing is masked was asked for, and is the same for every video.
        "review": [line for line in video.review if line != UNMASKED],
    }


def account(videos: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The metadata: of each kind the videos that have any, and those to be reviewed.

    Args:
        videos: what each is called, and what `of_video` gave.
    """
    named = list(videos)
    return {
        "black_frames": {n: v["black_frames"] for n, v in named if v["black_frames"]},
        "withheld_frames": _with_reasons(named, "withheld_frames"),
        "damaged_frames": _with_reasons(named, "damaged_frames"),
        "review": [f"{name}: {line}" for name, v in named for line in v["review"]],
    }


def lines(metadata: Mapping[str, Any]) -> list[str]:
    """What the page says of it; nothing where all is well."""
    found: list[str] = []
    for kind in KINDS:
        videos, word = metadata[kind], kind.removesuffix("_frames")
        numbers = {name: _numbers(frames) for name, frames in videos.items()}
        if not numbers:
            continue
        total = sum(map(len, numbers.values()))
        found.append(f"{total} {word} frames in {len(numbers)} videos")
        told = [f"{word} {name}: {_ranges(n)}" for name, n in numbers.items()]
        found += shortened(told)
    if metadata["review"]:
        count = len(metadata["review"])
        found.append(f"{count} reasons to look before it is given away")
        found += shortened([f"review {line}" for line in metadata["review"]])
    return found


def _with_reasons(
    videos: Iterable[tuple[str, Mapping[str, Any]]], kind: str
) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [{"frame": frame, "reason": reason} for frame, reason in video[kind]]
        for name, video in videos
        if video[kind]
    }


def _numbers(frames: Iterable[Any]) -> list[int]:
    return [one["frame"] if isinstance(one, Mapping) else int(one) for one in frames]


def _ranges(numbers: Iterable[int]) -> str:
    spans = ranges_of(numbers)
    return ", ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in spans)


def shortened(found: list[str]) -> list[str]:
    """The first lines, and how many more there are: a page is to be read."""
    rest = len(found) - MOST_LINES
    more = [f"… and {rest} more, in the metadata"] if rest > 0 else []
    return found[:MOST_LINES] + more
