"""Published weights: `python -m ultrasound_jax.models <verb> …`."""

import sys
from collections.abc import Sequence

from ultrasound_jax.runs.cli import run_verb

VERBS = {
    "from-torch": (
        "ultrasound_jax.models.from_torch",
        "an old-style PyTorch archive of plain tensors as safetensors",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one verb: 0, 2 for an error of the user, 128 + signal."""
    return run_verb(
        "python -m ultrasound_jax.models",
        "Weights that others have published, as files that networks start from.",
        VERBS,
        argv,
    )


if __name__ == "__main__":
    sys.exit(main())
