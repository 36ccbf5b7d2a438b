"""Time and memory of each loss of masks, and of cleaning masks on the host.

python experiments/mask_terms.py [--size 256] [--batch 8] [--maps 1]

A term's time is that of its value and gradient on logits. Distances are told beside
SciPy's on the host, which the boundary loss could not use: augmentation moves the mask
within the step. Nothing is written.
"""

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from ultrasound_jax.data.spec import Field, Spec
from ultrasound_jax.tasks import build
from ultrasound_jax.tasks._boundary import signed_distances
from ultrasound_jax.tasks._mask_cleaning import Cleaning
from ultrasound_jax.tasks._mask_terms import TERMS
from ultrasound_jax.training.steps import memory_bytes

ROUNDS = 5


def discs(size: int, count: int) -> np.ndarray:
    """Made masks: a disc each, anywhere, and some specks."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    masks = rng.random((count, size, size)) < 0.002
    for mask in masks:
        middle = rng.integers(size, size=2)
        mask |= np.hypot(rows - middle[0], columns - middle[1]) < size / 5
    return masks[..., None]


def fastest(run: Callable[[], object]) -> float:
    """The milliseconds of the fastest of some rounds, after one that warms up."""
    run()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    """Prints one line a term, a transform and a cleaning."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("size", 256), ("batch", 8), ("maps", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    masks = discs(given.size, given.batch)
    shape = (given.size, given.size, 1)
    image = Field(shape=shape, dtype="uint8", role="pixels")
    mask = Field(shape=shape, dtype="uint8", role="mask", classes=("disc",))
    spec = Spec({"image": image, "mask": mask}, ("image", "image"))
    fields = {
        "mask": jnp.asarray(masks.astype(np.uint8)),
        "index": jnp.arange(given.batch),
    }
    rng = np.random.default_rng(1)
    maps = {
        f"head{i}": jnp.asarray(rng.normal(size=masks.shape), jnp.float32)
        for i in range(given.maps)
    }
    print(f"{jax.devices()[0].device_kind}, {given}")
    for name in TERMS:
        task = build("segmentation", spec, options={**dict.fromkeys(TERMS, 0), name: 1})

        def loss(maps: dict, fields: dict, task=task) -> jax.Array:
            (term,) = task.loss({"logits": maps["head0"], **maps}, fields).values()
            return term.total

        step = jax.jit(jax.value_and_grad(loss)).lower(maps, fields).compile()
        took = fastest(lambda step=step: jax.block_until_ready(step(maps, fields)))
        taken = memory_bytes(step).get("temporary", 0) / 2**20
        print(f"{name}: {took:.1f} ms, {taken:.0f} MiB")

    transform = jax.jit(signed_distances)
    truth = jnp.asarray(masks)
    took = fastest(lambda: jax.block_until_ready(transform(truth)))
    print(f"signed distances in the step: {took:.1f} ms")

    def both(mask: np.ndarray) -> list:
        return [ndimage.distance_transform_edt(each) for each in (mask, ~mask)]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        took = fastest(lambda: list(pool.map(both, masks[..., 0])))
    print(f"SciPy's on the host, in threads: {took:.1f} ms")
    cleaning = Cleaning(keep_components=1, fill_holes=True, smallest=5)
    alone = fastest(lambda: [cleaning.one(mask) for mask in masks])
    threads = fastest(lambda: cleaning.all(masks))
    print(f"cleaning on the host: {alone:.1f} ms, in threads {threads:.1f} ms")


if __name__ == "__main__":
    main()
