"""Fills a network from a PyTorch state dict, strictly and by the original's names.

Each class says what its original calls its parts (`TORCH_NAMES`, `TORCH_HEAD`), and by
patterns (`TORCH_UNUSED`) what a file may hold that the original never uses. Known too
are the ImageNet encoders of torchvision and timm (with the names of torchvision's first
DenseNets). Files are safetensors only: a pickle can run code.

A module of Flax's own kinds (`Conv`, `Linear`, `BatchNorm`, `LayerNorm`) needs nothing
to take part, nor does one that holds bare `nnx.Param`s of PyTorch's layout. Any other
module says by a method `torch_layout() -> dict[attribute, Layout]` how its parameters
lie there.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ultrasound_jax.models._parts.checks import ModelError
from ultrasound_jax.models._parts.layers import Frozen, Layout
from ultrasound_jax.models._parts.stem import StemConv
from ultrasound_jax.models._parts.torch_names import renamed
from ultrasound_jax.models.safetensors_file import read_safetensors

__all__ = ["LoadReport", "Slot", "expected", "load", "read_safetensors"]

COUNTER = "num_batches_tracked"  # PyTorch's norms count batches; nothing uses it
NAMES_SHOWN = 5
VARIANCE = "running_var"
# Beyond this a value is damage, not training: weights of published networks stay below
# a hundred, and running moments of pixels from 0 to 65,535 below 1e12.
LARGEST = {"running_mean": 1e8, VARIANCE: 1e14}
LARGEST_WEIGHT = 1e4
TENSORS = (nnx.Param, Frozen, nnx.BatchStat)  # what a state dict holds


@dataclass(frozen=True)
class LoadReport:
    """What a load did: tensors and numbers filled, names set aside, by group, and how
    many of the network's own it left as they were.
    """

    part: str
    tensors: int
    numbers: int
    ignored: Mapping[str, int]
    fresh: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        ignored, fresh = (
            ", ".join(f"{n} of {group}" for group, n in groups.items())
            for groups in (self.ignored, self.fresh)
        )
        return (
            f"loaded {self.tensors} tensors ({self.numbers:,} numbers), part "
            f"{self.part}; ignored {ignored or 'nothing'}; left as initialised "
            f"{fresh or 'nothing'}"
        )


@dataclass(frozen=True)
class Slot:
    """One variable of ours: its original's shape and how its layout becomes ours."""

    variable: nnx.Variable
    shape: tuple[int, ...]
    to_ours: Callable[[np.ndarray], np.ndarray]
    sums_inputs: bool = False


