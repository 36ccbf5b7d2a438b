"""Fills a network from a PyTorch state dict, strictly and by the original's names.

Known are the original LUV-Net's state dicts and the ImageNet encoders of torchvision
and timm (with the names of torchvision's first DenseNets too). Files are safetensors
only: a pickle can run code.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ultrasound_jax.models.densenet import DenseNet
from ultrasound_jax.models.frame_vote import FrameVote
from ultrasound_jax.models.layers import (
    BatchNorm,
    Conv,
    Linear,
    ModelError,
    PointwiseConv,
)
from ultrasound_jax.models.luvnet import PatternAttention
from ultrasound_jax.models.resnet import ResNet
from ultrasound_jax.models.stem import StemConv

COUNTER = "num_batches_tracked"  # PyTorch's norms count batches; nothing uses it
NAMES_SHOWN = 5

# Where our path, written with dots, differs from the original's name. Applied in turn.
HEAD_NAMES = (
    (r"^attention\.queries$", "attn_query_vecs"),
    (r"^attention_hidden\b", "attn_fc.0"),
    (r"^attention_out\b", "attn_fc.2"),
    (r"^temporal\.conv\b", "conv1d.0"),
    (r"^temporal\.norm\b", "conv1d.1"),
    (r"^classifier_hidden\b", "fc_out_final.0"),
    (r"^classifier_out\b", "fc_out_final.3"),
)
DENSENET_NAMES = (
    (r"^stem\.conv\b", "features.conv0"),
    (r"^stem\.norm\b", "features.norm0"),
    (r"^blocks\.(\d+)\.layers\.(\d+)", "features.denseblock<0>.denselayer<1>"),
    (r"^transitions\.(\d+)", "features.transition<0>"),
    (r"^norm\b", "features.norm5"),
)
RESNET_NAMES = (
    (r"^stem\.conv\b", "conv1"),
    (r"^stem\.norm\b", "bn1"),
    (r"^stages\.(\d+)\.", "layer<0>."),
    (r"\bnorm(\d)\b", r"bn\1"),
    (r"\bshortcut\.conv\b", "downsample.0"),
    (r"\bshortcut\.norm\b", "downsample.1"),
)
OLD_DENSENET_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


@dataclass(frozen=True)
class LoadReport:
    """What a load did: tensors and numbers filled, and names set aside, by group."""

    part: str
    tensors: int
    numbers: int
    ignored: Mapping[str, int]

    def __str__(self) -> str:
        ignored = ", ".join(f"{n} of {group}" for group, n in self.ignored.items())
        return (
            f"loaded {self.tensors} tensors ({self.numbers:,} numbers), part "
            f"{self.part}; ignored {ignored or 'nothing'}"
        )


@dataclass(frozen=True)
class Slot:
    """One variable of ours: its original's shape and how its layout becomes ours."""

    variable: nnx.Variable
    shape: tuple[int, ...]
    to_ours: Callable[[np.ndarray], np.ndarray]
    sums_inputs: bool = False


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Every tensor of a safetensors file; `ModelError` names a file that is none."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"{path}: not readable as safetensors, the only format allowed: {reason}"
        ) from error


def load(
    model: nnx.Module,
    state: Mapping[str, np.ndarray],
    *,
    part: Literal["all", "encoder"] = "all",
    source: str | Path = "the state dict",
) -> LoadReport:
    """Fill `model`, or only its encoder, in place from a PyTorch state dict.

    "encoder" takes a whole model's state dict (its names under `encoder.`) or a bare
    encoder's, whose classifier is ignored. An encoder for one channel takes the sum of
    a stem's kernels over its input channels. `source` is how errors call the state.

    Raises `ModelError`, with the model untouched, where names are missing or unexpected
    or where values are of another shape, not floating or not finite.
    """
    if part not in ("all", "encoder"):
        raise ModelError(f"part {part!r}: allowed are all, encoder")
    slots = expected(model, part=part)
    given, ignored = _sort_names(slots, state, part)
    faults = {
        "missing": [name for name in slots if name not in given],
        "unexpected": [name for name in given if name not in slots],
        "wrong": [
            f"{name} {fault}"
            for name, slot in slots.items()
            if name in given and (fault := _fault(slot, given[name]))
        ],
    }
    if any(faults.values()):
        listed = "; ".join(_listed(kind, of) for kind, of in faults.items() if of)
        raise ModelError(
            f"{source} does not fit {type(model).__name__} (part {part}): {listed}"
        )
    for name, slot in slots.items():
        value = np.asarray(given[name]).astype(np.float32)
        if slot.sums_inputs:
            value = value.sum(1, keepdims=True)
        slot.variable.set_value(jnp.asarray(slot.to_ours(value)))
    numbers = sum(int(np.prod(slot.shape)) for slot in slots.values())
    return LoadReport(part, len(slots), numbers, ignored)


