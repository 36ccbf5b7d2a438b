"""What a study ends with: the report, and `results.json`, which can be committed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ultrasound_jax.analysis.commands.report import write_study
from ultrasound_jax.analysis.judge.assess import Wanted
from ultrasound_jax.analysis.judge.run import write_metrics
from ultrasound_jax.analysis.report.comparison_files import write_comparison
from ultrasound_jax.analysis.report.study_section import Further
from ultrasound_jax.analysis.table.inputs import (
    make_folder,
    open_runs,
)
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import read_json
from ultrasound_jax.study.plan import (
    Study,
    StudyError,
    check_runs,
    differences,
    shared_settings,
)
from ultrasound_jax.study.work import Outcome
from ultrasound_jax.types import UltrasoundError

KEPT = ("out_of_fold", "folds", "run")
RATES_FROM = {
    False: "the configuration, not searched in this study",
    True: "validation patients of fold 0, who are test patients of fold 1",
}


def conclude(
    study: Study, outcome: Outcome, say: Callable[[str], None]
) -> dict[str, Any]:
    """Writes `report/` and `results.json` about the networks that are finished.

    Raises StudyError where the report cannot be made, or where a run has other settings
    than the study.
    """
    check_runs(study)
    names = finished(study)
    if not names:
        raise StudyError(
            f"'{study.folder}': no network has all its folds; "
            + "; ".join(f"{k}: {v}" for k, v in outcome.failed.items())
        )
    report, run = study.folder / "report", provenance.facts()
    unfinished = [name for name in study.configs if name not in names]
    comparison = write_report(study, names, report, about(study, unfinished) | run)
    tree = {
        "run": run,
        "shared": shared_settings(study),
        "not_alike": differences(study.configs),
        "trials": study.trials,
        "rates_from": RATES_FROM[study.trials > 0],
        "networks": {name: network(study, name) for name in names},
        "failed": outcome.failed,
        "unfinished": unfinished,
    }
    if comparison is not None:
        tree["comparison"] = comparison
    write_metrics(study.folder / "results.json", tree)
    say(f"written: {report / 'report.html'}, {study.folder / 'results.json'}")
    return tree


def finished(study: Study) -> list[str]:
    """The networks whose folds are pooled."""
    return [
        name
        for name in study.configs
        if (study.run_folder(name) / "metrics.json").exists()
    ]


def network(study: Study, name: str) -> dict[str, Any]:
    """A network's metrics, its own settings, and what its search tried."""
    metrics = read_json(study.run_folder(name) / "metrics.json")
    tree = {key: metrics[key] for key in KEPT}
    alone = [
        read_json(study.run_folder(name) / f"fold_{fold}" / "metrics.json")
        for fold in study.folds
    ]
    # The networks may have been trained by another version than pooled their scores.
    tree["trained"] = {
        key: sorted({str(one["run"][key]) for one in alone})
        for key in ("commit", "date", "cpu", "devices")
    }
    config = study.of_fold(name, 0)
    tree["settings"] = {"model": config.model.to_dict(), "optim.lr": config.optim.lr}
    if study.tuned(name):
        search = read_json(study.tune_folder(name) / "tune.json")
        tree["search"] = {key: search[key] for key in ("best", "trials", "epochs")}
    return tree


def about(study: Study, unfinished: list[str]) -> dict[str, str]:
    """What a reader of the report must know of the study before its numbers."""
    shared = shared_settings(study)
    apart = differences(study.configs)
    found = {
        "dataset": str(shared["data.name"]),
        "folds": f"{len(study.folds)}, over patients, the same for all networks",
        "epochs": str(shared.get("train.epochs", "not alike")),
        "learning rates": RATES_FROM[study.trials > 0],
        "settings that are not alike": ", ".join(apart) or "none",
    }
    return found | ({"without": ", ".join(unfinished)} if unfinished else {})


def write_report(
    study: Study, names: list[str], folder: Path, facts: Mapping[str, str]
) -> dict[str, Any] | None:
    """Runs the analysis on the pooled predictions; returns what `compare` says.

    The first network is what the others are compared with. Raises StudyError where
    the numbers are not to be had.
    """
    try:
        runs = open_runs([str(study.run_folder(name)) for name in names])
        tree = write_study(runs, folder, asked=Wanted(), more=Further(facts=facts))
        if tree["comparison"] is not None:
            compared = make_folder(folder / "comparison")
            write_comparison(compared, tree["comparison"], facts=facts)
    except UltrasoundError as error:
        raise StudyError(f"the report could not be made: {error}") from error
    return tree["comparison"]
