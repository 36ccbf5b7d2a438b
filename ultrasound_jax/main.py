"""Trains, evaluates or cross-validates: `python -m ultrasound_jax.main --help`."""

import sys
from collections.abc import Sequence

from absl import app, flags, logging
from ml_collections import config_flags

from ultrasound_jax import config as settings
from ultrasound_jax import evaluate, train
from ultrasound_jax import workdir as workdirs
from ultrasound_jax.runs import cli
from ultrasound_jax.study import crossval, tune
from ultrasound_jax.training import sharding, steps
from ultrasound_jax.types import UltrasoundError

PROGRAM = "ultrasound_jax"
MODES = {
    "train": train.train_and_evaluate,
    "evaluate": evaluate.evaluate_run,
    "crossval": crossval.cross_validate,
    "tune": tune.tune,
}
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
CLUSTER = flags.DEFINE_bool("distributed", False, "join as Slurm or the cloud says")
HOST = flags.DEFINE_string("coordinator", None, "or say it: host:port of process 0")
COUNT = flags.DEFINE_integer("processes", None, "and how many processes share the run")
RANK = flags.DEFINE_integer("process", None, "and this one's number, from 0")
# What parsing raises; KeyError where a file locks options that flags would add.
MISTAKES = (UltrasoundError, flags.Error, ValueError, TypeError, KeyError, OSError)


def parse(argv: Sequence[str]) -> list[str]:
    """Parses the command line; a mistake in it ends the program with one line."""
    try:
        settings.check_overrides(argv)
        return flags.FLAGS(list(argv))
    except MISTAKES as error:
        sys.exit(cli.refuse(PROGRAM, error))


def main(argv: Sequence[str]) -> int | None:
    """Runs the mode; an error of ours is one line and exit code 2."""
    logging.set_verbosity(logging.ERROR)  # TFDS and Orbax tell of every file
    code = cli.guard(PROGRAM, lambda prompt: run(argv[1:]))
    return sharding.leave(code) if code else None


def run(rest: Sequence[str]) -> None:
    """Does what the flags say; `rest` are words that are no flags."""
    sharding.join(CLUSTER.value, HOST.value, COUNT.value, RANK.value)
    flag = flags.FLAGS["config"]
    file = config_flags.get_config_filename(flag) if flag.present else ""
    options = {"mode": MODE.value, "workdir": WORKDIR.value, "rest": rest}
    config, workdir = workdirs.resolve(CONFIG.value, file, **options)
    steps.use_compilation_cache(config.compilation_cache)
    MODES[MODE.value](config, workdir)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
