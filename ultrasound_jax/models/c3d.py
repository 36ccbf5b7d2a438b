"""C3D: 3x3x3 convolutions all through (Tran et al., ICCV 2015)."""

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from ultrasound_jax.models._parts.checks import require_counts, require_rates
from ultrasound_jax.models._parts.clip_conv import (
    ClipConv,
    fewer,
    max_pool_clip,
    pooled_size,
)
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.layers import Linear, call
from ultrasound_jax.models._parts.padding import (
    blank_padding,
    real_frames,
)
from ultrasound_jax.models._parts.patches import (
    check_fits,
    clip_shape_of,
)
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import Names

HIDDEN = 64  # times the width: the 4096 of both hidden layers
# Of each group of convolutions: their widths, as multiples of the first, and the pool.
GROUPS = (
    ((1,), (1, 2, 2)),
    ((2,), (2, 2, 2)),
    ((4, 4), (2, 2, 2)),
    ((8, 8), (2, 2, 2)),
    ((8, 8), (2, 2, 2)),
)


class Group(nnx.Module):
    """Convolutions of one resolution with their ReLUs."""

    def __init__(self, convolutions: Sequence[nnx.Module]):
        self.convolutions = nnx.List(convolutions)

    def __call__(
        self, clip: Float[Array, "b t h w c"], lengths: Int[Array, " b"] | None
    ) -> Float[Array, "b t h w k"]:
        """Convolve; steps beyond the lengths are zero."""
        mask, x = real_frames(lengths, clip.shape[1]), clip
        for conv in self.convolutions:
            x = conv(x, mask) if isinstance(conv, StemConv) else conv(x)
            x = blank_padding(nnx.relu(x), mask)
        return x


class C3D(nnx.Module):
    """Eight 3x3x3 convolutions with five pools, then three linear layers.

    As the LUV-Net study trains it: for clips of `clip_shape` `(frames, height, width)`,
    by which the first linear layer is sized, with padding in the last pool and no batch
    norm. An axis that a pool would leave empty stays at one step, so that clips may be
    shorter than 16 frames (the original's fail).

    Returns `logits` `b p`; `features` `b d`, what the last layer sees; `feature_map`
    `b s i j c`, the last convolution's. Frames beyond `lengths`, and those that a clip
    lacks, are zeros in every layer: neither their content nor their number changes
    anything. A step of two frames of which one is real counts as real. `width` is of
    the first convolution; all others follow. Raises `ModelError` for a clip that is
    longer or of another size than `clip_shape`.
    """

    TORCH_NAMES: ClassVar[Names] = (
        (r"^groups\.([01])\.convolutions\.0\b", "conv<0>"),
        (r"^groups\.(\d)\.convolutions\.0\b", "conv<0>a"),
        (r"^groups\.(\d)\.convolutions\.1\b", "conv<0>b"),
        (r"^hidden1\b", "fc6"),
        (r"^hidden2\b", "fc7"),
        (r"^classifier\b", "fc8"),
    )

    def __init__(self, given: Given, *, dropout: float = 0.5, width: int = 64):
        require_rates(dropout=dropout)
        require_counts(width=width)
        self.clip_shape, self.remat = clip_shape_of(given), given.remat
        stem = StemConv(given, width, (3, 3, 3), stride=1, bias=True)
        inputs, groups = width, [Group([stem])]
        for widths, _ in GROUPS[1:]:
            group = []
            for times in widths:
                outputs = times * width
                conv = ClipConv(inputs, outputs, (3, 3, 3), bias=True, **given.layer)
                group.append(conv)
                inputs = outputs
            groups.append(Group(group))
        self.groups = nnx.List(groups)
        steps, height, side = _sizes(self.clip_shape)
        flat, hidden = steps * height * side * inputs, HIDDEN * width
        self.hidden1 = Linear(flat, hidden, **given.layer)
        self.hidden2 = Linear(hidden, hidden, **given.layer)
        self.classifier = Linear(hidden, given.outputs, **given.layer)
        self.dropout = nnx.Dropout(dropout)

    def __call__(
        self,
        clip: Float[Array, "b t h w c"],
        lengths: Int[Array, " b"] | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Array]:
        """Classify; the training view needs `rngs` for its dropout."""
        check_fits(clip, self.clip_shape)
        missing = self.clip_shape[0] - clip.shape[1]
        if missing:
            if lengths is None:
                lengths = jnp.full(len(clip), clip.shape[1])
            clip = jnp.pad(clip, ((0, 0), (0, missing), (0, 0), (0, 0), (0, 0)))
        x = blank_padding(clip, real_frames(lengths, clip.shape[1]))
        for i, (group, (_, window)) in enumerate(
            zip(self.groups, GROUPS, strict=True), start=1
        ):
            feature_map = call(group, x, lengths, remat=self.remat)
            if x.shape[1] > 1:
                lengths = fewer(lengths, window[0])
            x = max_pool_clip(feature_map, window, edge=int(i == len(GROUPS)))
        # PyTorch flattens with the channels first.
        x = jnp.moveaxis(x, -1, 1).reshape(len(x), -1)
        x = self.dropout(nnx.relu(self.hidden1(x)), rngs=rngs)
        features = nnx.relu(self.hidden2(x))
        x = self.dropout(features, rngs=rngs)
        return {
            "logits": self.classifier(x).astype(jnp.float32),
            "features": features,
            "feature_map": feature_map,
        }


def _sizes(clip_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Steps, rows and columns that are left after the last pool."""
    sizes = clip_shape
    for i, (_, window) in enumerate(GROUPS, start=1):
        last = int(i == len(GROUPS))
        edges = (0, last, last)
        sizes = tuple(map(pooled_size, sizes, window, edges))
    return sizes


NETWORKS = {"c3d": C3D}
