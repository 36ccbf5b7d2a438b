"""How labelled cines become clips: the options of a build and their name."""

import dataclasses
from typing import Any

import tensorflow_datasets as tfds

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.dicom.clean.cleaning import CleanSettings
from ultrasound_jax.labels.clip_table import ClipSettings

PARTS = ("development", "temporal")
# Option: type, smallest and largest allowed value.
NUMBERS = {
    "label_version": (int, 1, 2),
    "size": (int, 8, 1024),
    "frame_rate": (float, 0, 200),
    "clip_frames": (int, 1, 1000),
    "overlap": (float, 0, 0.95),
    "min_overlap": (int, 1, 1000),
    "region": (int, -1, 100),
}
CHOICES = {
    "part": PARTS,
    "one_sided": ("absent", "ignore"),
    "tail": ("length", "duplicate"),
    "grey": ("luminance", "red"),
    "mask": (True, False),
}


@dataclasses.dataclass(kw_only=True)
class LusClipsConfig(tfds.core.BuilderConfig):
    """What a clip is; two configs that differ in anything differ in their name.

    part: `development` (two annotators) or `temporal` (expert and two readers).
    label_version: of development: 1 is what both annotators marked, 2 what either did.
    one_sided: frames that only one marked are `absent` in version 1, as the original
    has it, or `ignore`: clips that they decide are labelled -1.
    size: side of the square frame, px. frame_rate: Hz after resampling in time; 0 keeps
    the recorded frames. clip_frames: nominal length. overlap: share of a clip that the
    next one repeats. min_overlap: frames that must show a pattern. tail: `length` keeps
    short last clips short; `duplicate` fills them up by repeating their last frame, as
    the original does. grey: luminance, or the red channel as the original. region: of
    the file's calibrated ones, -1 chooses. mask: black outside the fan.
    """

    part: str = "development"
    label_version: int = 1
    one_sided: str = "absent"
    size: int = 256
    frame_rate: float = 30.0
    clip_frames: int = 30
    overlap: float = 0.2
    min_overlap: int = 1
    tail: str = "length"
    grey: str = "luminance"
    region: int = -1
    mask: bool = True

    @property
    def cleaning(self) -> CleanSettings:
        """How frames are cleaned, in the terms of the dicom room."""
        region = None if self.region < 0 else self.region
        return CleanSettings(region, self.size, self.grey, self.mask)

    @property
    def cutting(self) -> ClipSettings:
        """How videos are cut, in the terms of the dicom room."""
        return ClipSettings(
            length=self.clip_frames,
            overlap=self.overlap,
            rate=self.frame_rate or None,
            min_overlap=self.min_overlap,
        )


def checked_config(**options: Any) -> LusClipsConfig:
    """A config with a name derived from its options, such as `development_112px`.

    Raises:
        DatasetError: an unknown option, a value that is not allowed, or options that
            contradict each other.
    """
    config = LusClipsConfig(
        name="unnamed", **{key: _checked(key, value) for key, value in options.items()}
    )
    if config.part == "temporal" and {"label_version", "one_sided"} & options.keys():
        raise DatasetError(
            "lus_clips label_version and one_sided belong to part='development', "
            "allowed are neither with part='temporal', whose expert has the last word"
        )
    if config.label_version == 2 and config.one_sided == "ignore":
        raise DatasetError(
            "lus_clips one_sided='ignore' belongs to label_version=1: in version 2 "
            "what one annotator marked is present"
        )
    if config.min_overlap > config.clip_frames:
        raise DatasetError(
            f"lus_clips min_overlap={config.min_overlap}, allowed are at most the "
            f"clip_frames={config.clip_frames}"
        )
    return dataclasses.replace(
        config, name=_name(config), description=_description(config)
    )


def _name(config: LusClipsConfig) -> str:
    default = LusClipsConfig(name="unnamed")
    words = {
        "label_version": f"v{config.label_version}",
        "one_sided": config.one_sided,
        "size": f"{config.size}px",
        "frame_rate": f"{config.frame_rate:.12g}hz" if config.frame_rate else "native",
        "clip_frames": f"{config.clip_frames}frames",
        "overlap": f"overlap{config.overlap:.12g}",
        "min_overlap": f"min{config.min_overlap}",
        "tail": config.tail,
        "grey": config.grey,
        "region": f"region{config.region}",
        "mask": "nomask",
    }
    changed = [
        word
        for key, word in words.items()
        if getattr(config, key) != getattr(default, key)
    ]
    return "_".join([config.part, *changed]).replace(".", "p")


def _description(config: LusClipsConfig) -> str:
    rate = f"{config.frame_rate:g} Hz" if config.frame_rate else "recorded rate"
    return (
        f"{config.part}, {config.size} px, {rate}, clips of {config.clip_frames} "
        f"frames overlapping by {100 * config.overlap:g} %, tail: {config.tail}"
    )


def _checked(key: str, value: Any) -> Any:
    if key in CHOICES:
        # 1 == True, but a number is not what was meant.
        if not any(value is one or value == one != True for one in CHOICES[key]):  # noqa: E712
            allowed = ", ".join(map(str, CHOICES[key]))
            raise DatasetError(f"lus_clips {key}={value!r}, allowed: {allowed}")
        return value
    if key not in NUMBERS:
        allowed = ", ".join((*NUMBERS, *CHOICES))
        raise DatasetError(f"lus_clips has no option {key!r}, allowed: {allowed}")
    kind, low, high = NUMBERS[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high or kind(value) != value:
        word = "a whole number" if kind is int else "a number"
        raise DatasetError(
            f"lus_clips {key}={value!r}, allowed is {word} from {low} to {high}"
        )
    return kind(value)
