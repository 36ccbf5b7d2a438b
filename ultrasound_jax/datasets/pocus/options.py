"""How POCUS videos are cut into clips: the options of a build and their name."""

import dataclasses

from ultrasound_jax.datasets.options import BuildConfig
from ultrasound_jax.dicom.clean.cleaning import CleanSettings


@dataclasses.dataclass(kw_only=True)
class PocusConfig(BuildConfig):
    """What a clip is.

    size: side of the square frame in pixels. frame_rate: Hz after resampling in time.
    clip_seconds: nominal length. overlap: share of a clip that the next one repeats.
    tail: `length` keeps short last clips short; `duplicate` fills them up by repeating
    their last frame, as the original does. mask: black outside the fan; a video without
    a fan that can be told, such as a linear probe's whole picture, is then left out.
    """

    ALLOWED = {
        "size": (int, 8, 1024),
        "frame_rate": (float, 0.5, 200),
        "clip_seconds": (float, 0.05, 60),
        "overlap": (float, 0, 0.95),
        "tail": ("length", "duplicate"),
    }

    size: int = 112
    frame_rate: float = 10.0
    clip_seconds: float = 1.0
    overlap: float = 0.2
    tail: str = "length"
    mask: bool = False

    @property
    def cleaning(self) -> CleanSettings:
        """How frames are cleaned."""
        return CleanSettings(size=self.size, mask_fan=self.mask)

    @property
    def clip_frames(self) -> int:
        """Nominal frames of a clip."""
        return max(1, round(self.clip_seconds * self.frame_rate))

    def title(self) -> str:
        """The name, such as `112px_10hz_1s`."""
        return (
            f"{self.size}px_{self.frame_rate:.12g}hz_{self.clip_seconds:.12g}s"
            + (f"_overlap{self.overlap:.12g}" if self.overlap != 0.2 else "")
            + (f"_{self.tail}" if self.tail != "length" else "")
            + ("_mask" if self.mask else "")
        ).replace(".", "p")

    def told(self) -> str:
        """The options in words."""
        return (
            f"{self.size} px, {self.frame_rate:g} Hz, clips of {self.clip_frames} "
            f"frames overlapping by {100 * self.overlap:g} %, tail: {self.tail}"
        )
