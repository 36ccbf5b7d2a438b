"""What the CT phantom draws: the options of a build."""

from dataclasses import dataclass

from ultrasound_jax.datasets.options import BuildConfig


@dataclass(kw_only=True)
class PhantomCtConfig(BuildConfig):
    """What is drawn.

    size: side of the square slice in pixels. patients, slices: how many, and of each
    patient, from above the lungs to below them. seed: another one is another clinic.
    """

    ALLOWED = {
        "size": (int, 32, 1024),
        "patients": (int, 1, 100_000),
        "slices": (int, 1, 500),
        "seed": (int, 0, 2**31 - 1),
    }

    size: int = 96
    patients: int = 60
    slices: int = 6
    seed: int = 0

    def title(self) -> str:
        """The name, which tells every option."""
        return f"{self.size}px_{self.patients}x{self.slices}_seed{self.seed}"

    def told(self) -> str:
        """The options in words."""
        return f"{self.patients} patients x {self.slices} slices, {self.size} pixels."
