"""What the image classifiers share: an encoder and a linear layer on its vector."""

from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ultrasound_jax.models._parts.checks import require_rates
from ultrasound_jax.models._parts.encoders import Encoder
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.layers import Linear
from ultrasound_jax.models._parts.torch_names import Names


class ClassifiedEncoder(nnx.Module):
    """An encoder and a linear layer, as torchvision publishes them.

    Returns `logits` `b k` and `features` `b d`, the mean of the last feature map.
    `dropout` is of the features, in front of the linear layer; the originals have none.
    """

    # The original has its encoder at the top.
    TORCH_NAMES: ClassVar[Names] = ((r"^classifier\b", "<head>"), (r"^encoder\.", ""))

    def __init__(self, given: Given, encoder: Encoder, dropout: float):
        require_rates(dropout=dropout)
        self.encoder = encoder
        self.dropout = nnx.Dropout(dropout)
        size = self.encoder.features
        self.classifier = Linear(size, given.outputs, **given.layer)

    def __call__(
        self, image: Float[Array, "b h w c"], *, rngs: nnx.Rngs | None = None
    ) -> dict[str, Array]:
        """Classify; the training view needs `rngs` where there is dropout."""
        features = self.encoder(image)
        logits = self.classifier(self.dropout(features, rngs=rngs))
        return {"logits": logits.astype(jnp.float32), "features": features}


class ImageClassifier(ClassifiedEncoder):
    """The same with the encoder that a published network has.

    `width` is the encoder's, the published one if not given.
    """

    encoder_kind: ClassVar[type[Any]]

    def __init__(self, given: Given, *, dropout: float = 0.0, width: int | None = None):
        super().__init__(given, self.encoder_kind(given, width=width), dropout)
