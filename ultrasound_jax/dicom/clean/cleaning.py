"""Frames fit to be given away: cropped to the region, masked to the fan, grey, square.

Two passes over the file: the first finds the fan from some frames and looks at all of
them for what does not belong there, the second cleans every frame as it comes. No cine
ever stands in memory as a whole.
"""

from collections.abc import Collection, Iterator

import cv2
import numpy as np
from jaxtyping import UInt8

from ultrasound_jax.dicom.clean.cleaned_frame import Cleaning
from ultrasound_jax.dicom.clean.find_fan import fit_fan
from ultrasound_jax.dicom.clean.frame_watch import FrameWatch
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
from ultrasound_jax.dicom.clean.settings import (
    GREYS,
    CleanSettings,
    Frames,
    Layout,
)
from ultrasound_jax.dicom.read.decode import Cine
from ultrasound_jax.dicom.read.header import CineHeader
from ultrasound_jax.dicom.read.region_kinds import (
    KINDS,
    kind_of,
    kind_without_plane,
)
from ultrasound_jax.dicom.read.regions import choose_region
from ultrasound_jax.types import InputError

__all__ = [
    "GREYS",
    "CleanSettings",
    "Cleaning",
    "Frames",
    "Layout",
    "plan_cleaning",
    "prepare_frames",
]
UNMASKED = "nothing is masked: text beside the fan stays"


def plan_cleaning(
    cine: Frames, settings: CleanSettings, *, measured: Collection[int] | None = None
) -> Cleaning:
    """The first pass: choose the region, find the fan, look for marks.

    Every frame is looked at, for those that may not be shown (`Cleaning.watched`).

    Args:
        cine: an opened cine; it is walked through once.
        settings: how to clean.
        measured: indices of the frames that fan and marks are found from; by default
            some that are spread evenly.

    Raises:
        InputError: no frame decodes, the region does not exist, frames are of several
            sizes, or no echoes are found to fit a fan to (then nothing shows what would
            have to be masked), as none is in a file without a 2-D region, unless
            another region is asked for.
    """
    fanless = _fanless(cine.header, settings)
    builder, watch = MomentsBuilder(), FrameWatch()
    box, mm, middle, notes = None, (None, None), None, ()
    count = most_frames(cine.header.rows, cine.header.columns)
    wanted = set(measured or spread_out(cine.header.frames, count).tolist())
    for index, frame in enumerate(cine.frames()):
        if box is None:
            box, mm, middle, notes = _crop(cine.header, settings, frame.shape[:2])
            left, top, right, bottom = box
        cut = np.ascontiguousarray(frame[top : bottom + 1, left : right + 1])
        watch.look(*_as_seen(cut, settings))
        if index in wanted and not _is_damaged(cine, index + 1):
            builder.add(cut)
    moments = builder.finish()
    del builder  # it holds every frame that was looked at
    assert box is not None  # noqa: S101  (finish raises without frames)
    whole_crop, aspect = np.ones(moments.mean.shape, bool), cine.header.pixel_aspect
    if fanless or not settings.mask_fan:
        watched = watch.judge(None)
        if settings.mask_fan:
            _check_within(box, cine.header, settings)
            stays = f"{fanless}: there is no fan, and text within the region stays"
            review = (stays, *watched.review)
        else:
            review = (UNMASKED, *watched.review, *_captured(cine.header))
            review += _marks(find_overlays(moments, whole_crop))
        return Cleaning(
            settings,
            box,
            None,
            None,
            mm,
            None,
            None,
            notes,
            review,
            watched,
            aspect,
        )
    fit = fit_fan(moments, middle=middle)
    if fit is None:
        raise InputError(
            "no echoes are found to fit a fan to, so burned-in text could not be told "
            "from them; allowed without a mask only"
        )
    watched = watch.judge(fit.mask)
    review = _captured(cine.header) + watched.review + fit.review
    review += _marks(find_overlays(moments, fit.mask))
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
        watched,
        aspect,
    )


