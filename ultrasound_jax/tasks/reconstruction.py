"""A picture is to be made once more from what a network has made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8

from ultrasound_jax.analysis.table.error_table import ErrorTable
from ultrasound_jax.data.spec import INDEX, Spec
from ultrasound_jax.tasks._protocol import Fields, OfPixels, TaskError, Term

SHOWN = "image"  # what a network calls the picture that it makes


@dataclass(frozen=True)
class Reconstruction(OfPixels):
    """The mean squared error of pixels in [0, 1], averaged over examples.

    The network returns `image`, as large as what it was given (`autoencoder`). What it
    is given is what it is compared with: in training the augmented picture.
    """

    NEEDS: ClassVar = ("pixels",)
    SELECT: ClassVar = {"mean_squared_error": -1}
    decision: ClassVar = "image"

    @classmethod
    def make(
        cls, spec: Spec, labels: Int8[np.ndarray, "n k"] | None = None
    ) -> "Reconstruction":
        """The task; it has no options."""
        names = spec.of_role("pixels")
        if len(names) != 1 or len(spec[names[0]].shape) != 3:
            told = ", ".join(f"{n} {spec[n].shape}" for n in names)
            raise TaskError(
                "task 'reconstruction' is of one image (height, width, channels); the "
                f"dataset has {told}"
            )
        return cls(spec)

    @property
    def classes(self) -> tuple[str, ...]:
        """What is reproduced: the field with the pixels."""
        return self.spec.of_role("pixels")

    @property
    def outputs(self) -> int:
        """As many as the picture has channels."""
        name = self.classes[0]
        return self.spec[name].batch_shape(name)[-1]

    @property
    def space(self) -> tuple[int, ...]:
        """Height and width."""
        name = self.classes[0]
        return self.spec[name].batch_shape(name)[:-1]

    def weights(self, batch: Fields) -> dict[str, Float[Array, ""]]:
        """The number of examples; rows that only fill a batch do not count."""
        count = (batch[INDEX] >= 0).sum().astype(jnp.float32)
        return {"mean_squared_error": count}

    def errors(self, outputs: Fields, fields: Fields) -> Float[Array, " b"]:
        """The mean squared error of each example."""
        if SHOWN not in outputs:
            raise TaskError(
                f"task 'reconstruction' needs a network that returns '{SHOWN}', as "
                f"autoencoder does; this one returns {', '.join(outputs)}"
            )
        found = outputs[SHOWN].astype(jnp.float32)
        return jnp.square(found - fields[self.classes[0]]).mean((1, 2, 3))

    def loss(self, outputs: Fields, fields: Fields) -> dict[str, Term]:
        """The sum of the examples' errors."""
        each = jnp.where(fields[INDEX] >= 0, self.errors(outputs, fields), 0.0)
        weight = self.weights(fields)["mean_squared_error"]
        return {"mean_squared_error": Term(each.sum(), weight, each)}

    def scores(self, outputs: Mapping[str, Any]) -> Float[Array, "b h w c"]:
        """The picture."""
        return jnp.asarray(outputs[SHOWN]).astype(jnp.float32)

    def keep(self, outputs: Fields, fields: Fields) -> Fields:
        """The error of each example."""
        return {"mse": self.errors(outputs, fields)[:, None]}

    def columns(
        self, kept: Mapping[str, np.ndarray], *, full: bool
    ) -> dict[str, np.ndarray]:
        """The errors."""
        return dict(kept)

    def table(
        self, ids: Mapping[str, Any], columns: Mapping[str, np.ndarray]
    ) -> ErrorTable:
        """A row an example with its error."""
        given = {name: value for name, value in ids.items() if name != "labels"}
        mse = columns["mse"].astype(np.float64)
        return ErrorTable(classes=self.classes, mse=mse, **given)

    def quality(self, table: ErrorTable) -> dict[str, float]:
        """The mean error, as a report has it."""
        return {"mean_squared_error": float(table.mse.mean())} if len(table) else {}


TASK = Reconstruction
