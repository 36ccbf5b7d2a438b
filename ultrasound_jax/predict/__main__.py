"""Trained runs: `python -m ultrasound_jax.predict <verb> …`."""

import sys
from collections.abc import Sequence

from ultrasound_jax.runs.cli import run_verb

VERBS = {
    "describe": (
        "ultrasound_jax.predict.describe",
        "what a run was trained on and for, and what it decides by",
    ),
    "weights": (
        "ultrasound_jax.predict.weights",
        "its weights as safetensors, to start another run from, or for PyTorch",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one verb: 0, 2 for an error of the user, 128 + signal."""
    return run_verb(
        "python -m ultrasound_jax.predict",
        "What a trained run is; its folder is all that is needed.",
        VERBS,
        argv,
    )


if __name__ == "__main__":
    sys.exit(main())
