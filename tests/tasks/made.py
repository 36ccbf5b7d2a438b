"""Specifications and ids of made examples."""

import numpy as np

from ultrasound_jax.data.spec import Field, Spec


def labels_field(classes):
    return Field(shape=(len(classes),), dtype="int8", role="labels", classes=classes)


def clip_spec(classes, frames=2, side=4):
    clip = Field(
        shape=(None, side, side, 1), dtype="uint8", role="pixels", longest=frames
    )
    return Spec({"clip": clip, "labels": labels_field(classes)})


def image_spec(classes, side=8, masked=("lesion",), dtype="uint8", **more):
    image = Field(shape=(side, side, 1), dtype=dtype, role="pixels", **more)
    mask = Field(shape=(side, side, 1), dtype="uint8", role="mask", classes=masked)
    fields = {"image": image, "labels": labels_field(classes), "mask": mask}
    return Spec(fields, ("image", "image"))


def ids(labels, units=("clip", "video")):
    names = tuple(f"e{i}" for i in range(len(labels)))
    return {
        "example_id": names,
        "video_id": names,
        "patient_id": tuple(f"P{i // 2}" for i in range(len(labels))),
        "fold": np.zeros(len(labels), int),
        "split": ("test",) * len(labels),
        "labels": labels,
        "extra": {},
        "units": units,
    }
