"""Measures an outlined region: `python -m ultrasound_jax.radiomics --help`."""

import sys

from ultrasound_jax.radiomics.command import main

if __name__ == "__main__":
    sys.exit(main())
