"""Measures speed: `python -m ultrasound_jax.benchmark --help`."""

import sys

from ultrasound_jax.study.benchmark import main

if __name__ == "__main__":
    sys.exit(main())
