"""The front of every command: words that it takes, and how it ends.

A mistake is one line, `error: …`, and exit code 2; Ctrl-C and SIGTERM are one line and
128 + the signal. No command shows a traceback for what its user did.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from ultrasound_jax.runs.signals import Prompt
from ultrasound_jax.types import UltrasoundError


class Parser(argparse.ArgumentParser):
    """A command line whose mistakes are one line; its texts keep their lines."""

    def __init__(self, prog: str | None = None, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(prog, **options)

    def error(self, message: str) -> NoReturn:
        """Says what is wrong and ends with exit code 2."""
        self.exit(2, f"error: {message} ({self.prog} --help)\n")


def guard(work: Callable[[Prompt], int | None]) -> int:
    """The exit code of the work: its own or 0, 2 for our errors, 128 + signal.

    The work gets the prompt that catches the signals, and may ask it between two
    pieces whether one came.
    """
    prompt = Prompt()
    try:
        with prompt:
            return work(prompt) or 0
    except (UltrasoundError, OSError) as error:
        return refuse(error)
    except KeyboardInterrupt:
        print(prompt, file=sys.stderr)
        return prompt.code


def refuse(error: Exception) -> int:
    """The exit code of an error, which is printed as one line."""
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


def run_verb(
    program: str,
    description: str,
    verbs: Mapping[str, tuple[str, str]],
    argv: Sequence[str] | None,
) -> int:
    """The exit code of one verb of a program.

    Args:
        program: as one types it, e.g. `python -m ultrasound_jax.dicom`.
        description: what the verbs have in common.
        verbs: name -> (module, what it does in a line). A module has
            `add_arguments(parser)` and `run(given) -> exit code`, and is imported only
            when it is asked for; its docstring is the verb's help.
        argv: the words behind the program; those of the command line if None.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    width = max(map(len, verbs)) + 2
    lines = [f"  {name:{width}}{text}" for name, (_, text) in verbs.items()]
    more = f"{program} <verb> --help tells what a verb takes and writes."
    epilog = "\n".join(["verbs:", *lines, "", more])
    outer = Parser(program, description=description, epilog=epilog)
    outer.add_argument("verb", choices=verbs, metavar="verb", help="see below")
    verb = outer.parse_args(words[:1]).verb

    def work(prompt: Prompt) -> int:
        module = importlib.import_module(verbs[verb][0])
        parser = Parser(f"{program} {verb}", description=module.__doc__)
        module.add_arguments(parser)
        return module.run(parser.parse_args(words[1:]))

    return guard(work)