def expected(
    model: nnx.Module, *, part: Literal["all", "encoder"] = "all"
) -> dict[str, Slot]:
    """Every name that a state dict must hold, less the norms' batch counters.

    For the encoder alone names are bare; for all of a LUV-Net they begin `encoder.`.
    """
    encoder = getattr(model, "encoder", model)
    prefix = "" if part == "encoder" or _has_bare_names(model) else "encoder."
    renamings = DENSENET_NAMES if isinstance(encoder, DenseNet) else RESNET_NAMES
    slots = {prefix + _renamed(path, renamings): slot for path, slot in _slots(encoder)}
    if part == "encoder" or encoder is model:
        return slots
    head = ((r"^classifier\b", _classifier_name(encoder)),)
    renamings = head if isinstance(model, FrameVote) else HEAD_NAMES
    for path, slot in _slots(model):
        if not path.startswith("encoder."):
            slots[_renamed(path, renamings)] = slot
    return slots


def _has_bare_names(model: nnx.Module) -> bool:
    """Image classifiers keep their encoder at the top of the state dict."""
    return isinstance(model, FrameVote | DenseNet | ResNet)


def _classifier_name(encoder: nnx.Module) -> str:
    return "classifier" if isinstance(encoder, DenseNet) else "fc"


def _slots(model: nnx.Module) -> Iterator[tuple[str, Slot]]:
    """Our own path to every variable, in the last part with PyTorch's name."""
    for path, module in nnx.iter_modules(model):
        stem = "".join(f"{key}." for key in path)
        if isinstance(module, BatchNorm):
            for ours, theirs in (
                ("scale", "weight"),
                ("bias", "bias"),
                ("mean", "running_mean"),
                ("var", "running_var"),
            ):
                yield stem + theirs, _plain(getattr(module, ours))
        elif isinstance(module, Conv):
            yield stem + "weight", _convolution(module)
        elif isinstance(module, PointwiseConv):
            inputs, outputs = module.kernel.shape
            shape = (outputs, inputs, 1, 1)
            yield stem + "weight", Slot(module.kernel, shape, _from_pointwise)
        elif isinstance(module, Linear):
            shape = module.kernel.shape[::-1]
            yield stem + "weight", Slot(module.kernel, shape, np.transpose)
            yield stem + "bias", _plain(module.bias)
        elif isinstance(module, PatternAttention):
            yield stem + "queries", _plain(module.queries)


def _plain(variable: Any) -> Slot:
    return Slot(variable, variable.shape, np.asarray)


def _convolution(conv: Conv) -> Slot:
    *space, inputs, outputs = conv.kernel.shape
    sums = isinstance(conv, StemConv) and inputs == 1
    return Slot(conv.kernel, (outputs, inputs, *space), _from_convolution, sums)


def _from_convolution(weight: np.ndarray) -> np.ndarray:
    return np.moveaxis(weight, (0, 1), (-1, -2))


def _from_pointwise(weight: np.ndarray) -> np.ndarray:
    return weight[:, :, 0, 0].T


def _renamed(path: str, renamings: Sequence[tuple[str, str]]) -> str:
    for pattern, name in renamings:
        # <0> and <1> are our indices, counted from 0; theirs start at 1.
        def replace(match: re.Match[str], name: str = name) -> str:
            for group, index in enumerate(match.groups()):
                name = name.replace(f"<{group}>", str(int(index) + 1))
            return match.expand(name)

        path = re.sub(pattern, replace, path)
    return path


def _sort_names(
    slots: Mapping[str, Slot], state: Mapping[str, np.ndarray], part: str
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The values meant for `part`, under today's names, and what is left out."""
    whole = part == "encoder" and any(name.startswith("encoder.") for name in state)
    given: dict[str, np.ndarray] = {}
    ignored: dict[str, int] = {}
    for original, value in state.items():
        name = OLD_DENSENET_NAME.sub(r"\1\2", original)
        group = None
        if whole:
            inside = name.startswith("encoder.")
            group = None if inside else name.split(".")[0]
            name = name.removeprefix("encoder.")
        elif part == "encoder" and name.startswith(("fc.", "classifier.")):
            group = name.split(".")[0]
        norm, _, leaf = name.rpartition(".")
        if leaf == COUNTER and f"{norm}.running_mean" in slots:
            group = COUNTER
        if group is None:
            given[name] = value
        else:
            ignored[group] = ignored.get(group, 0) + 1
    return given, ignored


def _fault(slot: Slot, value: np.ndarray) -> str | None:
    shape = tuple(np.shape(value))
    comparable = (*shape[:1], 1, *shape[2:]) if slot.sums_inputs else shape
    if comparable != slot.shape or 0 in shape:
        return f"is {shape}, not {slot.shape}"
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return f"is {value.dtype}, not floating"
    if not np.isfinite(value.astype(np.float32)).all():
        return "is not finite"
    return None


def _listed(kind: str, names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    tail = f" and {more} more" if more > 0 else ""
    return f"{kind} {len(names)} ({', '.join(names[:NAMES_SHOWN])}{tail})"
