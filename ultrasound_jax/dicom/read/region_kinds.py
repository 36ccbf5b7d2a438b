"""What calibrated regions show where it is not a 2-D picture: traces over time."""

from collections.abc import Sequence

from ultrasound_jax.dicom.read.regions import FLOW, TISSUE, TWO_D, Region

# In the order in which they name a file that shows several.
KINDS = ("spectral", "m-mode", "waveform", "graphics")
_FORMATS = {2: "m-mode", 3: "spectral", 4: "waveform", 5: "graphics"}
# Doppler and its traces; ECG, pulse, phonocardiogram; bars of grey and of colour.
_CONTENTS = dict.fromkeys(range(3, 8), "spectral") | dict.fromkeys(
    range(10, 13), "waveform"
)
_CONTENTS |= dict.fromkeys((13, 14), "graphics")


def kind_of(region: Region) -> str:
    """One of `KINDS`, `2-D`, or "" for what a region does not say.

    Any form but 2-D is believed. 2-D, and none, only if both axes are lengths or what
    the region holds does not speak against it.
    """
    if region.spatial_format in _FORMATS:
        return _FORMATS[region.spatial_format]
    if region.is_spatial or region.data_type in (TISSUE, FLOW):
        return "2-D"
    content = _CONTENTS.get(region.data_type, "")
    return content or ("2-D" if region.spatial_format == TWO_D else "")


def kind_without_plane(regions: Sequence[Region]) -> str:
    """One of `KINDS` where no region is a 2-D picture, else "".

    The kind that takes the largest share of the screen; regions that do not say what
    they are count as neither.
    """
    kinds = [kind_of(region) for region in regions]
    if "2-D" in kinds:
        return ""
    found = [kind for kind in KINDS if kind in kinds]
    return max(found, key=lambda kind: _share(regions, kind), default="")


def largest_of(regions: Sequence[Region], kind: str) -> Region:
    """The largest region of a kind that is there."""
    return max((r for r in regions if kind_of(r) == kind), key=lambda r: r.area)


def beside_the_plane(regions: Sequence[Region]) -> list[str]:
    """A note that names M-mode and spectral regions beside a 2-D picture, if any."""
    if kind_without_plane(regions):
        return []
    found = [
        f"region {region.index} ({kind_of(region)})"
        for region in regions
        if kind_of(region) in ("m-mode", "spectral")
    ]
    return [f"shows {', '.join(found)} beside the 2-D picture"] if found else []


def _share(regions: Sequence[Region], kind: str) -> int:
    return sum(region.area for region in regions if kind_of(region) == kind)