def prepare_frames(
    cine: Frames, settings: CleanSettings, *, cleaning: Cleaning | None = None
) -> Iterator[UInt8[np.ndarray, "y x *c"]]:
    """Cleaned frames one by one, `y x` grey (or `y x 3` with `grey="none"`).

    Frames that may not be shown (`cleaning.watched.withheld`) are black.

    Args:
        cine: an opened cine; it is walked through twice, once if `cleaning` is given.
        settings: how to clean; a grey cine stays grey with `grey="none"`.
        cleaning: what `plan_cleaning` gave for this cine and these settings.

    Raises:
        InputError: as `plan_cleaning`, or a frame that does not decode, or that was not
            there when `plan_cleaning` looked at them.
    """
    if cleaning is None:
        cleaning = plan_cleaning(cine, settings)
    # What codecs leave of other frames in a black one is nobody's to see either.
    away = {one.frame for one in cleaning.watched.withheld} | {*cleaning.watched.black}
    for number, frame in enumerate(cine.frames(), 1):
        if number > cleaning.watched.frames:
            raise InputError(
                f"frame {number} appears only when the file is read again, allowed are "
                "files that stay as they are"
            )
        cleaned = cleaning.apply(frame)
        yield np.zeros_like(cleaned) if number in away else cleaned


def _as_seen(
    cut: np.ndarray, settings: CleanSettings
) -> tuple[np.ndarray, np.ndarray | None]:
    """The grey of a frame that will be given away; brightest colours where they are."""
    if cut.ndim == 2:
        return cut, None
    if settings.grey == "red":
        return np.ascontiguousarray(cut[..., 0]), None
    if settings.grey == "luminance":
        return luminance(cut), None
    red, green, blue = cv2.split(cut)
    return luminance(cut), cv2.max(cv2.max(red, green), blue)


def _is_damaged(cine: Frames, number: int) -> bool:
    """Whether the frame that was read last is black in place of a damaged one."""
    return isinstance(cine, Cine) and any(number == one for one, _ in cine.damaged)


def _crop(
    header: Layout, settings: CleanSettings, shape: tuple[int, ...]
) -> tuple[
    tuple[int, int, int, int],
    tuple[float | None, float | None],
    float | None,
    tuple[str, ...],
]:
    """Box, mm a pixel, the probe's middle within the box, and notes."""
    rows, columns = shape
    regions = header.regions or ()
    chosen = choose_region(regions, rows, columns, index=settings.region)
    if chosen is None:
        if settings.region is not None:
            raise InputError(f"there is no region {settings.region}: the file has none")
        note = "no calibrated region: the whole picture is kept, its scale is unknown"
        notes = () if header.regions is None else (note,)
        return (0, 0, columns - 1, rows - 1), (None, None), None, notes
    region, notes = chosen
    box = (region.left, region.top, region.right, region.bottom)
    stored = next(r for r in regions if r.index == region.index)
    middle = None
    # Many writers leave the reference pixel at the box's corner, which says nothing.
    if region.reference_x and region.reference_x > 0:
        middle = float(stored.left + region.reference_x - region.left)
    return box, (region.mm_x, region.mm_y), middle, tuple(notes)


def _fanless(header: Layout, settings: CleanSettings) -> str:
    """What the region is that will be cut out, if that is nothing with a fan.

    Raises:
        InputError: the whole picture would be, and nothing in it could be masked.
    """
    regions, index = header.regions or (), settings.region
    if index is not None:
        kind = kind_of(regions[index]) if 0 <= index < len(regions) else ""
        return kind if kind in KINDS else ""
    kind = kind_without_plane(regions)
    if kind and settings.mask_fan:
        raise InputError(
            f"{kind}: no region is 2-D, so there is no fan to mask to; allowed are one "
            "of its regions by number, or no mask"
        )
    return kind


def _check_within(
    box: tuple[int, int, int, int], header: Layout, settings: CleanSettings
) -> None:
    """A region that lies outside the picture gives the whole of it, names and all."""
    region = (header.regions or ())[settings.region or 0]
    if box[0] < region.left or box[2] > region.right:
        raise InputError(
            f"region {region.index} lies outside the picture, and has no fan to mask "
            "to; allowed without a mask only"
        )


def _captured(header: Layout) -> tuple[str, ...]:
    if not (isinstance(header, CineHeader) and header.is_capture):
        return ()
    return ("a Secondary Capture: text may be burned in anywhere, also within the fan",)


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
