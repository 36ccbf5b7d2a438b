"""What happens to every frame of one cine, once it is known how to clean it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from ultrasound_jax.dicom.clean.fan_shape import Fan
from ultrasound_jax.dicom.clean.frame_watch import Watched
from ultrasound_jax.dicom.clean.pixel_statistics import luminance
from ultrasound_jax.dicom.clean.settings import CleanSettings
from ultrasound_jax.media.geometry import letterbox
from ultrasound_jax.types import InputError


@dataclass(frozen=True, eq=False)
class Cleaning:
    """What happens to every frame of one cine, and what was noticed on the way.

    box: left, top, right, bottom of the crop, end-inclusive, in the file's pixels. fan:
    in the crop's pixels, None if nothing was to be masked. mask: of the crop. mm: size
    of a crop's pixel, across and down. out_mm: the same of a cleaned frame's pixel.
    kept, filled: as of `fan_fit.Fit`. review: reasons for somebody to look at it.
    watched: which frames may not be shown, and which are black.
    aspect: width of a pixel over its height as the file has it, used without `mm`.
    """

    settings: CleanSettings
    box: tuple[int, int, int, int]
    fan: Fan | None
    mask: Bool[np.ndarray, "h w"] | None
    mm: tuple[float | None, float | None]
    kept: float | None
    filled: float | None
    notes: tuple[str, ...]
    review: tuple[str, ...]
    watched: Watched = Watched()
    aspect: float = 1.0

    def apply(self, frame: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "y x *d"]:
        """Clean one frame of the file.

        Raises:
            InputError: it has not the size of the frames that the fan was found from.
        """
        left, top, right, bottom = self.box
        cut = frame[top : bottom + 1, left : right + 1]
        if self.settings.grey == "luminance":
            cut = luminance(np.ascontiguousarray(cut))
        elif self.settings.grey == "red" and cut.ndim == 3:
            cut = cut[..., 0]
        if self.mask is not None:
            if cut.shape[:2] != self.mask.shape:
                raise InputError(
                    f"a frame of {frame.shape[1]} x {frame.shape[0]} pixels among "
                    "others, allowed is one size"
                )
            inside = self.mask if cut.ndim == 2 else self.mask[..., None]
            cut = cut * inside
        cut = np.ascontiguousarray(cut)
        if not self.settings.size:
            return cut
        return letterbox(cut, self.settings.size, pixel_aspect=self.pixel_aspect)

    @property
    def pixel_aspect(self) -> float:
        """Width of the crop's pixels over their height; 1 where it is not known."""
        across, down = self.mm
        if not across or not down:
            return self.aspect
        if abs(across / down - 1) < 0.005:
            return 1.0
        return across / down

    @property
    def out_mm(self) -> tuple[float | None, float | None]:
        """Size of a cleaned frame's pixel in mm, across and down."""
        across, down = self.mm
        if not self.settings.size:
            return self.mm
        left, top, right, bottom = self.box
        width, height = right - left + 1, bottom - top + 1
        shown = round(width * self.pixel_aspect)
        longest, size = max(shown, height), self.settings.size
        return (
            across and across * width / max(1, shown * size // longest),
            down and down * height / max(1, height * size // longest),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data for a sidecar: nothing but numbers and our own words."""
        return {
            "settings": asdict(self.settings),
            "region_box": list(self.box),
            "fan": None if self.fan is None else self.fan.to_json(),
            "fan_kept": None if self.kept is None else round(self.kept, 4),
            "fan_share_of_picture": (
                None if self.filled is None else round(self.filled, 4)
            ),
            "mm_per_pixel_x": _rounded(self.out_mm[0]),
            "mm_per_pixel_y": _rounded(self.out_mm[1]),
            "notes": list(self.notes),
            "review": list(self.review),
            "withheld_frames": [one._asdict() for one in self.watched.withheld],
            "black_frames": list(self.watched.black),
        }


def _rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.6g}")
