"""How labelled cines become clips: the options of a build and their name."""

import dataclasses
from collections.abc import Collection

from ultrasound_jax.datasets.options import BuildConfig
from ultrasound_jax.dicom.clean.cleaning import CleanSettings
from ultrasound_jax.labels.clip_table import ClipSettings
from ultrasound_jax.media.cutting import CONTAINED

PARTS = ("development", "temporal")


@dataclasses.dataclass(kw_only=True)
class LusClipsConfig(BuildConfig):
    """What a clip is.

    part: `development` (two annotators) or `temporal` (expert and two readers).
    label_version: of development: 1 is what both annotators marked, 2 what either did.
    one_sided: frames that only one marked are `absent` in version 1, as the original
    has it, or `ignore`: clips that they decide are labelled -1.
    size: side of the square frame, px. frame_rate: Hz after resampling in time; 0 keeps
    the recorded frames. clip_frames: nominal length. overlap: share of a clip that the
    next one repeats. min_overlap: frames that must show a pattern. tail: `length` keeps
    short last clips short; `duplicate` fills them up by repeating their last frame, as
    the original does. contained: a last clip that shows nothing of its own is `join`ed
    to the clip before, or `keep`s its place as the original has it. grey: luminance, or
    the red channel as the original. region: of the file's calibrated ones, -1 chooses.
    mask: black outside the fan.
    """

    ALLOWED = {
        "part": PARTS,
        "label_version": (int, 1, 2),
        "one_sided": ("absent", "ignore"),
        "size": (int, 8, 1024),
        "frame_rate": (float, 0, 200),
        "clip_frames": (int, 1, 1000),
        "overlap": (float, 0, 0.95),
        "min_overlap": (int, 1, 1000),
        "tail": ("length", "duplicate"),
        "contained": CONTAINED,
        "grey": ("luminance", "red"),
        "region": (int, -1, 100),
    }

    part: str = "development"
    label_version: int = 1
    one_sided: str = "absent"
    size: int = 256
    frame_rate: float = 30.0
    clip_frames: int = 30
    overlap: float = 0.2
    min_overlap: int = 1
    tail: str = "length"
    contained: str = "join"
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
            contained=self.contained,
        )

    def contradiction(self, given: Collection[str]) -> str:
        """As `BuildConfig.contradiction`."""
        if self.part == "temporal" and {"label_version", "one_sided"} & set(given):
            return (
                "label_version and one_sided belong to part='development', allowed are "
                "neither with part='temporal', whose expert has the last word"
            )
        if self.label_version == 2 and self.one_sided == "ignore":
            return (
                "one_sided='ignore' belongs to label_version=1: in version 2 what one "
                "annotator marked is present"
            )
        if self.min_overlap > self.clip_frames:
            return (
                f"min_overlap={self.min_overlap}, allowed are at most the "
                f"clip_frames={self.clip_frames}"
            )
        return ""

    def title(self) -> str:
        """The part and what differs from the defaults, such as `development_112px`."""
        words = {
            "label_version": f"v{self.label_version}",
            "one_sided": self.one_sided,
            "size": f"{self.size}px",
            "frame_rate": f"{self.frame_rate:.12g}hz" if self.frame_rate else "native",
            "clip_frames": f"{self.clip_frames}frames",
            "overlap": f"overlap{self.overlap:.12g}",
            "min_overlap": f"min{self.min_overlap}",
            "tail": self.tail,
            "contained": self.contained,
            "grey": self.grey,
            "region": f"region{self.region}",
            "mask": "nomask",
        }
        default = self.options()
        changed = [w for key, w in words.items() if getattr(self, key) != default[key]]
        return "_".join([self.part, *changed]).replace(".", "p")

    def told(self) -> str:
        """The options in words."""
        rate = f"{self.frame_rate:g} Hz" if self.frame_rate else "recorded rate"
        return (
            f"{self.part}, {self.size} px, {rate}, clips of {self.clip_frames} "
            f"frames overlapping by {100 * self.overlap:g} %, tail: {self.tail}"
        )
