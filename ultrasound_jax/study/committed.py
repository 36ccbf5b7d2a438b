"""Cross-validations whose results are committed: the command of such a script."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import logging

from ultrasound_jax import config as settings
from ultrasound_jax.runs import cli, provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.study.crossval import cross_validate_all


def command(
    files: Mapping[str, str],
    *,
    description: str | None,
    root: Path,
    workdir: Path,
    out: Path,
    argv: Sequence[str] | None = None,
) -> int:
    """The exit code of a script that cross-validates and writes one file of results.

    Args:
        files: the configurations by the names that results have them by.
        description: of the script.
        root: of the repository, which the files are named from.
        workdir: where the runs lie unless the command line says otherwise.
        out: where the results are written.
        argv: the words behind the script; those of the command line if None.
    """
    parser = cli.Parser(description=description)
    parser.add_argument("--manual_dir", required=True, help="holds the dataset's files")
    parser.add_argument("--data_dir", default="", help="of built datasets")
    parser.add_argument("--workdir", type=Path, default=workdir)
    parser.add_argument("--epochs", type=int, help="fewer, to try the command")
    parser.add_argument("--out", type=Path, default=out)
    given = parser.parse_args(argv)

    def work(prompt: object) -> None:
        logging.set_verbosity(logging.ERROR)
        configs = {}
        for name, file in files.items():
            config = configs[name] = settings.load(str(root / file))
            config.data.manual_dir = given.manual_dir
            config.data.data_dir = given.data_dir
            config.train.epochs = given.epochs or config.train.epochs
        results = cross_validate_all(configs, given.workdir)
        for name, file in files.items():
            results[name]["config"] = file
        text = json.dumps({"run": provenance.facts()} | results, indent=1)
        write_whole(given.out, text + "\n")
        print(f"written: {given.out}", file=sys.stderr)

    return cli.guard(work)
