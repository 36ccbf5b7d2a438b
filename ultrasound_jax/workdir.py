"""A run's folder: what it is called, and whose it is."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import jax

from ultrasound_jax.config import (
    ConfigError,
    check,
    complete,
    flatten,
    override,
    read,
    write,
)
from ultrasound_jax.training import process_zero
from ultrasound_jax.types import Settings, UltrasoundError

# What may differ when a run continues: where things lie and how they are read.
FREE = (
    "compilation_cache",
    "memory_limit_gb",
    "data.data_dir",
    "data.manual_dir",
    "data.manifest",  # the splits themselves are compared, see write_manifest
    "data.manifest_out",
    "data.threads",
    "data.prefetch",
    "data.eval_batch_size",
    "train.log_every",
    "train.save_every",
    "tune.trials",
    "evaluation.replicates",
    "radiomics.processes",
)
JOURNAL = "tune.journal"  # marks the folder of --mode tune
FEATURES = "features"  # and of --mode probe
ROTATING = ("crossval", "probe")  # modes in which every patient is judged once


def workdir_name(config_file: str, mode: str = "train") -> str:
    """`runs/<config>[-<arg>]`, and behind it the mode where it is not training."""
    path, _, arg = config_file.partition(":")
    words = [Path(path).stem, arg, mode if mode in (*ROTATING, "tune") else ""]
    return str(Path("runs") / "-".join(word for word in words if word))


def resolve(
    given: Settings | None,
    config_file: str,
    *,
    mode: str,
    workdir: str,
    rest: Sequence[str],
    assigned: Sequence[str] = (),
) -> tuple[Settings, Path]:
    """The settings and the folder that a command line means.

    Without `--config` both are those of an existing run, and `assigned` (`x=v`) is what
    the command line says besides: of where things lie, as FREE has it, unless the run
    is judged. Cross-validation rotates all patients through its folds; a folder of one
    mode is refused to the other.
    """
    if rest:
        raise ConfigError(f"unexpected argument '{rest[0]}'; settings are --config.x=y")
    if given is None and not workdir:
        raise ConfigError("give --config=configs/luvnet.py, or --workdir of a run")
    folder = Path(workdir or workdir_name(config_file, mode)).absolute()
    say = print if jax.process_index() == 0 else lambda line: None
    config = read(folder, say) if given is None else given
    if mode != "evaluate":
        override(config, assigned)
    if mode != "evaluate" or not assigned:  # else with what is said of the judgement
        check(config)
    complete(config)
    if mode != "tune" and (folder / JOURNAL).exists():
        raise ConfigError(f"--workdir '{folder}' holds a search; give --mode tune")
    if mode != "probe" and (folder / FEATURES).exists():
        raise ConfigError(f"--workdir '{folder}' holds a probe; give --mode probe")
    if mode in ("train", "probe") and any(folder.glob("fold_*/config.json")):
        raise ConfigError(
            f"--workdir '{folder}' holds a cross-validation; give --mode crossval, or "
            "one of its folds"
        )
    if mode != "crossval" and (what := config.radiomics.features):
        raise ConfigError(
            f"config.radiomics.features='{what}' is for --mode crossval alone: its "
            "classifiers are trained and judged fold by fold"
        )
    if mode in ROTATING:
        config.data.protocol, config.data.test_fraction = "rotation", 0.0
    if mode != "evaluate":
        check_workdir(config, folder)
    elif given is not None:
        config.data.protocol = read(folder).data.protocol
        check_workdir(config, folder)
    return config, folder


def check_workdir(config: Settings, folder: Path) -> None:
    """Refuses a folder that holds something else, or a run with other settings.

    The settings in FREE may differ, since they do not change what is computed.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--workdir '{folder}' is a file; it must be a folder")
    _check_writable(folder)
    # Looked at once: another process of the same run may be writing its first file.
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if "config.json" not in names:
        if any(name[0] != "." for name in names):
            raise ConfigError(
                f"--workdir '{folder}' holds other files and no run (no config.json); "
                "give an empty or a new folder"
            )
        return
    if changed := changes(config, folder):
        raise ConfigError(
            f"--workdir '{folder}' holds a run with other settings: "
            f"{'; '.join(changed[:3])}{'; …' if changed[3:] else ''}. "
            "Give the same settings to continue it, or another --workdir"
        )


def _check_writable(folder: Path) -> None:
    """Refuses at the start what would fail after a dataset was built."""
    there = folder.absolute()
    while not os.path.lexists(there):
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(
            f"--workdir '{folder}': nothing may be written into '{there}'"
        )


def changes(config: Settings, folder: Path) -> list[str]:
    """`name=new (there old)` of each setting that a run has otherwise.

    Those in FREE are left out, as they do not change what is computed.
    """
    begun = read(folder)
    with contextlib.suppress(ConfigError):  # of another kind altogether
        complete(begun)
    old, new = dict(flatten(begun)), dict(flatten(config))
    names = sorted(name for name in old.keys() | new.keys() if name not in FREE)
    return [
        f"{name}={new.get(name)!r} (there {old.get(name)!r})"
        for name in names
        if old.get(name) != new.get(name)
    ]


def claim_workdir(config: Settings, folder: Path) -> None:
    """Makes `folder` this run's own, or continues the run that is in it.

    What the settings leave to defaults is written out. With several processes all must
    call; process 0 claims, and the others write nothing before it has.

    Raises:
        ConfigError: the folder holds something else, or a run with other settings.
    """
    complete(config)
    problem: Exception | None = None
    if jax.process_index() == 0:
        try:
            check_workdir(config, folder)
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "config.json").exists():
                write(config, folder)
        except (UltrasoundError, OSError) as error:
            problem = error  # raised behind what the others wait for
    if process_zero.told(problem is not None):
        raise problem or ConfigError(f"--workdir '{folder}' was refused by process 0")
    if jax.process_index() != 0:
        check_workdir(config, folder)
