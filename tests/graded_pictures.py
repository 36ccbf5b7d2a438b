"""Made pictures whose brightness is a grade, of two hospitals: a dataset for tests."""

from functools import partial
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from ultrasound_jax.data.spec import Field, Spec
from ultrasound_jax.datasets.beam.builder import ScalableBuilder

SIDE, CLASSES, GRADES = 32, ("dark", "bright"), ("0", "1", "2", "3")


def make(first, place):
    """One picture; every fifth has no grade."""
    rng = np.random.default_rng(first + place)
    grade = place % 4
    noise = rng.integers(0, 40, (SIDE, SIDE, 1))
    name = f"picture_{first + place:03d}"
    yield (
        name,
        {
            "image": (50 * grade + noise).astype(np.uint8),
            "labels": np.eye(2, dtype=np.int8)[grade // 2],
            "grade": np.int8(-1 if place % 5 == 4 else grade),
            "example_id": name,
            "video_id": name,
            "patient_id": f"patient_{(first + place) // 4:03d}",
        },
    )


class Graded(ScalableBuilder, skip_registration=True):
    """Forty pictures of ten patients."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = [tfds.core.BuilderConfig(name="graded")]
    GRADED: ClassVar = {"grade": GRADES}
    FIRST = 0

    @classmethod
    def make_config(cls):
        return cls.BUILDER_CONFIGS[0]

    def spec(self):
        image = Field(shape=(SIDE, SIDE, 1), dtype="uint8", role="pixels")
        labels = Field(shape=(2,), dtype="int8", role="labels", classes=CLASSES)
        fields = {"image": image, "labels": labels, **self.graded_fields()}
        return Spec(fields, ("image", "image"))

    def _info(self):
        raw = {"dtype": np.uint8, "encoding": "bytes"}
        ids = ("example_id", "video_id", "patient_id")
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(shape=(SIDE, SIDE, 1), **raw),
                    "labels": tfds.features.Tensor(shape=(2,), dtype=np.int8),
                    "grade": np.int8,
                    **dict.fromkeys(ids, tfds.features.Text()),
                }
            ),
            metadata=tfds.core.MetadataDict(skipped=[]),
        )

    def _split_generators(self, dl_manager):
        return {"images": self.examples(range(40), partial(make, self.FIRST))}


class Elsewhere(Graded, skip_registration=True):
    """The same of other patients."""

    FIRST = 400


class Ungraded(Elsewhere, skip_registration=True):
    """The same, but that its builder calls other grades by these numbers."""

    GRADED: ClassVar = {"grade": GRADES[:3]}
