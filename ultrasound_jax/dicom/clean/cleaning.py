"""Frames fit to be given away: cropped to the region, masked to the fan, grey, square.

Two passes over the file: the first looks at some frames to find the fan, the second
cleans every frame as it comes. No cine ever stands in memory as a whole.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, UInt8

from ultrasound_jax.dicom.clean.fan_shape import Fan
from ultrasound_jax.dicom.clean.find_fan import fit_fan
from ultrasound_jax.dicom.clean.overlays import (
    Overlays,
    find_overlays,
)
from ultrasound_jax.dicom.clean.pixel_statistics import (
    MomentsBuilder,
    luminance,
    most_frames,
    spread_out,
)
from ultrasound_jax.dicom.read.header import CineHeader
from ultrasound_jax.dicom.read.regions import choose_region
from ultrasound_jax.media.geometry import letterbox
from ultrasound_jax.types import InputError

GREYS = ("luminance", "red", "none")
LARGEST = 4096  # side of the letterbox


@runtime_checkable
class Frames(Protocol):
    """What is cleaned: a header, and frames that can be walked through again."""

    @property
    def header(self) -> CineHeader:
        """What the file says about itself."""
        ...

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame from the first, uint8 `h w` or RGB `h w 3`."""
        ...


@dataclass(frozen=True)
class CleanSettings:
    """How frames are cleaned.

    region: number of the ultrasound region to cut out; None chooses
    (`regions.choose_region`). size: side of the square that frames are letterboxed to;
    None or 0 keeps the region's own pixels. grey: `luminance` (BT.601), `red` (the red
    channel, as the original takes), or `none` to keep colour. mask_fan: black outside
    the fan; without it, text that is burned in beside the fan stays.
    """

    region: int | None = None
    size: int | None = 256
    grey: str = "luminance"
    mask_fan: bool = True

    def __post_init__(self) -> None:
        if self.grey not in GREYS:
            raise InputError(f"grey is {self.grey!r}, allowed are {', '.join(GREYS)}")
        if not 0 <= (self.size or 0) <= LARGEST:
            raise InputError(f"size is {self.size} pixels, allowed are 0 to {LARGEST}")


@dataclass(frozen=True, eq=False)
class Cleaning:
    """What happens to every frame of one cine, and what was noticed on the way.

    box: left, top, right, bottom of the crop, end-inclusive, in the file's pixels. fan:
    in the crop's pixels, None if nothing was to be masked. mask: of the crop. mm: size
    of a crop's pixel, across and down. out_mm: the same of a cleaned frame's pixel.
    kept, filled: as of `fan_fit.Fit`. review: reasons for somebody to look at it.
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
        if not across or not down or abs(across / down - 1) < 0.005:
            return 1.0
        return across / down

    @property
    def out_mm(self) -> tuple[float | None, float | None]:
        """Size of a cleaned frame's pixel in mm, across and down."""
        across, down = self.mm
        if not self.settings.size or not across or not down:
            return self.mm
        left, top, right, bottom = self.box
        width, height = right - left + 1, bottom - top + 1
        shown = round(width * self.pixel_aspect)
        longest, size = max(shown, height), self.settings.size
        return (
            across * width / max(1, shown * size // longest),
            down * height / max(1, height * size // longest),
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
        }


def plan_cleaning(cine: Frames, settings: CleanSettings) -> Cleaning:
    """The first pass: choose the region, find the fan, look for marks.

    Raises:
        InputError: no frame decodes, the region does not exist, or no echoes are found
            to fit a fan to (then nothing shows what would have to be masked).
    """
    builder, box, notes, mm = MomentsBuilder(), None, (), (None, None)
    middle = None
    count = most_frames(cine.header.rows, cine.header.columns)
    wanted = set(spread_out(cine.header.frames, count).tolist())
    for index, frame in enumerate(cine.frames()):
        if index not in wanted:
            continue
        if box is None:
            box, mm, middle, notes = _crop(cine.header, settings, frame.shape[:2])
            left, top, right, bottom = box
        cut = frame[top : bottom + 1, left : right + 1]
        builder.add(np.ascontiguousarray(cut))
        if index == max(wanted):
            break
    moments = builder.finish()
    del builder  # it holds every frame that was looked at
    assert box is not None  # noqa: S101  (finish raises without frames)
    whole_crop = np.ones(moments.mean.shape, bool)
    if not settings.mask_fan:
        review = ("nothing is masked: text beside the fan stays",)
        review += _marks(find_overlays(moments, whole_crop))
        return Cleaning(settings, box, None, None, mm, None, None, notes, review)
    fit = fit_fan(moments, middle=middle)
    if fit is None:
        raise InputError(
            "no echoes are found to fit a fan to, so burned-in text could not be told "
            "from them; allowed without a mask only"
        )
    review = fit.review + _marks(find_overlays(moments, fit.mask))
    return Cleaning(
        settings,
        box,
        fit.fan,
        fit.mask,
        mm,
        fit.kept,
        fit.filled,
        notes + fit.notes,
        review,
    )


def prepare_frames(
    cine: Frames, settings: CleanSettings, *, cleaning: Cleaning | None = None
) -> Iterator[UInt8[np.ndarray, "y x *c"]]:
    """Cleaned frames one by one, `y x` grey (or `y x 3` with `grey="none"`).

    Args:
        cine: an opened cine; it is walked through twice, once if `cleaning` is given.
        settings: how to clean; a grey cine stays grey with `grey="none"`.
        cleaning: what `plan_cleaning` gave for this cine and these settings.

    Raises:
        InputError: as `plan_cleaning`, or a frame that does not decode.
    """
    if cleaning is None:
        cleaning = plan_cleaning(cine, settings)
    for frame in cine.frames():
        yield cleaning.apply(frame)


def _crop(
    header: CineHeader, settings: CleanSettings, shape: tuple[int, ...]
) -> tuple[
    tuple[int, int, int, int],
    tuple[float | None, float | None],
    float | None,
    tuple[str, ...],
]:
    """Box, mm a pixel, the probe's middle within the box, and notes."""
    rows, columns = shape
    chosen = choose_region(header.regions, rows, columns, index=settings.region)
    if chosen is None:
        if settings.region is not None:
            raise InputError(f"there is no region {settings.region}: the file has none")
        note = "no calibrated region: the whole picture is kept, its scale is unknown"
        return (0, 0, columns - 1, rows - 1), (None, None), None, (note,)
    region, notes = chosen
    box = (region.left, region.top, region.right, region.bottom)
    stored = next(r for r in header.regions if r.index == region.index)
    middle = None
    # Many writers leave the reference pixel at the box's corner, which says nothing.
    if region.reference_x and region.reference_x > 0:
        middle = float(stored.left + region.reference_x - region.left)
    return box, (region.mm_x, region.mm_y), middle, tuple(notes)


def _marks(overlays: Overlays) -> tuple[str, ...]:
    if not overlays.suspected:
        return ()
    found = (
        f"marks inside the fan: {overlays.still} still and {overlays.coloured} "
        "coloured pixels"
    )
    if overlays.fleeting:
        found += f", {overlays.fleeting} in some frames only"
    return (found,)


def _rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.6g}")
