"""What augmentation costs: each primitive, batches in which all differ, and candidates.

Every figure has its alternative beside it, measured in the same process: a primitive
the flip and rotation that a training has anyway, and Pillow in a loop where Pillow has
it; the mixture a `lax.switch` between whole operations under `vmap`, and Pillow; many
candidates of a search in a call the same candidates one by one.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from ultrasound_jax import augment
from ultrasound_jax.augment import _mixture, primitives
from ultrasound_jax.augment.search.presets import PRESETS
from ultrasound_jax.augment.search.space import Space
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.study.density import Density
from ultrasound_jax.study.inner_folds import inner_folds

Seconds = Callable[[Callable[[], Any]], float]  # of an action, repeated
ROLES = {"image": "pixels"}
FLIP = {"name": "flip_and_rotate", "flip": 0.5, "rotate": 0.5, "degrees": 10.0}
AFFINE, BILINEAR = Image.Transform.AFFINE, Image.Resampling.BILINEAR


def _affine(*matrix: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(image.size, AFFINE, matrix, BILINEAR)


# Pillow's way of each primitive that it has, at a magnitude like any other.
PILLOW: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "autocontrast": lambda image: ImageOps.autocontrast(image, 10),
    "brighten": lambda image: ImageEnhance.Brightness(image).enhance(1.5),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "equalize": ImageOps.equalize,
    "invert": ImageOps.invert,
    "mirror": ImageOps.mirror,
    "posterize": lambda image: ImageOps.posterize(image, 4),
    "rotate": lambda image: image.rotate(17, BILINEAR),
    "sharpness": lambda image: ImageEnhance.Sharpness(image).enhance(1.5),
    "shear_x": _affine(1.0, 0.3, 0.0, 0.0, 1.0, 0.0),
    "shear_y": _affine(1.0, 0.0, 0.0, 0.3, 1.0, 0.0),
    "solarize": lambda image: ImageOps.solarize(image, 128),
}


def bench_images(seconds: Seconds, *, rows: int, side: int) -> dict[str, float]:
    """Images a second through each primitive and through the sets, and the ratios."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (rows, side, side, 1), np.uint8)
    images = jnp.asarray(levels / 255, jnp.float32)
    key = jax.random.key(0)
    flip = jax.jit(
        lambda image, key: augment.build([FLIP])({"image": image}, ROLES, key=key)
    )
    flipped = seconds(lambda: flip(images, key))
    found = {"images_per_s_flip_and_rotate": rows / flipped}
    for name in primitives.names():
        alone = (primitives.find(name),)
        spent = seconds(lambda alone=alone: mixed(images, key, alone))
        found[f"{name}_images_per_s"] = rows / spent
        found[f"{name}_price_of_flip_and_rotate"] = spent / flipped
        if name in PILLOW:
            plain = seconds(lambda way=PILLOW[name]: by_pillow(levels, [way]))
            found[f"{name}_ratio_to_pillow_loop"] = plain / spent
    for one in ("fast", "trivial_wide", "ultrasound"):
        found |= bench_set(seconds, one, images, key, flipped)
    return found


def bench_set(
    seconds: Seconds, name: str, images: jax.Array, key: jax.Array, flipped: float
) -> dict[str, float]:
    """A batch in which each example has any primitive of a set."""
    known = primitives.of_sets([name])
    spent = seconds(lambda: mixed(images, key, known))
    switch = seconds(lambda: switched(images, key, known))
    return {
        f"mixture_{name}_images_per_s": len(images) / spent,
        f"mixture_{name}_price_of_flip_and_rotate": spent / flipped,
        f"mixture_{name}_ratio_to_vmapped_switch": switch / spent,
    }


def by_pillow(levels: np.ndarray, ways: list[Callable]) -> list[np.ndarray]:
    """Images one after the other, each by the next of the ways."""
    return [
        np.asarray(ways[place % len(ways)](Image.fromarray(level[..., 0])))
        for place, level in enumerate(levels)
    ]


def _chosen(rows: int, count: int) -> _mixture.Chosen:
    """Every primitive alike often, at magnitudes from 0 to 1."""
    place = jnp.arange(rows)[:, None] % count
    return _mixture.Chosen(place, jnp.linspace(0.0, 1.0, rows)[:, None])


def _apply(images: jax.Array, key: jax.Array, known: Any, chosen: Any) -> jax.Array:
    keys = jax.random.split(key, len(images))
    return _mixture.apply({"image": images}, ROLES, keys, known, chosen)["image"]


def _mixed(images: jax.Array, key: jax.Array, known: Any) -> jax.Array:
    return _apply(images, key, known, _chosen(len(images), len(known)))


def _switched(images: jax.Array, key: jax.Array, known: Any) -> jax.Array:
    chosen = _chosen(len(images), len(known))

    def whole(one: primitives.Primitive) -> Callable:
        def operation(image: jax.Array, key: jax.Array, magnitude: jax.Array) -> Any:
            alone = _mixture.Chosen(jnp.zeros((1, 1), jnp.int32), magnitude[None])
            return _apply(image[None], key, (one,), alone)[0]

        return operation

    def row(image: jax.Array, key: jax.Array, place: jax.Array, m: jax.Array) -> Any:
        return jax.lax.switch(place[0], [whole(p) for p in known], image, key, m)

    return jax.vmap(row)(images, jax.random.split(key, len(images)), *chosen)


mixed = jax.jit(_mixed, static_argnums=2)
switched = jax.jit(_switched, static_argnums=2)


def bench_candidates(
    seconds: Seconds, experiment: Experiment, *, at_once: int
) -> dict[str, float]:
    """Candidates a second that a network judges, many in a call and one by one.

    On the part that a search of the preset `small` would hold out.
    """
    space = Space(("fast",))
    split = inner_folds(experiment, PRESETS["small"].inner)[0]
    candidates = [[sub] for sub in space.random(at_once, seed=0)]
    weights = experiment.params, experiment.stats
    spent = {}
    for name, count in (("many", at_once), ("one", 1)):
        density = Density(experiment, space, at_once=count, seed=0)
        held = density.held(split["validation"])
        spent[name] = seconds(
            lambda density=density, held=held: density.losses(weights, held, candidates)
        )
    return {
        "candidates_per_call": float(at_once),
        "examples_held_out": float(len(split["validation"])),
        "candidates_per_s": at_once / spent["many"],
        "one_by_one_candidates_per_s": at_once / spent["one"],
        "ratio_to_one_by_one": spent["one"] / spent["many"],
    }
