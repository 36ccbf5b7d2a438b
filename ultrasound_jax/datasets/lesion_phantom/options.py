"""What the lesion phantom draws: the options of a build."""

from dataclasses import dataclass

from ultrasound_jax.datasets.options import BuildConfig


@dataclass(kw_only=True)
class LesionConfig(BuildConfig):
    """What is drawn.

    size: side of the square image in pixels. patients, images: how many, and of each
    patient. seed: another one is another clinic. clear: what tells the classes apart is
    inside the lesion alone, so that there is a right place for a network to look at.
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
    clear: bool = False

    def title(self) -> str:
        """The name, which tells every option."""
        name = f"{self.size}px_{self.patients}x{self.images}_seed{self.seed}"
        return f"{name}_clear" if self.clear else name

    def told(self) -> str:
        """The options in words."""
        lesions = ", clear lesions" if self.clear else ""
        images = f"{self.patients} patients x {self.images} images"
        return f"{images}, {self.size} pixels{lesions}."
