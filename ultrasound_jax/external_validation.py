"""A finished run judged on another dataset: `--mode evaluate --config.data.name=…`.

What was learnt and chosen stays as it is: weights, preprocessing and thresholds are the
run's. Classes are matched by name; those that only one side has are left out and told.
Patients of the run must not be among those that are judged, where ids can tell, and
pictures of both sides are compared for near duplicates.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ultrasound_jax import evaluate
from ultrasound_jax.config import (
    ConfigError,
    check,
    flatten,
    override,
    parsed,
)
from ultrasound_jax.data import source as sources
from ultrasound_jax.data.dataset import open_dataset
from ultrasound_jax.external_matching import (
    check_patients,
    in_common,
    judged_places,
    matched,
    thresholds_at,
    trained_on,
)
from ultrasound_jax.predict import model_file, open_run
from ultrasound_jax.predict.examples import with_source
from ultrasound_jax.predict.score_split import predictions
from ultrasound_jax.runs.names import file_name
from ultrasound_jax.training import sharding
from ultrasound_jax.training.console import Console, Stopwatch
from ultrasound_jax.types import Settings

SPLIT = "test"  # what the other dataset is to the run
# What may be said of a judgement beside its data; all else was settled by training.
OF_JUDGING = (
    "compilation_cache",
    "data.data_dir",
    "data.eval_batch_size",
    "data.threads",
    "data.prefetch",
    "evaluation.replicates",
    "evaluation.mask_file",
)


def judge(
    config: Settings, workdir: Path, assigned: Sequence[str], *, out: str, mode: str
) -> dict:
    """Does what a command line with settings and without a configuration file means.

    Settings of the data, or `--out`, judge the run elsewhere; those of OF_JUDGING only
    say how. Others are refused: another fold would judge patients that it was trained
    on, and another network would be ignored.
    """
    if mode != "evaluate":
        raise ConfigError(
            f"--mode {mode} takes its settings behind --config=FILE, and no --out: the "
            "other form is for --mode evaluate of a finished run"
        )
    data, others = {}, []
    for assignment in assigned:
        key, equals, text = assignment.partition("=")
        if key.startswith(("data.name", "data.options.", "data.manual_dir")):
            name = key.removeprefix("data.")
            data[name] = parsed(text) if name.startswith("options.") else text
        else:
            others.append(assignment)
    set_judging(config, others)
    if data.keys() <= {"manual_dir"} and not out:  # of its own files, to be built anew
        if "manual_dir" in data:
            config.data.manual_dir = data["manual_dir"]
        return evaluate.evaluate_run(config, workdir)
    prepared = model_file.read(workdir)["preprocessing"]["options"]
    changed = other_data(config, data, prepared)
    return judge_elsewhere(changed, workdir, out_folder(workdir, changed, out))


def set_judging(config: Settings, assigned: Sequence[str]) -> None:
    """Sets how a finished run is judged; ConfigError for what it was trained with."""
    before = dict(flatten(config))
    override(config, assigned)
    for key, value in flatten(config):
        if key not in OF_JUDGING and value != before.get(key):
            raise ConfigError(
                f"config.{key}={value!r} is not allowed: the run was trained with "
                f"{before.get(key)!r}; --mode evaluate takes data.name, data.options, "
                f"data.manual_dir, {', '.join(OF_JUDGING)}"
            )
    check(config)


def judge_elsewhere(config: Settings, workdir: Path, out: Path) -> dict:
    """Judges the run in `workdir` on the dataset of `config.data`; writes into `out`.

    Writes predictions.csv, metrics.json and report.md as a run has them, and returns
    the metrics. The run's own files stay as they are.

    Raises:
        ConfigError: `out` has other files.
        SpecError: the datasets have no class in common, or the other one's examples
            have another shape.
        SplitError: patients of the run are among those that would be judged.
    """
    console, clock = Console(), Stopwatch()
    check_out(out, workdir)
    with clock.of("opening"):
        run = open_run(workdir, console.say)
        unread = files_not_read(config.data)
        whole = open_dataset(config.data, console.say, **sharding.building())
        source, notes = matched(run, whole)
        notes |= unread | check_patients(run, source, config, console.say)
        places = judged_places(run, source, notes)
        experiment = with_source(run, config, source, {SPLIT: places}, manifest=None)
    with clock.of("evaluation"):
        out.mkdir(parents=True, exist_ok=True)
        table = predictions(
            experiment, run.weights, fold=0, splits=(SPLIT,), folder=out
        )
        thresholds = {}
        if run.spec.of_role("labels"):
            table = in_common(table, whole.classes)
            thresholds = thresholds_at(run, table, notes)
    for name, note in notes.items():
        console.say(f"{name}: {note}")
    facts = {"trained on": trained_on(run), **notes}
    facts |= {"weights": run.note} if run.note else {}
    return evaluate.write_report(
        table,
        experiment,
        out,
        console.say,
        clock,
        facts=facts,
        thresholds=thresholds,
    )


def out_folder(workdir: Path, config: Settings, given: str) -> Path:
    """Where the judgement is written: as given, or `on_<dataset>` in the run."""
    if given:
        return Path(given).absolute()
    return workdir / f"on_{file_name(config.data.name)}"


def check_out(out: Path, workdir: Path) -> None:
    """Refuses a folder that is the run's own, or holds something else."""
    own = ("model.json", "config.json", "splits.json")  # of a run, or of its folds
    if out == workdir or any((out / name).exists() for name in own):
        raise ConfigError(f"--out '{out}' is a run's own folder; give another one")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out '{out}' is a file; it must be a folder")
    strange = out.exists() and any(p.name[0] != "." for p in out.iterdir())
    if strange and not (out / "predictions.csv").exists():
        raise ConfigError(
            f"--out '{out}' holds other files; give an empty or a new one"
        )


def other_data(
    config: Settings, overrides: Mapping[str, Any], prepared: Mapping[str, Any]
) -> Settings:
    """The run's settings with another dataset's in place of its own.

    The other builder's options are what the run's preprocessing says, where it has an
    option of that name, and then what the command line says.

    Args:
        config: the run's.
        overrides: `name`, `manual_dir`, `options.<option>`.
        prepared: every option of the run's builder, also those that its settings left
            to defaults: those of the other builder may be others.
    """
    changed = copy.deepcopy(config)
    data = dict(overrides)
    name = data.pop("name", config.data.name)
    options = {
        key.removeprefix("options."): data.pop(key)
        for key in list(data)
        if key.startswith("options.")
    }
    if name != config.data.name:
        known = sources.builder_options(name, {})
        options = {
            key: value for key, value in prepared.items() if key in known
        } | options
    else:
        options = config.data.options.to_dict() | options
    with changed.unlocked():
        changed.data.name = name
        changed.data.options = options
        changed.data.manifest = changed.data.manual_dir = ""
        for key, value in data.items():
            if key not in changed.data:
                raise ConfigError(
                    f"unknown setting 'config.data.{key}'; there are: "
                    f"{', '.join(sorted(changed.data))}"
                )
            changed.data[key] = value
    return changed


def files_not_read(data: Settings) -> dict[str, str]:
    """A note where files are given for a dataset that is built: they are not read.

    Another hospital's files need another `data_dir` than those of the same builder that
    were built before.
    """
    options = data.options.to_dict()
    builder = sources.open_builder(data.name, options, data.data_dir)
    if not data.manual_dir or not builder.is_prepared():
        return {}
    told = f"not read, as {builder.info.full_name} is built already"
    return {"files in data.manual_dir": told}
