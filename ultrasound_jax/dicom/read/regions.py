"""Calibrated regions of an ultrasound picture, and which of them is cut out."""

import dataclasses
from collections.abc import Sequence

from pydicom.dataset import Dataset

from ultrasound_jax.dicom.read import elements
from ultrasound_jax.types import InputError

TWO_D, TISSUE, FLOW, CENTIMETRES = 1, 1, 2, 3  # PS3.3, section C.8.5.5.1
_SHARED = 0.05  # of the smaller box: boxes end-inclusive, and some are drawn generously


@dataclasses.dataclass(frozen=True)
class Region:
    """One item of SequenceOfUltrasoundRegions.

    left, top, right, bottom: pixel box as stored, its last column and row INCLUDED; an
        item without a box has right < left.
    spatial_format: 1 is 2-D (B-mode), 2 M-mode, 3 spectral, 4 waveform, 5 graphics.
    data_type: 1 tissue, 2 colour flow, 3 pulsed and 4 continuous Doppler, ...
    units_x, units_y: 3 is cm, 0 none, 4 seconds, ...
    mm_x, mm_y: millimetres a pixel, None unless the units are cm; the sign of the
        stored delta is only a direction and is left out.
    reference_x, reference_y: the reference pixel, relative to the box.
    flags: RegionFlags as stored.
    index: place in the sequence, from 0.
    """

    left: int
    top: int
    right: int
    bottom: int
    spatial_format: int
    data_type: int
    units_x: int
    units_y: int
    mm_x: float | None
    mm_y: float | None
    reference_x: int | None
    reference_y: int | None
    flags: int
    index: int = 0

    @property
    def is_spatial(self) -> bool:
        """Both axes are lengths of known scale."""
        return self.mm_x is not None and self.mm_y is not None

    @property
    def width(self) -> int:
        """Columns in the box."""
        return self.right - self.left + 1

    @property
    def height(self) -> int:
        """Rows in the box."""
        return self.bottom - self.top + 1

    @property
    def area(self) -> int:
        """Pixels in the box."""
        return max(0, self.width) * max(0, self.height)


def read_regions(dataset: Dataset) -> tuple[Region, ...]:
    """Reads every region; malformed numbers become 0, None or an empty box."""
    items = elements.items(dataset, "SequenceOfUltrasoundRegions")
    return tuple(_region(item, index) for index, item in enumerate(items))


def _region(item: Dataset, index: int) -> Region:
    box = [
        elements.integer(item, f"RegionLocation{side}")
        for side in ("MinX0", "MinY0", "MaxX1", "MaxY1")
    ]
    left, top, right, bottom = (
        (0, 0, -1, -1) if None in box else [side or 0 for side in box]
    )
    units_x = elements.integer(item, "PhysicalUnitsXDirection") or 0
    units_y = elements.integer(item, "PhysicalUnitsYDirection") or 0
    return Region(
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        spatial_format=elements.integer(item, "RegionSpatialFormat") or 0,
        data_type=elements.integer(item, "RegionDataType") or 0,
        units_x=units_x,
        units_y=units_y,
        mm_x=_millimetres(item, "PhysicalDeltaX", units_x),
        mm_y=_millimetres(item, "PhysicalDeltaY", units_y),
        reference_x=elements.integer(item, "ReferencePixelX0"),
        reference_y=elements.integer(item, "ReferencePixelY0"),
        flags=elements.integer(item, "RegionFlags") or 0,
        index=index,
    )


def _millimetres(item: Dataset, keyword: str, units: int) -> float | None:
    delta = elements.number(item, keyword)
    return abs(delta) * 10 if units == CENTIMETRES and delta else None


