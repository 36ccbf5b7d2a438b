"""A made video and tiny networks to look at it with."""

import numpy as np
from flax import nnx

from tests.models.tiny_networks import build_tiny
from ultrasound_jax import models, tasks
from ultrasound_jax.data.spec import Field, Spec
from ultrasound_jax.explain.see.footage import (
    Clip,
    Footage,
)
from ultrasound_jax.training import steps

CLASSES = ("a_line", "b_line", "consolidation", "pleural_effusion")
FRAMES, SIZE = 4, 32


def task(frames=FRAMES, name="multilabel"):
    """The task that a network was trained for, on clips padded to `frames`."""
    clip = Field(
        shape=(None, SIZE, SIZE, 1), dtype="uint8", role="pixels", longest=frames
    )
    labels = Field(shape=(4,), dtype="int8", role="labels", classes=CLASSES)
    return tasks.build(name, Spec({"clip": clip, "labels": labels}), options={})


def footage(lengths=(4, 4, 3), step=3, marks=True):
    """Clips that overlap by a frame, the last one shorter; bright where marked."""
    rng = np.random.default_rng(0)
    total = step * (len(lengths) - 1) + lengths[-1]
    film = rng.integers(0, 255, (total, SIZE, SIZE), np.uint8)
    shown = rng.integers(0, 2, (total, 4)).astype(np.int8)
    clips = []
    for number, length in enumerate(lengths):
        start = number * step
        part = slice(start, start + length)
        found = shown[part]
        clips.append(
            Clip(
                f"V0_{start:04d}",
                start,
                film[part],
                found.max(0),
                found if marks else None,
            )
        )
    return Footage("V0", "test", CLASSES, 10.0, tuple(clips))


def still(lengths, seed=0):
    """Clips one behind the other of a film whose frames are all the same."""
    frame = np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE), np.uint8)
    clips, start = [], 0
    for length in lengths:
        film = np.broadcast_to(frame, (length, SIZE, SIZE)).copy()
        clips.append(Clip(f"V0_{start}", start, film, np.zeros(4, np.int8), None))
        start += length
    return Footage("V0", "test", CLASSES, 10.0, tuple(clips))


def evaluated(model):
    """The network as evaluation sees it."""
    network, params, stats = steps.split(model)
    return nnx.merge(network.evaluation, params, stats, copy=True)


def framewise(name="luvnet", encoder="tiny_basic", **options):
    return evaluated(build_tiny(name, encoder, **options))


def vivit(**options):
    small = {"dim": 8, "depth": 2, "heads": 2, "dim_head": 4, "patch": 8}
    options = {"clip_shape": (FRAMES, SIZE, SIZE), **small, **options}
    model = models.build("vivit", rngs=nnx.Rngs(0), **options)
    return evaluated(model)
