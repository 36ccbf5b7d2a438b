"""How a command ends: a mistake and a signal are one line each, and an exit code."""

import sys
from collections.abc import Callable

from ultrasound_jax.runs.signals import Prompt
from ultrasound_jax.types import UltrasoundError


def guard(program: str, work: Callable[[Prompt], object]) -> int:
    """Does the work and returns the exit code: 0, 2 for our errors, 128 + signal."""
    prompt = Prompt()
    try:
        with prompt:
            work(prompt)
    except (UltrasoundError, OSError) as error:
        return refuse(program, error)
    except KeyboardInterrupt:
        print(f"{program}: {prompt}", file=sys.stderr)
        return prompt.code
    return 0


def refuse(program: str, error: Exception) -> int:
    """Prints the error as one line and returns the exit code."""
    print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
    return 2