def choose_region(
    regions: Sequence[Region], rows: int, columns: int, *, index: int | None = None
) -> tuple[Region, list[str]] | None:
    """Chooses the region to cut out of a picture and clips it to the picture.

    By default the largest 2-D tissue region with a scale in cm; failing that the
    largest 2-D tissue region, then the largest 2-D region with a scale, then the
    largest 2-D region; failing that the whole picture, without a scale. Of equally
    large ones the first. A chosen box that lies wholly outside the picture, or has no
    area, gives the whole picture too, and keeps its scale. Everything but a plain first
    choice is said in the notes.

    Args:
        regions: as `read_regions` gives them.
        rows: height of the picture.
        columns: width of the picture.
        index: take this region, whatever it is.

    Returns:
        the region, its box inside the picture, and the notes; None without regions.

    Raises:
        InputError: there is no region `index`, or the picture is empty.
    """
    if rows < 1 or columns < 1:
        raise InputError(f"a picture of {columns} x {rows} pixels has no region")
    if index is not None and not 0 <= index < len(regions):
        raise InputError(f"region {index} is asked for, the file has {len(regions)}")
    if not regions:
        return None
    if index is not None:
        return _clipped(regions[index], rows, columns, [])
    planes = [region for region in regions if region.spatial_format == TWO_D]
    tissue = [region for region in planes if region.data_type == TISSUE]
    choices = (
        ("", [region for region in tissue if region.is_spatial]),
        ("no 2-D tissue region has a scale in cm", tissue),
        ("no 2-D region holds tissue", [r for r in planes if r.is_spatial]),
        ("no 2-D region holds tissue or has a scale in cm", planes),
    )
    for note, fitting in choices:
        if fitting:
            chosen, several = _largest(fitting, rows, columns)
            notes = [f"{note}: region {chosen.index} is taken"] if note else []
            if several:
                beside = len(side_by_side(regions, rows, columns)) > 1
                hint = ", which lie side by side (--region all takes each)"
                notes.append(several + hint * beside)
            return _clipped(chosen, rows, columns, notes)
    whole = dataclasses.replace(
        _whole(regions[0], rows, columns), units_x=0, units_y=0, mm_x=None, mm_y=None
    )
    return whole, ["no region is 2-D: the whole picture is taken"]


def _largest(fitting: Sequence[Region], rows: int, columns: int) -> tuple[Region, str]:
    """The largest within the picture, and a note if there are several."""
    areas = [_inside(region, rows, columns).area for region in fitting]
    chosen = fitting[areas.index(max(areas))]
    if len(fitting) == 1:
        return chosen, ""
    alike = areas.count(max(areas))
    if alike == 1:
        return chosen, f"region {chosen.index} is the largest of {len(fitting)}"
    rest = f" of the largest of {len(fitting)}" if alike < len(fitting) else ""
    return chosen, f"region {chosen.index} is the first of {alike}{rest}"


def side_by_side(
    regions: Sequence[Region], rows: int, columns: int
) -> tuple[Region, ...]:
    """The 2-D pictures of one screen that do not cover each other, in the file's order.

    Two in a dual display, be it of B-mode twice or of B-mode and colour flow. A colour
    box within its B-mode picture is not a picture of its own.
    """
    planes = [
        region
        for region in regions
        if region.spatial_format == TWO_D
        and region.data_type in (TISSUE, FLOW)
        and _inside(region, rows, columns).area
    ]
    planes.sort(key=lambda r: (r.data_type, -_inside(r, rows, columns).area, r.index))
    taken: list[Region] = []
    for region in planes:
        box = _inside(region, rows, columns)
        others = [_inside(other, rows, columns) for other in taken]
        if all(_apart(box, other) for other in others):
            taken.append(region)
    return tuple(sorted(taken, key=lambda r: r.index))


def _apart(one: Region, other: Region) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left) + 1
    down = min(one.bottom, other.bottom) - max(one.top, other.top) + 1
    shared = max(0, across) * max(0, down)
    return shared <= _SHARED * min(one.area, other.area)


def _inside(region: Region, rows: int, columns: int) -> Region:
    return dataclasses.replace(
        region,
        left=max(0, region.left),
        top=max(0, region.top),
        right=min(columns - 1, region.right),
        bottom=min(rows - 1, region.bottom),
    )


def _clipped(
    region: Region, rows: int, columns: int, notes: list[str]
) -> tuple[Region, list[str]]:
    inside = _inside(region, rows, columns)
    box = f"{region.left},{region.top},{region.right},{region.bottom}"
    picture = f"the picture of {columns} x {rows} pixels"
    if inside.width < 1 or inside.height < 1:
        notes = [*notes, f"region {region.index} ({box}) lies outside {picture}: whole"]
        return _whole(region, rows, columns), notes
    if inside != region:
        notes = [*notes, f"region {region.index} ({box}) is clipped to {picture}"]
    return inside, notes


def _whole(region: Region, rows: int, columns: int) -> Region:
    return dataclasses.replace(
        region, left=0, top=0, right=columns - 1, bottom=rows - 1
    )
