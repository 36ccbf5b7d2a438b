"""What policies are made of: one effect a file, found by its name, of any magnitude.

A file has RANGES and one of three functions of a single example:

    matrix(amount, shape) -> 2 x 3      moves: where in the example a place comes from
    table(counts, amount) -> c x 256    changes tones: what each level becomes
    paint(frames, scene, amount)        anything else: the pixels `t h w c` afterwards

RANGES maps the name of a set to what a magnitude from 0 to 1 means in it: a function of
the magnitude and of what chance has a say in (`Draw`), whose result is the effect's
amount in its own unit: one number or two. A primitive is in every set that it names;
SETS says what these are. `package.module` of a user's own stands wherever a name does.

Which of the three a primitive is decides what it costs in a batch in which every
example has another one (`augment/_mixture.py`).
"""

import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ultrasound_jax.augment import AugmentError
from ultrasound_jax.augment.primitives._fan import Fan, find_fan
from ultrasound_jax.runs.import_by_name import named

SETS = {
    "fast": "the 14 of a skin-tumour system's Fast AutoAugment, without its accidents",
    "published": "the same as published: shears of any angle, black by posterise, "
    "speckle modulo 256",
    "trivial": "TrivialAugment's set in the ranges of RandAugment",
    "trivial_wide": "TrivialAugment's set in its wide ranges",
    "ultrasound": "what a scanner and a patient do to an image, within the fan",
}
KINDS = ("matrix", "table", "paint")


class Draw(NamedTuple):
    """What chance has a say in: a sign, two numbers from -1 to 1, and a key."""

    sign: Float[Array, ""]
    first: Float[Array, ""]
    second: Float[Array, ""]
    key: PRNGKeyArray


@dataclass(frozen=True)
class Scene:
    """What a painter may look at besides the pixels."""

    key: PRNGKeyArray
    frames: Float[Array, "t h w c"]
    counting: Bool[Array, " t"]  # the frames that are the clip's own

    def white(self) -> Float[Array, "h w c"]:
        """Independent normal numbers, the same in all frames."""
        noise = jax.random.normal(self.key, self.frames.shape[1:])
        # Without it XLA on CPU draws them anew for each pixel of a neighbourhood.
        return jax.lax.optimization_barrier(noise)

    def fan(self) -> Fan:
        """Where the scanner has drawn."""
        return jax.lax.optimization_barrier(find_fan(self.frames, self.counting))


@dataclass(frozen=True)
class Primitive:
    """One effect with the meaning that a set gives its magnitude."""

    name: str
    kind: str
    effect: Callable[..., Array]
    range: Callable[[Any, Draw], Any]

    def amount(self, magnitude: Float[Array, ""], draw: Draw) -> Float[Array, "2"]:
        """The amount in the effect's own unit; a second number is 0 if there is one."""
        found = self.range(magnitude, draw)
        pair = found if isinstance(found, tuple) else (found, 0.0)
        return jnp.stack([jnp.asarray(one, jnp.float32) for one in pair])


def names() -> tuple[str, ...]:
    """The primitives of this folder."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in modules if not name.startswith("_")))


def find(name: str, sets: Iterable[str] = ()) -> Primitive:
    """The primitive of that name, as the first of the sets that has it means it.

    Args:
        name: a file of this folder, or `package.module` of a user's own.
        sets: of SETS; without any, the first that the primitive names.

    Raises:
        AugmentError: there is none, or none of the sets has it.
        NotFoundError: nothing stands behind the name of a user's own.
    """
    if "." not in name and name not in names():
        raise AugmentError(
            f"'{name}' is not allowed: there are {', '.join(names())}, or "
            "package.module of your own"
        )
    module = name if "." in name else f"{__name__}.{name}"
    ranges = named(module, "RANGES", setting=name)
    wanted = tuple(sets) or tuple(ranges)[:1]
    for one in wanted:
        if one in ranges:
            break
    else:
        raise AugmentError(
            f"'{name}' is not in {', '.join(wanted)}; it is in {', '.join(ranges)}"
        )
    for kind in KINDS:
        effect = getattr(_module(module), kind, None)
        if effect is not None:
            return Primitive(name, kind, effect, ranges[one])
    raise AugmentError(f"'{name}' has none of the functions {', '.join(KINDS)}")


def of_sets(sets: Iterable[str]) -> tuple[Primitive, ...]:
    """All primitives of the sets, each once, by name.

    Raises:
        AugmentError: there is no such set.
    """
    sets = tuple(sets)
    if strange := [one for one in sets if one not in SETS]:
        raise AugmentError(
            f"ranges={strange[0]!r} is not allowed: there are {', '.join(SETS)}"
        )
    found = []
    for name in names():
        if set(sets) & set(_module(f"{__name__}.{name}").RANGES):
            found.append(find(name, sets))
    return tuple(found)


def _module(name: str) -> Any:
    import importlib

    return importlib.import_module(name)


Amount = Float[Array, "2"]
Matrix = Float[Array, "2 3"]
Counts = Float[Array, "c 256"]
Table = Float[Array, "c 256"]
Frames = Float[Array, "t h w c"]
