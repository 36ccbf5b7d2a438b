"""Searches a policy: `python -m ultrasound_jax.augment.search --help`."""

import sys
from collections.abc import Sequence
from importlib import import_module


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the search, which stands on a floor above."""
    return import_module("ultrasound_jax.study.policy_search").main(arguments)


if __name__ == "__main__":
    sys.exit(main())
