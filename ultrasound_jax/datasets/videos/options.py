"""How one's own videos become clips: the options of a build and their name."""

import dataclasses
import itertools
from collections.abc import Collection

from ultrasound_jax.datasets.options import BuildConfig, Text
from ultrasound_jax.dicom.clean.cleaning import CleanSettings
from ultrasound_jax.media.cutting import CONTAINED

KINDS = ("findings", "groups", "grades")  # what a column may be said to be
LIST = Text("headings of the sheet between commas, such as 'B-lines, Consolidation'")


@dataclasses.dataclass(kw_only=True)
class VideosConfig(BuildConfig):
    """What is read, and what a clip is.

    sheet: the sheet's file, in the manual folder or with its path; by default
    `videos.csv` or `videos.xlsx`. findings, groups: columns that are findings, or that
    videos are grouped by, where that is to be said; grades: columns of levels in an
    order, 0, 1, 2 and so on; leave_out: columns not to be read.
    rename: `Effusion = pleural_effusion`, so that findings are called as another
    dataset's. patient_from: what tells the patient: the sheet, or for all videos the
    folder or the file. ids: `hashed` with a key, or `as_written` where the sheet
    has pseudonyms. missing: rows without a file are refused, or skipped and listed.
    study: names the build, so that several studies can lie in one `data_dir`.

    size: side of the square frame, px. frame_rate: Hz after resampling in time; 0 keeps
    the recorded frames. clip_seconds: nominal length; clip_frames: the same in frames,
    where it is not 0. overlap: share of a clip that the next one repeats. tail:
    `length` keeps short last clips short; `duplicate` fills them up by repeating their
    last frame. contained: a last clip that shows nothing of its own is `join`ed to the
    clip before, or `keep`s its place. grey: luminance, or the red channel. region: of a
    DICOM file's calibrated ones, -1 chooses. mask: black outside the fan.
    """

    ALLOWED = {
        "study": Text("letters, digits and _, 40 at most", r"[A-Za-z0-9_]{0,40}"),
        "sheet": Text("the name of a file"),
        "findings": LIST,
        "groups": LIST,
        "grades": LIST,
        "leave_out": LIST,
        "rename": Text("'heading = name' between commas", r"[^\x00-\x1f\x7f]{0,2000}"),
        "patient_from": ("sheet", "folder", "file"),
        "ids": ("hashed", "as_written"),
        "missing": ("refuse", "skip"),
        "size": (int, 8, 1024),
        "frame_rate": (float, 0, 200),
        "clip_seconds": (float, 0.05, 60),
        "clip_frames": (int, 0, 1000),
        "overlap": (float, 0, 0.95),
        "tail": ("length", "duplicate"),
        "contained": CONTAINED,
        "grey": ("luminance", "red"),
        "region": (int, -1, 100),
    }

    study: str = ""
    sheet: str = ""
    findings: str = ""
    groups: str = ""
    grades: str = ""
    leave_out: str = ""
    rename: str = ""
    patient_from: str = "sheet"
    ids: str = "hashed"
    missing: str = "refuse"
    size: int = 112
    frame_rate: float = 10.0
    clip_seconds: float = 1.0
    clip_frames: int = 0
    overlap: float = 0.2
    tail: str = "length"
    contained: str = "join"
    grey: str = "luminance"
    region: int = -1
    mask: bool = True

    @property
    def cleaning(self) -> CleanSettings:
        """How frames are cleaned."""
        region = None if self.region < 0 else self.region
        return CleanSettings(region, self.size, self.grey, self.mask)

    @property
    def longest(self) -> int:
        """Nominal frames of a clip."""
        return self.clip_frames or max(1, round(self.clip_seconds * self.frame_rate))

    def contradiction(self, given: Collection[str]) -> str:
        """As `BuildConfig.contradiction`."""
        del given
        if not self.frame_rate and not self.clip_frames:
            return "frame_rate=0 keeps the recorded frames; then say clip_frames"
        kinds = {name: set(listed(getattr(self, name))) for name in KINDS}
        for one, other in itertools.combinations(KINDS, 2):
            if both := kinds[one] & kinds[other]:
                return f"{', '.join(sorted(both))} stands in {one} and in {other}"
        if any(not all(pair) for pair in renames(self.rename)):
            return f"rename={self.rename!r}, allowed: 'heading = name' between commas"
        return ""

    def title(self) -> str:
        """What differs from the default, such as `112px_10hz_1s_nomask`."""
        length = f"{self.clip_seconds:.12g}s"
        words = {
            "study": self.study,
            "clip_frames": f"{self.clip_frames}frames",
            "overlap": f"overlap{self.overlap:.12g}",
            "tail": self.tail,
            "contained": self.contained,
            "grey": self.grey,
            "region": f"region{self.region}",
            "mask": "nomask",
            "patient_from": f"by_{self.patient_from}",
            "ids": self.ids,
            "missing": f"missing_{self.missing}",
        }
        default = self.options()
        changed = [w for key, w in words.items() if getattr(self, key) != default[key]]
        rate = f"{self.frame_rate:.12g}hz" if self.frame_rate else "native"
        parts = [f"{self.size}px", rate, length, *changed, self.told_apart()]
        return "_".join(part for part in parts if part).replace(".", "p")

    def told(self) -> str:
        """The options in words; not the sheet's name, which may tell of somebody."""
        rate = f"{self.frame_rate:g} Hz" if self.frame_rate else "recorded rate"
        return (
            f"{self.size} px, {rate}, clips of {self.longest} frames overlapping by "
            f"{100 * self.overlap:g} %, tail: {self.tail}, mask: {self.mask}"
        )


def listed(text: str) -> list[str]:
    """The words between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def renames(text: str) -> list[tuple[str, str]]:
    """Heading and new name of each `heading = name`; either empty where it is none."""
    pairs = [part.partition("=") for part in listed(text)]
    return [(old.strip(), new.strip()) for old, _, new in pairs]