def load(
    model: nnx.Module,
    state: Mapping[str, np.ndarray],
    *,
    part: Literal["all", "encoder"] = "all",
    source: str | Path = "the state dict",
    fresh: Collection[str] = (),
) -> LoadReport:
    """Fill `model`, or only its encoder, in place from a PyTorch state dict.

    "encoder" takes a whole model's state dict (its names under `encoder.`) or a bare
    encoder's, whose classifier is ignored. An encoder for one channel takes the sum of
    a stem's kernels over its input channels. `source` is how errors call the state;
    `fresh` are names that are not taken from it.

    Raises `ModelError`, with the model untouched, where names are missing or unexpected
    doubled, or where values are of another shape, not floating, not finite, or such as
    no training leaves (`LARGEST`, negative variances).
    """
    if part not in ("all", "encoder"):
        raise ModelError(f"part {part!r}: allowed are all, encoder")
    slots = expected(model, part=part)
    given, ignored, doubled = _sort_names(model, slots, state, part)
    for name in fresh:
        if given.pop(name, None) is not None:
            group = name.split(".")[0]
            ignored[group] = ignored.get(group, 0) + 1
    whole = slots if part == "all" else expected(model)
    slots = {name: slot for name, slot in slots.items() if name not in fresh}
    faults = {
        "missing": [name for name in slots if name not in given],
        "unexpected": [name for name in given if name not in slots],
        "wrong": [
            f"{name} {fault}"
            for name, slot in slots.items()
            if name in given and (fault := _fault(name, slot, given[name]))
        ],
        "doubled": doubled,
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
    taken = {id(slot.variable) for slot in slots.values()}
    left = Counter(
        name.split(".")[0]
        for name, slot in whole.items()
        if id(slot.variable) not in taken
    )
    return LoadReport(part, len(slots), numbers, ignored, left)


def expected(
    model: nnx.Module, *, part: Literal["all", "encoder"] = "all"
) -> dict[str, Slot]:
    """Every name that a state dict must hold, less the norms' batch counters.

    For the encoder alone names are relative to it. Raises `ModelError` for the encoder
    of a network that has none.
    """
    if part == "encoder":
        model = _encoder_of(model)
    modules = dict(nnx.iter_modules(model))
    slots: dict[str, Slot] = {}
    for path, module in modules.items():
        for name, slot in _slots(module):
            for depth in range(len(path), -1, -1):
                name = f"{path[depth]}.{name}" if depth < len(path) else name
                name = renamed(name, modules[path[:depth]])
            slots[name] = slot
    tensors = len(jax.tree.leaves(nnx.state(model, TENSORS)))
    if len(slots) != tensors:
        raise ModelError(
            f"{type(model).__name__} has {tensors} tensors but {len(slots)} names: "
            "allowed is one for each (see `torch_layout`)"
        )
    return slots


def _encoder_of(model: nnx.Module) -> Any:
    encoder = getattr(model, "encoder", model)
    if not hasattr(type(encoder), "TORCH_HEAD"):
        name = type(model).__name__
        raise ModelError(f"part 'encoder' of {name}, which has none: allowed is all")
    return encoder


def _slots(module: nnx.Module) -> Iterator[tuple[str, Slot]]:
    """PyTorch's name, within the module, of each variable that it holds itself."""
    layouts = _layouts(module)
    for attribute, variable in vars(module).items():
        if isinstance(variable, TENSORS):
            plain = Layout(attribute, variable.shape, np.asarray)
            name, shape, to_ours = layouts.get(attribute, plain)
            sums = isinstance(module, StemConv) and module.in_features == 1
            yield name, Slot(variable, shape, to_ours, sums and attribute == "kernel")


def _layouts(module: Any) -> Mapping[str, Layout]:
    """How the module's variables are called and lie in PyTorch, where not as ours."""
    if hasattr(module, "torch_layout"):
        return module.torch_layout()
    if isinstance(module, nnx.BatchNorm | nnx.LayerNorm):
        names = {"scale": "weight", "mean": "running_mean", "var": "running_var"}
        return {
            ours: Layout(theirs, getattr(module, ours).shape, np.asarray)
            for ours, theirs in names.items()
            if hasattr(module, ours)
        }
    if isinstance(module, nnx.Conv):
        *space, inputs, outputs = module.kernel.shape
        shape = (outputs, inputs, *space)
        return {"kernel": Layout("weight", shape, _from_convolution)}
    if isinstance(module, nnx.Linear):
        return {"kernel": Layout("weight", module.kernel.shape[::-1], np.transpose)}
    return {}


def _from_convolution(weight: np.ndarray) -> np.ndarray:
    return np.moveaxis(weight, (0, 1), (-1, -2))


def _sort_names(
    model: nnx.Module,
    slots: Mapping[str, Slot],
    state: Mapping[str, np.ndarray],
    part: str,
) -> tuple[dict[str, np.ndarray], dict[str, int], list[str]]:
    """The values meant for `part`, under today's names, what is left out, and what
    several of the state's names mean.
    """
    today = _todays_names(model, state)
    alone, unused = part == "encoder", getattr(type(model), "TORCH_UNUSED", ())
    prefix = _prefix(slots, today.values()) if alone else ""
    head = f"{_encoder_of(model).TORCH_HEAD}." if alone else None
    given: dict[str, np.ndarray] = {}
    ignored: dict[str, int] = {}
    doubled: list[str] = []
    for original, value in state.items():
        name, group = today[original], None
        if not name.startswith(prefix):
            group = name.split(".")[0]
        name = name.removeprefix(prefix)
        if head and name.startswith(head):
            group = name.split(".")[0]
        if any(re.match(pattern, original) for pattern in unused):
            group = name.split(".")[0]
        norm, _, leaf = name.rpartition(".")
        if leaf == COUNTER and f"{norm}.running_mean" in slots:
            group = COUNTER
        if group is None:
            doubled += [name] * (name in given)
            given[name] = value
        else:
            ignored[group] = ignored.get(group, 0) + 1
    return given, ignored, doubled


def _todays_names(model: nnx.Module, state: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Each name of the state, and how its original calls it today."""
    kinds = {type(module) for _, module in nnx.iter_modules(model)}
    changes = {c for kind in kinds for c in getattr(kind, "TORCH_OLD_NAMES", ())}
    today = {}
    for name in state:
        today[name] = name
        for pattern, new in changes:
            today[name] = re.sub(pattern, new, today[name])
    return today


def _prefix(slots: Mapping[str, Slot], names: Iterable[str]) -> str:
    """What stands before an encoder's names where it is part of a whole network.

    Each network calls it otherwise; it is what most of the names agree on.
    """
    votes: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for place in range(len(parts)):
            if ".".join(parts[place:]) in slots:
                votes[".".join([*parts[:place], ""])] += 1
    return max(votes, key=lambda prefix: votes[prefix], default="")


def _fault(name: str, slot: Slot, value: np.ndarray) -> str | None:
    shape = tuple(np.shape(value))
    comparable = (*shape[:1], 1, *shape[2:]) if slot.sums_inputs else shape
    if comparable != slot.shape or 0 in shape:
        return f"is {shape}, not {slot.shape}"
    if not jnp.issubdtype(value.dtype, jnp.floating) or value.dtype.itemsize < 2:
        return f"is {value.dtype}, not floating of 16 bits or more"
    wide = value.astype(np.float64)
    if not np.isfinite(wide).all():
        return "is not finite"
    kind = name.rpartition(".")[2]
    if kind == VARIANCE and wide.min() < 0:
        return f"has a negative variance, {wide.min():.3g}"
    most, allowed = np.abs(wide).max(), LARGEST.get(kind, LARGEST_WEIGHT)
    if most > allowed:
        return f"is as large as {most:.3g}, allowed is {allowed:.0e}"
    return None


def _listed(kind: str, names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    tail = f" and {more} more" if more > 0 else ""
    return f"{kind} {len(names)} ({', '.join(names[:NAMES_SHOWN])}{tail})"
