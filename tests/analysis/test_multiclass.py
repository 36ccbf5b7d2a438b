"""Tables of which exactly one class is true, against scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from tests.analysis.simulated import simulate
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.judge.run import (
    headline,
    judge_table,
    youden_thresholds,
)
from ultrasound_jax.analysis.report.run_report import write_report
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.table.predictions import Predictions

CLASSES = ("benign", "malignant", "normal")


def simulated(count: int = 120, group: int = 1) -> Predictions:
    """Images of patients of four; a group's images are of one class."""
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.choice(3, count // group, p=(0.5, 0.3, 0.2)), group)
    logits = 1.2 * np.eye(3)[truth] + rng.normal(size=(count, 3))
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(
        example_id=tuple(f"e{i}" for i in range(count)),
        video_id=tuple(f"g{i // group}" for i in range(count)),
        patient_id=tuple(f"p{i // 4}" for i in range(count)),
        fold=np.zeros(count, int),
        split=("test",) * count,
        classes=CLASSES,
        labels=np.eye(3)[truth],
        scores=scores.astype(np.float32),
        units=("image", "image") if group == 1 else ("image", "lesion"),
    )


@pytest.fixture(scope="module")
def table():
    return simulated()


@pytest.fixture(scope="module")
def level(table):
    return judge_table(table, replicates=200)["test"]["image"]


def test_numbers_of_all_classes_are_those_of_scikit_learn(table, level):
    truth, decided = table.labels.argmax(axis=1), table.scores.argmax(axis=1)
    expected = {
        "macro_auroc": reference.roc_auc_score(table.labels, table.scores),
        "accuracy": reference.accuracy_score(truth, decided),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, decided),
        "macro_f1": reference.f1_score(truth, decided, average="macro"),
        "kappa": reference.cohen_kappa_score(truth, decided),
    }
    for name, value in expected.items():
        assert level[name] == pytest.approx(value)
        low, high = level[f"{name}_ci"]
        assert low < value < high
    assert level["macro_sensitivity"] == pytest.approx(level["balanced_accuracy"])
    matrix = reference.confusion_matrix(truth, decided)
    assert level["confusion"]["counts"] == matrix.tolist()
    assert level["confusion"]["classes"] == list(CLASSES)


def test_numbers_of_each_class_are_those_of_the_highest_score(table, level):
    truth, decided = table.labels.argmax(axis=1), table.scores.argmax(axis=1)
    precision, recall, _, _ = reference.precision_recall_fscore_support(truth, decided)
    for k, name in enumerate(CLASSES):
        entry = level["classes"][name]
        assert entry["positive_predictive_value"] == pytest.approx(precision[k])
        assert entry["sensitivity"] == pytest.approx(recall[k])
        others = reference.recall_score(truth != k, decided != k)
        assert entry["specificity"] == pytest.approx(others)
        for number in ("positive_predictive_value", "sensitivity", "specificity"):
            low, high = entry[f"{number}_ci"]
            assert low < entry[number] < high
        assert "threshold" not in entry


def test_intervals_are_of_repeated_patients(table, level):
    # Patients are drawn in the order of what their rows hold.
    content = (table.labels, table.scores)
    patient = bootstrap.numbered(table.patient_index(), *content)
    count = int(patient.max()) + 1
    drawn = np.random.default_rng(0).multinomial(
        count, np.full(count, 1 / count), size=200
    )
    truth, decided = table.labels.argmax(axis=1), table.scores.argmax(axis=1)
    samples = []
    for weights in drawn:
        rows = np.repeat(np.arange(len(table)), weights[patient])
        samples.append(reference.cohen_kappa_score(truth[rows], decided[rows]))
    expected = np.quantile(samples, (0.025, 0.975)).tolist()
    assert level["kappa_ci"] == pytest.approx(expected)


def test_perfect_decisions_have_an_interval_that_patients_can_bear(table):
    sure = replace(table, scores=table.labels)
    level = judge_table(sure, replicates=200)["test"]["image"]
    assert level["balanced_accuracy"] == 1 and level["kappa"] == 1
    # Four images a patient: not surer than the patients allow, and not much less.
    low, high = level["accuracy_ci"]
    assert high == 1 and abs(low - 0.025 ** (1 / 30)) < 0.05
    low, high = level["balanced_accuracy_ci"]
    assert low < level["accuracy_ci"][0] and high == 1
    assert level["kappa_ci"] is None


