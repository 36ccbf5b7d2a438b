"""Any encoder with a linear layer: what one fine-tunes for images of one's own."""

from ultrasound_jax.models._parts.encoders import build_encoder
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.image_classifier import ClassifiedEncoder


class AnyImageClassifier(ClassifiedEncoder):
    """An encoder by its name, as the video networks have it, and a linear layer.

    Returns `logits` `b k` and `features` `b d`, pooled. `width` is the encoder's, the
    published one if not given. With `init_part="encoder"` it starts from ImageNet
    weights, or from the encoder of any run.
    """

    def __init__(
        self,
        given: Given,
        *,
        encoder: str = "efficientnet_lite0",
        dropout: float = 0.0,
        width: int | None = None,
    ):
        super().__init__(given, build_encoder(encoder, given, width=width), dropout)


NETWORKS = {"image_classifier": AnyImageClassifier}
