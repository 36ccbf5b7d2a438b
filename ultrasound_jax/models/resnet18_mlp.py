"""ResNet-18 with a small perceptron, as the PU2756 study classifies lung tumours."""

from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import require_counts, require_rates
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.layers import Linear
from ultrasound_jax.models._parts.torch_names import Names
from ultrasound_jax.models.resnet import ResNet18


class ResNet18Mlp(nnx.Module):
    """ResNet-18, then a hidden layer with dropout and the last one.

    Returns `logits` `b k` and `features` `b d`, the mean of the last feature map. The
    study trains one logit, of `malignant` (the task's `loss="bce"`), from ImageNet's
    weights (`init_part="encoder"`). `width` is the encoder's, 64 if not given.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^hidden\b", "fc.0"),
        (r"^classifier\b", "fc.3"),
        (r"^encoder\.", ""),
    )

    def __init__(
        self,
        given: Given,
        *,
        dropout: float = 0.5,
        hidden: int = 256,
        width: int | None = None,
    ):
        require_rates(dropout=dropout)
        require_counts(hidden=hidden)
        self.encoder = ResNet18(given, width=width)
        self.hidden = Linear(self.encoder.features, hidden, **given.layer)
        self.dropout = nnx.Dropout(dropout)
        self.classifier = Linear(hidden, given.outputs, **given.layer)

    def __call__(
        self, image: Float[Array, "b h w c"], *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        """Classify; the training view needs `rngs` for its dropout."""
        features = self.encoder(image)
        x = self.dropout(nnx.relu(self.hidden(features)), rngs=rngs)
        return {"logits": self.classifier(x).astype(jnp.float32), "features": features}


NETWORKS = {"resnet18_mlp": ResNet18Mlp}
