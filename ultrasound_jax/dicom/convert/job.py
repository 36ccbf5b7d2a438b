"""What to do with one file, and the files that come of it."""

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ultrasound_jax.dicom.clean.cleaning import CleanSettings
from ultrasound_jax.dicom.read.damage import CHOICES, OnDamage
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

TARGETS = ("avi", "png", "clips")
TAILS = ("true", "pad", "drop")
DEFAULT_RATE = 30.0  # Hz, where the file states none; the original assumes the same
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}")


@dataclass(frozen=True)
class Job:
    """What to do with one file; plain data, so that it can travel to a worker.

    source: the file; series: where the cine is several single-frame files, all of them
    in order, the first of which is the source. out: the folder to write to. suffix:
    behind the video's id in the names of files, where several regions of a video are
    cut out. to: `avi`, `png` or `clips`. rate: Hz to resample to, None keeps the file's
    frames. length, step, tail: of clips, in frames; `true` writes the frames there are,
    `pad` repeats the last one up to the length, `drop` leaves shorter clips out.
    contained: see `cutting.clip_windows`. damaged: as `open_cine` has it. about,
    fingerprint: see `sidecar`.
    """

    video_id: str
    source: str
    out: str
    to: str = "avi"
    clean: CleanSettings = field(default_factory=CleanSettings)
    rate: float | None = None
    codec: str = "ffv1"
    length: int = 30
    step: int = 24
    tail: str = "true"
    contained: str = "join"
    damaged: OnDamage = "refuse"
    limits: Limits = field(default_factory=Limits)
    about: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    suffix: str = ""
    series: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.damaged not in CHOICES:
            raise InputError(
                f"damaged is {self.damaged!r}, allowed are {', '.join(CHOICES)}"
            )
        if not _SAFE_ID.fullmatch(self.name):
            raise InputError(
                f"video_id {self.name!r} cannot name a file, allowed are letters, "
                "digits, _ and -"
            )
        if self.to not in TARGETS or self.tail not in TAILS:
            raise InputError(
                f"to {self.to!r} with tail {self.tail!r}, allowed are "
                f"{', '.join(TARGETS)} with {', '.join(TAILS)}"
            )

    @property
    def name(self) -> str:
        """What the names of its files begin with."""
        return f"{self.video_id}{self.suffix}"

    @property
    def sidecar_path(self) -> Path:
        """Where the sidecar lies; it is written last."""
        return Path(self.out) / f"{self.name}.{self.to}.json"

    def to_json(self) -> dict[str, Any]:
        """As `from_json` takes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> "Job":
        """The job that `to_json` described."""
        clean, limits = CleanSettings(**tree["clean"]), Limits(**tree["limits"])
        series = tuple(tree.get("series", ()))
        made: dict[str, Any] = {"clean": clean, "limits": limits, "series": series}
        return cls(**(tree | made))

    def outputs(self) -> list[Path]:
        """Every file of this video and target that exists, temporary ones too."""
        return outputs_of(Path(self.out), self.name, self.to)


def outputs_of(out: Path, name: str, to: str) -> list[Path]:
    """Every file of this video and target in the folder `out`, temporary ones too."""
    found = list(out.glob(f".{name}*.tmp"))
    if to == "avi":
        found += [out / f"{name}.avi"]
    elif to == "clips":
        found += out.glob(f"{name}_[0-9]*_[0-9]*.avi")
    else:
        found += (out / name).glob(f"{name}_[0-9]*.png")
        found += (out / name).glob(f".{name}*.tmp")
    sidecar_path = out / f"{name}.{to}.json"
    return [path for path in [sidecar_path, *found] if path.exists()]
