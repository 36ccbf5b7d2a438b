"""What the loop knows beside the arrays: the best so far, when to stop, the plateau."""

import math
from dataclasses import asdict, dataclass

from ultrasound_jax.training.optim import Plateau
from ultrasound_jax.types import Settings, UltrasoundError


class ProgressError(UltrasoundError):
    """A validation that says that training has gone astray."""


@dataclass
class Progress:
    """Changes only when an epoch is judged; saved with every checkpoint."""

    select: str
    sign: int  # 1 where more of it is better, else -1
    patience: int
    plateau: Plateau | None
    evaluated: int = 0  # the last step that was judged
    best: float | None = None
    best_step: int = 0
    waited: int = 0  # epochs since the best
    stopped: bool = False

    @classmethod
    def begin(cls, config: Settings, sign: int = 1) -> "Progress":
        """The state before the first epoch; `sign` is the task's for `select`."""
        settings = config.optim
        plateau = None
        if settings.schedule == "plateau":
            plateau = Plateau(settings.plateau_factor, settings.plateau_patience)
        return cls(config.train.select, sign, config.train.patience, plateau)

    @classmethod
    def from_json(cls, tree: dict, config: Settings) -> "Progress":
        """The state that `to_json` gave."""
        plateau = tree["plateau"]
        begun = cls.begin(config)
        known = {k: v for k, v in tree.items() if k not in ("plateau", "patience")}
        return cls(
            **known,
            patience=begun.patience,
            plateau=Plateau(**plateau) if plateau else None,
        )

    def to_json(self) -> dict:
        """Plain numbers and strings."""
        return asdict(self)

    @property
    def rate_scale(self) -> float:
        """What the plateau makes of the schedule's learning rate."""
        return self.plateau.scale if self.plateau else 1.0

    def judge(self, step: int, found: dict[str, float]) -> bool:
        """Takes one evaluation into account; True if it is the best so far.

        Where what is selected on is not defined, as an AUROC of one kind of examples,
        the loss decides.
        """
        if not math.isfinite(found["loss"]):
            raise ProgressError(
                f"the validation loss is {found['loss']} at step {step}; saved are the "
                "steps before. A lower config.optim.lr or config.optim.clip_norm helps"
            )
        value = -found["loss"]
        if self.select in found and self.select != "loss":
            value = self.sign * found[self.select]
        self.evaluated = step
        better = self.best is None or value > self.best
        if better:
            self.best, self.best_step, self.waited = value, step, 0
        else:
            self.waited += 1
            self.stopped = bool(self.patience) and self.waited >= self.patience
        if self.plateau:
            self.plateau.update(found["loss"])
        return better

    def line(self, epoch: int, found: dict[str, float]) -> str:
        """What is printed after an epoch."""
        words = "  ".join(f"{name} {value:.4f}" for name, value in found.items())
        note = "best so far" if not self.waited else f"{self.waited} since the best"
        stop = "; no better for long enough, stopping" if self.stopped else ""
        return f"epoch {epoch}: validation {words} ({note}{stop})"
