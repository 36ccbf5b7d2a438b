"""Which losses of masks a task adds up, how much each counts, and on which maps."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ultrasound_jax.tasks import _mask_losses as losses
from ultrasound_jax.tasks._boundary import boundary
from ultrasound_jax.tasks._protocol import Fields, TaskError, check_choice
from ultrasound_jax.tasks._ssim import BORDERS, INSIDE, REACH, ZERO, ssim

TERMS = ("cross_entropy", "dice", "focal", "ssim", "iou", "boundary")
OF_PICTURES = ("ssim", "boundary")  # not of masks with further axes
EXAMPLE, BATCH = OVER = ("example", "batch")
ALL, LOGITS = HEADS = ("all", "logits")
# What is not given is the named loss's own, else the first one's.
LOSSES: Mapping[str, Mapping[str, Any]] = {
    "cross_entropy_dice": {
        "cross_entropy": 1.0,
        "dice": 1.0,
        "dice_over": EXAMPLE,
        "focal_gamma": 2.0,
        "focal_alpha": (0.25, 0.75),
        "focal_constant": False,
        "ssim_borders": ZERO,
    },
    "focal_dice": {"focal": 20.0, "dice": 1.0, "dice_over": BATCH},
    "fusionlungnet": {
        "ssim": 1.0,
        "iou": 1.0,
        "focal": 1.0,
        "focal_gamma": 3.0,
        "focal_alpha": (1.0, 0.3),
        "focal_constant": True,
    },
}
USUAL = "cross_entropy_dice"


@dataclass(frozen=True)
class MaskTerms:
    """The terms by name with their weights, and how they are computed.

    weights: of the terms that there are, each above 0.
    dice_over: `example`, or `batch` for sums over all examples, as PU2756 has it.
    focal_gamma, focal_alpha, focal_constant: see `_mask_losses.focal`.
    ssim_borders: see `_ssim.ssim`.
    heads: `all` maps that a network calls `head<N>`, or only its `logits`.
    """

    weights: Mapping[str, float]
    dice_over: str
    focal_gamma: float
    focal_alpha: tuple[float, float]
    focal_constant: bool
    ssim_borders: str
    heads: str

    @classmethod
    def make(cls, *, loss: str, heads: str, given: Mapping[str, Any]) -> "MaskTerms":
        """The terms of a named loss, with what is given in the place of its own.

        Args:
            loss: a name of LOSSES.
            heads: a name of HEADS.
            given: options by name; None leaves one to the loss.

        Raises:
            TaskError: a value that is not allowed, no term at all, or an option of a
                term that is not there.
        """
        check_choice("loss", loss, tuple(LOSSES))
        check_choice("heads", heads, HEADS)
        given = {name: value for name, value in given.items() if value is not None}
        usual = {k: v for k, v in LOSSES[USUAL].items() if k not in TERMS}
        chosen = {**usual, **LOSSES[loss], **given}
        weights = {name: _number(name, chosen.get(name, 0.0)) for name in TERMS}
        weights = {name: weight for name, weight in weights.items() if weight}
        if not weights:
            raise TaskError(
                f"config.task.options: {', '.join(TERMS)} are all 0: nothing would be "
                "learnt"
            )
        for option in usual:
            term = option.partition("_")[0]
            if option in given and term not in weights:
                raise TaskError(
                    f"config.task.options.{option}={given[option]!r} is not used: "
                    f"config.task.options.{term} is 0"
                )
        check_choice("dice_over", chosen["dice_over"], OVER)
        check_choice("ssim_borders", chosen["ssim_borders"], BORDERS)
        constant = chosen["focal_constant"]
        if not isinstance(constant, bool):
            raise TaskError(
                f"config.task.options.focal_constant={constant!r} is not allowed: it "
                "must be True or False"
            )
        return cls(
            weights,
            chosen["dice_over"],
            _number("focal_gamma", chosen["focal_gamma"]),
            _pair("focal_alpha", chosen["focal_alpha"]),
            constant,
            chosen["ssim_borders"],
            heads,
        )

    def check_space(self, space: Sequence[int | None]) -> None:
        """Refuses masks that a term is not of; None is a side that is not known."""
        for name in OF_PICTURES:
            if name in self.weights and len(space) != 2:
                raise TaskError(
                    f"config.task.options.{name} is of pictures, height and width; the "
                    f"mask has {tuple(space)}; it must be 0"
                )
        if "ssim" in self.weights and self.ssim_borders == INSIDE:
            side = 2 * REACH + 1
            if any(known < side for known in space if known is not None):
                raise TaskError(
                    f"config.task.options.ssim_borders={INSIDE!r} is not allowed: no "
                    f"window of {side} pixels lies in a picture of {tuple(space)}; it "
                    f"must be {ZERO!r}"
                )

    @property
    def undivided(self) -> str:
        """Why the loss of a batch is not that of its parts; empty where it is."""
        if "dice" in self.weights and self.dice_over == BATCH:
            return (
                f"config.task.options.dice_over={BATCH!r} takes sums over a whole "
                f"batch, which its parts do not know of; {EXAMPLE!r} could be divided"
            )
        return ""

    def each(
        self,
        outputs: Fields,
        truth: Bool[Array, "b *space k"],
        counts: Bool[Array, " b"],
    ) -> dict[str, Float[Array, " b"]]:
        """Every term of each example, weighed; 0 of those that do not count.

        Of several maps it is the mean of each map's.
        """
        maps = jnp.stack(self._maps(outputs, truth.shape))
        # Filling rows may have any logits, which must stay out of the gradient.
        axes = (1, len(counts), *[1] * (maps.ndim - 2))
        maps = jnp.where(counts.reshape(axes), maps, 0.0)
        terms = {}
        for name, weight in self.weights.items():
            of_map = partial(self._term(name, counts), truth=truth)
            found = weight * jax.vmap(of_map)(maps).mean(axis=0)
            terms[name] = jnp.where(counts, found, 0.0)
        return terms

    def _term(self, name: str, counts: Bool[Array, " b"]) -> Any:
        if name == "dice" and self.dice_over == BATCH:
            return partial(losses.batch_dice, counts=counts)
        if name == "focal":
            return partial(
                losses.focal,
                gamma=self.focal_gamma,
                alpha=self.focal_alpha,
                constant=self.focal_constant,
            )
        if name == "ssim":
            return partial(ssim, borders=self.ssim_borders)
        if name == "boundary":
            return boundary
        return getattr(losses, name)

    def _maps(self, outputs: Fields, shape: tuple[int, ...]) -> list[Array]:
        """The logits to be compared with a mask of that shape, each as large as it."""
        names = [name for name in outputs if re.fullmatch(r"head\d+", name)]
        if self.heads == LOGITS or not names:
            return [outputs["logits"].astype(jnp.float32)]
        maps, channels = [], outputs["logits"].shape[-1]
        for name in sorted(names, key=lambda name: int(name.removeprefix("head"))):
            found = outputs[name]
            rows, *_, wide = found.shape
            if (found.ndim, rows, wide) != (len(shape), shape[0], channels):
                raise TaskError(
                    f"the network's {name} is {found.shape}; it must be the logits "
                    f"{outputs['logits'].shape}, at any resolution"
                )
            size = (rows, *shape[1:-1], wide)
            maps.append(_resized(found.astype(jnp.float32), size))
        return maps


def _resized(found: Array, size: tuple[int, ...]) -> Array:
    """Bilinear with half-pixel centres, as PyTorch does without aligned corners."""
    if found.shape == size:
        return found
    return jax.image.resize(found, size, "bilinear", antialias=False)


def _number(option: str, value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not 0 <= value < math.inf:
        raise TaskError(
            f"config.task.options.{option}={value!r} is not allowed: it must be a "
            "number, 0 or more"
        )
    return float(value)


def _pair(option: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise TaskError(
            f"config.task.options.{option}={value!r} is not allowed: it must be two "
            "numbers, of the structures' pixels and of the background's"
        )
    first, second = (_number(option, one) for one in value)
    return first, second
