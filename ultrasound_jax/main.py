"""Trains, evaluates or cross-validates: `python -m ultrasound_jax.main --help`.

JAX and all that stands on it take seconds to import; they are imported where they are
needed, after the command line is known to mean anything, and after a word about it.
"""

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from absl import app, flags, logging
from ml_collections import config_flags

from ultrasound_jax import config_file
from ultrasound_jax.runs.cli import guard, refuse
from ultrasound_jax.types import UltrasoundError

MODES = {
    "train": ("ultrasound_jax.train", "train_and_evaluate"),
    "evaluate": ("ultrasound_jax.evaluate", "evaluate_run"),
    "crossval": ("ultrasound_jax.study.crossval", "cross_validate"),
    "probe": ("ultrasound_jax.study.probe", "probe"),
    "tune": ("ultrasound_jax.study.tune", "tune"),
}
RADIOMICS = ("ultrasound_jax.study.radiomics", "classify")  # of --mode crossval


class JsonList(flags.ArgumentParser):
    """A setting that is a list, as `--config.augment=[]`."""

    def parse(self, argument: Any) -> list:
        """Reads a list in JSON; a default is one already."""
        try:
            value = json.loads(argument) if isinstance(argument, str) else argument
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, list):
            raise ValueError("it must be a list in JSON, such as []")
        return value


config_flags.register_flag_parser_for_type(list, JsonList())
# Which options a network has, it knows itself: a file need not name them all, so flags
# may. `settings.check_overrides` refuses whatever else is new.
CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "path[:variant]",
    lock_config=False,
    accept_new_attributes=True,
)
MODE = flags.DEFINE_enum("mode", "train", list(MODES), "what to do")
WORKDIR = flags.DEFINE_string("workdir", "", "the run's folder; runs/<config>[-<arg>]")
OUT = flags.DEFINE_string("out", "", "of --mode evaluate on another dataset")
CLUSTER = flags.DEFINE_bool("distributed", False, "join as Slurm or the cloud says")
HOST = flags.DEFINE_string("coordinator", None, "or say it: host:port of process 0")
COUNT = flags.DEFINE_integer("processes", None, "and how many processes share the run")
RANK = flags.DEFINE_integer("process", None, "and this one's number, from 0")
# What parsing raises; KeyError where a file locks options that flags would add.
MISTAKES = (UltrasoundError, flags.Error, ValueError, TypeError, KeyError, OSError)


ASSIGNED: list[str] = []  # `data.name=pocus` of a command line without --config


def parse(argv: Sequence[str]) -> list[str]:
    """Parses the command line; a mistake in it ends the program with one line."""
    try:
        if not {"-h", "-help", "--help", "--helpfull"}.isdisjoint(argv):
            flags.FLAGS(list(argv))  # prints the help and ends
        given = config_file.located(argv)
        if file := config_file.named(given):
            config_file.load(file)  # a wrong variant is told at once
        print("importing JAX …", flush=True)
        from ultrasound_jax import config as settings

        settings.check_overrides(argv)
        for file in given:
            if file not in argv:
                print(f"settings: {file}")  # no file here: the one that comes with us
        rest, ASSIGNED[:] = settings.assignments(given)
        with config_file.importable():
            return flags.FLAGS(rest)
    except MISTAKES as error:
        sys.exit(refuse(error))


def main(argv: Sequence[str]) -> int | None:
    """Runs the mode; an error of ours is one line and exit code 2."""
    logging.set_verbosity(logging.ERROR)  # TFDS and Orbax tell of every file
    code = guard(lambda prompt: run(argv[1:]))
    from ultrasound_jax.training import sharding

    return sharding.leave(code) if code else None


def run(rest: Sequence[str]) -> None:
    """Does what the flags say; `rest` are words that are no flags."""
    from ultrasound_jax import external_validation
    from ultrasound_jax import workdir as workdirs
    from ultrasound_jax.training import compiling, sharding

    sharding.join(CLUSTER.value, HOST.value, COUNT.value, RANK.value)
    flag = flags.FLAGS["config"]
    file = config_flags.get_config_filename(flag) if flag.present else ""
    config, workdir = workdirs.resolve(
        CONFIG.value,
        file,
        mode=MODE.value,
        workdir=WORKDIR.value,
        rest=rest,
        assigned=ASSIGNED,
    )
    compiling.use_compilation_cache(config.compilation_cache)
    if (ASSIGNED and MODE.value == "evaluate") or OUT.value:
        external_validation.judge(
            config, workdir, ASSIGNED, out=OUT.value, mode=MODE.value
        )
    else:
        of_network = not config.radiomics.features
        module, function = MODES[MODE.value] if of_network else RADIOMICS
        getattr(import_module(module), function)(config, workdir)


def cli() -> None:
    """The program as an installed command; ends with its exit code."""
    for flag in flags.FLAGS.get_key_flags_for_module(__name__):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)  # for --help
    app.run(main, flags_parser=parse)


if __name__ == "__main__":
    cli()
