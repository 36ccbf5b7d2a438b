"""What the lesion phantom draws: the options of a build."""

from dataclasses import dataclass

from ultrasound_jax.datasets.options import BuildConfig


@dataclass(kw_only=True)
class LesionConfig(BuildConfig):
    """What is drawn.

    size: side of the square image in pixels. patients, images: how many, and of each
    patient. seed: another one is another clinic.
    """

    ALLOWED = {
        "size": (int, 16, 1024),
        "patients": (int, 1, 100_000),
        "images": (int, 1, 100),
        "seed": (int, 0, 2**31 - 1),
    }

    size: int = 96
    patients: int = 300
    images: int = 2
    seed: int = 0

    def title(self) -> str:
        """The name, which tells every option."""
        return f"{self.size}px_{self.patients}x{self.images}_seed{self.seed}"

    def told(self) -> str:
        """The options in words."""
        return f"{self.patients} patients x {self.images} images, {self.size} pixels."