def test_only_where_one_class_is_true_and_scores_add_up_is_it_multiclass(table):
    assert table.kind == "multiclass"
    assert table.rows(np.arange(1)).kind == "multiclass"
    labels = table.labels.copy()
    labels[0] = (1, 1, 0)
    assert replace(table, labels=labels).kind == "multilabel"
    labels[0] = (1, 0, np.nan)
    assert replace(table, labels=labels).kind == "multilabel"
    scores = np.array(table.scores)
    scores[5] *= 0.999
    assert replace(table, scores=scores).kind == "multilabel"
    one = replace(
        table, classes=("a",), labels=np.ones((120, 1)), scores=np.ones((120, 1))
    )
    assert one.kind == "multilabel"
    assert simulate(np.random.default_rng(0), 5).kind == "multilabel"


def test_no_validation_rows_and_no_thresholds_are_needed(table):
    tree = judge_table(table, replicates=200)["test"]
    assert tree["thresholds_from"] is None and tree["decision"] == "argmax"
    assert youden_thresholds(table) == {}
    assert "conformal" not in tree and "operating" not in tree


def test_lesions_are_judged_by_the_mean_and_the_maximum_of_their_images():
    lesions = simulated(group=2)
    tree = judge_table(lesions, replicates=200)["test"]
    assert {"image", "lesion_mean", "lesion_max"} <= set(tree)
    n = tree["image"]["n"]
    assert (n["examples"], n["lesions"], n["patients"]) == (120, 60, 30)
    assert n["effective_patients"] == pytest.approx(30)
    mean = lesions.scores.reshape(60, 2, 3).mean(axis=1)
    truth = lesions.labels[::2].argmax(axis=1)
    expected = reference.balanced_accuracy_score(truth, mean.argmax(axis=1))
    assert tree["lesion_mean"]["balanced_accuracy"] == pytest.approx(expected)


def test_a_group_of_several_classes_has_no_one_truth(tmp_path):
    lesions = simulated(group=2)
    labels = lesions.labels.copy()
    labels[0] = np.roll(labels[1], 1)
    mixed = replace(lesions, labels=labels)
    judged = judge_table(mixed, replicates=200)
    tree = judged["test"]
    for level in ("lesion_mean", "lesion_max"):
        assert tree[level]["confusion"]["left_out"] == 1
        for entry in tree[level]["classes"].values():
            assert entry["unknown"] == 1
    assert tree["image"]["confusion"]["left_out"] == 0
    text = write_report(tmp_path, mixed, judged, title="t", facts={}).read_text()
    said = [line for line in text.splitlines() if line.startswith("*By ")]
    told = {line.split(":")[0]: " 1 without one known label" in line for line in said}
    assert told["*By lesions, mean of their images"] and not told["*By images"]


def test_the_report_has_the_confusion_matrix_with_counts(tmp_path, table):
    tree = judge_table(table, replicates=200)
    text = write_report(tmp_path, table, tree, title="BUSI", facts={}).read_text()
    counts = tree["test"]["image"]["confusion"]["counts"]
    for name, row in zip(CLASSES, counts, strict=True):
        assert f"| {name} | {' | '.join(map(str, row))} | {sum(row)} |" in text
    assert "decided malignant" in text and "Cohen's kappa" in text
    assert "class with the highest score; there are no thresholds" in text
    own = text.split("### References")[0].lower()
    for word in ("clip", "video", "lung", "pattern"):
        assert word not in own
    lines = headline(tree, table)
    assert lines[0].startswith("test macro AUROC of images: 0.")
    assert lines[1].startswith("test balanced accuracy of images: 0.")


def test_models_are_compared_and_read_as_others_are(tmp_path, table):
    table.write(tmp_path / "good.csv")
    mixed = 0.2 * table.scores + 0.8 * np.roll(table.scores, 1, axis=0)
    replace(table, scores=mixed).write(tmp_path / "bad.csv")
    runs = [str(tmp_path / "good.csv"), str(tmp_path / "bad.csv")]
    more = ["--out", str(tmp_path / "out"), "--replicates", "200"]
    assert main(["report", *runs, *more]) == 0
    text = (tmp_path / "out/report.md").read_text()
    assert "Every class" in text and "macro AUROC, images" in text
    assert "60 examples" not in text and "120 images; 30 patients" in text
    assert (
        "decisions by the highest score" in text and "Youden's thresholds" not in text
    )
    assert "all classes and models" in text and "no operating point" not in text
    tree = json.loads((tmp_path / "out/study.json").read_text())["comparison"]
    assert tree["kind"] == "multiclass"
    assert set(tree["thresholds_from"].values()) == {"highest score"}
    assert all(r["mcnemar"] for r in tree["differences"] if r["class"] != "macro")
    assert main(["readers", runs[0], "--sheets", runs[1], *more]) == 0
