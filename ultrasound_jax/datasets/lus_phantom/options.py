"""What the phantom simulates and how it is cut: the options of a build."""

from dataclasses import dataclass

from ultrasound_jax.datasets.options import BuildConfig
from ultrasound_jax.media.cutting import CONTAINED


@dataclass(kw_only=True)
class PhantomConfig(BuildConfig):
    """What is simulated and how it is cut.

    size: side of a frame in pixels. frame_rate: Hz. patients, videos: how many, and of
    each patient. clip_seconds: nominal length of a clip. overlap: share of a clip that
    the next one repeats. contained: a last clip that shows nothing of its own is
    `join`ed to the clip before, or `keep`s its place as the original has it.
    """

    ALLOWED = {
        "size": (int, 16, 1024),
        "frame_rate": (float, 1, 200),
        "patients": (int, 1, 100_000),
        "videos": (int, 1, 100),
        "seed": (int, 0, 2**31 - 1),
        "clip_seconds": (float, 0.1, 10),
        "overlap": (float, 0, 0.95),
        "contained": CONTAINED,
    }

    size: int = 64
    frame_rate: float = 10.0
    patients: int = 48
    videos: int = 3
    seed: int = 0
    clip_seconds: float = 1.0
    overlap: float = 0.2
    contained: str = "join"

    @property
    def clip_frames(self) -> int:
        """Nominal frames of a clip."""
        return max(1, round(self.clip_seconds * self.frame_rate))

    def title(self) -> str:
        """The name, which tells every option."""
        name = (
            f"{self.size}px_{self.frame_rate:.12g}hz_{self.clip_seconds:.12g}s"
            f"_{100 * self.overlap:.12g}pct_{self.patients}x{self.videos}"
            f"_seed{self.seed}" + ("_keep" if self.contained == "keep" else "")
        )
        return name.replace(".", "p")

    def told(self) -> str:
        """The options in words."""
        return (
            f"{self.patients} patients x {self.videos} videos, {self.size} pixels, "
            f"{self.frame_rate:g} Hz, clips of {self.clip_seconds:g} s."
        )
