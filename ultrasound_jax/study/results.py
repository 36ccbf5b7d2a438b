"""What a study ends with: the report, and `results.json`, which can be committed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ultrasound_jax import provenance
from ultrasound_jax.analysis import __main__ as analysis
from ultrasound_jax.analysis.evaluation import write_metrics
from ultrasound_jax.study.plan import Study, StudyError, differences, shared_settings
from ultrasound_jax.study.worker import Outcome

KEPT = ("out_of_fold", "folds", "run")
RATES_FROM = {
    False: "the configuration, not searched in this study",
    True: "validation patients of fold 0, who are test patients of fold 1",
}


def conclude(
    study: Study, outcome: Outcome, command: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """Writes `report/` and `results.json` about the networks that are finished.

    Raises StudyError where the report cannot be made.
    """
    names = finished(study)
    if not names:
        raise StudyError(
            f"'{study.folder}': no network has all its folds; "
            + "; ".join(f"{k}: {v}" for k, v in outcome.failed.items())
        )
    report = study.folder / "report"
    comparison = write_report(study, names, report)
    tree = {
        "run": provenance.facts() | {"command": command},
        "shared": shared_settings(study),
        "not_alike": differences(study.configs),
        "trials": study.trials,
        "rates_from": RATES_FROM[study.trials > 0],
        "networks": {name: network(study, name) for name in names},
        "failed": outcome.failed,
        "unfinished": [name for name in study.configs if name not in names],
    }
    if comparison is not None:
        tree["comparison"] = comparison
    write_metrics(study.folder / "results.json", tree)
    say(f"written: {report / 'report.html'}, {study.folder / 'results.json'}")
    return tree


def finished(study: Study) -> list[str]:
    """Returns the networks whose folds are pooled."""
    return [
        name
        for name in study.configs
        if (study.run_folder(name) / "metrics.json").exists()
    ]


def network(study: Study, name: str) -> dict[str, Any]:
    """Returns a network's metrics, its own settings, and what its search tried."""
    metrics = json.loads((study.run_folder(name) / "metrics.json").read_text())
    tree = {key: metrics[key] for key in KEPT}
    config = study.of_fold(name, 0)
    tree["settings"] = {"model": config.model.to_dict(), "optim.lr": config.optim.lr}
    if study.tuned(name):
        search = json.loads((study.tune_folder(name) / "tune.json").read_text())
        tree["search"] = {key: search[key] for key in ("best", "trials", "epochs")}
    return tree


def write_report(study: Study, names: list[str], folder: Path) -> Any | None:
    """Runs the analysis on the pooled predictions; returns what `compare` says.

    The first network is what the others are compared with.
    """
    runs = [str(study.run_folder(name)) for name in names]
    compared = folder / "comparison"
    if len(runs) > 1:
        _analyse(["compare", *runs, "--out", str(compared)])
    _analyse(["report", *runs, "--out", str(folder)])
    path = compared / "compare.json"
    return json.loads(path.read_text()) if path.exists() else None


def _analyse(words: list[str]) -> None:
    code = analysis.main(words)
    if code:
        raise StudyError(f"the analysis '{words[0]}' ended with code {code}; see above")
