"""Audits a dataset: `python -m ultrasound_jax.data.audit --help`."""

import sys

from ultrasound_jax.data.audit.command import main

if __name__ == "__main__":
    sys.exit(main())
