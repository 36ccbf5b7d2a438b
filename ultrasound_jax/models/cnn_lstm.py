"""CNN-LSTM: an encoder's frames read one after the other by a recurrent network."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from ultrasound_jax.models._parts.checks import require_counts
from ultrasound_jax.models._parts.encoders import (
    build_encoder,
    encode_frames,
)
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.initialisers import uniform_bias
from ultrasound_jax.models._parts.layers import Linear
from ultrasound_jax.models._parts.padding import (
    blank_padding,
    real_frames,
)
from ultrasound_jax.models._parts.torch_names import Names


class LstmLayer(nnx.Module):
    """One layer of long short-term memory, as PyTorch lays it out.

    The gates lie in the order input, forget, cell, output, and there are two biases.
    It runs in float32, for what it sums over a clip is small beside its state.
    """

    def __init__(self, inputs: int, hidden: int, *, rngs: nnx.Rngs):
        def init(key: Array, shape: Sequence[int], dtype: DTypeLike) -> Array:
            return uniform_bias(hidden, key, shape, dtype)

        options = {"kernel_init": init, "bias_init": init, "rngs": rngs}
        self.inputs = nnx.Linear(inputs, 4 * hidden, **options)
        self.recurrent = nnx.Linear(hidden, 4 * hidden, **options)

    def __call__(self, frames: Float[Array, "b t d"]) -> Float[Array, "b t h"]:
        """The state after each frame; frames that come later have no part in it."""
        arriving = self.inputs(frames) + self.recurrent.bias[...]  # pyright: ignore[reportOptionalSubscript]
        kernel = self.recurrent.kernel[...]

        def step(carry: tuple[Array, Array], gates: Array) -> tuple[tuple, Array]:
            state, cell = carry
            read, keep, new, show = jnp.split(gates + state @ kernel, 4, -1)
            cell = nnx.sigmoid(keep) * cell + nnx.sigmoid(read) * jnp.tanh(new)
            state = nnx.sigmoid(show) * jnp.tanh(cell)
            return (state, cell), state

        start = jnp.zeros((len(frames), kernel.shape[0]), jnp.float32)
        _, states = jax.lax.scan(step, (start, start), arriving.swapaxes(0, 1))
        return states.swapaxes(0, 1)


class Lstm(nnx.Module):
    """Layers of long short-term memory, one on the states of the other."""

    def __init__(self, inputs: int, hidden: int, layers: int, *, rngs: nnx.Rngs):
        self.layers = nnx.List(
            LstmLayer(hidden if i else inputs, hidden, rngs=rngs) for i in range(layers)
        )

    def __call__(self, frames: Float[Array, "b t d"]) -> Float[Array, "b t h"]:
        """The last layer's state after each frame."""
        x = frames.astype(jnp.float32)
        for layer in self.layers:
            x = layer(x)
        return x


class CnnLstm(nnx.Module):
    """An encoder with a classifier of `embedding` outputs, an LSTM, a linear layer.

    Deliberate difference from the original: the LSTM runs over time and its state after
    each clip's last real frame is classified. The original's runs over the clips of a
    batch and sees one frame of each.

    Returns `logits` `b p`, `features` `b t d` of the encoder and `temporal`
    `b t hidden`, the states. Frames beyond `lengths` change nothing; `features` and
    `temporal` are zero there. A clip of length 0 is finite and counts nowhere.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^embed\b", "cnn.<head>"),
        (r"^encoder\.", "cnn."),
        (r"^lstm\.layers\.(\d+)\.inputs\.(\w+)$", r"lstm.\2_ih_l\1"),
        (r"^lstm\.layers\.(\d+)\.recurrent\.(\w+)$", r"lstm.\2_hh_l\1"),
        (r"^classifier\b", "fc2"),
    )
    frames_share = False  # the last state speaks for the clip

    def __init__(
        self,
        given: Given,
        *,
        encoder: str = "densenet161",
        hidden: int = 256,
        layers: int = 3,
        embedding: int = 300,
        width: int | None = None,
    ):
        require_counts(hidden=hidden, layers=layers, embedding=embedding)
        self.encoder = build_encoder(encoder, given, width=width)
        self.embed = Linear(self.encoder.features, embedding, **given.layer)
        self.lstm = Lstm(embedding, hidden, layers, rngs=given.rngs)
        self.classifier = Linear(hidden, given.outputs, **given.layer)

    def __call__(
        self,
        clip: Float[Array, "b t h w c"],
        lengths: Int[Array, " b"] | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array]:
        """Read and classify; `rngs` is taken so that all networks are called alike."""
        del rngs
        mask = real_frames(lengths, clip.shape[1])
        features = encode_frames(self.encoder, clip, mask)
        states = self.lstm(self.embed(features))
        if lengths is None:
            last = states[:, -1]
        else:
            index = jnp.maximum(lengths - 1, 0)
            last = jnp.take_along_axis(states, index[:, None, None], 1)[:, 0]
        return {
            "logits": self.classifier(nnx.relu(last)).astype(jnp.float32),
            "features": features,
            "temporal": blank_padding(states, mask),
        }


NETWORKS = {"cnn_lstm": CnnLstm}
