"""What is told of a cross-validation beside its own numbers, for a committed study.

Everything here is read from the predictions that a run wrote; nothing is trained.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax import external_validation
from ultrasound_jax.analysis.judge.compare_models import compare_models
from ultrasound_jax.analysis.judge.run import judge_table
from ultrasound_jax.analysis.table.mask_table import read_table
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.analysis.table.splits import OUT_OF_FOLD
from ultrasound_jax.config import read
from ultrasound_jax.predict import model_file, open_run
from ultrasound_jax.predict.examples import own_experiment
from ultrasound_jax.predict.score_split import predictions
from ultrasound_jax.study.crossval import LONG, pool, worth_keeping
from ultrasound_jax.types import Settings

TOLD = ("class", "difference", "ci", "clustered_p", "holm_p", "survives")
MINUTES = "minutes of all folds"
HEADLINES = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auroc")


def of_crossval(
    metrics: Mapping[str, Any], folder: Path, *, references: Sequence[Path] = ()
) -> dict[str, Any]:
    """The pooled numbers, the folds' own, and paired tests against the references."""
    found = worth_keeping(metrics, "folds")
    found["judged"] = found.pop("run")
    found["minutes_trained"] = float(found["judged"][MINUTES])
    return found | beside(folder, references=references)


def beside(folder: Path, *, references: Sequence[Path] = ()) -> dict[str, Any]:
    """What is told of any cross-validated table, a probe's too."""
    found: dict[str, Any] = {}
    table = read_table(folder / "predictions.csv")
    if isinstance(table, Predictions) and table.kind == "multiclass":
        found["without_mixed_groups"] = without_mixed(table)
    if references:
        found["against"] = [against(folder, reference) for reference in references]
    return found


def mirrored(run: Path, out: Path, *, folds: int, data_dir: str) -> dict[str, Any]:
    """A finished cross-validation judged once more, with mirror images beside it.

    Its networks are as they are; what each says is the mean over a picture and its
    mirror image. The predictions table is written into `out`.

    Args:
        run: of the cross-validation.
        out: of the judgement.
        folds: how many it has.
        data_dir: of built datasets.
    """
    tables = []
    for fold in range(folds):
        folder = run / f"fold_{fold}"
        config: Settings = read(folder)
        config.data.data_dir, config.evaluation.mirrored = data_dir, True
        opened = open_run(folder)
        experiment = own_experiment(opened, config, lambda line: None)
        tables.append(
            predictions(experiment, opened.weights, fold=fold, splits=("test",))
        )
    table = pool(tables)
    out.mkdir(parents=True, exist_ok=True)
    table.write(out / "predictions.csv")
    tree = judge_table(table)[OUT_OF_FOLD]
    pooled = {name: branch for name, branch in tree.items() if name not in LONG}
    return {OUT_OF_FOLD: pooled} | beside(out, references=[run])


def against(folder: Path, reference: Path) -> dict[str, Any]:
    """The differences of AUROC to a reference on the same examples, clustered tests."""
    tables = {
        place.name: read_table(place / "predictions.csv")
        for place in (reference, folder)
    }
    compared = compare_models(tables, reference.name)
    rows = [{key: row[key] for key in TOLD} for row in compared["differences"]]
    return {"reference": reference.name, "differences": rows}


def without_mixed(table: Predictions) -> dict[str, Any]:
    """The numbers without patients whose examples have different labels.

    Where a group of near duplicates has two labels, one of them is wrong or the groups
    are: nobody knows which, so results are told with them and without.
    """
    label = table.labels.argmax(axis=1)
    labels: dict[str, set[int]] = {}
    for patient, one in zip(table.patient_id, label.tolist(), strict=True):
        labels.setdefault(patient, set()).add(one)
    mixed = {patient for patient, several in labels.items() if len(several) > 1}
    kept = np.array([patient not in mixed for patient in table.patient_id])
    about = {"patients": len(mixed), "examples": int((~kept).sum())}
    if kept.all():
        return {"left_out": about}
    tree = judge_table(table.rows(kept))[OUT_OF_FOLD]
    level = tree[table.units[0]]
    names = [n for one in HEADLINES for n in (one, f"{one}_ci")]
    return {"left_out": about, "n": level["n"]} | {name: level[name] for name in names}


def elsewhere(
    run: Path,
    out: Path,
    *,
    folds: int,
    data: Mapping[str, Any],
    data_dir: str,
    number: str = "macro_auroc",
) -> dict[str, Any]:
    """Every fold's network on another dataset, as `--mode evaluate` judges it there.

    Args:
        run: of the cross-validation.
        out: where the judgements lie.
        folds: how many it has.
        data: the other dataset: `name`, `manual_dir`, `options.<option>`.
        data_dir: of built datasets.
        number: that is told of every fold, over all classes and, less its `macro_`, of
            each class.
    """
    trees = []
    for fold in range(folds):
        folder = run / f"fold_{fold}"
        config: Settings = read(folder)
        config.data.data_dir = data_dir
        prepared = model_file.read(folder)["preprocessing"]["options"]
        changed = external_validation.other_data(config, data, prepared)
        tree = external_validation.judge_elsewhere(changed, folder, out / folder.name)
        trees.append({k: v for k, v in tree["test"].items() if k not in LONG})
    level = next(iter(trees[0]))
    of_class = number.removeprefix("macro_")
    return {
        "dataset": data["name"],
        "level": level,
        "n": trees[0][level]["n"],
        number: [tree[level][number] for tree in trees],
        "classes": _by_class([tree[level] for tree in trees], of_class),
        "first_fold": trees[0],
    }


def _by_class(
    levels: Sequence[Mapping[str, Any]], number: str
) -> dict[str, list[float | None]]:
    """A number of each class in every fold's network."""
    names = levels[0]["classes"]
    return {n: [level["classes"][n][number] for level in levels] for n in names}
